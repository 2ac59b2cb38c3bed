//! Connections to servers are shared, never more than calls may be in flight, and a server's bad manners cost no call that
//! may be repeated.

#![allow(clippy::expect_used, reason = "tests")]

mod support;
use serde_json::json;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use support::{Gated, Origin, Peer, length, plan, start};

const GET: &str = "GET /x HTTP/1.1\r\nHost: a\r\n\r\n";
const POST: &str = "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi";

fn of_server(gated: &Gated, name: &str) -> u64 {
    gated.service()["servers"][0][name].as_u64().expect("a number")
}

fn metric(gated: &Gated, line: &str) -> u64 {
    let text = gated.gate.metrics_text();
    let value = text.lines().find_map(|l| l.strip_prefix(line)).expect("the metric is there");
    value.trim().parse().expect("a number")
}

/// A server that answers with the path, one thread per connection, and knows the most connections that were open at once.
struct Counting {
    address: SocketAddr,
    most: Arc<AtomicUsize>,
    accepted: Arc<AtomicUsize>,
}

/// Looks without waiting, whatever another thread does with the connection.
fn is_open(tcp: &TcpStream) -> bool {
    const PEEK_DONT_WAIT: i32 = 0x2 | 0x40; // MSG_PEEK | MSG_DONTWAIT of Linux
    match socket2::SockRef::from(tcp).recv_with_flags(&mut [std::mem::MaybeUninit::uninit()], PEEK_DONT_WAIT) {
        Ok(n) => n > 0,
        Err(error) => error.kind() == ErrorKind::WouldBlock,
    }
}

/// Serves one connection, then closes it: the other handle of it stays.
fn serve(tcp: TcpStream, answers: usize) {
    answer(&tcp, answers);
    let _the_other_side_may_have = tcp.shutdown(std::net::Shutdown::Both);
}

