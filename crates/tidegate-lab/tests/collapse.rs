//! The failure itself, on real sockets: without a gate three hundred hosts bring the provider down, fifteen do not.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;

use common::{Lab, floor_s, storm};
use serde_json::{Value, json};
use std::net::TcpStream;

const SPEED: f64 = 20.0;

fn provider(law: &str) -> Value {
    json!({"law": law, "knee": 22, "unit_s": 0.5, "threads": 200, "backlog": 1024, "speed": SPEED, "start_down": true,
           "protocol": "vasa", "tls": null})
}

fn hosts(count: u32, window_s: f64) -> Value {
    json!({"hosts": count, "window_s": window_s, "speed": SPEED, "protocol": "vasa", "tls": null,
           "retry": {"kind": "fixed", "min_s": 10, "max_s": 12}})
}

fn count(report: &Value, key: &str) -> u64 {
    report[key].as_u64().unwrap_or_else(|| panic!("{key} in {report}"))
}

/// What holds in every storm.
fn check(server: &Value, hosts: &Value) {
    let connected = hosts["connected_s"].as_array().unwrap().iter().filter(|at| !at.is_null()).count() as u64;
    assert_eq!(connected, count(hosts, "connected"));
    let failures: u64 = ["timeouts", "turned_away", "resets", "invalid_sessions"].iter().map(|k| count(hosts, k)).sum();
    assert_eq!(failures, count(hosts, "failed_attempts") + count(hosts, "polls_failed"), "{hosts}");
    assert!(count(server, "max_in_flight") <= 200 + 1024);
    assert!(count(server, "sessions_made") >= connected);
    let (done, wasted) = (server["done_units"].as_f64().unwrap(), server["wasted_units"].as_f64().unwrap());
    assert!(wasted <= done && done <= server["best_rate"].as_f64().unwrap() * 3600.0);
}

fn collapses(law: &str) {
    let (server, hosts) = storm(provider(law), hosts(300, 3.0 * floor_s(law, 300)));
    check(&server, &hosts);
    assert!(count(&hosts, "connected") <= 6, "nearly nobody: {hosts}");
    assert_eq!(hosts["last_connected_s"], Value::Null);
    assert!(server["wasted_work"].as_f64().unwrap() > 0.9, "{server}");
    assert!(count(&server, "max_in_flight") >= 200, "{server}");
}

#[test]
fn usl_collapses() {
    collapses("usl");
}

#[test]
fn cliff_collapses() {
    collapses("cliff");
}

#[test]
fn convoy_collapses() {
    collapses("convoy");
}

fn fifteen_are_in_at_once(law: &str, protocol: &str) {
    let (mut provider, mut some) = (provider(law), hosts(15, 60.0));
    provider["protocol"] = protocol.into();
    some["protocol"] = protocol.into();
    let (server, hosts) = storm(provider, some);
    check(&server, &hosts);
    assert_eq!((count(&hosts, "connected"), count(&hosts, "failed_attempts")), (15, 0), "{hosts}");
    assert!(count(&hosts, "polls") >= 15, "each polls at least once while it lingers");
    assert_eq!(server["wasted_work"].as_f64(), Some(0.0), "{server}");
    assert_eq!((count(&server, "sessions_made"), count(&server, "connections")), (15, 15), "one connection each");
    assert!(count(&server, "max_in_flight") <= 15);
}

#[test]
fn fifteen_hosts_are_in_at_once_under_every_law_and_protocol() {
    for (law, protocol) in [("usl", "vasa"), ("cliff", "vasa"), ("convoy", "vasa"), ("usl", "http")] {
        fifteen_are_in_at_once(law, protocol);
    }
}

#[test]
fn a_provider_that_is_down_refuses_until_go() {
    let mut server = Lab::start("provider", &provider("usl"));
    assert!(TcpStream::connect(server.address()).is_err());
    server.tell(r#"{"cmd": "go"}"#);
    server.wait_for(|line| line["kind"] == "sample");
    assert!(TcpStream::connect(server.address()).is_ok());
    server.stop();
}

#[test]
fn after_a_restart_the_hosts_come_back() {
    let mut server = Lab::start("provider", &provider("usl"));
    let mut few = hosts(10, 200.0);
    (few["target"], few["linger_s"]) = (server.address().into(), 60.into());
    let mut hosts = Lab::start("storm", &few);
    server.tell(r#"{"cmd": "go"}"#);
    hosts.tell(r#"{"cmd": "go"}"#);
    hosts.wait_for(|line| line["connected"] == 10);
    server.tell(r#"{"cmd": "restart", "down_s": 5}"#);
    hosts.wait_for(|line| line["kind"] == "sample" && line["connected"].as_u64() < Some(10));
    let hosts = hosts.last_words();
    let server = server.stop();
    assert_eq!(count(&hosts, "connected"), 10);
    assert!(count(&hosts, "polls_failed") >= 1, "{hosts}");
    assert_eq!(count(&server, "sessions_made"), 20, "the old sessions are lost: {server}");
}

#[test]
fn a_provider_crashes_at_its_ceiling_and_comes_back() {
    let mut fragile = provider("usl");
    (fragile["crash_at"], fragile["crash_down_s"]) = (30.into(), 2.into());
    let (server, hosts) = storm(fragile, hosts(60, 30.0));
    assert!(count(&server, "max_in_flight") < 30, "{server}");
    assert!(server["lost_units"].as_f64().unwrap() > 0.0);
    assert!(count(&hosts, "resets") >= 30, "{hosts}");
}

#[test]
fn a_spec_with_an_unknown_key_is_refused() {
    for (task, spec) in [
        ("provider", r#"{"kneee": 3}"#),
        ("storm", r#"{"target": "127.0.0.1:1", "hosts": 0}"#),
        ("provider", r#"{"unit_s": 0}"#),
        ("storm", "@/nowhere.json"),
    ] {
        let out = std::process::Command::new(env!("CARGO_BIN_EXE_tidegate-lab")).args([task, spec]).output().unwrap();
        assert_eq!(out.status.code(), Some(2), "{task} {spec}");
        assert!(out.stdout.is_empty() && !out.stderr.is_empty());
    }
}

#[test]
fn a_reader_who_reads_only_at_the_end_stops_nothing() {
    let (mut chatty, mut few) = (provider("usl"), hosts(10, 60.0));
    // Several hundred kB of samples, far more than a pipe holds.
    (chatty["sample_s"], few["sample_s"], few["linger_s"]) = (0.02.into(), 0.02.into(), 30.into());
    let (server, hosts) = storm(chatty, few);
    assert_eq!((count(&hosts, "connected"), count(&hosts, "failed_attempts")), (10, 0));
    assert_eq!(count(&server, "sessions_made"), 10, "{server}");
}
