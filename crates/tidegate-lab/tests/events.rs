//! What happens to a world in which all hosts are connected: sessions expire together, the network flaps.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;

use common::Lab;
use serde_json::{Value, json};

fn count(report: &Value, key: &str) -> u64 {
    report[key].as_u64().unwrap_or_else(|| panic!("{key} in {report}"))
}

/// Ten hosts that are all connected, and their provider.
fn ten_connected() -> (Lab, Lab) {
    let mut server = Lab::start("provider", &json!({"speed": 20, "start_down": true}));
    let mut hosts =
        Lab::start("storm", &json!({"target": server.address(), "hosts": 10, "speed": 20, "window_s": 200}));
    server.tell(r#"{"cmd": "go"}"#);
    hosts.tell(r#"{"cmd": "go"}"#);
    hosts.wait_for(|line| line["connected"] == 10);
    (server, hosts)
}

#[test]
fn sessions_that_expire_together_are_made_anew_over_the_same_connections() {
    let (mut server, hosts) = ten_connected();
    server.tell(r#"{"cmd": "expire"}"#);
    let hosts = hosts.last_words();
    let server = server.stop();
    assert_eq!((count(&hosts, "connected"), count(&hosts, "invalid_sessions")), (10, 10), "{hosts}");
    assert_eq!((count(&server, "sessions_made"), count(&server, "connections")), (20, 10), "{server}");
}

#[test]
fn a_network_that_flaps_takes_the_connections_and_leaves_the_sessions() {
    let (server, mut hosts) = ten_connected();
    hosts.tell(r#"{"cmd": "flap", "for_s": 20}"#);
    hosts.wait_for(|line| line["kind"] == "sample" && line["connected"] == 0);
    let hosts = hosts.last_words();
    let server = server.stop();
    assert_eq!(count(&hosts, "connected"), 10);
    assert!(count(&hosts, "resets") >= 20, "a poll and at least one login each: {hosts}");
    assert_eq!((count(&server, "sessions_made"), count(&server, "connections")), (20, 20), "{server}");
    assert_eq!(server["lost_units"].as_f64(), Some(0.0), "{server}");
}

#[test]
fn a_command_for_somebody_else_changes_nothing() {
    let (mut server, mut hosts) = ten_connected();
    server.tell(r#"{"cmd": "flap", "for_s": 20}"#);
    hosts.tell(r#"{"cmd": "expire"}"#);
    assert_eq!(count(&hosts.last_words(), "failed_attempts"), 0);
    server.stop();
}
