//! Bodies and heads arrive as they were sent, whatever their framing, and nothing else arrives.

#![allow(clippy::expect_used, reason = "tests")]

mod support;
use support::{Origin, Peer, plan, start};

const GET: &str = "GET /x HTTP/1.1\r\nHost: a\r\n\r\n";

#[tokio::test]
async fn chunks_pass_both_ways_and_are_framed_anew() {
    let mut origin = Origin::start().await;
    let gated = start(&plan(origin.address, 4));
    let mut client = Peer::connect(gated.address).await;
    client.send("POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;ext=1\r\nhello\r\n").await;
    let mut server = origin.accept().await;
    let head = server.head().await.expect("a head");
    assert!(head.contains("Transfer-Encoding: chunked\r\n"), "{head}");
    assert_eq!(server.exactly(10).await, b"5\r\nhello\r\n");
    client.send("6\r\n world\r\n0\r\nX-T: 1\r\n\r\n").await;
    let mut rest = server.exactly(11).await;
    rest.extend(server.exactly(5).await);
    assert_eq!(rest, b"6\r\n world\r\n0\r\n\r\n");
    server.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n").await;
    let head = client.head().await.expect("an answer");
    assert!(head.contains("Transfer-Encoding: chunked\r\n"), "{head}");
    assert_eq!(client.exactly(8).await, b"3\r\nabc\r\n");
    server.send("2;x\r\nde\r\n0\r\nT: 1\r\n\r\n").await;
    assert_eq!(client.exactly(12).await, b"2\r\nde\r\n0\r\n\r\n");
    client.send(GET).await;
    assert!(server.head().await.expect("the same connection").starts_with("GET /x"));
    server.reply("again").await;
    assert_eq!(client.answer().await.1, "again");
    gated.until("all are done", |g| g.in_flight() == 0).await;
    gated.assert_conserved();
}

#[tokio::test]
async fn a_large_body_streams_with_bounded_buffers() {
    let mut origin = Origin::start().await;
    let gated = start(&plan(origin.address, 4));
    let body: Vec<u8> = (0..3_000_000u32).map(|n| (n % 251) as u8).collect();
    let mut client = Peer::connect(gated.address).await;
    let sent = body.clone();
    let sending = tokio::spawn(async move {
        client.send(format!("PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", sent.len())).await;
        client.send(&sent).await;
        client
    });
    let mut server = origin.accept().await;
    server.head().await.expect("a head");
    assert!(server.exactly(body.len()).await == body, "the request's body arrives whole");
    let mut client = sending.await.expect("sent");
    let answer = body.clone();
    let answering = tokio::spawn(async move {
        server.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", answer.len())).await;
        server.send(&answer).await;
    });
    client.head().await.expect("an answer");
    assert!(client.exactly(body.len()).await == body, "the answer's body arrives whole");
    answering.await.expect("answered");
    gated.until("all buffers are back", |g| g.in_flight() == 0).await;
    gated.assert_conserved();
}

#[tokio::test]
async fn one_byte_at_a_time_is_one_call() {
    let gated = start(&plan(Origin::start().await.echo(), 4));
    let mut client = Peer::connect(gated.address).await;
    for byte in b"\r\nPOST /slow HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello" {
        client.send([*byte]).await;
    }
    assert_eq!(client.answer().await.1, "/slow hello");
    gated.until("all are done", |g| g.in_flight() == 0).await;
    assert_eq!(gated.counter("admitted"), 1);
    gated.assert_conserved();
}

#[tokio::test]
async fn pipelined_calls_are_answered_in_order() {
    let gated = start(&plan(Origin::start().await.echo(), 4));
    let mut client = Peer::connect(gated.address).await;
    let mut all = String::new();
    for n in 0..50 {
        all += &format!("POST /{n} HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nxy");
    }
    client.send(&all).await;
    for n in 0..50 {
        assert_eq!(client.answer().await.1, format!("/{n} xy"));
    }
    gated.until("all are done", |g| g.in_flight() == 0).await;
    assert_eq!(gated.counter("admitted"), 50);
    gated.assert_conserved();
}

