//! Calls go through, connections are kept on both sides, slots are counted exactly.

#![allow(clippy::expect_used, reason = "tests")]

mod support;
use support::{Origin, Peer, plan, start};

#[tokio::test]
async fn many_calls_share_one_server_connection() {
    let mut origin = Origin::start().await;
    let gated = start(&plan(origin.address, 4));
    let served = tokio::spawn(async move {
        let mut server = origin.accept().await;
        for _ in 0..6 {
            server.head().await.expect("a request");
            server.reply("hi").await;
        }
        assert!(!origin.accepted_more());
    });
    for _ in 0..3 {
        let mut client = Peer::connect(gated.address).await;
        for _ in 0..2 {
            let (head, body) = client.get("/x").await;
            assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
            assert_eq!(body, "hi");
        }
    }
    served.await.expect("the server saw all");
    gated.until("all are done", |g| g.in_flight() == 0).await;
    assert_eq!(gated.counter("admitted"), 6);
    assert_eq!(gated.service()["servers"][0]["connects"], 1);
    gated.assert_conserved();
}

#[tokio::test]
async fn calls_beyond_the_limit_wait_and_are_served_in_turn() {
    let mut origin = Origin::start().await;
    let gated = start(&plan(origin.address, 1));
    let mut first = Peer::connect(gated.address).await;
    first.send("GET /1 HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let mut server = origin.accept().await;
    assert!(server.head().await.expect("first").starts_with("GET /1 "));
    let mut second = Peer::connect(gated.address).await;
    second.send("GET /2 HTTP/1.1\r\nHost: a\r\n\r\n").await;
    gated.until("the second is held", |g| g.service()["held_total"] == 1).await;
    server.reply("one").await;
    assert_eq!(first.answer().await.1, "one");
    assert!(server.head().await.expect("second").starts_with("GET /2 "));
    server.reply("two").await;
    assert_eq!(second.answer().await.1, "two");
    gated.until("all are done", |g| g.in_flight() == 0).await;
    assert_eq!(gated.service()["servers"][0]["in_flight_max"], 1);
    gated.assert_conserved();
}
