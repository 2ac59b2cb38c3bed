//! A slot is given back when the server is done, and only then; held calls follow their clients.

#![allow(clippy::expect_used, reason = "tests")]

mod support;
use serde_json::json;
use support::{Gated, Origin, Peer, plan, start};
use tokio::io::AsyncWriteExt;

const GET: &str = "GET /x HTTP/1.1\r\nHost: a\r\n\r\n";

async fn one_in_flight(origin: &mut Origin, gated: &Gated) -> (Peer, Peer) {
    let mut client = Peer::connect(gated.address).await;
    client.send(GET).await;
    let mut server = origin.accept().await;
    server.head().await.expect("a request");
    (client, server)
}

#[tokio::test]
async fn a_client_that_leaves_does_not_free_the_slot() {
    let mut origin = Origin::start().await;
    let gated = start(&plan(origin.address, 1));
    let (client, mut server) = one_in_flight(&mut origin, &gated).await;
    drop(client);
    gated.until("the orphan is seen", |g| g.service()["servers"][0]["orphans"] == 1).await;
    let mut second = Peer::connect(gated.address).await;
    second.send(GET).await;
    gated.until("the second is held", |g| g.service()["held_total"] == 1).await;
    assert_eq!(gated.in_flight(), 1);
    server.reply("for nobody").await;
    // The whole answer was read, so the connection serves the next call.
    server.head().await.expect("the second call");
    server.reply("two").await;
    assert_eq!(second.answer().await.1, "two");
    gated.until("all are done", |g| g.in_flight() == 0).await;
    assert_eq!(gated.service()["servers"][0]["in_flight_max"], 1);
    assert_eq!(gated.counter("orphaned"), 1);
    gated.assert_conserved();
}

#[tokio::test]
async fn a_client_that_leaves_while_held_is_gone_even_behind_pipelined_bytes() {
    let mut origin = Origin::start().await;
    let gated = start(&plan(origin.address, 1));
    let (mut client, mut server) = one_in_flight(&mut origin, &gated).await;
    let mut held = Vec::new();
    for _ in 0..3 {
        let mut peer = Peer::connect(gated.address).await;
        peer.send(GET).await;
        held.push(peer);
    }
    held[1].send(GET).await;
    gated.until("three are held", |g| g.service()["held_total"] == 3).await;
    held[1].send(GET).await;
    held[2].tcp.shutdown().await.expect("half-close");
    gated.until("the half-closed one is gone", |g| g.service()["held_total"] == 2).await;
    held.remove(2);
    drop(held.remove(1));
    gated.until("the pipelining one is gone", |g| g.service()["held_total"] == 1).await;
    server.reply("one").await;
    assert_eq!(client.answer().await.1, "one");
    server.head().await.expect("the one that stayed");
    server.reply("two").await;
    assert_eq!(held[0].answer().await.1, "two");
    gated.until("all are done", |g| g.in_flight() == 0).await;
    assert_eq!(gated.counter("client_gone"), 2);
    gated.assert_conserved();
}

#[tokio::test]
async fn a_half_close_after_the_request_still_gets_its_answer() {
    let mut origin = Origin::start().await;
    let gated = start(&plan(origin.address, 1));
    let (mut client, mut server) = one_in_flight(&mut origin, &gated).await;
    client.tcp.shutdown().await.expect("half-close");
    gated.until("it counts as an orphan", |g| g.service()["servers"][0]["orphans"] == 1).await;
    server.reply("still here").await;
    assert_eq!(client.answer().await.1, "still here");
    gated.until("all are done", |g| g.in_flight() == 0).await;
    gated.assert_conserved();
}

#[tokio::test]
async fn what_a_held_client_pipelined_is_served_after_its_call() {
    let mut origin = Origin::start().await;
    let gated = start(&plan(origin.address, 1));
    let (mut first, mut server) = one_in_flight(&mut origin, &gated).await;
    let mut second = Peer::connect(gated.address).await;
    second.send("POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 9004\r\n\r\nab").await;
    gated.until("it is held", |g| g.service()["held_total"] == 1).await;
    second.send(format!("cd{}GET /3 HTTP/1.1\r\nHost: a\r\n\r\n", "y".repeat(9000))).await;
    server.reply("1").await;
    first.answer().await;
    assert!(server.head().await.expect("2").starts_with("POST /2 "));
    assert!(server.exactly(9004).await.starts_with(b"abcd"));
    server.reply("2").await;
    assert!(server.head().await.expect("3").starts_with("GET /3 "));
    server.reply("3").await;
    assert_eq!((second.answer().await.1, second.answer().await.1), ("2".into(), "3".into()));
    gated.until("all are done", |g| g.in_flight() == 0).await;
    gated.assert_conserved();
}

