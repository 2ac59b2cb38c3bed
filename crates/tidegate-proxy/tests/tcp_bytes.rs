//! Every byte once and in order, whatever the sizes, the direction and the end; large transfers go through the kernel.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "tests")]

mod support;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::json;
use std::sync::LazyLock;
use std::time::Duration;
use support::{Gated, Origin, Peer, start};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

/// The bytes that a side sends, again and again: a prime number of them, so that no size that is used divides it.
static PATTERN: LazyLock<Vec<u8>> =
    LazyLock::new(|| (0..65_521u64).map(|at| (at.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as u8).collect());

/// The stretches of the pattern that begin at `at` and are `n` bytes in sum.
fn stretches(mut at: usize, mut n: usize) -> impl Iterator<Item = &'static [u8]> {
    std::iter::from_fn(move || {
        let begin = at % PATTERN.len();
        let stretch = &PATTERN[begin..(begin + n).min(PATTERN.len())];
        (at, n) = (at + stretch.len(), n - stretch.len());
        (!stretch.is_empty()).then_some(stretch)
    })
}

/// Sends in these pieces and ends its side.
async fn send(mut to: OwnedWriteHalf, pieces: Vec<usize>) -> OwnedWriteHalf {
    let mut at = 0;
    for piece in pieces {
        let bytes: Vec<&[u8]> = stretches(at, piece).collect();
        to.write_all(&bytes.concat()).await.expect("sent");
        at += piece;
    }
    to.shutdown().await.expect("ended");
    to
}

/// Reads to the end with this much room; how many bytes came, all of them the right ones.
async fn receive(mut from: OwnedReadHalf, room: usize) -> usize {
    let (mut part, mut at) = (vec![0; room], 0);
    loop {
        let n = from.read(&mut part).await.expect("read");
        if n == 0 {
            return at;
        }
        let mut left = &part[..n];
        for stretch in stretches(at, n) {
            let (came, rest) = left.split_at(stretch.len());
            assert!(came == stretch, "wrong bytes near {at}");
            left = rest;
        }
        at += n;
    }
}

/// Both directions at once, each in its pieces; bytes that arrived (at the server, at the client).
async fn exchange(gated: &Gated, origin: &mut Origin, up: &[usize], down: &[usize], room: usize) -> (usize, usize) {
    let mut client = Peer::connect(gated.address).await;
    client.send("!").await;
    let mut server = origin.accept().await;
    server.exactly(1).await;
    let ((from_gate, to_gate), (from_client, to_client)) = (client.tcp.into_split(), server.tcp.into_split());
    let all = async {
        tokio::join!(
            send(to_gate, up.to_vec()),
            send(to_client, down.to_vec()),
            receive(from_client, room),
            receive(from_gate, room),
        )
    };
    let (_up, _down, at_server, at_client) = tokio::time::timeout(Duration::from_secs(60), all).await.expect("in time");
    (at_server, at_client)
}

fn pieces() -> impl Strategy<Value = Vec<usize>> {
    let piece = prop_oneof![4 => 1..100usize, 3 => 1..40_000usize, 2 => 60_000..400_000usize];
    proptest::collection::vec(piece, 0..12)
}

#[test]
fn every_byte_passes_once_and_in_order() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (gated, origin) = runtime.block_on(async {
        let origin = Origin::start().await;
        let mut plan = support::plan(origin.address, 1000);
        plan["services"][0]["protocol"] = json!({"kind": "tcp"});
        (start(&plan), origin)
    });
    let origin = std::cell::RefCell::new(origin);
    let cases = (pieces(), pieces(), prop_oneof![1..2000usize, 16_384..200_000usize]);
    let mut runner = TestRunner::new(Config { cases: 40, ..Config::default() });
    let result = runner.run(&cases, |(up, down, room)| {
        let came = runtime.block_on(exchange(&gated, &mut origin.borrow_mut(), &up, &down, room));
        prop_assert_eq!(came, (up.iter().sum(), down.iter().sum()));
        Ok(())
    });
    result.unwrap();
    runtime.block_on(gated.until("all is over", |g| g.service()["open_conns"] == 0 && g.in_flight() == 0));
    gated.assert_conserved();
}

#[tokio::test]
async fn a_large_transfer_arrives_whole() {
    let mut origin = Origin::start().await;
    let mut plan = support::plan(origin.address, 4);
    plan["services"][0]["protocol"] = json!({"kind": "tcp"});
    let gated = start(&plan);
    let large = vec![1 << 20; 64];
    assert_eq!(exchange(&gated, &mut origin, &[], &large, 1 << 18).await, (0, 64 << 20));
    assert_eq!(exchange(&gated, &mut origin, &large, &[], 1 << 18).await, (64 << 20, 0));
    gated.until("all is over", |g| g.service()["open_conns"] == 0).await;
    assert_eq!(gated.service()["buffer_bytes"].as_u64().map(|bytes| bytes < 1 << 20), Some(true));
    let metrics = gated.gate.metrics_text();
    let resting = metrics.lines().find(|line| line.starts_with("tidegate_ports_quarantined{")).unwrap();
    assert!(resting.ends_with(" 0.0"), "both sides ended, so no port rests: {resting}");
}

#[tokio::test]
async fn a_reset_in_a_large_transfer_ends_both_sides() {
    let mut origin = Origin::start().await;
    let mut plan = support::plan(origin.address, 4);
    plan["services"][0]["protocol"] = json!({"kind": "tcp"});
    let gated = start(&plan);
    for from_client in [true, false] {
        let mut client = Peer::connect(gated.address).await;
        client.send("!").await;
        let mut server = origin.accept().await;
        server.exactly(1).await;
        let (mut sender, mut receiver) = if from_client { (server, client) } else { (client, server) };
        // The receiver takes a part and goes; the sender notices although it is in the middle of it.
        let sending = tokio::spawn(async move {
            let bytes = vec![7; 1 << 20];
            while sender.tcp.write_all(&bytes).await.is_ok() {}
        });
        receiver.exactly(3 << 20).await;
        socket2::SockRef::from(&receiver.tcp).set_linger(Some(Duration::ZERO)).unwrap();
        drop(receiver);
        tokio::time::timeout(Duration::from_secs(20), sending).await.expect("in time").unwrap();
        gated.until("all is over", |g| g.service()["open_conns"] == 0 && g.in_flight() == 0).await;
    }
    gated.assert_conserved();
}
