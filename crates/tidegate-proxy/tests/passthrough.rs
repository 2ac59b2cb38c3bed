//! TLS that is not opened, with real TLS at both ends: routed by name, admitted by hello, call by call.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "tests")]

mod support;
mod tls_support;

use serde_json::json;
use std::io::ErrorKind;
use support::{Gated, Peer, start};
use tls_support::{Secure, World, connect, passthrough};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const BOTH: [&str; 2] = ["1.2", "1.3"];

/// A client and the server's end of its connection, after one call.
async fn connected(world: &mut World, gated: &Gated) -> (Secure, Secure) {
    let (mut client, mut server) = opened(world, gated).await;
    server.reply("one").await;
    assert_eq!(client.answer().await, "one");
    (client, server)
}

/// A client whose first call is at the server.
async fn opened(world: &mut World, gated: &Gated) -> (Secure, Secure) {
    let connecting = connect(world.connector(), gated.address, "vp.lab");
    let (client, mut server) = tokio::join!(connecting, world.accept());
    let mut client = client.expect("a handshake");
    client.send("GET /1 HTTP/1.1\r\n\r\n").await;
    server.head().await.expect("a request");
    (client, server)
}

#[tokio::test]
async fn calls_pass_and_each_is_admitted() {
    for version in BOTH {
        for tickets in [0, 2] {
            for certificates in [false, true] {
                let mut world = World::start(version, tickets, certificates).await;
                let gated = start(&passthrough(world.address, 1));
                for connection in 0..4u64 {
                    let (mut client, mut server) = connected(&mut world, &gated).await;
                    gated.until("the first turn is over", |g| g.in_flight() == 0).await;
                    let body = "x".repeat(100_000);
                    for call in 1..=2 {
                        client.send(format!("POST /2 HTTP/1.1\r\nContent-Length: {}\r\n\r\n{body}", body.len())).await;
                        let head = server.head().await.expect("a request");
                        assert_eq!(server.exactly(support::length(&head)).await, body.as_bytes());
                        assert_eq!(gated.in_flight(), 1, "TLS {version}, {tickets} tickets");
                        server.reply(&body).await;
                        assert_eq!(client.answer().await, body);
                        gated.until("the turn is over", |g| g.in_flight() == 0).await;
                        assert_eq!(gated.counter("admitted"), connection * 3 + call + 1);
                    }
                }
                gated.assert_conserved();
                assert_eq!(gated.service()["estimated"], true);
            }
        }
    }
}

#[tokio::test]
async fn the_limit_holds_for_calls_that_cannot_be_read() {
    for version in BOTH {
        let mut world = World::start(version, 2, false).await;
        let gated = start(&passthrough(world.address, 1));
        let (mut a, mut at_a) = connected(&mut world, &gated).await;
        let (mut b, mut at_b) = connected(&mut world, &gated).await;
        a.send("GET /2 HTTP/1.1\r\n\r\n").await;
        at_a.head().await.expect("a request");
        b.send("GET /2 HTTP/1.1\r\n\r\n").await;
        gated.until("b is held", |g| g.service()["held_total"] == 1).await;
        let third = tokio::spawn(connect(world.connector(), gated.address, "vp.lab"));
        gated.until("a third connection is held", |g| g.service()["held_total"] == 2).await;
        assert!(!world.accepted_more(), "the third one does not reach the server");
        at_a.reply("two").await;
        assert_eq!(a.answer().await, "two");
        let mut served = 0;
        // Both go on, one after the other, in the machine's order.
        let (mut c, mut at_c) = (None, None);
        while served < 2 {
            tokio::select! {
                head = at_b.head() => {
                    head.expect("b's request");
                    assert_eq!(gated.in_flight(), 1);
                    at_b.reply("b").await;
                    assert_eq!(b.answer().await, "b");
                }
                next = world.accept(), if at_c.is_none() => {
                    assert_eq!(gated.in_flight(), 1);
                    at_c = Some(next);
                    continue;
                }
                () = std::future::ready(()), if at_c.is_some() && c.is_none() => {
                    c = Some(());
                    at_c.as_mut().expect("c").shutdown().await;
                }
            }
            served += 1;
        }
        drop(third);
        gated.until("all are done", |g| g.in_flight() == 0 && g.service()["held_total"] == 0).await;
        assert_eq!(gated.service()["servers"][0]["in_flight_max"], 1);
        gated.assert_conserved();
    }
}