fn answer(mut tcp: &TcpStream, answers: usize) {
    let mut buf = Vec::new();
    for _ in 0..answers {
        let head = loop {
            if let Some(end) = buf.windows(4).position(|w| w == b"\r\n\r\n") {
                let head: Vec<u8> = buf.drain(..end + 4).collect();
                break String::from_utf8_lossy(&head).into_owned();
            }
            let mut part = [0; 4096];
            match tcp.read(&mut part) {
                Ok(n) if n > 0 => buf.extend_from_slice(&part[..n]),
                _ => return,
            }
        };
        let mut body = vec![0; length(&head).saturating_sub(buf.len())];
        buf.drain(..length(&head).min(buf.len()));
        let path = head.split(' ').nth(1).unwrap_or_default();
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{path}", path.len());
        if tcp.read_exact(&mut body).is_err() || tcp.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
    // Waits for the next request and closes in its face.
    let _closed_or_not = tcp.read(&mut [0; 4096]);
}

impl Counting {
    /// Each connection answers so often.
    fn start(answers: usize) -> Counting {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
        let address = listener.local_addr().expect("address");
        let (most, accepted) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (high, all) = (most.clone(), accepted.clone());
        std::thread::spawn(move || {
            let open: Mutex<Vec<TcpStream>> = Mutex::default();
            for tcp in listener.incoming().flatten() {
                let watched = tcp.try_clone().expect("a second handle");
                let mut open = open.lock().expect("open");
                open.retain(is_open);
                open.push(watched);
                high.fetch_max(open.len(), Ordering::Relaxed);
                all.fetch_add(1, Ordering::Relaxed);
                std::thread::spawn(move || serve(tcp, answers));
            }
        });
        Counting { address, most, accepted }
    }
}

#[tokio::test]
async fn many_clients_never_have_more_connections_than_the_limit_and_one() {
    let origin = Counting::start(usize::MAX);
    let gated = start(&plan(origin.address, 4));
    let mut clients = Vec::new();
    for client in 0..32 {
        let to = gated.address;
        clients.push(tokio::spawn(async move {
            let mut peer = Peer::connect(to).await;
            for call in 0..25 {
                let (method, body) = if (client + call) % 3 == 0 { ("POST", "hi") } else { ("GET", "") };
                let path = format!("/{client}/{call}");
                let head =
                    format!("{method} {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{body}", body.len());
                peer.send(head).await;
                assert_eq!(peer.answer().await.1, path, "its own answer");
            }
        }));
    }
    for client in clients {
        client.await.expect("a client");
    }
    gated.until("all are done", |g| g.in_flight() == 0).await;
    assert!(origin.most.load(Ordering::Relaxed) <= 5, "{}", origin.most.load(Ordering::Relaxed));
    assert!(of_server(&gated, "shared_conns_max") <= 5);
    let (connects, reuses) = (of_server(&gated, "connects"), of_server(&gated, "reuses"));
    assert_eq!(connects, origin.accepted.load(Ordering::Relaxed) as u64);
    assert!(connects <= 5 && connects + reuses == 800, "{connects} {reuses}");
    gated.assert_conserved();
}

#[tokio::test]
async fn clients_that_call_once_share_connections_too() {
    let gated = start(&plan(Counting::start(usize::MAX).address, 4));
    for n in 0..50 {
        let mut client = Peer::connect(gated.address).await;
        client.send(if n % 2 == 0 { GET } else { POST }).await;
        client.answer().await;
    }
    assert_eq!(of_server(&gated, "connects"), 1);
    gated.until("all are counted", |g| of_server(g, "reuses") == 49).await;
    let calls = gated.explain();
    assert_eq!(calls[0]["new_connection"], json!(null), "it went over one that was there");
    let first = calls.last().expect("a call");
    assert_eq!(first["new_connection"], "none-idle");
    let text = first["text"].as_str().expect("text");
    assert!(text.contains("went to a over a new connection: no connection was idle"), "{text}");
}

#[tokio::test]
async fn where_nothing_is_shared_each_call_has_its_own_connection() {
    let mut plan = plan(Counting::start(usize::MAX).address, 4);
    plan["services"][0]["pool_scope"] = json!("never");
    let gated = start(&plan);
    let mut client = Peer::connect(gated.address).await;
    for _ in 0..3 {
        assert_eq!(client.get("/x").await.1, "/x");
    }
    gated.until("none is kept", |g| of_server(g, "open_conns") == 0).await;
    assert_eq!((of_server(&gated, "connects"), of_server(&gated, "reuses")), (3, 0));
    assert_eq!(gated.explain()[0]["new_connection"], "never-shared");
    let by = "tidegate_server_fresh_requests_total{service=\"s\",server=\"a\",cause=\"never-shared\"} ";
    assert_eq!(metric(&gated, by), 3);
    assert_eq!(
        metric(&gated, "tidegate_server_ended_connections_total{service=\"s\",server=\"a\",ending=\"reset\"} "),
        3
    );
}

#[tokio::test]
async fn a_server_that_closes_after_each_answer_costs_no_call_that_may_be_repeated() {
    let gated = start(&plan(Counting::start(1).address, 8));
    let mut clients = Vec::new();
    for client in 0..8 {
        let to = gated.address;
        clients.push(tokio::spawn(async move {
            let mut peer = Peer::connect(to).await;
            for call in 0..40 {
                let path = format!("/{client}/{call}");
                let (head, body) = peer.get(&path).await;
                assert_eq!(body, path, "{head}");
            }
        }));
    }
    for client in clients {
        client.await.expect("a client");
    }
    gated.until("all are done", |g| g.in_flight() == 0).await;
    let retries = gated.counter("retries");
    assert!((1..=64 + 64 + 30).contains(&retries), "{retries}: at most what was saved, a fifth, and one a second");
    assert_eq!((gated.counter("retries_refused"), gated.counter("broken")), (0, 0));
    assert_eq!(of_server(&gated, "reuses"), 0, "not one was answered on a connection that had served before");
    gated.assert_conserved();
}

#[tokio::test]
async fn one_lost_post_is_enough_to_learn_from() {
    let gated = start(&plan(Counting::start(1).address, 2));
    let mut lost = 0;
    for _ in 0..30 {
        let mut client = Peer::connect(gated.address).await;
        client.send(POST).await;
        let (head, body) = client.answer().await;
        lost += usize::from(head.starts_with("HTTP/1.1 502 ") && body.contains("must not be repeated"));
    }
    assert!(lost <= 1, "{lost} of 30");
    assert_eq!(gated.counter("retries"), 0);
}

#[tokio::test]
async fn a_body_that_lies_here_whole_is_sent_again_and_one_that_streamed_is_not() {
    let mut origin = Origin::start().await;
    let gated = start(&plan(origin.address, 2));
    let mut client = Peer::connect(gated.address).await;
    client.send(GET).await;
    let mut server = origin.accept().await;
    server.head().await.expect("a request");
    server.reply("0").await;
    client.answer().await;
    for size in [7_000usize, 100] {
        let body: String = (0..size).map(|n| char::from(b'a' + (n % 26) as u8)).collect();
        client.send(format!("PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n{body}")).await;
        server.head().await.expect("the same connection");
        assert_eq!(server.exactly(size).await, body.as_bytes());
        drop(server);
        server = origin.accept().await;
        server.head().await.expect("once more");
        assert_eq!(server.exactly(size).await, body.as_bytes());
        server.reply("put").await;
        assert_eq!(client.answer().await.1, "put");
        // What the client says next is read from where the body ended.
        client.send(GET).await;
        server.head().await.expect("a request");
        server.reply("next").await;
        assert_eq!(client.answer().await.1, "next");
    }
    assert_eq!(gated.counter("retries"), 2);
    client.send("PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n").await;
    let mut server = {
        let mut own = origin.accept().await; // its body is not here, so it does not risk an old connection
        own.head().await.expect("a head");
        drop(server);
        own
    };
    client.send("x".repeat(100_000)).await;
    server.exactly(100_000).await;
    server.reply("long").await;
    assert_eq!(client.answer().await.1, "long");
    gated.until("all are done", |g| g.in_flight() == 0).await;
    gated.assert_conserved();
}

#[tokio::test]
async fn a_request_that_is_sent_again_while_its_server_is_away_is_held() {
    let mut origin = Origin::start().await;
    let address = origin.address;
    let gated = start(&plan(address, 2));
    let mut client = Peer::connect(gated.address).await;
    client.send(GET).await;
    let mut server = origin.accept().await;
    server.head().await.expect("a request");
    server.reply("1").await;
    client.answer().await;
    client.send("PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: 6000\r\n\r\n").await;
    client.send("y".repeat(6000)).await;
    server.head().await.expect("the same connection");
    origin.close().await;
    drop(server);
    gated.until("it is held", |g| g.service()["held_total"] == 1).await;
    let listener = tokio::net::TcpListener::bind(address).await.expect("the port is still free");
    let (tcp, _) = listener.accept().await.expect("the gate tries again");
    let mut back = Peer { tcp, buf: Vec::new() };
    assert!(back.head().await.expect("the call").starts_with("PUT /x "));
    assert_eq!(back.exactly(6000).await, "y".repeat(6000).as_bytes());
    back.reply("back").await;
    assert_eq!(client.answer().await.1, "back");
    gated.until("all are done", |g| g.in_flight() == 0).await;
    gated.assert_conserved();
}

#[tokio::test]
async fn a_server_that_never_answers_frees_its_slot_and_counts_as_no_reuse() {
    let mut origin = Origin::start().await;
    let mut plan = plan(origin.address, 1);
    plan["services"][0]["admission"]["upstream_timeout_ns"] = json!(200_000_000u64);
    plan["services"][0]["admission"]["quarantine_ns"] = json!(100_000_000u64);
    let gated = start(&plan);
    let mut client = Peer::connect(gated.address).await;
    client.send(GET).await;
    let mut server = origin.accept().await;
    server.head().await.expect("a request");
    server.reply("1").await;
    client.answer().await;
    client.send(GET).await;
    server.head().await.expect("the same connection");
    assert!(client.head().await.expect("an answer").starts_with("HTTP/1.1 504 "));
    gated.until("the slot is free", |g| g.in_flight() == 0).await;
    assert_eq!((of_server(&gated, "reuses"), of_server(&gated, "shared_conns")), (0, 0));
    assert_eq!(gated.counter("retries"), 0, "it may be at work on it");
    gated.assert_conserved();
}

#[tokio::test]
async fn a_server_that_speaks_on_an_idle_connection_loses_it() {
    let mut origin = Origin::start().await;
    let gated = start(&plan(origin.address, 2));
    let mut client = Peer::connect(gated.address).await;
    client.send(GET).await;
    let mut server = origin.accept().await;
    server.head().await.expect("a request");
    server.reply("1").await;
    client.answer().await;
    gated.until("it is idle", |g| of_server(g, "idle_conns") == 1).await;
    server.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil").await;
    gated.until("it is closed", |g| of_server(g, "open_conns") == 0).await;
    assert_eq!(metric(&gated, "tidegate_server_unasked_connections_total{service=\"s\",server=\"a\"} "), 1);
    client.send(GET).await;
    let mut fresh = origin.accept().await;
    fresh.head().await.expect("a new connection");
    fresh.reply("good").await;
    assert_eq!(client.answer().await.1, "good");
}

#[tokio::test]
async fn a_plan_with_another_address_keeps_no_connection_of_the_old_one() {
    let (old, new) = (Counting::start(usize::MAX), Counting::start(usize::MAX));
    let mut plan = plan(old.address, 2);
    let gated = start(&plan);
    let mut client = Peer::connect(gated.address).await;
    client.get("/x").await;
    gated.until("it is idle", |g| of_server(g, "idle_conns") == 1).await;
    plan["services"][0]["servers"][0]["address"] = json!(new.address.to_string());
    gated.gate.apply(plan.to_string().as_bytes()).expect("applied");
    assert_eq!((of_server(&gated, "idle_conns"), of_server(&gated, "open_conns")), (0, 0));
    assert_eq!(client.get("/y").await.1, "/y");
    assert_eq!(new.accepted.load(Ordering::Relaxed), 1);
    tokio::time::timeout(Duration::from_secs(20), gated.until("one is open", |g| of_server(g, "shared_conns") == 1))
        .await
        .expect("in time");
}
