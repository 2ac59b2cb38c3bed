//! What the socket tests share: a plan, a gate, and servers and clients that do exactly what they are told.
#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::expect_used, clippy::panic, reason = "tests")]

pub mod health;
pub mod namespace;
pub mod tls;
pub mod vcenter;

use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tidegate_proxy::Gate;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

const S: u64 = 1_000_000_000;

/// The admission part of a plan.
pub fn admission(servers: &[(&str, u32)]) -> Value {
    let servers: Vec<Value> = servers.iter().map(|(name, limit)| json!({"name": name, "limit": limit})).collect();
    json!({
        "mode": "enforce", "servers": servers,
        "guarantees": {"continuation": 500, "new_session": 250, "steady": 100, "bulk": 100},
        "seed": 1, "held_max": 1000, "held_per_client_max": 100, "reserved_places": 8, "bulk_per_client_min": 2,
        "clients_max": 1000, "sessions_max": 1000,
        "client_timeout_ns": 30 * S, "margin_ns": 2 * S, "upstream_timeout_ns": 60 * S, "quarantine_ns": 10 * S,
        "seniority_ns": 600 * S, "settle_after_ns": 30 * S, "settle_calls": 16, "session_idle_ns": null,
        "follow_ups_milli": 1000, "retry_server_ns": S / 20, "renew_within_ns": 30 * S,
        "retry_after_min_ns": S, "retry_after_max_ns": 30 * S, "rate_window_ns": 2 * S,
        "limit_window_ns": S, "silence_ns": 5 * S,
    })
}

/// The io part of a plan.
pub fn io() -> Value {
    json!({
        "head_timeout_ns": 10 * S, "handshake_timeout_ns": 10 * S, "idle_timeout_ns": 60 * S, "write_timeout_ns": 10 * S,
        "body_rate_timeout_ns": 10 * S, "connect_timeout_ns": 5 * S, "server_idle_ns": 30 * S,
        "connections_max": 10_000, "handshakes_max": 4096, "buffers_max_bytes": 64 << 20, "drain_ns": 10 * S,
    })
}

/// A plan with one service `s` in front of one server.
pub fn plan(server: SocketAddr, limit: u32) -> Value {
    json!({
        "format": 1,
        "services": [{
            "name": "s", "listen": "127.0.0.1:0",
            "protocol": {"kind": "http", "rules": [], "session_cookie": "SID", "user_header": null, "status": 503,
                         "probe_paths": ["/healthz"]},
            "tls": {"kind": "none"},
            "servers": [{"name": "a", "address": server.to_string(), "tls": null, "send_proxy": null}],
            "accept_proxy": false, "forwarded_from": [], "admission": admission(&[("a", limit)]), "io": io(), "identities": [],
        }],
        "admin": {"unix": null, "tcp": null, "token_file": null},
    })
}

/// A gate that ends with the test.
pub struct Gated {
    pub gate: Arc<Gate>,
    pub address: SocketAddr,
}

/// Starts a gate.
pub fn start(plan: &Value) -> Gated {
    let gate = Gate::start(plan.to_string().as_bytes(), None).expect("the gate starts");
    let address = gate.addresses()[0].1;
    Gated { gate: Arc::new(gate), address }
}

impl Gated {
    pub fn status(&self) -> Value {
        serde_json::from_str(&self.gate.status_json()).expect("status is JSON")
    }

    pub fn service(&self) -> Value {
        self.status()["services"][0].clone()
    }

    pub fn counter(&self, name: &str) -> u64 {
        self.service()["counters"][name].as_u64().unwrap_or_else(|| panic!("counter {name}"))
    }

    pub fn turned_away(&self, reason: &str) -> u64 {
        self.service()["counters"]["turned_away"][reason].as_u64().unwrap_or_else(|| panic!("reason {reason}"))
    }

    pub fn in_flight(&self) -> u64 {
        self.service()["servers"][0]["in_flight"].as_u64().expect("in_flight")
    }

    pub fn explain(&self) -> Vec<Value> {
        let told: Value = serde_json::from_str(&self.gate.explain_json(&Default::default())).expect("explain is JSON");
        told["calls"].as_array().expect("calls").clone()
    }

    /// Waits until `holds`; fails when it never does.
    pub async fn until(&self, what: &str, holds: impl Fn(&Gated) -> bool) {
        for _ in 0..1000 {
            if holds(self) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("never: {what}; {}", self.status());
    }

    /// Every call that arrived has met exactly one fate.
    pub fn assert_conserved(&self) {
        let sum = self.counter("admitted") + self.counter("turned_away_total") + self.counter("client_gone");
        assert_eq!(self.counter("arrived"), sum, "{}", self.status());
        assert_eq!(self.counter("unknown_call"), 0, "{}", self.status());
        assert_eq!(self.counter("panics"), 0, "{}", self.status());
    }
}

/// A connection that the server has accepted, in the hands of the test.
pub struct Peer {
    pub tcp: TcpStream,
    pub buf: Vec<u8>,
}

impl Peer {
    pub async fn connect(to: SocketAddr) -> Peer {
        Peer { tcp: TcpStream::connect(to).await.expect("connect"), buf: Vec::new() }
    }

    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.tcp.write_all(bytes.as_ref()).await.expect("send");
    }