#[tokio::test]
async fn answers_without_a_body_leave_both_connections_usable() {
    let mut origin = Origin::start().await;
    let gated = start(&plan(origin.address, 4));
    let mut client = Peer::connect(gated.address).await;
    client.send("HEAD /h HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let mut server = origin.accept().await;
    server.head().await.expect("HEAD");
    server.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n").await;
    assert!(client.head().await.expect("an answer").contains("Content-Length: 100\r\n"));
    for status in ["204 No Content", "304 Not Modified"] {
        client.send(GET).await;
        server.head().await.expect("GET");
        server.send(format!("HTTP/1.1 {status}\r\nETag: \"x\"\r\n\r\n")).await;
        assert!(client.head().await.expect("an answer").starts_with(&format!("HTTP/1.1 {status}\r\n")));
    }
    client.send(GET).await;
    server.head().await.expect("the same connection");
    server.reply("ok").await;
    assert_eq!(client.answer().await.1, "ok");
}

#[tokio::test]
async fn an_answer_until_close_ends_the_clients_connection_too() {
    let mut origin = Origin::start().await;
    let gated = start(&plan(origin.address, 4));
    let mut client = Peer::connect(gated.address).await;
    client.send(GET).await;
    let mut server = origin.accept().await;
    server.head().await.expect("GET");
    server.send("HTTP/1.1 200 OK\r\n\r\nall of it").await;
    drop(server);
    let head = client.head().await.expect("an answer");
    assert!(head.contains("Connection: close\r\n"), "{head}");
    assert_eq!(client.rest().await, b"all of it");
    gated.until("all are done", |g| g.in_flight() == 0).await;
    assert_eq!(gated.counter("answered"), 1);
    gated.assert_conserved();
}

#[tokio::test]
async fn interim_answers_pass_and_end_nothing() {
    let mut origin = Origin::start().await;
    let gated = start(&plan(origin.address, 4));
    let mut client = Peer::connect(gated.address).await;
    client.send("POST /x HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n").await;
    let mut server = origin.accept().await;
    assert!(server.head().await.expect("a head").contains("Expect: 100-continue"));
    server.send("HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n").await;
    assert!(client.head().await.expect("103").starts_with("HTTP/1.1 103 "));
    assert!(client.head().await.expect("100").starts_with("HTTP/1.1 100 "));
    client.send("hello").await;
    assert_eq!(server.exactly(5).await, b"hello");
    assert_eq!(gated.in_flight(), 1);
    server.reply("done").await;
    assert_eq!(client.answer().await.1, "done");
    gated.until("all are done", |g| g.in_flight() == 0).await;
    gated.assert_conserved();
}

#[tokio::test]
async fn an_early_final_answer_closes_both_sides() {
    let mut origin = Origin::start().await;
    let gated = start(&plan(origin.address, 4));
    let mut client = Peer::connect(gated.address).await;
    client.send("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 50000\r\n\r\nsome").await;
    let mut server = origin.accept().await;
    server.head().await.expect("a head");
    assert_eq!(server.exactly(4).await, b"some");
    server.send("HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig").await;
    let (head, body) = client.answer().await;
    assert!(head.starts_with("HTTP/1.1 413 ") && head.contains("Connection: close\r\n"), "{head}");
    assert_eq!(body, "big");
    assert_eq!(server.rest().await, b"", "not one byte more, and the end");
    gated.until("all are done", |g| g.in_flight() == 0).await;
    gated.assert_conserved();
}

#[tokio::test]
async fn a_switch_becomes_a_tunnel_and_holds_no_slot() {
    let mut origin = Origin::start().await;
    let gated = start(&plan(origin.address, 1));
    let mut client = Peer::connect(gated.address).await;
    client.send("GET /ws HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n").await;
    let mut server = origin.accept().await;
    let head = server.head().await.expect("a head");
    assert!(head.contains("Connection: upgrade\r\n") && head.contains("Upgrade: websocket\r\n"), "{head}");
    server.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nfirst").await;
    let head = client.head().await.expect("101");
    assert!(head.starts_with("HTTP/1.1 101 ") && head.contains("Upgrade: websocket"), "{head}");
    assert_eq!(client.exactly(5).await, b"first");
    client.send("GET / HTTP/1.1\nnot http any more").await;
    assert_eq!(server.exactly(32).await, b"GET / HTTP/1.1\nnot http any more");
    gated.until("the slot is free", |g| g.in_flight() == 0).await;
    drop(client);
    assert_eq!(server.rest().await, b"");
    gated.assert_conserved();
}

#[tokio::test]
async fn what_is_meant_for_a_tunnel_waits_for_the_switch() {
    let mut origin = Origin::start().await;
    let gated = start(&plan(origin.address, 1));
    let mut client = Peer::connect(gated.address).await;
    let ask = "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    client.send(format!("{ask}GET /evil HTTP/1.1\r\nHost: a\r\n\r\n")).await;
    let mut server = origin.accept().await;
    server.head().await.expect("a head");
    server.send("HTTP/1.1 103 Early Hints\r\n\r\n").await;
    assert!(client.head().await.expect("a hint").starts_with("HTTP/1.1 103 "));
    let nothing = server.tcp.try_read(&mut [0; 8]).expect_err("not a byte before the switch");
    assert_eq!((nothing.kind(), server.buf.len()), (std::io::ErrorKind::WouldBlock, 0));
    server.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n").await;
    assert!(client.head().await.expect("101").starts_with("HTTP/1.1 101 "));
    assert!(server.head().await.expect("now").starts_with("GET /evil "));
    gated.until("it takes no place of a call", |g| g.service()["servers"][0]["shared_conns"] == 0).await;
    assert_eq!(gated.service()["servers"][0]["open_conns"], 1);
}

#[tokio::test]
async fn a_switch_that_nobody_asked_for_is_no_answer() {
    let mut origin = Origin::start().await;
    let gated = start(&plan(origin.address, 1));
    let mut client = Peer::connect(gated.address).await;
    // h2c is an upgrade that must not pass: it would carry requests past the gate.
    client
        .send("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n")
        .await;
    let mut server = origin.accept().await;
    let head = server.head().await.expect("a head");
    assert!(!head.to_ascii_lowercase().contains("upgrade") && !head.contains("HTTP2"), "{head}");
    server.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n").await;
    assert!(client.head().await.expect("an answer").starts_with("HTTP/1.1 502 "));
    gated.until("all are done", |g| g.in_flight() == 0).await;
}

#[tokio::test]
async fn http_1_0_gets_bare_bytes_and_keeps_alive_only_when_it_asks() {
    let mut origin = Origin::start().await;
    let gated = start(&plan(origin.address, 4));
    let mut client = Peer::connect(gated.address).await;
    client.send("GET /x HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").await;
    let mut server = origin.accept().await;
    assert!(server.head().await.expect("a head").starts_with("GET /x HTTP/1.1\r\n"));
    server.reply("one").await;
    let (head, body) = client.answer().await;
    assert!(head.contains("Connection: keep-alive\r\n"), "{head}");
    assert_eq!(body, "one");
    client.send("GET /x HTTP/1.0\r\nHost: a\r\n\r\n").await;
    server.head().await.expect("a head");
    server.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\ntwo\r\n0\r\n\r\n").await;
    let head = client.head().await.expect("an answer");
    assert!(!head.contains("Transfer-Encoding") && head.contains("Connection: close\r\n"), "{head}");
    assert_eq!(client.rest().await, b"two");
}

#[tokio::test]
async fn hop_by_hop_fields_end_here_and_the_peer_is_named() {
    let mut origin = Origin::start().await;
    let gated = start(&plan(origin.address, 4));
    let mut client = Peer::connect(gated.address).await;
    client
        .send(
            "GET /x HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 6.6.6.6\r\nConnection: keep-alive, X-Mine, Secret, Cookie\r\n\
             Keep-Alive: timeout=5\r\nSecret: 1\r\nCookie: a=b\r\nX-Mine: kept\r\nTE: trailers\r\nProxy-Connection: x\r\n\r\n",
        )
        .await;
    let mut server = origin.accept().await;
    let head = server.head().await.expect("a head");
    assert_eq!(head, "GET /x HTTP/1.1\r\nHost: a\r\nCookie: a=b\r\nX-Mine: kept\r\nX-Forwarded-For: 127.0.0.1\r\n\r\n");
    server
        .send("HTTP/1.1 200 OK\r\nConnection: keep-alive, Hop\r\nHop: 1\r\nKeep-Alive: timeout=5\r\nContent-Length: 0\r\nX-A: b\r\n\r\n")
        .await;
    assert_eq!(client.head().await.expect("an answer"), "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-A: b\r\n\r\n");
}

#[tokio::test]
async fn forwarded_addresses_are_believed_from_trusted_hops_only() {
    let mut origin = Origin::start().await;
    let mut plan = plan(origin.address, 4);
    plan["services"][0]["forwarded_from"] = serde_json::json!(["127.0.0.0/8"]);
    let gated = start(&plan);
    let mut client = Peer::connect(gated.address).await;
    client.send("GET /x HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1.1.1.1, 9.9.9.9\r\n\r\n").await;
    let mut server = origin.accept().await;
    let head = server.head().await.expect("a head");
    assert!(head.contains("X-Forwarded-For: 1.1.1.1, 9.9.9.9\r\nX-Forwarded-For: 127.0.0.1\r\n"), "{head}");
    server.reply("x").await;
    client.answer().await;
    gated.until("all are done", |g| g.in_flight() == 0).await;
    assert_eq!(gated.explain()[0]["client"], "9.9.9.9");
}