#[tokio::test]
async fn who_is_turned_away_is_reset() {
    let mut world = World::start("1.3", 2, false).await;
    let mut plan = passthrough(world.address, 1);
    plan["services"][0]["admission"]["client_timeout_ns"] = json!(500_000_000u64);
    plan["services"][0]["admission"]["margin_ns"] = json!(100_000_000u64);
    let gated = start(&plan);
    let (_client, _server) = opened(&mut world, &gated).await;
    let error = connect(world.connector(), gated.address, "vp.lab").await.err().expect("turned away");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    assert_eq!(gated.turned_away("deadline") + gated.turned_away("too-late"), 1);
    assert!(!world.accepted_more());
}

#[tokio::test]
async fn other_names_are_refused_in_words() {
    let world = World::start("1.3", 2, false).await;
    let gated = start(&passthrough(world.address, 1));
    let error = connect(world.connector(), gated.address, "other.lab").await.err().expect("refused");
    assert!(error.to_string().contains("UnrecognisedName") || error.to_string().contains("unrecognized"), "{error}");
    assert_eq!(gated.turned_away("handshake"), 1);
    assert!(!world.accepted_more());
}

#[tokio::test]
async fn what_is_not_tls_is_reset() {
    let world = World::start("1.3", 2, false).await;
    let gated = start(&passthrough(world.address, 1));
    for garbage in [b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".as_slice(), b"\x16\x03\x01\x00\x05\x02\x00\x00\x01\x00"] {
        let mut peer = Peer::connect(gated.address).await;
        peer.send(garbage).await;
        assert_eq!(peer.rest().await, b"");
    }
    gated.until("both are counted", |g| g.turned_away("handshake") == 2).await;
}

#[tokio::test]
async fn the_slot_stays_taken_when_the_client_leaves() {
    for version in BOTH {
        let mut world = World::start(version, 2, false).await;
        let gated = start(&passthrough(world.address, 1));
        let (mut client, mut server) = connected(&mut world, &gated).await;
        client.send("GET /2 HTTP/1.1\r\n\r\n").await;
        server.head().await.expect("a request");
        drop(client);
        gated.until("the orphan is seen", |g| g.service()["servers"][0]["orphans"] == 1).await;
        assert_eq!(gated.in_flight(), 1);
        server.reply("for nobody").await;
        gated.until("the slot is free", |g| g.in_flight() == 0).await;
        assert_eq!(server.head().await, None, "and the connection ends");
        drop(server);
        gated.until("the connection is gone", |g| g.service()["open_conns"] == 0).await;
        gated.assert_conserved();
    }
}

#[tokio::test]
async fn a_client_that_leaves_while_held_is_gone() {
    let mut world = World::start("1.3", 2, false).await;
    let gated = start(&passthrough(world.address, 1));
    let (mut b, _at_b) = connected(&mut world, &gated).await;
    let (_a, mut at_a) = opened(&mut world, &gated).await;
    b.send("GET /2 HTTP/1.1\r\n\r\n").await;
    gated.until("b is held", |g| g.service()["held_total"] == 1).await;
    drop(b);
    gated.until("b is gone", |g| g.service()["held_total"] == 0).await;
    assert_eq!(gated.counter("client_gone"), 1);
    at_a.reply("one").await;
    gated.until("all are done", |g| g.in_flight() == 0).await;
    gated.assert_conserved();
}

