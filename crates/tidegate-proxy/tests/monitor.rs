//! Monitors on real sockets: what servers see of probes, and what the next process knows of servers.
#![allow(clippy::expect_used, reason = "tests")]

mod support;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use support::{Gated, Peer, plan, start};
use tidegate_proxy::{Gate, Inherited};

const GET: &str = "GET /x HTTP/1.1\r\nHost: a\r\n\r\n";
const MS: u64 = 1_000_000;

fn monitored(server: SocketAddr, kind: &str, interval_ns: u64) -> Value {
    let mut plan = plan(server, 2);
    plan["services"][0]["monitor"] = json!({
        "probe": {"kind": kind},
        "settings": {
            "interval_ns": interval_ns, "timeout_ns": 2_000 * MS, "fast_ns": interval_ns, "fall": 2, "rise": 2,
            "slow_start_ns": 0,
        },
    });
    plan
}

fn probes(gated: &Gated) -> u64 {
    let text = gated.gate.metrics_text();
    let leases = text.lines().filter(|line| line.starts_with("tidegate_ports_leases_total"));
    let of_probes = leases.filter(|line| line.contains("use=\"probe\"")).filter_map(|line| line.split(' ').next_back());
    of_probes.filter_map(|n| n.parse::<f64>().ok()).sum::<f64>() as u64
}

#[tokio::test]
async fn the_servers_process_sees_nothing_of_half_open_probes() {
    for kind in ["tcp", "half-open"] {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("address");
        let accepted = Arc::new(AtomicUsize::new(0));
        let count = accepted.clone();
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::Relaxed);
                let mut peer = Peer { tcp, buf: Vec::new() };
                tokio::spawn(async move {
                    if peer.head().await.is_some() {
                        peer.reply("seen").await;
                    }
                });
            }
        });
        let gated = start(&monitored(address, kind, 10 * MS));
        gated.until("it was probed", |g| probes(g) >= 30).await;
        assert_eq!(gated.service()["servers"][0]["phase"], "up");
        assert_eq!(gated.service()["servers"][0]["monitor"]["known"], true);
        if kind == "half-open" {
            assert_eq!(accepted.load(Ordering::Relaxed), 0);
            let mut client = Peer::connect(gated.address).await;
            assert_eq!(client.get("/x").await.1, "seen", "a connection that is one arrives");
            assert_eq!(accepted.load(Ordering::Relaxed), 1);
        } else {
            gated.until("they arrive", |_| accepted.load(Ordering::Relaxed) >= 25).await;
        }
    }
}

#[tokio::test]
async fn the_next_process_leaves_a_server_alone_that_is_down() {
    let parked = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = parked.local_addr().expect("address");
    drop(parked);
    let first = start(&monitored(address, "tcp", 50 * MS));
    first.until("it is down", |g| g.service()["servers"][0]["phase"] == "down").await;
    let known = first.gate.known_json();
    drop(first);
    let back = tokio::net::TcpListener::bind(address).await.expect("the port is still free");

    // One good probe is not enough, and the second is an hour away.
    let slow = monitored(address, "tcp", 3600 * 1000 * MS);
    let inherited = Inherited { known: Some(known.into_bytes()), ..Inherited::default() };
    let gate = Gate::start_with(slow.to_string().as_bytes(), None, inherited).expect("the gate starts");
    let next = Gated { address: gate.addresses()[0].1, gate: Arc::new(gate) };
    assert_eq!(next.service()["servers"][0]["phase"], "down");
    let verdicts = next.service()["servers"][0]["monitor"]["verdicts"].to_string();
    assert!(verdicts.contains("refused from 2 fresh ports"), "it knows why: {verdicts}");
    let mut client = Peer::connect(next.address).await;
    client.send(GET).await;
    next.until("the call is held", |g| g.service()["held_total"] == 1).await;
    next.until("it was probed", |g| probes(g) >= 1).await;
    assert_eq!(next.counter("admitted"), 0);
    drop(back.accept().await.expect("the probe"));
    let mut again = slow;
    again["services"][0]["monitor"]["settings"]["rise"] = json!(1);
    again["services"][0]["monitor"]["settings"]["interval_ns"] = json!(20 * MS);
    again["services"][0]["monitor"]["settings"]["fast_ns"] = json!(20 * MS);
    next.gate.apply(again.to_string().as_bytes()).expect("another plan");
    loop {
        let (tcp, _) = back.accept().await.expect("a probe or the call");
        let mut server = Peer { tcp, buf: Vec::new() };
        if server.head().await.is_some() {
            server.reply("back").await;
            break;
        }
    }
    assert_eq!(client.answer().await.1, "back");
}
