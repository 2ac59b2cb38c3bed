//! Bytes of which nothing is known, on real sockets: every byte once and in order, every end passed on, every bound kept.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "tests")]

mod support;

use serde_json::{Value, json};
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;
use support::{Gated, Origin, Peer, start};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const MS: u64 = 1_000_000;

/// A plan with one tcp service in front of one server.
fn tcp(server: SocketAddr, limit: u32, bounds: Value) -> Value {
    let mut plan = support::plan(server, limit);
    plan["services"][0]["protocol"] = json!({"kind": "tcp"});
    plan["services"][0]["tcp"] = bounds;
    plan
}

fn io(plan: &mut Value, key: &str, value: u64) {
    plan["services"][0]["io"][key] = json!(value);
}

fn closed(gated: &Gated, why: &str) -> u64 {
    gated.service()["connections_closed"][why].as_u64().expect("a reason")
}

/// A client and the server's end of its connection, after a word each way.
async fn connected(gated: &Gated, origin: &mut Origin) -> (Peer, Peer) {
    let mut client = Peer::connect(gated.address).await;
    client.send("hello").await;
    let mut server = origin.accept().await;
    assert_eq!(server.exactly(5).await, b"hello");
    server.send("welcome").await;
    assert_eq!(client.exactly(7).await, b"welcome");
    (client, server)
}

async fn read_error(peer: &mut Peer) -> Option<ErrorKind> {
    let read = tokio::time::timeout(Duration::from_secs(20), peer.tcp.read(&mut [0; 10])).await.expect("in time");
    read.err().map(|error| error.kind())
}

fn reset(peer: Peer) {
    socket2::SockRef::from(&peer.tcp).set_linger(Some(Duration::ZERO)).unwrap();
}

async fn from(gated: &Gated, address: [u8; 4]) -> std::io::Result<Peer> {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from((address, 0))).unwrap();
    socket.connect(gated.address).await.map(|tcp| Peer { tcp, buf: Vec::new() })
}

/// How a connection from there ends at once: a reset may come before the connect is over.
async fn refused(gated: &Gated, address: [u8; 4]) -> Option<ErrorKind> {
    match from(gated, address).await {
        Ok(mut peer) => read_error(&mut peer).await,
        Err(error) => Some(error.kind()),
    }
}

/// Gone without a trace: no connection, no slot, no buffer.
async fn until_all_is_over(gated: &Gated) {
    gated
        .until("all is over", |g| {
            let service = g.service();
            let open = [&service["open_conns"], &service["open_requests"], &service["servers"][0]["open_conns"]];
            open.iter().all(|n| **n == 0) && g.in_flight() == 0 && service["servers"][0]["open_requests"] == 0
        })
        .await;
    gated.assert_conserved();
}

#[tokio::test]
async fn either_side_may_speak_first() {
    let mut origin = Origin::start().await;
    let gated = start(&tcp(origin.address, 4, json!({})));
    drop(connected(&gated, &mut origin).await);
    let mut client = Peer::connect(gated.address).await;
    let mut server = origin.accept().await;
    server.send("220 ready\r\n").await;
    assert_eq!(client.exactly(11).await, b"220 ready\r\n");
    gated.until("the slot is back", |g| g.in_flight() == 0).await;
    drop((client, server));
    until_all_is_over(&gated).await;
    assert_eq!(gated.counter("admitted"), 2);
    assert_eq!(gated.service()["estimated"], true);
}

#[tokio::test]
async fn establishments_are_admitted_one_by_one() {
    let mut origin = Origin::start().await;
    let gated = start(&tcp(origin.address, 1, json!({})));
    let mut first = Peer::connect(gated.address).await;
    first.send("hello").await;
    let mut server = origin.accept().await;
    server.exactly(5).await;
    let mut second = Peer::connect(gated.address).await;
    second.send("all I have to say").await;
    second.tcp.shutdown().await.unwrap();
    gated.until("the second one is held", |g| g.service()["held_total"] == 1).await;
    assert!(!origin.accepted_more());
    server.send("welcome").await;
    assert_eq!(first.exactly(7).await, b"welcome");
    drop(server);
    // The second one had said all and ended its side; it is served all the same.
    let mut server = origin.accept().await;
    assert_eq!(server.rest().await, b"all I have to say");
    server.send("and mine").await;
    drop(server);
    assert_eq!(second.rest().await, b"and mine");
    drop(first);
    until_all_is_over(&gated).await;
    assert_eq!(gated.service()["servers"][0]["in_flight_max"], 1);
}