#[tokio::test]
async fn a_server_that_breaks_breaks_its_client_only() {
    let mut world = World::start("1.3", 2, false).await;
    let gated = start(&passthrough(world.address, 4));
    let (mut client, server) = opened(&mut world, &gated).await;
    let (mut other, mut at_other) = connected(&mut world, &gated).await;
    server.reset();
    let error = client.stream.read(&mut [0; 10]).await.expect_err("broken off");
    assert!(matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof), "{error}");
    other.send("GET /2 HTTP/1.1\r\n\r\n").await;
    at_other.head().await.expect("a request");
    at_other.reply("two").await;
    assert_eq!(other.answer().await, "two");
    gated.until("all are done", |g| g.in_flight() == 0).await;
    gated.assert_conserved();
}

#[tokio::test]
async fn a_server_that_refuses_is_tried_until_the_deadline() {
    let world = World::start("1.3", 2, false).await;
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let mut plan = passthrough(closed, 1);
    plan["services"][0]["admission"]["client_timeout_ns"] = json!(500_000_000u64);
    plan["services"][0]["admission"]["margin_ns"] = json!(100_000_000u64);
    let gated = start(&plan);
    let error = connect(world.connector(), gated.address, "vp.lab").await.err().expect("turned away");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    assert_eq!(gated.turned_away("server-down") + gated.turned_away("deadline"), 1, "{}", gated.status());
    gated.assert_conserved();
}

#[tokio::test]
async fn idle_connections_end() {
    let mut world = World::start("1.2", 2, false).await;
    let mut plan = passthrough(world.address, 1);
    plan["services"][0]["tcp"] = json!({"idle_timeout_ns": 300_000_000u64, "idle_timeout_pressed_ns": 300_000_000u64});
    let gated = start(&plan);
    let (mut client, _server) = connected(&mut world, &gated).await;
    let ended = client.stream.read(&mut [0; 10]).await;
    assert!(ended.is_err() || ended.is_ok_and(|n| n == 0));
    gated.until("the connection is gone", |g| g.service()["open_conns"] == 0).await;
    gated.until("the server's end is gone", |g| g.service()["servers"][0]["open_conns"] == 0).await;
}

#[tokio::test]
async fn a_client_has_so_many_connections() {
    let mut world = World::start("1.3", 2, false).await;
    let mut plan = passthrough(world.address, 4);
    plan["services"][0]["tcp"] = json!({"connections_per_client_max": 1});
    let gated = start(&plan);
    let (client, server) = connected(&mut world, &gated).await;
    let error = connect(world.connector(), gated.address, "vp.lab").await.err().expect("turned away");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    assert_eq!(gated.turned_away("client-cap"), 1);
    drop((client, server));
    gated.until("the first one is gone", |g| g.service()["open_conns"] == 0).await;
    connected(&mut world, &gated).await;
    gated.assert_conserved();
}

#[tokio::test]
async fn a_server_that_does_not_end_after_its_client_is_left() {
    let mut world = World::start("1.2", 2, false).await;
    let mut plan = passthrough(world.address, 4);
    plan["services"][0]["tcp"] = json!({"half_closed_timeout_ns": 200_000_000});
    let gated = start(&plan);
    let (client, _server) = connected(&mut world, &gated).await;
    gated.until("the turn is over", |g| g.in_flight() == 0).await;
    drop(client);
    gated.until("the server's end is gone", |g| g.service()["servers"][0]["open_conns"] == 0).await;
    assert_eq!(gated.service()["connections_closed"]["half-closed"], 1);
}

