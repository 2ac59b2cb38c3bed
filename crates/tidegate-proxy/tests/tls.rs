//! TLS with clients and with servers: versions, certificates, identities, and handshakes that go wrong.

#![allow(clippy::expect_used, reason = "tests")]

mod support;
use rustls::version::{TLS12, TLS13};
use serde_json::json;
use std::path::Path;
use support::tls::{Authority, Pair};
use support::{Origin, Peer, plan, start};

const GET: &str = "GET /x HTTP/1.1\r\nHost: a\r\n\r\n";

fn terminate(pair: &Pair, client_ca: Option<&Path>, required: bool) -> serde_json::Value {
    json!({"kind": "terminate", "certificate": pair.certificate, "key": pair.key, "client_ca": client_ca, "client_required": required})
}

#[tokio::test]
async fn both_versions_are_served_and_clients_are_known_by_their_certificates() {
    let authority = Authority::new();
    let mut plan = plan(Origin::start().await.echo(), 4);
    plan["services"][0]["tls"] = terminate(&authority.sign("gate.test"), Some(&authority.ca()), true);
    let gated = start(&plan);
    let host = authority.sign("esx-17.test");
    for version in [&TLS12, &TLS13] {
        let mut client =
            authority.connect(gated.address, "gate.test", Some(&host), version).await.expect("a handshake");
        for n in 0..3 {
            let body = "b".repeat(n * 20_000);
            client.send(format!("POST /{n} HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{body}", body.len())).await;
            assert!(client.answer().await.1 == format!("/{n} {body}"), "call {n}");
        }
    }
    gated.until("all are done", |g| g.in_flight() == 0).await;
    assert_eq!(gated.explain()[0]["client"], "CN=esx-17.test;DNS=esx-17.test");
    assert_eq!(gated.counter("admitted"), 6);
    gated.assert_conserved();
}

#[tokio::test]
async fn handshakes_that_go_wrong_are_counted_and_nothing_else_suffers() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let mut plan = plan(Origin::start().await.echo(), 4);
    plan["services"][0]["tls"] = terminate(&authority.sign("gate.test"), Some(&authority.ca()), true);
    plan["services"][0]["io"]["handshake_timeout_ns"] = json!(400_000_000u64);
    let gated = start(&plan);
    let host = authority.sign("esx-1.test");
    let mut good = authority.connect(gated.address, "gate.test", Some(&host), &TLS13).await.expect("a handshake");

    // No certificate and a stranger's: TLS 1.2 says so in the handshake, 1.3 after it.
    assert!(authority.connect(gated.address, "gate.test", None, &TLS12).await.is_err());
    let foreign = stranger.sign("esx-2.test");
    assert!(authority.connect(gated.address, "gate.test", Some(&foreign), &TLS12).await.is_err());
    let mut garbage = Peer::connect(gated.address).await;
    garbage.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    garbage.rest().await;
    let mut silent = Peer::connect(gated.address).await;
    let mut endless = Peer::connect(gated.address).await;
    endless.send([0x16, 3, 1, 0x40, 0, 1, 0, 0x3f, 0xfc, 3, 3]).await;
    silent.rest().await;
    endless.rest().await;
    gated.until("five are counted", |g| g.turned_away("handshake") == 5).await;
    good.send(GET).await;
    assert!(good.answer().await.0.starts_with("HTTP/1.1 200 "));
    gated.until("all are done", |g| g.in_flight() == 0).await;
    gated.assert_conserved();
}

#[tokio::test]
async fn too_many_handshakes_end_the_oldest_silent_one() {
    let authority = Authority::new();
    let mut plan = plan(Origin::start().await.echo(), 4);
    plan["services"][0]["tls"] = terminate(&authority.sign("gate.test"), None, false);
    plan["services"][0]["io"]["handshakes_max"] = json!(10);
    let gated = start(&plan);
    let mut silent = Vec::new();
    for _ in 0..10 {
        silent.push(Peer::connect(gated.address).await);
    }
    let mut client = authority.connect(gated.address, "gate.test", None, &TLS13).await.expect("a place");
    client.send(GET).await;
    assert!(client.answer().await.0.starts_with("HTTP/1.1 200 "));
    assert_eq!(silent[0].rest().await, b"", "the oldest went");
    assert_eq!(gated.turned_away("handshake"), 1);
}

