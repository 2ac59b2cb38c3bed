//! A constant offered rate: request k is meant for k ÷ rate after the start, on connection k mod K, whether or not the ones
//! before it have been answered; its latency counts from then, so that a server that stalls cannot hide it.

use super::histogram::Histogram;
use super::{Ends, Load};
use crate::process::{Command, SelfReport, SelfWatch, say};
use serde::Serialize;
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

/// A timer's own coarseness: a request that is late by less than this was sent on time.
const COARSE: Duration = Duration::from_millis(1);

#[derive(Serialize)]
struct Final {
    kind: &'static str,
    offered: u64,
    answered: u64,
    #[serde(flatten)]
    ends: Ends,
    seconds: f64,
    p50_ms: Option<f64>,
    p99_ms: Option<f64>,
    p999_ms: Option<f64>,
    max_ms: f64,
    #[serde(flatten)]
    itself: SelfReport,
}

#[derive(Default)]
struct Seen {
    ends: Ends,
    latencies: Histogram,
    offered: u64,
}

/// Offers them, then says what came of it. A request that got no answer counts as an end, not as a latency.
pub async fn offer(load: Load, watch: SelfWatch, commands: &mut mpsc::Receiver<Command>) {
    let (load, seen) = (Rc::new(load), Rc::new(RefCell::new(Seen::default())));
    let began = Instant::now();
    let mut connections = JoinSet::new();
    for index in 0..load.spec.connections {
        connections.spawn_local(connection(index, Rc::clone(&load), began, Rc::clone(&seen)));
    }
    let all = async { while connections.join_next().await.is_some() {} };
    tokio::select! {
        () = all => {}
        () = stopped(commands) => {}
    }
    let seen = seen.borrow();
    say(&Final {
        kind: "final",
        offered: seen.offered,
        answered: seen.latencies.total(),
        ends: seen.ends.clone(),
        seconds: began.elapsed().as_secs_f64(),
        p50_ms: seen.latencies.quantile_ms(0.5),
        p99_ms: seen.latencies.quantile_ms(0.99),
        p999_ms: seen.latencies.quantile_ms(0.999),
        max_ms: seen.latencies.max_ms(),
        itself: watch.report(),
    });
}

/// Returns when the process is told to stop.
pub async fn stopped(commands: &mut mpsc::Receiver<Command>) {
    while !matches!(commands.recv().await, Some(Command::Stop) | None) {}
}

async fn connection(index: u32, load: Rc<Load>, began: Instant, seen: Rc<RefCell<Seen>>) {
    let (rate, total) = (load.spec.rate, (load.spec.rate * load.spec.duration_s).round() as u64);
    let mut line = None;
    for number in (u64::from(index)..total).step_by(load.spec.connections as usize) {
        let meant = began + Duration::from_secs_f64(number as f64 / rate);
        sleep_until(meant).await;
        let from = Instant::now().min(meant + COARSE);
        let mut ends = Ends::default();
        line = load.ask_counted(index, line, &mut ends).await;
        let mut seen = seen.borrow_mut();
        seen.offered += 1;
        seen.ends.timeouts += ends.timeouts;
        seen.ends.resets += ends.resets;
        for (status, count) in ends.statuses {
            *seen.ends.statuses.entry(status).or_default() += count;
            seen.latencies.add(from.elapsed().as_micros() as u64);
        }
    }
}
