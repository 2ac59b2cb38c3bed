//! Servers that are missing, refuse, reset, hang or talk nonsense: every client gets an answer, nothing is done twice.

#![allow(clippy::expect_used, reason = "tests")]

mod support;
use serde_json::json;
use support::{Origin, Peer, plan, start};

const GET: &str = "GET /x HTTP/1.1\r\nHost: a\r\n\r\n";
const POST: &str = "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi";

fn reset(peer: &Peer) {
    peer.tcp.set_zero_linger().expect("linger");
}

#[tokio::test]
async fn a_server_that_is_away_holds_calls_until_it_is_back() {
    let parked = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = parked.local_addr().expect("address");
    drop(parked);
    let gated = start(&plan(address, 2));
    let mut client = Peer::connect(gated.address).await;
    client.send(POST).await;
    gated.until("a connect failed", |g| g.counter("connect_failed") > 0 && g.service()["held_total"] == 1).await;
    assert_eq!(gated.service()["servers"][0]["phase"], "down");
    let listener = tokio::net::TcpListener::bind(address).await.expect("the port is still free");
    let (tcp, _) = listener.accept().await.expect("the gate tries again");
    let mut server = Peer { tcp, buf: Vec::new() };
    assert!(server.head().await.expect("the call").starts_with("POST /x "));
    assert_eq!(server.exactly(2).await, b"hi");
    server.reply("back").await;
    assert_eq!(client.answer().await.1, "back");
    gated.until("all are done", |g| g.in_flight() == 0).await;
    assert_eq!(gated.counter("admitted"), 1);
    gated.assert_conserved();
}

#[tokio::test]
async fn a_server_that_stays_away_gets_held_calls_turned_away_by_their_deadline() {
    let parked = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = parked.local_addr().expect("address");
    drop(parked);
    let mut plan = plan(address, 2);
    plan["services"][0]["admission"]["client_timeout_ns"] = json!(500_000_000u64);
    plan["services"][0]["admission"]["margin_ns"] = json!(100_000_000u64);
    let gated = start(&plan);
    let mut client = Peer::connect(gated.address).await;
    let (head, body) = client.get("/x").await;
    assert!(head.starts_with("HTTP/1.1 503 "), "{head}");
    assert!(body.contains("server-down"), "{body}");
    assert_eq!(gated.turned_away("server-down"), 1);
    gated.assert_conserved();
}

#[tokio::test]
async fn nonsense_and_broken_connections_become_502_and_close() {
    let cases: &[&[u8]] = &[
        b"",
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/2 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: b\r\n folded\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Le",
    ];
    let mut origin = Origin::start().await;
    let gated = start(&plan(origin.address, 2));
    for case in cases {
        let mut client = Peer::connect(gated.address).await;
        client.send(POST).await;
        let mut server = origin.accept().await;
        server.head().await.expect("a request");
        server.send(case).await;
        drop(server);
        let head = client.head().await.expect("an answer");
        assert!(head.starts_with("HTTP/1.1 502 "), "{}: {head}", String::from_utf8_lossy(case));
        client.rest().await;
        gated.until("all are done", |g| g.in_flight() == 0).await;
    }
    assert_eq!(gated.counter("broken"), cases.len() as u64);
    gated.assert_conserved();
}

#[tokio::test]
async fn a_head_that_never_ends_is_nonsense_too() {
    let mut origin = Origin::start().await;
    let gated = start(&plan(origin.address, 2));
    let mut client = Peer::connect(gated.address).await;
    client.send(GET).await;
    let mut server = origin.accept().await;
    server.head().await.expect("a request");
    server.send("HTTP/1.1 200 OK\r\n").await;
    let line = format!("X: {}\r\n", "y".repeat(1000));
    for _ in 0..20 {
        if tokio::io::AsyncWriteExt::write_all(&mut server.tcp, line.as_bytes()).await.is_err() {
            break;
        }
    }
    assert!(client.head().await.expect("an answer").starts_with("HTTP/1.1 502 "));
}