#[tokio::test]
async fn a_tls_client_that_leaves_while_held_is_gone() {
    let authority = Authority::new();
    let mut origin = Origin::start().await;
    let mut plan = plan(origin.address, 1);
    plan["services"][0]["tls"] = terminate(&authority.sign("gate.test"), None, false);
    let gated = start(&plan);
    let mut first = authority.connect(gated.address, "gate.test", None, &TLS13).await.expect("a handshake");
    first.send(GET).await;
    let mut server = origin.accept().await;
    server.head().await.expect("a request");
    let mut second = authority.connect(gated.address, "gate.test", None, &TLS13).await.expect("a handshake");
    second.send(GET).await;
    let mut third = authority.connect(gated.address, "gate.test", None, &TLS12).await.expect("a handshake");
    third.send(format!("{GET}{GET}")).await;
    gated.until("two are held", |g| g.service()["held_total"] == 2).await;
    drop(second);
    gated.until("one is gone", |g| g.service()["held_total"] == 1).await;
    server.reply("1").await;
    assert_eq!(first.answer().await.1, "1");
    for n in ["2", "3"] {
        server.head().await.expect("the third's two calls");
        server.reply(n).await;
        assert_eq!(third.answer().await.1, n);
    }
    gated.until("all are done", |g| g.in_flight() == 0).await;
    assert_eq!(gated.counter("client_gone"), 1);
    gated.assert_conserved();
}

#[tokio::test]
async fn the_gate_shows_its_certificate_and_verifies_the_servers() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let mut origin = Origin::start().await;
    let (server_pair, own) = (authority.sign("vp.test"), authority.sign("gate.test"));
    let mut plan = plan(origin.address, 4);
    let upstream =
        |ca: &Path| json!({"verify": {"ca": ca}, "name": "vp.test", "certificate": own.certificate, "key": own.key});
    plan["services"][0]["servers"][0]["tls"] = upstream(&authority.ca());
    let gated = start(&plan);
    let mut client = Peer::connect(gated.address).await;
    client.send(GET).await;
    let mut server = authority.accept(origin.accept().await.tcp, &server_pair, true).await.expect("a handshake");
    for n in ["1", "2"] {
        server.head().await.expect("a request");
        server.reply(n).await;
        assert_eq!(client.answer().await.1, n);
        client.send(GET).await;
    }
    server.head().await.expect("the third, on the same connection");
    server.reply("3").await;
    client.answer().await;
    assert_eq!(gated.service()["servers"][0]["connects"], 1);
    assert_eq!(gated.service()["servers"][0]["tls"], "verified");

    plan["services"][0]["servers"][0]["tls"] = upstream(&stranger.ca());
    gated.gate.apply(plan.to_string().as_bytes()).expect("applied");
    client.send(GET).await;
    assert!(
        authority.accept(origin.accept().await.tcp, &server_pair, true).await.is_err(),
        "the gate does not know it"
    );
    gated.until("it is held", |g| g.counter("connect_failed") >= 1).await;
    drop(client);
    gated.until("it is gone", |g| g.counter("client_gone") == 1 || g.in_flight() == 0).await;
}

#[tokio::test]
async fn files_that_cannot_be_used_are_named() {
    let authority = Authority::new();
    let mut plan = plan(Origin::start().await.echo(), 4);
    let mut pair = authority.sign("gate.test");
    pair.key = authority.folder.path().join("missing.key");
    plan["services"][0]["tls"] = terminate(&pair, None, false);
    let error = tidegate_proxy::check_plan(plan.to_string().as_bytes()).expect_err("refused");
    assert_eq!(error.slug, "tls");
    assert!(error.message.contains("missing.key"), "{error}");
    assert!(!error.hint.is_empty());
}
