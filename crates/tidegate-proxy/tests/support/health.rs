//! Plans with monitors, what is told of them, and servers that answer probes in one way.
#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::expect_used, clippy::panic, reason = "tests")]

use super::{Gated, plan};
use serde_json::{Value, json};
use std::net::SocketAddr;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpSocket, TcpStream};

pub const MS: u64 = 1_000_000;

/// A monitor that probes often, and takes its time to be sure that nobody answers.
pub fn monitor(probe: Value) -> Value {
    let settings = json!({
        "interval_ns": 60 * MS, "timeout_ns": 5000 * MS, "fast_ns": 30 * MS, "fall": 3, "rise": 2, "slow_start_ns": 0,
    });
    json!({"probe": probe, "settings": settings})
}

/// Where gates connect from that have a plan of [`monitored`], and nobody else.
const SOURCE: [u8; 4] = [127, 0, 79, 1];

/// A plan with one service `s` in front of one server, which is monitored.
pub fn monitored(server: SocketAddr, limit: u32, probe: Value) -> Value {
    watch(plan(server, limit), probe)
}

/// The same with a plan that is there.
pub fn watch(mut plan: Value, probe: Value) -> Value {
    plan["services"][0]["monitor"] = monitor(probe);
    plan["ports"] = json!({"ranges": [], "sources": [std::net::Ipv4Addr::from(SOURCE)], "headroom": 8});
    plan
}

pub fn http(path: &str) -> Value {
    json!({"kind": "http", "path": path, "status": [200]})
}

/// A range that nobody else uses: `first` and the ports behind it, from an address of its own.
pub fn ports(plan: &mut Value, source: &str, first: u16, count: u16, headroom: u16) {
    let ranges = json!([{"first": first, "last": first + count - 1}]);
    plan["ports"] = json!({"ranges": ranges, "sources": [source], "headroom": headroom});
}

/// An address at which nobody listens.
pub fn closed() -> SocketAddr {
    let parked = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    parked.local_addr().expect("an address")
}

/// Listens at an address at which somebody listened before.
pub fn listen(at: SocketAddr, backlog: u32) -> TcpListener {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_reuseaddr(true).expect("an option");
    socket.bind(at).expect("bind");
    socket.listen(backlog).expect("listen")
}

/// What a server does with a connection.
#[derive(Clone, Copy)]
pub enum Does {
    /// Reads a request and answers with these bytes, then waits for the other side.
    Answers(&'static str),
    /// The same, and closes.
    AnswersAndCloses(&'static str),
    /// Reads a request and says nothing.
    Nothing,
    /// Answers with a byte now and then.
    Drips,
    /// Answers with a head that never ends.
    Floods,
    /// Resets it.
    Resets,
}

/// A server that does the same with every connection.
pub async fn server(does: Does) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            tokio::spawn(serve(tcp, does));
        }
    });
    address
}

async fn serve(tcp: TcpStream, does: Does) {
    if matches!(does, Does::Resets) {
        tcp.set_zero_linger().expect("linger");
        return;
    }
    let mut peer = super::Peer { tcp, buf: Vec::new() };
    while peer.head().await.is_some() {
        let sent = match does {
            Does::Answers(text) => peer.tcp.write_all(text.as_bytes()).await,
            Does::AnswersAndCloses(text) => {
                let _it_may_be_gone = peer.tcp.write_all(text.as_bytes()).await;
                return;
            }
            Does::Nothing | Does::Resets => Ok(()),
            Does::Drips => {
                for byte in "HTTP/1.1 200 OK\r\nX: y\r\n".bytes().chain(std::iter::repeat(b'z')) {
                    if peer.tcp.write_all(&[byte]).await.is_err() {
                        return;
                    }
                    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
                }
                Ok(())
            }
            Does::Floods => loop {
                if peer.tcp.write_all(format!("X: {}\r\n", "y".repeat(1000)).as_bytes()).await.is_err() {
                    return;
                }
            },
        };
        if sent.is_err() {
            return;
        }
    }
}

impl Gated {
    /// What is told of a server of the first service.
    pub fn server(&self, at: usize) -> Value {
        self.service()["servers"][at].clone()
    }

    /// The word of how it stands, by its monitor.
    pub fn phase(&self) -> String {
        self.server(0)["monitor"]["phase"].as_str().unwrap_or("none").to_string()
    }

    /// What its monitor says, in a sentence.
    pub fn text(&self) -> String {
        let explained: Value = serde_json::from_str(&self.gate.explain_json(&Default::default())).expect("JSON");
        explained["monitors"][0]["text"].as_str().unwrap_or("none").to_string()
    }

    /// Failed verdicts that are still known.
    pub fn failures(&self) -> usize {
        let verdicts = self.server(0)["monitor"]["verdicts"].as_array().cloned().unwrap_or_default();
        verdicts.iter().filter(|v| v["verdict"].as_str().is_some_and(|word| word.starts_with("failed"))).count()
    }

    /// The sum of a metric over the lines that have all of `labels`.
    pub fn metric(&self, name: &str, labels: &str) -> u64 {
        let text = self.gate.metrics_text();
        let lines = text.lines().filter(|line| line.starts_with(name) && line.contains(labels));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum::<f64>() as u64
    }

    /// How many probes have begun.
    pub fn probes(&self) -> u64 {
        self.metric("tidegate_ports_leases_total", "use=\"probe\"")
    }

    /// Waits until so many probes more have begun.
    pub async fn probed(&self, more: u64) {
        let begun = self.probes() + more;
        self.until("it is probed", |gated| gated.probes() >= begun).await;
    }

    pub async fn until_phase(&self, phase: &str) {
        self.until(phase, |gated| gated.phase() == phase && gated.server(0)["monitor"]["known"] == true).await;
    }

    /// No call and no session came of it, and the server was told of none.
    pub fn assert_untouched(&self) {
        assert_eq!((self.counter("arrived"), self.counter("admitted")), (0, 0), "{}", self.status());
        assert_eq!(self.service()["sessions"], json!({"unsettled": 0, "settled": 0}));
        self.assert_conserved();
    }
}

/// Connections between gates and `port` that are in this state of the kernel's.
pub fn sockets(state: &str, port: u16) -> usize {
    let table = std::fs::read_to_string("/proc/self/net/tcp").expect("the kernel's list");
    let (port, source) = (format!(":{port:04X}"), format!("{:08X}:", u32::from_le_bytes(SOURCE)));
    let is = |line: &&str| {
        let mut fields = line.split_whitespace().skip(1);
        let ends = [fields.next(), fields.next()];
        let has = |part: &str| ends.iter().flatten().any(|end| end.starts_with(part) || end.ends_with(part));
        fields.next() == Some(state) && has(&port) && has(&source)
    };
    table.lines().filter(is).count()
}

/// The kernel's number of TIME_WAIT.
pub const TIME_WAIT: &str = "06";
