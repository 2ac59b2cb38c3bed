//! The origin and the load client: everything offered is accounted for, and a stall is not hidden.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;

use common::Lab;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::Duration;

const GO: &str = r#"{"cmd": "go"}"#;

fn load(spec: Value) -> Lab {
    let mut load = Lab::start("load", &spec);
    load.tell(GO);
    load
}

#[test]
fn a_constant_rate_is_offered_and_answered() {
    let origin = Lab::start("origin", &json!({"body_bytes": 10}));
    let spec = json!({"target": origin.address(), "rate": 500, "duration_s": 0.5, "connections": 7});
    let seen = load(spec).last_words();
    assert_eq!(
        (&seen["offered"], &seen["answered"], &seen["statuses"]),
        (&json!(250), &json!(250), &json!({"200": 250}))
    );
    assert!(seen["p99_ms"].as_f64().unwrap() >= seen["p50_ms"].as_f64().unwrap());
    let origin = origin.stop();
    assert_eq!((&origin["requests"], &origin["connections"]), (&json!(250), &json!(7)), "keep-alive is used");
}

#[test]
fn what_nobody_answers_is_counted() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = nobody.local_addr().unwrap().to_string();
    let spec = json!({"target": silent, "rate": 100, "duration_s": 0.1, "connections": 2, "timeout_s": 0.05});
    let seen = load(spec).last_words();
    assert_eq!((&seen["offered"], &seen["answered"], &seen["timeouts"]), (&json!(10), &json!(0), &json!(10)));
    assert_eq!(seen["p50_ms"], Value::Null);
    drop(nobody);
    let spec = json!({"target": silent, "rate": 100, "duration_s": 0.1, "connections": 2});
    assert_eq!(load(spec).last_words()["resets"], 10);
}

#[test]
fn latency_counts_from_the_intended_time() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = server.local_addr().unwrap().to_string();
    let slow = std::thread::spawn(move || {
        let (mut client, _) = server.accept().unwrap();
        let mut bytes = [0; 1024];
        while matches!(client.read(&mut bytes), Ok(1..)) {
            std::thread::sleep(Duration::from_millis(50)); // the server's service time, which is what is measured
            client.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
        }
    });
    let spec = json!({"target": address, "rate": 100, "duration_s": 0.1, "connections": 1});
    let seen = load(spec).last_words();
    slow.join().unwrap();
    // Ten requests of 50 ms each, meant 10 ms apart: the last is meant at 90 ms and cannot end before 500 ms.
    assert!(seen["max_ms"].as_f64().unwrap() >= 400.0, "{seen}");
}

#[test]
fn idle_connections_are_held_until_the_end() {
    let origin = Lab::start("origin", &json!({}));
    let mut idle = load(json!({"mode": "idle", "target": origin.address(), "connections": 45, "addresses": 20}));
    let held = idle.wait_for(|line| line["kind"] == "idle");
    assert_eq!((&held["open"], &held["statuses"]), (&json!(45), &json!({"200": 45})));
    assert_eq!(idle.stop()["open"], 45);
    assert_eq!(origin.stop()["connections"], 45);
}

#[test]
fn load_speaks_tls() {
    let dir = std::env::temp_dir().join(format!("tidegate-lab-load-{}", std::process::id()));
    tidegate_lab::certificates::write(&dir, 1).unwrap();
    let server = Lab::start("provider", &json!({"speed": 50, "protocol": "http", "tls": {"dir": dir}}));
    let spec = json!({"target": server.address(), "path": "/healthz", "rate": 50, "duration_s": 0.2, "connections": 2,
                      "tls": {"dir": dir}});
    assert_eq!(load(spec).last_words()["statuses"], json!({"200": 10}));
    assert_eq!(server.stop()["handshakes"], 2);
    std::fs::remove_dir_all(dir).unwrap();
}