#[tokio::test]
async fn an_answer_that_breaks_off_closes_the_clients_connection() {
    let mut origin = Origin::start().await;
    let gated = start(&plan(origin.address, 2));
    for body in [
        "Content-Length: 100\r\n\r\nonly this",
        "Transfer-Encoding: chunked\r\n\r\n9\r\nonly this\r\n",
        "Transfer-Encoding: chunked\r\n\r\n9\r\nonly thisXX5\r\n",
    ] {
        let mut client = Peer::connect(gated.address).await;
        client.send(GET).await;
        let mut server = origin.accept().await;
        server.head().await.expect("a request");
        server.send(format!("HTTP/1.1 200 OK\r\n{body}")).await;
        drop(server);
        let head = client.head().await.expect("an answer");
        let rest = String::from_utf8_lossy(&client.rest().await).into_owned();
        // What is broken before anything of it was passed on can still be called a bad gateway.
        let cut = head.starts_with("HTTP/1.1 200 ") && !rest.ends_with("0\r\n\r\n");
        assert!(cut || head.starts_with("HTTP/1.1 502 "), "a cut body must not look whole: {head}{rest}");
        gated.until("all are done", |g| g.in_flight() == 0).await;
    }
    assert_eq!(gated.counter("broken"), 3);
    gated.assert_conserved();
}

#[tokio::test]
async fn a_stale_connection_is_tried_again_for_get_and_never_for_post() {
    let mut origin = Origin::start().await;
    let gated = start(&plan(origin.address, 2));
    let mut client = Peer::connect(gated.address).await;
    client.send(GET).await;
    let mut server = origin.accept().await;
    server.head().await.expect("a request");
    server.reply("1").await;
    client.answer().await;

    client.send(GET).await;
    server.head().await.expect("the same connection");
    reset(&server);
    drop(server);
    let mut server = origin.accept().await;
    server.head().await.expect("the same request on a new connection");
    server.reply("2").await;
    assert_eq!(client.answer().await.1, "2");
    assert_eq!(gated.counter("retries"), 1);

    // The server has closed one under a request at once: what must not be sent twice is not risked again.
    client.send(POST).await;
    let mut fresh = origin.accept().await;
    assert!(fresh.head().await.expect("a connection of its own").starts_with("POST /x "));
    fresh.reply("3").await;
    assert_eq!(client.answer().await.1, "3");
    gated.until("all are done", |g| g.in_flight() == 0).await;
    gated.assert_conserved();
}

#[tokio::test]
async fn a_post_that_may_have_been_seen_is_never_sent_again_and_says_why() {
    let mut origin = Origin::start().await;
    let gated = start(&plan(origin.address, 2));
    let mut client = Peer::connect(gated.address).await;
    client.send(POST).await;
    let mut server = origin.accept().await;
    server.head().await.expect("a request");
    server.exactly(2).await;
    server.reply("1").await;
    client.answer().await;
    client.send(POST).await;
    server.head().await.expect("the same connection");
    drop(server);
    let (head, body) = client.answer().await;
    assert!(head.starts_with("HTTP/1.1 502 "), "{head}");
    assert!(body.contains("must not be repeated"), "{body}");
    assert!(!origin.accepted_more(), "a POST that may have been seen is not sent again");
    gated.until("all are done", |g| g.in_flight() == 0).await;
    assert_eq!((gated.counter("retries"), gated.counter("broken")), (0, 1));
    gated.assert_conserved();
}

