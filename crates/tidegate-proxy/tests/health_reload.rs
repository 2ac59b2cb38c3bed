//! Another plan while servers are probed: what is known stays, and what is no longer asked for ends.

#![allow(clippy::expect_used, reason = "tests")]

mod support;

use serde_json::{Value, json};
use support::health::{Does, MS, closed, http, listen, monitor, monitored, server, sockets};
use support::{Gated, Origin, Peer, admission, start};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn apply(gated: &Gated, plan: &Value) {
    gated.gate.apply(plan.to_string().as_bytes()).expect("applied");
}

fn phase_of(gated: &Gated, at: usize) -> String {
    gated.server(at)["monitor"]["phase"].as_str().unwrap_or("none").to_string()
}

#[tokio::test]
async fn without_its_monitor_a_server_that_is_down_is_tried_by_calls() {
    let address = closed();
    let mut plan = monitored(address, 4, json!({"kind": "tcp"}));
    let gated = start(&plan);
    gated.until_phase("down").await;
    let mut client = Peer::connect(gated.address).await;
    client.send("GET /x HTTP/1.1\r\nHost: a\r\n\r\n").await;
    gated.until("it waits", |g| g.service()["held_total"] == 1).await;
    plan["services"][0]["monitor"] = Value::Null;
    apply(&gated, &plan);
    assert_eq!(gated.server(0)["monitor"], Value::Null);
    let listener = listen(address, 64);
    let mut peer = loop {
        let mut peer = Peer { tcp: listener.accept().await.expect("a connection").0, buf: Vec::new() };
        if peer.head().await.is_some() {
            break peer; // one before it was the last probe
        }
    };
    peer.reply("tried").await;
    assert_eq!(client.answer().await.1, "tried");
    gated.until("all are done", |g| g.in_flight() == 0).await;
    gated.assert_conserved();
}

#[tokio::test]
async fn another_way_to_probe_counts_from_the_next_probe_on() {
    let address = server(Does::Nothing).await;
    let mut plan = monitored(address, 4, http("/silent"));
    plan["services"][0]["monitor"]["settings"]["timeout_ns"] = json!(3_600_000 * MS);
    let gated = start(&plan);
    gated.until("a probe waits for its answer", |g| g.probes() == 1).await;
    plan["services"][0]["monitor"] = monitor(json!({"kind": "tcp"}));
    apply(&gated, &plan);
    gated.until_phase("up").await;
    gated.probed(3).await;
    gated.until("the other probe is over", |_| sockets("01", address.port()) == 0).await;

    plan["services"][0]["monitor"] = monitor(http("/silent"));
    plan["services"][0]["monitor"]["settings"]["timeout_ns"] = json!(50 * MS);
    apply(&gated, &plan);
    assert_eq!(gated.phase(), "up", "what was known stays");
    gated.until_phase("down").await;
    gated.assert_untouched();
}

#[tokio::test]
async fn servers_that_change_places_keep_what_is_known_of_them() {
    let (good, bad) = (server(Does::Answers(OK)).await, closed());
    let mut plan = monitored(good, 4, http("/"));
    let of = |name: &str, at: std::net::SocketAddr| json!({"name": name, "address": at.to_string(), "tls": null, "send_proxy": null});
    plan["services"][0]["servers"] = json!([of("a", good), of("b", bad)]);
    plan["services"][0]["admission"] = admission(&[("a", 4), ("b", 4)]);
    let gated = start(&plan);
    let is = |g: &Gated, want: [&str; 2]| (0..2).all(|at| phase_of(g, at) == want[at]);
    gated.until("one is up, one down", |g| is(g, ["up", "down"]) && g.server(0)["monitor"]["known"] == true).await;
    plan["services"][0]["servers"] = json!([of("b", bad), of("a", good)]);
    plan["services"][0]["admission"] = admission(&[("b", 4), ("a", 4)]);
    apply(&gated, &plan);
    assert!(is(&gated, ["down", "up"]), "{}", gated.status());
    assert_eq!((gated.server(0)["phase"].as_str(), gated.server(1)["phase"].as_str()), (Some("down"), Some("up")));
    gated.probed(4).await;
    assert!(is(&gated, ["down", "up"]), "{}", gated.status());
    assert!(Peer::connect(gated.address).await.get("/x").await.0.starts_with("HTTP/1.1 200 "));

    // The one that is down goes, while it may be probed just now.
    plan["services"][0]["servers"] = json!([of("a", good)]);
    plan["services"][0]["admission"] = admission(&[("a", 4)]);
    apply(&gated, &plan);
    gated.probed(4).await;
    assert_eq!(phase_of(&gated, 0), "up");
    assert_eq!(gated.failures(), 0, "{}", gated.status());
    gated.until("all are done", |g| g.in_flight() == 0).await;
    gated.assert_conserved();
}

