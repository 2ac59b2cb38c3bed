//! Attacks on slots and buffers: clients that are slow on purpose, servers that stall or speak out of turn.

#![allow(clippy::expect_used, reason = "tests")]

mod support;
use serde_json::{Value, json};
use support::{Origin, Peer, plan, start};

const MS: u64 = 1_000_000;

fn with_io(mut plan: Value, changes: &[(&str, u64)]) -> Value {
    for (key, value) in changes {
        plan["services"][0]["io"][key] = json!(value);
    }
    plan
}

#[tokio::test]
async fn clients_that_are_slow_with_a_short_body_hold_no_slot() {
    let origin = Origin::start().await;
    let gated = start(&plan(origin.echo(), 1));
    let mut slow = Vec::new();
    for _ in 0..8 {
        let mut peer = Peer::connect(gated.address).await;
        peer.send("POST /slow HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe").await;
        slow.push(peer);
    }
    let mut quick = Peer::connect(gated.address).await;
    assert_eq!(quick.get("/quick").await.1, "/quick ");
    assert_eq!(gated.counter("admitted"), 1, "nobody else has a slot");
    for peer in &mut slow {
        peer.send("llo").await;
        assert_eq!(peer.answer().await.1, "/slow hello");
    }
    gated.until("all are done", |g| g.in_flight() == 0).await;
    gated.assert_conserved();
}

#[tokio::test]
async fn half_heads_hold_no_whole_buffer() {
    let origin = Origin::start().await;
    // Room for two blocks: what one client and its server need.
    let gated = start(&with_io(plan(origin.echo(), 4), &[("buffers_max_bytes", 4 * 16_384)]));
    let mut half = Vec::new();
    for _ in 0..50 {
        let mut peer = Peer::connect(gated.address).await;
        peer.send("GET /half HTTP/1.1\r\nHo").await;
        half.push(peer);
    }
    let mut quick = Peer::connect(gated.address).await;
    assert_eq!(quick.get("/quick").await.1, "/quick ");
    for peer in &mut half {
        peer.send("st: a\r\n\r\n").await;
        assert_eq!(peer.answer().await.1, "/half ");
    }
    gated.until("all are done", |g| g.in_flight() == 0).await;
    assert_eq!(gated.turned_away("memory"), 0);
    gated.assert_conserved();
}

#[tokio::test]
async fn a_server_that_stalls_in_its_answer_keeps_its_slot() {
    let mut origin = Origin::start().await;
    let gated = start(&with_io(plan(origin.address, 1), &[("body_rate_timeout_ns", 200 * MS)]));
    let mut client = Peer::connect(gated.address).await;
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let mut server = origin.accept().await;
    server.head().await.expect("a request");
    server.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc").await;
    assert!(client.rest().await.ends_with(b"abc"));
    gated.until("the call has ended", |g| g.service()["open_requests"] == 0).await;
    assert_eq!(gated.in_flight(), 1, "the server may still be at work");
}

#[tokio::test]
async fn after_bytes_behind_an_answer_every_call_gets_a_connection_of_its_own() {
    let mut origin = Origin::start().await;
    let gated = start(&plan(origin.address, 2));
    let mut client = Peer::connect(gated.address).await;
    client.send("GET /1 HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let mut server = origin.accept().await;
    server.head().await.expect("the first");
    server.send("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nX").await;
    assert_eq!(client.answer().await.1, "1");
    for call in ["2", "3"] {
        client.send(format!("GET /{call} HTTP/1.1\r\nHost: a\r\n\r\n")).await;
        let mut fresh = origin.accept().await;
        assert!(fresh.head().await.expect("on a new connection").starts_with(&format!("GET /{call} ")));
        fresh.reply(call).await;
        assert_eq!(client.answer().await.1, call);
    }
    gated.until("all are done", |g| g.in_flight() == 0).await;
    assert_eq!(gated.service()["servers"][0]["reuses"], 0);
    gated.assert_conserved();
}

#[tokio::test]
async fn a_service_that_was_drained_serves_again_after_a_reload() {
    let origin = Origin::start().await;
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("bind").local_addr().expect("address");
    let mut plan = plan(origin.echo(), 2);
    plan["services"][0]["listen"] = json!(free.to_string());
    let gated = start(&plan);
    assert_eq!(Peer::connect(free).await.get("/1").await.1, "/1 ");
    gated.gate.drain(std::time::Duration::from_secs(5));
    gated.until("it accepts no more", |_| std::net::TcpStream::connect(free).is_err()).await;
    gated.gate.apply(plan.to_string().as_bytes()).expect("the plan is taken");
    gated.until("it accepts again", |_| std::net::TcpStream::connect(free).is_ok()).await;
    assert_eq!(Peer::connect(free).await.get("/2").await.1, "/2 ");
}