#[tokio::test]
async fn an_idle_connection_that_the_server_closed_is_not_used_even_for_post() {
    let mut origin = Origin::start().await;
    let gated = start(&plan(origin.address, 2));
    let mut client = Peer::connect(gated.address).await;
    for n in 0..3 {
        client.send(POST).await;
        let mut server = origin.accept().await;
        server.head().await.expect("a new connection each time");
        server.exactly(2).await;
        server.reply(&n.to_string()).await;
        assert_eq!(client.answer().await.1, n.to_string());
        drop(server);
        gated.until("the closed one is swept", |g| g.service()["servers"][0]["open_conns"] == 0).await;
    }
    assert_eq!(gated.counter("retries"), 0);
    gated.assert_conserved();
    let kept = |g: &support::Gated| g.service()["servers"][0]["idle_s"].as_f64().expect("a time");
    gated.until("the gate has learned to close first", |g| kept(g) < 2.0).await;
    assert_eq!(gated.service()["servers"][0]["idle_source"], "learned");
}

#[tokio::test]
async fn a_connection_is_left_before_the_time_that_its_server_announces() {
    let mut origin = Origin::start().await;
    let gated = start(&plan(origin.address, 2));
    let mut client = Peer::connect(gated.address).await;
    client.send(GET).await;
    let mut server = origin.accept().await;
    server.head().await.expect("a request");
    server.send("HTTP/1.1 200 OK\r\nKeep-Alive: max=9, timeout=2\r\nContent-Length: 1\r\n\r\na").await;
    let (head, _) = client.answer().await;
    assert!(!head.to_ascii_lowercase().contains("keep-alive"), "a word between the two of them: {head}");
    gated.until("the gate has heard it", |g| g.service()["servers"][0]["idle_s"] == 1.0).await;
    assert_eq!(gated.service()["servers"][0]["idle_source"], "announced");
    assert_eq!(server.rest().await, b"", "closed by the gate, and nothing sent");
}

#[tokio::test]
async fn bytes_behind_an_answer_are_never_given_to_the_next_client() {
    let mut origin = Origin::start().await;
    let gated = start(&plan(origin.address, 2));
    let mut attacker = Peer::connect(gated.address).await;
    attacker.send(GET).await;
    let mut server = origin.accept().await;
    server.head().await.expect("a request");
    server.send("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\naHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil").await;
    assert_eq!(attacker.answer().await.1, "a");
    let mut victim = Peer::connect(gated.address).await;
    victim.send(GET).await;
    let mut fresh = origin.accept().await;
    fresh.head().await.expect("a new connection");
    fresh.reply("good").await;
    assert_eq!(victim.answer().await.1, "good");
    // The server is not trusted any more: that connection has ended, too.
    assert_eq!(fresh.rest().await, b"");
    victim.send(GET).await;
    let mut third = origin.accept().await;
    third.head().await.expect("a new connection again");
    third.reply("fine").await;
    assert_eq!(victim.answer().await.1, "fine");
}

#[tokio::test]
async fn a_connection_on_which_a_user_authenticated_serves_that_client_only() {
    let mut origin = Origin::start().await;
    let gated = start(&plan(origin.address, 4));
    let mut alice = Peer::connect(gated.address).await;
    alice.send("GET /x HTTP/1.1\r\nHost: a\r\nAuthorization: NTLM abc\r\n\r\n").await;
    let mut hers = origin.accept().await;
    hers.head().await.expect("a request");
    hers.send("HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: NTLM def\r\nContent-Length: 0\r\n\r\n").await;
    alice.answer().await;
    let mut bob = Peer::connect(gated.address).await;
    bob.send(GET).await;
    let mut his = origin.accept().await;
    his.head().await.expect("a connection of his own");
    his.reply("bob").await;
    assert_eq!(bob.answer().await.1, "bob");
    for _ in 0..2 {
        alice.send(GET).await;
        hers.head().await.expect("hers, and no other");
        hers.reply("alice").await;
        assert_eq!(alice.answer().await.1, "alice");
    }
    drop(alice);
    assert_eq!(hers.rest().await, b"", "it ends with her connection");
    gated.until("all are done", |g| g.in_flight() == 0).await;
    assert_eq!(gated.service()["servers"][0]["open_conns"], 1);
    gated.assert_conserved();
}