#[tokio::test]
async fn a_slot_comes_back_from_a_silent_server_and_the_connection_lives_on() {
    let mut origin = Origin::start().await;
    let gated = start(&tcp(origin.address, 1, json!({})));
    let mut client = Peer::connect(gated.address).await;
    let mut server = origin.accept().await;
    gated.until("the slot is back", |g| g.in_flight() == 0 && g.counter("admitted") == 1).await;
    client.send("late").await;
    assert_eq!(server.exactly(4).await, b"late");
    drop((client, server));
    until_all_is_over(&gated).await;
}

#[tokio::test]
async fn who_is_turned_away_is_reset() {
    let mut origin = Origin::start().await;
    let mut plan = tcp(origin.address, 1, json!({}));
    plan["services"][0]["admission"]["client_timeout_ns"] = json!(500 * MS);
    plan["services"][0]["admission"]["margin_ns"] = json!(100 * MS);
    let gated = start(&plan);
    let mut first = Peer::connect(gated.address).await;
    first.send("hello").await;
    let server = origin.accept().await;
    let mut second = Peer::connect(gated.address).await;
    assert_eq!(read_error(&mut second).await, Some(ErrorKind::ConnectionReset));
    assert_eq!(gated.turned_away("deadline") + gated.turned_away("too-late"), 1);
    drop((first, server));
    until_all_is_over(&gated).await;
}

#[tokio::test]
async fn a_client_that_leaves_while_held_is_gone() {
    let mut origin = Origin::start().await;
    let gated = start(&tcp(origin.address, 1, json!({})));
    let mut first = Peer::connect(gated.address).await;
    first.send("hello").await;
    let server = origin.accept().await;
    let second = Peer::connect(gated.address).await;
    gated.until("the second one is held", |g| g.service()["held_total"] == 1).await;
    drop(second);
    gated.until("it is gone", |g| g.counter("client_gone") == 1).await;
    drop((first, server));
    until_all_is_over(&gated).await;
    assert!(!origin.accepted_more());
}

#[tokio::test]
async fn each_side_may_end_alone() {
    let mut origin = Origin::start().await;
    let gated = start(&tcp(origin.address, 4, json!({})));
    for server_first in [false, true] {
        let (client, server) = connected(&gated, &mut origin).await;
        let (mut one, mut other) = if server_first { (server, client) } else { (client, server) };
        one.send("the end").await;
        one.tcp.shutdown().await.unwrap();
        assert_eq!(other.rest().await, b"the end");
        other.send("not yet").await;
        assert_eq!(one.exactly(7).await, b"not yet");
        other.tcp.shutdown().await.unwrap();
        assert_eq!(one.rest().await, b"");
        until_all_is_over(&gated).await;
    }
    assert_eq!(closed(&gated, "half-closed"), 0);
}

#[tokio::test]
async fn a_reset_is_passed_on() {
    let mut origin = Origin::start().await;
    let gated = start(&tcp(origin.address, 4, json!({})));
    for from_server in [false, true] {
        let (client, server) = connected(&gated, &mut origin).await;
        let (one, mut other) = if from_server { (server, client) } else { (client, server) };
        reset(one);
        assert_eq!(read_error(&mut other).await, Some(ErrorKind::ConnectionReset));
        until_all_is_over(&gated).await;
    }
}

#[tokio::test]
async fn a_server_that_ends_without_a_word_is_broken() {
    let mut origin = Origin::start().await;
    let gated = start(&tcp(origin.address, 4, json!({})));
    let mut client = Peer::connect(gated.address).await;
    drop(origin.accept().await);
    assert_eq!(client.rest().await, b"");
    drop(client);
    // One whose client is done is not.
    let mut client = Peer::connect(gated.address).await;
    client.send("x").await;
    client.tcp.shutdown().await.unwrap();
    assert_eq!(origin.accept().await.rest().await, b"x");
    assert_eq!(client.rest().await, b"");
    until_all_is_over(&gated).await;
    assert_eq!(gated.counter("broken"), 1);
}

#[tokio::test]
async fn a_side_that_goes_on_alone_in_silence_is_closed() {
    let mut origin = Origin::start().await;
    let gated = start(&tcp(origin.address, 4, json!({"half_closed_timeout_ns": 200 * MS})));
    let (mut client, mut server) = connected(&gated, &mut origin).await;
    client.tcp.shutdown().await.unwrap();
    assert_eq!(server.rest().await, b"");
    assert_eq!(client.rest().await, b"", "closed by the gate");
    until_all_is_over(&gated).await;
    assert_eq!(closed(&gated, "half-closed"), 1);
}