#[tokio::test]
async fn a_proxy_header_says_who_connects() {
    let world = World::start("1.3", 2, false).await;
    let mut plan = passthrough(world.address, 1);
    plan["services"][0]["servers"][0]["send_proxy"] = json!("v2");
    let gated = start(&plan);
    let connector = world.connector();
    let connecting = tokio::spawn(connect(connector, gated.address, "vp.lab"));
    let (source, tcp) = world.accept_behind_proxy_header().await;
    let mut server = world.shake(tcp).await;
    let mut client = connecting.await.unwrap().expect("a handshake");
    assert_eq!(source, client.stream.get_ref().0.local_addr().unwrap());
    client.send("GET / HTTP/1.1\r\n\r\n").await;
    server.head().await.expect("a request");
    server.reply("one").await;
    assert_eq!(client.answer().await, "one");
}

#[tokio::test]
async fn openssl_gets_through() {
    if std::process::Command::new("openssl").arg("version").output().is_err() {
        assert!(std::env::var_os("REQUIRE_ALL").is_none(), "openssl is missing");
        return;
    }
    for version in BOTH {
        let mut world = World::start(version, 2, false).await;
        let gated = start(&passthrough(world.address, 1));
        let mut openssl = tokio_command(&gated, version);
        let mut stdin = openssl.stdin.take().unwrap();
        let stdout = openssl.stdout.take().unwrap();
        std::io::Write::write_all(&mut stdin, b"GET /1 HTTP/1.1\r\n\r\n").unwrap();
        let mut server = world.accept().await;
        for text in ["one", "two"] {
            server.head().await.expect("a request");
            assert_eq!(gated.in_flight(), 1);
            server.reply(text).await;
            gated.until("the turn is over", |g| g.in_flight() == 0).await;
            std::io::Write::write_all(&mut stdin, b"GET /2 HTTP/1.1\r\n\r\n").unwrap();
        }
        server.head().await.expect("a third request");
        server.reply("three").await;
        server.shutdown().await;
        let told = tokio::task::spawn_blocking(move || std::io::read_to_string(stdout).unwrap()).await.unwrap();
        drop(stdin);
        openssl.wait().unwrap();
        assert!(["one", "two", "three"].iter().all(|text| told.contains(text)), "{told}");
        assert_eq!(gated.counter("admitted"), 3);
        gated.assert_conserved();
    }
}

fn tokio_command(gated: &Gated, version: &str) -> std::process::Child {
    let flag = if version == "1.2" { "-tls1_2" } else { "-tls1_3" };
    let to = gated.address.to_string();
    std::process::Command::new("openssl")
        .args(["s_client", "-quiet", "-connect", &to, "-servername", "vp.lab", flag])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap()
}

#[tokio::test]
async fn a_call_after_a_pause_is_a_poll() {
    let mut world = World::start("1.3", 2, false).await;
    let mut plan = passthrough(world.address, 1);
    plan["services"][0]["tls"]["settle_ns"] = json!(5_000_000);
    let gated = start(&plan);
    let (mut client, mut server) = connected(&mut world, &gated).await;
    for (pause, role) in [(0, "call"), (300, "poll")] {
        gated.until("the turn is over", |g| g.in_flight() == 0).await;
        tokio::time::sleep(std::time::Duration::from_millis(pause)).await;
        client.send("GET /2 HTTP/1.1\r\n\r\n").await;
        server.head().await.expect("a request");
        server.reply("two").await;
        assert_eq!(client.answer().await, "two");
        // The first one is a call unless this machine took 100 ms for it.
        let told = gated.explain()[0]["role"].clone();
        assert!(told == role || pause == 0, "{told}");
    }
    assert_eq!(gated.service()["sessions"], json!({"unsettled": 0, "settled": 1}));
}

#[tokio::test]
async fn half_a_close_is_passed_on() {
    let mut world = World::start("1.2", 2, false).await;
    let gated = start(&passthrough(world.address, 1));
    let (mut client, mut server) = connected(&mut world, &gated).await;
    client.stream.shutdown().await.unwrap();
    assert_eq!(server.head().await, None, "the server sees the end");
    server.shutdown().await;
    gated.until("the connection is gone", |g| g.service()["open_conns"] == 0).await;
    gated.assert_conserved();
}