    async fn more(&mut self) -> usize {
        let mut part = vec![0; 65536];
        let read = tokio::time::timeout(Duration::from_secs(20), self.tcp.read(&mut part)).await.expect("read in time");
        let n = read.unwrap_or(0);
        self.buf.extend_from_slice(&part[..n]);
        n
    }

    /// The next head, as text; `None` when the connection ends first.
    pub async fn head(&mut self) -> Option<String> {
        loop {
            if let Some(at) = self.buf.windows(4).position(|w| w == b"\r\n\r\n") {
                let head: Vec<u8> = self.buf.drain(..at + 4).collect();
                return Some(String::from_utf8_lossy(&head).into_owned());
            }
            if self.more().await == 0 {
                return None;
            }
        }
    }

    pub async fn exactly(&mut self, n: usize) -> Vec<u8> {
        while self.buf.len() < n {
            assert!(self.more().await > 0, "ended after {} of {n} bytes", self.buf.len());
        }
        self.buf.drain(..n).collect()
    }

    /// As [`Peer::exactly`]; `None` when the connection ends first.
    pub async fn try_exactly(&mut self, n: usize) -> Option<Vec<u8>> {
        while self.buf.len() < n {
            if self.more().await == 0 {
                return None;
            }
        }
        Some(self.buf.drain(..n).collect())
    }

    /// The next line, without its end; `None` when the connection ends first.
    pub async fn line(&mut self) -> Option<String> {
        loop {
            if let Some(at) = self.buf.windows(2).position(|w| w == b"\r\n") {
                let line: Vec<u8> = self.buf.drain(..at + 2).take(at).collect();
                return Some(String::from_utf8_lossy(&line).into_owned());
            }
            if self.more().await == 0 {
                return None;
            }
        }
    }

    /// All until the end of the connection.
    pub async fn rest(&mut self) -> Vec<u8> {
        while self.more().await > 0 {}
        std::mem::take(&mut self.buf)
    }

    /// A whole answer with Content-Length: head and body.
    pub async fn answer(&mut self) -> (String, String) {
        let head = self.head().await.expect("an answer");
        let n = length(&head);
        let body = self.exactly(n).await;
        (head, String::from_utf8_lossy(&body).into_owned())
    }

    /// GET and its answer.
    pub async fn get(&mut self, path: &str) -> (String, String) {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")).await;
        self.answer().await
    }

    pub async fn reply(&mut self, body: &str) {
        self.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())).await;
    }
}

pub fn length(head: &str) -> usize {
    let lower = head.to_ascii_lowercase();
    let line = lower.lines().find_map(|line| line.strip_prefix("content-length:").map(|v| v.trim().to_string()));
    line.map_or(0, |v| v.parse().expect("a length"))
}

/// A server whose connections are handed to the test one by one.
pub struct Origin {
    pub address: SocketAddr,
    accepted: mpsc::Receiver<TcpStream>,
    accepting: tokio::task::JoinHandle<()>,
}

impl Origin {
    pub async fn start() -> Origin {
        Origin::start_at("127.0.0.1").await
    }

    pub async fn start_at(address: &str) -> Origin {
        let listener = TcpListener::bind((address, 0)).await.expect("bind");
        let address = listener.local_addr().expect("address");
        let (send, accepted) = mpsc::channel(1024);
        let accepting = tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                if send.send(tcp).await.is_err() {
                    return;
                }
            }
        });
        Origin { address, accepted, accepting }
    }

    /// Listens no more; what was accepted stays open.
    pub async fn close(self) {
        self.accepting.abort();
        let _aborted = self.accepting.await;
    }

    pub async fn accept(&mut self) -> Peer {
        let tcp =
            tokio::time::timeout(Duration::from_secs(20), self.accepted.recv()).await.expect("in time").expect("one");
        Peer { tcp, buf: Vec::new() }
    }

    pub fn accepted_more(&mut self) -> bool {
        self.accepted.try_recv().is_ok()
    }

    /// Answers every request (Content-Length or no body) with its path and body, for ever.
    pub fn echo(mut self) -> SocketAddr {
        let address = self.address;
        tokio::spawn(async move {
            while let Some(tcp) = self.accepted.recv().await {
                tokio::spawn(async move {
                    let mut peer = Peer { tcp, buf: Vec::new() };
                    while let Some(head) = peer.head().await {
                        let body = peer.exactly(length(&head)).await;
                        let line = head.split(' ').nth(1).unwrap_or_default().to_string();
                        peer.reply(&format!("{line} {}", String::from_utf8_lossy(&body))).await;
                    }
                });
            }
        });
        address
    }
}
