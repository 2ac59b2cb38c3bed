//! Source ports that run out, collide or are refused on the way: calls wait or go on, and no server is blamed.

#![allow(clippy::expect_used, reason = "tests")]

mod support;

use serde_json::{Value, json};
use support::health::{MS, monitored, ports};
use support::namespace::{inside, inside_with, rules};
use support::{Gated, Origin, Peer, start};

const GET: &str = "GET /x HTTP/1.1\r\nHost: a\r\n\r\n";

/// So many clients, each with a call that waits for its answer.
async fn call(gated: &Gated, clients: usize) -> Vec<Peer> {
    let mut all = Vec::new();
    for _ in 0..clients {
        let mut client = Peer::connect(gated.address).await;
        client.send(GET).await;
        all.push(client);
    }
    all
}

/// The next connection that is a call's; probes close theirs without a word.
async fn called(origin: &mut Origin) -> Peer {
    loop {
        let mut peer = origin.accept().await;
        if peer.head().await.is_some() {
            return peer;
        }
    }
}

fn never_blamed(gated: &Gated) {
    assert_eq!(gated.failures(), 0, "{}", gated.status());
    assert_eq!(gated.counter("connect_failed"), 0, "{}", gated.status());
    assert_ne!(gated.server(0)["phase"], "down", "{}", gated.status());
}

/// A monitored server with four ports for calls and eight for probes.
fn scarce(server: std::net::SocketAddr, source: &str, limit: u32) -> Value {
    let mut plan = monitored(server, limit, json!({"kind": "tcp"}));
    ports(&mut plan, source, 24_000, 12, 8);
    plan
}

#[tokio::test]
async fn calls_without_a_port_wait_and_the_server_is_up() {
    let mut origin = Origin::start().await;
    let gated = start(&scarce(origin.address, "127.0.78.1", 20));
    gated.until_phase("up").await;
    let clients = call(&gated, 12).await;
    let mut servers = Vec::new();
    for _ in 0..4 {
        servers.push(called(&mut origin).await);
    }
    gated.until("the others have no port", |g| g.counter("not_connected") > 0 && g.service()["held_total"] == 8).await;
    gated.probed(5).await;
    assert_eq!(gated.phase(), "up");
    never_blamed(&gated);
    // Whatever falls free serves the next one, in turn, over the connections that there are.
    let answering = tokio::spawn(async move {
        for n in 0..8 {
            let server = &mut servers[n % 4];
            server.reply("done").await;
            server.head().await.expect("the next call on the same connection");
        }
        for server in &mut servers {
            server.reply("done").await;
        }
        servers
    });
    for mut client in clients {
        assert_eq!(client.answer().await.1, "done");
    }
    answering.await.expect("all were answered");
    gated.until("all are done", |g| g.in_flight() == 0).await;
    assert_eq!(gated.counter("admitted"), 12);
    assert_eq!(gated.server(0)["connects"], 4);
    never_blamed(&gated);
    gated.assert_conserved();
}

#[tokio::test]
async fn a_call_that_gets_no_port_in_time_is_told_so() {
    let mut origin = Origin::start().await;
    let mut plan = scarce(origin.address, "127.0.78.2", 20);
    plan["services"][0]["admission"]["client_timeout_ns"] = json!(600 * MS);
    plan["services"][0]["admission"]["margin_ns"] = json!(100 * MS);
    let gated = start(&plan);
    gated.until_phase("up").await;
    let mut clients = call(&gated, 4).await;
    let mut servers = Vec::new();
    for _ in 0..4 {
        servers.push(called(&mut origin).await);
    }
    let (head, body) = Peer::connect(gated.address).await.get("/x").await;
    assert!(head.starts_with("HTTP/1.1 503 ") && body.contains("\"no-port\""), "{head}{body}");
    assert_eq!(gated.turned_away("no-port"), 1);
    for (client, server) in clients.iter_mut().zip(&mut servers) {
        server.reply("late").await;
        let _the_order_is_the_servers = client.answer().await;
    }
    gated.until("all are done", |g| g.in_flight() == 0).await;
    assert_eq!(gated.phase(), "up");
    never_blamed(&gated);
    gated.assert_conserved();
}