#[tokio::test]
async fn a_request_cut_off_by_its_client_ends_the_servers_connection_and_frees_the_slot() {
    let mut origin = Origin::start().await;
    let gated = start(&plan(origin.address, 1));
    let mut client = Peer::connect(gated.address).await;
    client.send("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 10000\r\n\r\npart").await;
    let mut server = origin.accept().await;
    server.head().await.expect("a head");
    drop(client);
    assert_eq!(server.rest().await, b"part");
    gated.until("the slot is free", |g| g.in_flight() == 0).await;
    assert_eq!(gated.counter("incomplete"), 1);
    gated.assert_conserved();
    assert_eq!(gated.explain()[0]["end"], "client/request");
}

#[tokio::test]
async fn many_clients_at_once_never_pass_the_limit_and_all_are_accounted_for() {
    let gated = start(&plan(Origin::start().await.echo(), 3));
    let mut clients = Vec::new();
    for n in 0..60 {
        let to = gated.address;
        clients.push(tokio::spawn(async move {
            let mut client = Peer::connect(to).await;
            if n % 5 == 4 {
                client.send(GET).await; // and away
                return 0;
            }
            for _ in 0..5 {
                assert!(client.get("/x").await.0.starts_with("HTTP/1.1 200 "));
            }
            5
        }));
    }
    let mut answered = 0;
    for client in clients {
        answered += client.await.expect("a client");
    }
    assert_eq!(answered, 48 * 5);
    gated.until("all are done", |g| g.in_flight() == 0 && g.service()["open_conns"] == 0).await;
    assert!(gated.service()["servers"][0]["in_flight_max"].as_u64() <= Some(3));
    gated.assert_conserved();
}

#[tokio::test]
async fn a_server_that_hangs_is_given_up_and_its_slot_stays_until_the_quarantine_is_over() {
    let mut origin = Origin::start().await;
    let mut plan = plan(origin.address, 1);
    plan["services"][0]["admission"]["upstream_timeout_ns"] = json!(200_000_000u64);
    plan["services"][0]["admission"]["quarantine_ns"] = json!(300_000_000u64);
    let gated = start(&plan);
    let (mut client, _server) = one_in_flight(&mut origin, &gated).await;
    let head = client.head().await.expect("an answer of the gate");
    assert!(head.starts_with("HTTP/1.1 504 "), "{head}");
    gated.until("the quarantine is over", |g| g.in_flight() == 0).await;
    assert_eq!(gated.counter("expired"), 1);
    gated.assert_conserved();
    assert_eq!(gated.explain()[0]["end"], "server/wait");
}

#[tokio::test]
async fn a_full_queue_turns_away_in_json_and_keeps_the_connection() {
    let mut origin = Origin::start().await;
    let mut plan = plan(origin.address, 1);
    plan["services"][0]["admission"]["held_max"] = json!(1);
    let gated = start(&plan);
    let (mut first, mut server) = one_in_flight(&mut origin, &gated).await;
    let mut second = Peer::connect(gated.address).await;
    second.send(GET).await;
    gated.until("one is held", |g| g.service()["held_total"] == 1).await;
    let mut third = Peer::connect(gated.address).await;
    third.send("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 9004\r\n\r\nbo").await;
    let (head, body) = third.answer().await;
    assert!(head.starts_with("HTTP/1.1 503 ") && head.contains("Retry-After: "), "{head}");
    assert!(!head.contains("Connection: close"), "{head}");
    let body: serde_json::Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(body["reason"], "queue-full");
    third.send(format!("dy{}", "x".repeat(9000))).await;
    server.reply("1").await;
    first.answer().await;
    server.head().await.expect("the second");
    server.reply("2").await;
    second.answer().await;
    third.send(GET).await;
    server.head().await.expect("the third, on the connection it had");
    server.reply("3").await;
    assert_eq!(third.answer().await.1, "3");
    gated.until("all are done", |g| g.in_flight() == 0).await;
    assert_eq!(gated.turned_away("queue-full"), 1);
    gated.assert_conserved();
}