#[tokio::test]
async fn keepalives_are_no_life() {
    let mut origin = Origin::start().await;
    let idle = json!({"idle_timeout_ns": 2000 * MS, "idle_timeout_pressed_ns": 2000 * MS});
    let gated = start(&tcp(origin.address, 4, idle));
    let (mut idle, mut at_idle) = connected(&gated, &mut origin).await;
    for end in [&idle.tcp, &at_idle.tcp] {
        let keepalive = socket2::TcpKeepalive::new().with_time(Duration::from_secs(1));
        socket2::SockRef::from(end).set_tcp_keepalive(&keepalive.with_interval(Duration::from_secs(1))).unwrap();
    }
    let (mut alive, mut at_alive) = connected(&gated, &mut origin).await;
    while closed(&gated, "idle") == 0 {
        alive.send("x").await;
        at_alive.exactly(1).await;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(idle.rest().await, b"", "an orderly end for the client");
    assert_eq!(read_error(&mut at_idle).await, Some(ErrorKind::ConnectionReset), "its port is free at once");
    at_alive.send("y").await;
    assert_eq!(alive.exactly(1).await, b"y");
    drop((alive, at_alive));
    until_all_is_over(&gated).await;
    assert_eq!(closed(&gated, "idle"), 1);
}

#[tokio::test]
async fn under_pressure_the_least_recently_active_goes_first() {
    let mut origin = Origin::start().await;
    let mut plan = tcp(origin.address, 10, json!({"idle_timeout_pressed_ns": MS}));
    io(&mut plan, "connections_max", 10);
    let gated = start(&plan);
    let mut all = Vec::new();
    for n in 0..10 {
        if n == 9 {
            // The oldest has said something since; so the second goes, and then 9 of 10 may idle for minutes.
            let (client, server) = &mut all[0];
            let (client, server): (&mut Peer, &mut Peer) = (client, server);
            client.send("x").await;
            server.exactly(1).await;
        }
        all.push(connected(&gated, &mut origin).await);
    }
    gated.until("one is closed", |g| closed(g, "idle-pressed") == 1).await;
    assert_eq!(all[1].0.rest().await, b"");
    assert_eq!(read_error(&mut all[1].1).await, Some(ErrorKind::ConnectionReset));
    for (client, server) in all.iter_mut().enumerate().filter(|(n, _)| *n != 1).map(|(_, pair)| pair) {
        client.send("still").await;
        assert_eq!(server.exactly(5).await, b"still");
    }
    assert_eq!(closed(&gated, "idle-pressed"), 1);
    drop(all);
    until_all_is_over(&gated).await;
}

#[tokio::test]
async fn a_client_has_so_many_connections_and_a_service_too() {
    let mut origin = Origin::start().await;
    let mut plan = tcp(origin.address, 10, json!({"connections_per_client_max": 2}));
    io(&mut plan, "connections_max", 3);
    let gated = start(&plan);
    let mut all = Vec::new();
    for _ in 0..2 {
        all.push(connected(&gated, &mut origin).await);
    }
    assert_eq!(refused(&gated, [127, 0, 0, 1]).await, Some(ErrorKind::ConnectionReset));
    assert_eq!(gated.turned_away("client-cap"), 1);
    gated.assert_conserved();
    let mut other = from(&gated, [127, 0, 0, 2]).await.unwrap();
    other.send("hello").await;
    origin.accept().await.exactly(5).await;
    assert_eq!(refused(&gated, [127, 0, 0, 3]).await, Some(ErrorKind::ConnectionReset));
    assert_eq!(gated.service()["connections_dropped"], 1);
}

#[tokio::test]
async fn a_lazy_service_waits_for_the_first_byte() {
    let mut origin = Origin::start().await;
    let lazy = json!({"lazy": true, "idle_timeout_ns": 1500 * MS, "idle_timeout_pressed_ns": 1500 * MS});
    let gated = start(&tcp(origin.address, 4, lazy));
    let mut silent = Peer::connect(gated.address).await;
    let gone = Peer::connect(gated.address).await;
    let mut client = Peer::connect(gated.address).await;
    gated.until("all three are here", |g| g.service()["open_conns"] == 3).await;
    drop(gone);
    gated.until("one has left", |g| g.service()["open_conns"] == 2).await;
    client.send("x").await;
    let mut server = origin.accept().await;
    assert_eq!(server.exactly(1).await, b"x");
    assert!(!origin.accepted_more());
    assert_eq!(silent.rest().await, b"", "closed by the gate");
    drop((client, server));
    until_all_is_over(&gated).await;
    assert_eq!(gated.counter("arrived"), 1);
    assert!(closed(&gated, "idle") >= 1);
}

/// Connects in progress to a server, as the kernel tells.
fn connecting_to(server: SocketAddr) -> usize {
    let port = format!(":{:04X}", server.port());
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let fields = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    fields.filter(|f| f.len() > 3 && f[2].ends_with(&port) && f[3] == "02").count()
}

/// A server that does not take connections at first: its backlog is full.
#[tokio::test]
async fn so_many_connects_are_in_progress_and_the_others_wait() {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut filling = Vec::new();
    while let Ok(connected) = tokio::time::timeout(Duration::from_millis(300), TcpStream::connect(address)).await {
        filling.push(connected.unwrap());
    }
    let mut plan = tcp(address, 10, json!({"half_open_max": 2}));
    io(&mut plan, "connect_timeout_ns", 20_000 * MS);
    let gated = start(&plan);
    let mut clients = Vec::new();
    for n in 0..5u8 {
        let mut client = Peer::connect(gated.address).await;
        client.send([n]).await;
        gated.until("it is admitted", |g| g.in_flight() == u64::from(n) + 1).await;
        clients.push(client);
    }
    gated.until("two are connecting", |_| connecting_to(address) == 2).await;
    for _ in 0..filling.len() {
        drop(listener.accept().await.unwrap());
        assert!(connecting_to(address) <= 2);
    }
    let mut order = Vec::new();
    let mut servers = Vec::new();
    for _ in 0..5 {
        let (tcp, _) = tokio::time::timeout(Duration::from_secs(20), listener.accept()).await.unwrap().unwrap();
        assert!(connecting_to(address) <= 2);
        let mut server = Peer { tcp, buf: Vec::new() };
        order.push(server.exactly(1).await[0]);
        servers.push(server);
    }
    // A full backlog lets them through in any order; that they begin in order is tested where it is decided.
    order.sort_unstable();
    assert_eq!(order, [0, 1, 2, 3, 4]);
    drop((clients, servers));
    until_all_is_over(&gated).await;
}

#[tokio::test]
async fn a_server_that_refuses_is_tried_until_the_deadline() {
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut plan = tcp(address, 1, json!({}));
    plan["services"][0]["admission"]["client_timeout_ns"] = json!(500 * MS);
    plan["services"][0]["admission"]["margin_ns"] = json!(100 * MS);
    let gated = start(&plan);
    let mut client = Peer::connect(gated.address).await;
    assert_eq!(read_error(&mut client).await, Some(ErrorKind::ConnectionReset));
    assert_eq!(gated.turned_away("server-down") + gated.turned_away("deadline"), 1);
    until_all_is_over(&gated).await;
}

#[tokio::test]
async fn proxy_headers_say_who_connects() {
    let mut origin = Origin::start().await;
    let mut plan = tcp(origin.address, 1, json!({}));
    plan["services"][0]["accept_proxy"] = json!(true);
    plan["services"][0]["servers"][0]["send_proxy"] = json!("v1");
    let gated = start(&plan);
    let mut client = Peer::connect(gated.address).await;
    client.send("PROXY TCP4 10.0.0.7 10.0.0.1 5000 443\r\nhello").await;
    let mut server = origin.accept().await;
    let here = gated.address;
    let told = format!("PROXY TCP4 10.0.0.7 {} 5000 {}\r\nhello", here.ip(), here.port());
    assert_eq!(String::from_utf8(server.exactly(told.len()).await).unwrap(), told);
    drop((client, server));
    until_all_is_over(&gated).await;
}

#[tokio::test]
async fn the_hint_counts_what_is_in_use() {
    let mut origin = Origin::start().await;
    let gated = start(&tcp(origin.address, 50, json!({})));
    let mut all = Vec::new();
    for n in 0..120 {
        let client = Peer::connect(gated.address).await;
        let mut server = origin.accept().await;
        server.send("x").await;
        all.push((client, server));
        assert!(n >= 100 || gated.service()["hint"].is_null());
    }
    let all_there = |hint: &Value| hint["clients"] == 120 && hint["connections"] == 120;
    gated.until("there is a hint", |g| all_there(&g.service()["hint"])).await;
    let hint = gated.service()["hint"].clone();
    assert!((1..=30).contains(&hint["enough"].as_u64().unwrap()), "{hint}");
    assert!(hint["text"].as_str().unwrap().starts_with("120 clients hold 120 connections; if this is HTTP"), "{hint}");
}