#[tokio::test]
async fn connections_that_are_not_shared_give_their_ports_back_at_once() {
    let origin = Origin::start().await;
    let mut plan = scarce(origin.address, "127.0.78.3", 20);
    plan["services"][0]["pool_scope"] = json!("never");
    origin.echo();
    let gated = start(&plan);
    gated.until_phase("up").await;
    let mut client = Peer::connect(gated.address).await;
    for _ in 0..20 {
        assert!(client.get("/x").await.0.starts_with("HTTP/1.1 200 "));
    }
    gated.until("all are done", |g| g.in_flight() == 0).await;
    assert_eq!((gated.server(0)["connects"].as_u64(), gated.counter("not_connected")), (Some(20), 0));
    never_blamed(&gated);
    gated.assert_conserved();
}

#[tokio::test]
async fn ports_that_others_hold_are_passed_over() {
    let origin = Origin::start().await;
    let address = origin.address;
    let mut plan = scarce(address, "127.0.78.4", 20);
    ports(&mut plan, "127.0.78.4", 24_100, 16, 8);
    let others: Vec<_> = [24_100, 24_102, 24_104, 24_108, 24_110]
        .map(|port| std::net::TcpListener::bind(("127.0.78.4", port)).expect("free"))
        .into();
    origin.echo();
    let gated = start(&plan);
    gated.until_phase("up").await;
    let mut clients = Vec::new();
    for _ in 0..4 {
        let mut client = Peer::connect(gated.address).await;
        assert!(client.get("/x").await.0.starts_with("HTTP/1.1 200 "));
        clients.push(client);
    }
    gated.probed(5).await;
    assert_eq!(gated.phase(), "up");
    assert!(gated.metric("tidegate_ports_foreign", "") > 0);
    never_blamed(&gated);
    gated.assert_conserved();
    drop(others);
}

#[tokio::test]
async fn one_source_port_that_is_refused_on_the_way_costs_no_call() {
    if !inside("one_source_port_that_is_refused_on_the_way_costs_no_call") {
        return;
    }
    rules("tcp sport 24000-24001 tcp flags & (syn|ack) == syn counter reject with tcp reset");
    let origin = Origin::start().await;
    let mut plan = scarce(origin.address, "127.0.0.1", 4);
    plan["services"][0]["pool_scope"] = json!("never");
    origin.echo();
    let gated = start(&plan);
    gated.until_phase("up").await;
    let mut client = Peer::connect(gated.address).await;
    for _ in 0..12 {
        assert!(client.get("/x").await.0.starts_with("HTTP/1.1 200 "), "{}", gated.status());
    }
    assert_eq!(gated.metric("tidegate_ports_quarantined", ""), 2, "both were met");
    gated.until("all are done", |g| g.in_flight() == 0).await;
    never_blamed(&gated);
    gated.assert_conserved();
}

#[tokio::test]
async fn a_device_at_its_limit_is_learned_and_a_death_behind_it_is_seen() {
    if !inside("a_device_at_its_limit_is_learned_and_a_death_behind_it_is_seen") {
        return;
    }
    let mut origin = Origin::start().await;
    let port = origin.address.port();
    rules(&format!("tcp dport {port} tcp flags & (syn|ack) == syn ct state new ct count over 3 reject with tcp reset"));
    let mut plan = monitored(origin.address, 20, json!({"kind": "half-open"}));
    plan["services"][0]["monitor"]["settings"]["slow_start_ns"] = json!(0);
    let gated = start(&plan);
    gated.until_phase("up").await;
    let mut clients = call(&gated, 12).await;
    let mut servers = Vec::new();
    for _ in 0..3 {
        servers.push(called(&mut origin).await);
    }
    gated.until_phase("degraded").await;
    assert!(gated.text().contains("at its limit of connections"), "{}", gated.text());
    // The others are answered over the connections that stand.
    let serve = |mut server: Peer| async move {
        server.reply("done").await;
        while server.head().await.is_some() {
            server.reply("done").await;
        }
    };
    let serving: Vec<_> = servers.into_iter().map(|server| tokio::spawn(serve(server))).collect();
    for client in &mut clients {
        assert_eq!(client.answer().await.1, "done");
    }
    let limit = gated.server(0)["monitor"]["limit"].as_u64().expect("it was learned");
    assert!((1..=3).contains(&limit), "{limit}");
    gated.until("all are done", |g| g.in_flight() == 0).await;
    never_blamed(&gated);
    assert_eq!((gated.counter("admitted"), gated.counter("retries")), (12, 0));
    origin.close().await;
    serving.iter().for_each(tokio::task::JoinHandle::abort);
    gated.until_phase("down").await;
    assert!(gated.text().contains("refused from 2 fresh ports"), "{}", gated.text());
    gated.assert_conserved();
}

