//! A storm recorded at a live gate replays in this process to the same decisions.

#![allow(clippy::expect_used, reason = "tests")]

mod support;
use serde_json::{Value, json};
use std::path::Path;
use support::{Gated, Origin, Peer, plan, start};
use tidegate_core::trace::{Report, TraceError, replay};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

/// A client of the gate that records.
struct Recorder {
    stream: UnixStream,
    answer: Vec<u8>,
}

impl Recorder {
    async fn ask(path: &Path, body: &Value) -> Recorder {
        let mut stream = UnixStream::connect(path).await.expect("connect");
        let body = body.to_string();
        let head = format!("POST /record HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", body.len());
        stream.write_all((head + &body).as_bytes()).await.expect("send");
        Recorder { stream, answer: Vec::new() }
    }

    /// Reads until the first line of the trace is there.
    async fn begun(&mut self) {
        while !self.answer.windows(8).any(|bytes| bytes == b"\"begin\":") || !self.answer.ends_with(b"\n") {
            assert!(self.stream.read_buf(&mut self.answer).await.expect("read") > 0, "it ended");
        }
    }

    async fn rest(mut self) -> (String, Vec<u8>) {
        self.stream.read_to_end(&mut self.answer).await.expect("read");
        let end = self.answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").expect("a head");
        let body = self.answer.split_off(end + 4);
        (String::from_utf8(self.answer).expect("text"), body)
    }

    /// Says that it is enough and takes the trace.
    async fn enough(mut self) -> Vec<u8> {
        self.stream.shutdown().await.expect("shut down");
        self.rest().await.1
    }
}

fn played(trace: &[u8]) -> Result<Report, TraceError> {
    replay(|| Ok(trace))
}

async fn gated(folder: &Path) -> Gated {
    let mut plan = plan(Origin::start().await.echo(), 2);
    plan["admin"]["unix"] = json!(folder.join("admin.sock"));
    start(&plan)
}

#[tokio::test]
async fn a_recorded_storm_replays_identically() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("admin.sock");
    let gated = gated(folder.path()).await;
    let mut early = Peer::connect(gated.address).await;
    early.get("/early").await;
    let mut recorder = Recorder::ask(&path, &json!({"service": null, "for_s": 3600})).await;
    recorder.begun().await;
    let address = gated.address;
    let storm: Vec<_> = (0..40)
        .map(|n| {
            tokio::spawn(async move {
                let mut peer = Peer::connect(address).await;
                for _ in 0..5 {
                    peer.send(format!("GET /{n} HTTP/1.1\r\nHost: a\r\n\r\n")).await;
                    if n % 7 != 3 {
                        peer.answer().await; // the others leave in the middle
                    }
                }
            })
        })
        .collect();
    let mut other = plan(Origin::start().await.echo(), 3);
    other["admin"]["unix"] = json!(path);
    gated.gate.apply(other.to_string().as_bytes()).expect("applied");
    for client in storm {
        client.await.expect("a client");
    }
    early.get("/late").await;
    gated.until("all is done", |g| g.in_flight() == 0).await;
    let trace = recorder.enough().await;
    let report = played(&trace).expect("a whole trace");
    assert!(report.identical, "{report:?}");
    assert!(report.events > 300 && report.decisions > 150, "{report:?}");
    let secret = gated.address.to_string();
    assert!(!String::from_utf8_lossy(&trace).contains(&secret), "a trace names no address");
    gated.assert_conserved();
}

#[tokio::test]
async fn it_ends_when_its_time_is_over_and_one_records_at_a_time() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("admin.sock");
    let _gated = gated(folder.path()).await;
    let mut first = Recorder::ask(&path, &json!({"service": "s", "for_s": 3600})).await;
    first.begun().await;
    let (head, words) = Recorder::ask(&path, &json!({"service": "s", "for_s": 1})).await.rest().await;
    assert!(head.starts_with("HTTP/1.1 409 "), "{head}");
    assert!(String::from_utf8_lossy(&words).contains("recorded already"));
    assert_eq!(played(&first.enough().await).expect("whole").events, 0);
    let short = Recorder::ask(&path, &json!({"service": "s", "for_s": 0.01})).await.rest().await;
    assert!(short.0.starts_with("HTTP/1.1 200 "), "{}", short.0);
    assert!(played(&short.1).expect("whole").identical);
}

#[tokio::test]
async fn what_cannot_be_recorded_is_said() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("admin.sock");
    let _gated = gated(folder.path()).await;
    for (body, status) in [
        (json!({"service": "nope", "for_s": 1}), 404),
        (json!({"service": null, "for_s": 0}), 400),
        (json!({"service": null, "for_s": 1e9}), 400),
        (json!({"service": null}), 400),
        (json!({"service": null, "for_s": 1, "file": "/x"}), 400),
    ] {
        let (head, _) = Recorder::ask(&path, &body).await.rest().await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{body}: {head}");
    }
}
