//! Clients that say nothing, too much or too slowly are closed with a counted reason; others do not notice.

#![allow(clippy::expect_used, reason = "tests")]

mod support;
use serde_json::json;
use support::{Origin, Peer, plan, start};
use tokio::io::AsyncWriteExt;

const MS: u64 = 1_000_000;

#[tokio::test]
async fn silent_and_slow_clients_are_closed_and_counted() {
    let mut plan = plan(Origin::start().await.echo(), 4);
    plan["services"][0]["io"]["head_timeout_ns"] = json!(300 * MS);
    plan["services"][0]["io"]["body_rate_timeout_ns"] = json!(300 * MS);
    plan["services"][0]["io"]["idle_timeout_ns"] = json!(300 * MS);
    let gated = start(&plan);
    let mut silent = Vec::new();
    for _ in 0..500 {
        silent.push(Peer::connect(gated.address).await);
    }
    let mut half = Peer::connect(gated.address).await;
    half.send("GET / HTTP/1.1\r\nHost:").await;
    let mut short = Peer::connect(gated.address).await;
    short.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10000\r\n\r\nshort").await;
    let mut idle = Peer::connect(gated.address).await;
    assert!(idle.get("/x").await.0.starts_with("HTTP/1.1 200 "));
    for mut peer in silent {
        assert_eq!(peer.rest().await, b"", "closed without a word");
    }
    assert!(half.head().await.expect("an answer").starts_with("HTTP/1.1 408 "));
    assert!(short.head().await.expect("an answer").starts_with("HTTP/1.1 408 "));
    assert_eq!(idle.rest().await, b"");
    gated.until("all are closed", |g| g.service()["open_conns"] == 0).await;
    assert_eq!(gated.service()["connections_silent"], 501);
    assert_eq!(gated.counter("incomplete"), 1);
    gated.assert_conserved();
}

#[tokio::test]
async fn one_byte_now_and_then_does_not_stretch_the_head_timeout() {
    let mut plan = plan(Origin::start().await.echo(), 4);
    plan["services"][0]["io"]["head_timeout_ns"] = json!(300 * MS);
    let gated = start(&plan);
    let mut client = Peer::connect(gated.address).await;
    let (mut read, mut write) = client.tcp.into_split();
    let dripping = tokio::spawn(async move {
        for byte in b"GET / HTTP/1.1\r\nHost: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa".iter().cycle() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            if write.write_all(&[*byte]).await.is_err() {
                return;
            }
        }
    });
    let mut answer = Vec::new();
    let _reset = tokio::io::AsyncReadExt::read_to_end(&mut read, &mut answer).await;
    assert!(answer.starts_with(b"HTTP/1.1 408 "), "{}", String::from_utf8_lossy(&answer));
    dripping.abort();
    client = Peer::connect(gated.address).await;
    assert!(client.get("/x").await.0.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn a_header_of_ten_megabytes_is_431() {
    let gated = start(&plan(Origin::start().await.echo(), 4));
    let mut client = Peer::connect(gated.address).await;
    client.send("GET / HTTP/1.1\r\nHost: a\r\nX: ").await;
    let part = vec![b'y'; 64 * 1024];
    for _ in 0..160 {
        if client.tcp.write_all(&part).await.is_err() {
            break;
        }
    }
    let head = client.head().await.unwrap_or_default();
    // A client that goes on sending may see a reset before it reads the answer; it is counted in any case.
    assert!(head.is_empty() || head.starts_with("HTTP/1.1 431 "), "{head}");
    gated.until("it is closed", |g| g.service()["open_conns"] == 0).await;
    assert_eq!(gated.turned_away("bad-request"), 1);
    gated.assert_conserved();
}

#[tokio::test]
async fn a_head_of_more_than_16_kib_or_100_lines_is_431() {
    let gated = start(&plan(Origin::start().await.echo(), 4));
    for lines in [format!("X: {}\r\n", "y".repeat(17_000)), "X: y\r\n".repeat(101)] {
        let mut client = Peer::connect(gated.address).await;
        client.send(format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n")).await;
        assert!(client.head().await.expect("an answer").starts_with("HTTP/1.1 431 "));
    }
    let mut client = Peer::connect(gated.address).await;
    client.send(format!("GET /x HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(99))).await;
    assert!(client.answer().await.0.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn connections_beyond_the_cap_are_dropped_and_counted() {
    let mut plan = plan(Origin::start().await.echo(), 4);
    plan["services"][0]["io"]["connections_max"] = json!(2);
    let gated = start(&plan);
    let mut first = Peer::connect(gated.address).await;
    let mut second = Peer::connect(gated.address).await;
    first.get("/x").await;
    second.get("/x").await;
    assert_eq!(Peer::connect(gated.address).await.rest().await, b"");
    assert_eq!(gated.service()["connections_dropped"], 1);
    drop(first);
    gated.until("there is room again", |g| g.service()["open_conns"] == 1).await;
    assert!(Peer::connect(gated.address).await.get("/x").await.0.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn without_buffers_calls_are_turned_away_for_memory() {
    let mut origin = Origin::start().await;
    let mut plan = plan(origin.address, 10);
    plan["services"][0]["io"]["buffers_max_bytes"] = json!(64 * 1024);
    let gated = start(&plan);
    // Four half heads, too long to be put away while they wait, take the four buffers that there are.
    let mut half = Vec::new();
    for _ in 0..4 {
        let mut peer = Peer::connect(gated.address).await;
        peer.send(format!("GET / HTTP/1.1\r\nX: {}", "a".repeat(9000))).await;
        half.push(peer);
    }
    gated.until("they are read", |g| g.service()["buffer_bytes"] == 64 * 1024).await;
    let mut client = Peer::connect(gated.address).await;
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let head = client.head().await.expect("an answer");
    assert!(head.starts_with("HTTP/1.1 503 "), "{head}");
    assert_eq!(gated.turned_away("memory"), 1);
    half.pop();
    gated.until("one is free", |g| g.service()["buffer_bytes"] == 48 * 1024).await;
    gated.assert_conserved();
    assert!(!origin.accepted_more());
}