#[tokio::test]
async fn of_two_addresses_the_one_that_lives_is_used() {
    let hosts = "printf '127.0.0.2 two.lab\\n127.0.0.3 two.lab\\n' > /dev/shm/tidegate-hosts.$$ && \
                 mount --bind /dev/shm/tidegate-hosts.$$ /etc/hosts && rm -f /dev/shm/tidegate-hosts.$$";
    if !inside_with("of_two_addresses_the_one_that_lives_is_used", hosts) {
        return;
    }
    for lives in ["127.0.0.2", "127.0.0.3"] {
        let origin = Origin::start_at(lives).await;
        let mut plan = monitored(origin.address, 4, json!({"kind": "tcp"}));
        plan["services"][0]["servers"][0]["address"] = json!(format!("two.lab:{}", origin.address.port()));
        let gated = start(&plan);
        gated.until_phase("up").await;
        origin.echo();
        for _ in 0..3 {
            assert!(Peer::connect(gated.address).await.get("/x").await.0.starts_with("HTTP/1.1 200 "));
        }
        gated.probed(3).await;
        assert_eq!(gated.phase(), "up");
        gated.until("all are done", |g| g.in_flight() == 0).await;
        never_blamed(&gated);
        gated.assert_conserved();
    }
}

#[tokio::test]
async fn without_descriptors_nothing_is_said_of_the_server_and_calls_wait() {
    if !inside_with("without_descriptors_nothing_is_said_of_the_server_and_calls_wait", "ulimit -n 64") {
        return;
    }
    let mut origin = Origin::start().await;
    let gated = start(&monitored(origin.address, 20, json!({"kind": "half-open"})));
    gated.until_phase("up").await;
    let mut clients = Vec::new();
    for _ in 0..2 {
        clients.push(Peer::connect(gated.address).await);
    }
    gated.until("both are accepted", |g| g.service()["open_conns"] == 2).await;
    clients[0].send(GET).await;
    let mut server = called(&mut origin).await;
    let taken: std::cell::RefCell<Vec<std::fs::File>> = std::cell::RefCell::default();
    let starve = || taken.borrow_mut().extend(std::iter::from_fn(|| std::fs::File::open("/dev/null").ok()));
    let says = |g: &Gated| g.text().contains("inconclusive (no-descriptor)");
    gated
        .until("a probe finds no descriptor", |g| {
            starve();
            says(g)
        })
        .await;
    clients[1].send(GET).await;
    gated
        .until("a call finds none either", |g| {
            starve();
            g.counter("not_connected") > 0 && g.service()["held_total"] == 1
        })
        .await;
    gated
        .until("the monitor says that it is blind", |g| {
            starve();
            g.server(0)["monitor"]["blind"] == true
        })
        .await;
    assert_eq!(gated.phase(), "up");
    never_blamed(&gated);
    taken.borrow_mut().clear();
    let mut second = called(&mut origin).await;
    for (client, server) in clients.iter_mut().zip([&mut server, &mut second]) {
        server.reply("done").await;
        assert_eq!(client.answer().await.1, "done");
    }
    gated.until("the monitor sees again", |g| g.server(0)["monitor"]["blind"] == false).await;
    gated.until("all are done", |g| g.in_flight() == 0).await;
    never_blamed(&gated);
    gated.assert_conserved();
}