#[tokio::test]
async fn many_changes_in_a_row_lose_no_probe() {
    let address = server(Does::Answers(OK)).await;
    let mut plan = monitored(address, 4, http("/"));
    let gated = start(&plan);
    gated.until_phase("up").await;
    for n in 0..20 {
        plan["services"][0]["monitor"]["settings"]["interval_ns"] = json!((60 + n) * MS);
        apply(&gated, &plan);
    }
    gated.probed(5).await;
    assert_eq!((gated.phase().as_str(), gated.failures()), ("up", 0));
    gated.assert_untouched();
}

#[tokio::test]
async fn a_service_that_is_removed_is_probed_no_more() {
    let mut origin = Origin::start().await;
    let mut plan = monitored(server(Does::Answers(OK)).await, 4, http("/"));
    let mut second = plan["services"][0].clone();
    second["name"] = json!("t");
    second["servers"][0]["address"] = json!(origin.address.to_string());
    plan["services"][0]["name"] = json!("s");
    plan["services"].as_array_mut().expect("services").push(second);
    let gated = start(&plan);
    let mut probe = origin.accept().await;
    probe.head().await.expect("a probe");
    plan["services"].as_array_mut().expect("services").truncate(1);
    apply(&gated, &plan);
    drop(probe); // the end of the last one is nobody's business
    let origins = origin.address.to_string();
    let begun = |g: &Gated| g.metric("tidegate_ports_leases_total", &format!("{origins}\",use=\"probe\""));
    let before = begun(&gated);
    gated.until_phase("up").await;
    gated.probed(5).await;
    assert!(begun(&gated) <= before + 2, "the one that was under way may be tried once more or twice");
    assert_eq!(gated.failures(), 0);
    assert_eq!(gated.status()["services"].as_array().map(Vec::len), Some(1));
    gated.assert_untouched();
}

/// Another gate with the same plan in the place of `old`, which accepts no more.
fn take_over(old: &Gated, plan: &Value) -> Gated {
    let inherited = tidegate_proxy::Inherited {
        sockets: old.gate.listeners().expect("sockets"),
        admin: None,
        replaces: true,
        known: Some(old.gate.known_json().into_bytes()),
    };
    let gate = tidegate_proxy::Gate::start_with(plan.to_string().as_bytes(), None, inherited).expect("it takes over");
    let new = Gated { address: gate.addresses()[0].1, gate: std::sync::Arc::new(gate) };
    old.gate.retire();
    new.gate.share_no_more();
    new
}

#[tokio::test]
async fn a_gate_that_takes_over_knows_how_servers_stand() {
    let address = server(Does::Answers(OK)).await;
    let mut plan = monitored(address, 4, http("/"));
    let old = start(&plan);
    old.until_phase("up").await;
    let new = take_over(&old, &plan);
    assert_eq!(new.server(0)["monitor"]["known"], true);
    new.probed(3).await;
    assert!(Peer::connect(new.address).await.get("/x").await.0.starts_with("HTTP/1.1 200 "));
    new.until("all are done", |g| g.in_flight() == 0).await;
    assert_eq!((new.phase().as_str(), new.failures()), ("up", 0));
    new.assert_conserved();
    old.assert_conserved();

    let address = closed();
    plan["services"][0]["servers"][0]["address"] = json!(address.to_string());
    let old = start(&plan);
    old.until_phase("down").await;
    let new = take_over(&old, &plan);
    assert_eq!((new.phase().as_str(), new.server(0)["phase"].as_str()), ("down", Some("down")));
    let mut client = Peer::connect(new.address).await;
    client.send("GET /x HTTP/1.1\r\nHost: a\r\n\r\n").await;
    new.until("it waits, and nobody tries", |g| g.service()["held_total"] == 1).await;
    assert_eq!((new.counter("admitted"), new.counter("connect_failed")), (0, 0));
    drop(client);
    new.until("it has left", |g| g.service()["held_total"] == 0).await;
    new.assert_conserved();
    old.assert_untouched();
}
