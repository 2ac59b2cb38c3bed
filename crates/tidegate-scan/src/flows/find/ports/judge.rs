//! What the ports of a bucket come to.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use tidegate_core::ledger::Watermark;

use super::{Line, REST, Taken};
use crate::flows::find::cases::group;
use crate::flows::find::range::Range;
use crate::flows::found::{Confidence, Firsts, Found, GROUPS_MAX, Severity};
use crate::flows::look::Bucket;
use crate::flows::summary::Summary;

/// Nothing is foretold beyond so many seconds: the ledger of the gate does not, either.
const HORIZON: f64 = 3600.0;

/// Fewer ports than this are no range that a client chooses from, but may be all that it wants.
const POOL: u32 = 256;

/// What is known of a bucket.
#[derive(Clone, Debug)]
pub(super) struct Judged {
    pub severity: Option<Severity>,
    pub range: Range,
    /// Connections that stand, and ports that rest, when the most were taken.
    pub stand: u64,
    pub resting: u64,
    /// The most that were taken, of the range: 0 to 1.
    pub share: f64,
    /// When that was, in milliseconds since the first packet.
    at: u64,
    /// Ports in TIME-WAIT count.
    waits: bool,
    /// When the last port is gone, in seconds after the last packet.
    left: Option<f64>,
    /// What was taken: milliseconds since the first packet, and how many.
    line: Vec<(u64, u64)>,
}

/// What is known of a bucket by the end of the capture, in milliseconds since the first packet. `None`: no port was seen.
pub(super) fn judge(taken: &Taken, end: u32) -> Option<Judged> {
    let range = Range::behind(&taken.ports, taken.opened)?;
    let waits = taken.early.saturating_mul(10) < taken.opened;
    let (mut stand, mut resting, mut most) = (0i64, 0i64, (0, 0, 0, 0));
    let mut line = Vec::new();
    for (number, [stands, rests]) in taken.level.windows() {
        let ms = taken.level.begins(number);
        if ms > u64::from(end) {
            break;
        }
        stand = stand.saturating_add(i64::from(stands));
        resting = resting.saturating_add(i64::from(rests));
        let [stand, resting] = [stand, resting].map(|sum| u64::try_from(sum).unwrap_or(0));
        let all = stand.saturating_add(if waits { resting } else { 0 }).min(u64::from(range.size()));
        line.push((ms, all));
        if all > most.0 {
            most = (all, stand, resting, ms);
        }
    }
    let size = u64::from(range.size());
    let mark = Watermark::of(u32::try_from(most.0).unwrap_or(u32::MAX), range.size());
    let severity = match mark {
        Watermark::Calm => None,
        _ if taken.collisions > 0 => Some(Severity::Critical),
        _ if pool(taken, &range) => Some(Severity::Notice),
        Watermark::Warn => Some(Severity::Notice),
        Watermark::Reap => Some(Severity::Warning),
        Watermark::Hold | Watermark::Full => Some(Severity::Critical),
    };
    let left = forecast(&line, end, size);
    let share = most.0 as f64 / size.max(1) as f64;
    Some(Judged { severity, range, stand: most.1, resting: most.2, share, at: most.3, waits, left, line })
}

/// Whether these may be workers with a port of their own each: so few ports, used again and again.
fn pool(taken: &Taken, range: &Range) -> bool {
    range.name == "seen" && taken.ports.count() < POOL
}

/// When all are taken if it goes on like in the last minute, in seconds from the end on; within an hour.
pub(super) fn forecast(line: &[(u64, u64)], end: u32, size: u64) -> Option<f64> {
    let level = |at: u32| line.iter().take_while(|(ms, _)| *ms <= u64::from(at)).last().map_or(0, |(_, taken)| *taken);
    let (now, before) = (level(end), level(end.saturating_sub(REST)));
    let seconds = f64::from(end.min(REST)) / 1000.0;
    let left = size.saturating_sub(now) as f64 * seconds / now.saturating_sub(before) as f64;
    (now > before && seconds >= 10.0 && left <= HORIZON).then_some(left)
}

pub(super) fn who(bucket: Bucket, sum: &Summary<'_>) -> String {
    format!("{} -> {}", sum.hosts.name(bucket.client), sum.hosts.socket(bucket.server, bucket.port))
}

/// Connections per second that so many ports allow, rounded down: to a tenth where that matters.
fn ceiling(ports: u32) -> f64 {
    let all = f64::from(ports) / f64::from(REST / 1000);
    if all < 10.0 { (all * 10.0).floor() / 10.0 } else { all.floor() }
}

fn facts(taken: &Taken, judged: &Judged) -> Vec<(&'static str, Value)> {
    let tenth = taken.reuse.quantile(0.1);
    let per_cent = (judged.share * 1000.0).round() / 10.0;
    let mut facts = vec![
        ("taken_percent", json!(per_cent)),
        ("live", json!(judged.stand)),
        ("time_wait", json!(judged.resting)),
        ("time_wait_counts", json!(judged.waits)),
        ("range", json!(format!("{}-{}", judged.range.low, judged.range.high))),
        ("range_of", json!(judged.range.name)),
        ("range_ports", json!(judged.range.size())),
        ("ports_seen", json!(taken.ports.count())),
        ("connections", json!(taken.opened)),
        ("collisions", json!(taken.collisions)),
        ("reuse_p10_s", json!(tenth.map(|ms| f64::from(ms) / 1000.0))),
        ("ceiling_per_s", json!(ceiling(judged.range.size()))),
        ("exhausted_in_s", json!(judged.left.map(f64::round))),
    ];
    // What is not known is not told.
    facts.retain(|(_, value)| !value.is_null());
    facts
}

pub(super) fn found(bad: &[&Line<'_>], sum: &Summary<'_>, dropped: u64) -> Option<Found> {
    let (bucket, taken, worst) = bad.first()?;
    let mut frames = Firsts::default();
    bad.iter().for_each(|(_, taken, _)| frames.absorb(taken.frames.clone()));
    let line = |(bucket, taken, judged): &&Line<'_>| {
        group(who(*bucket, sum), judged.stand.saturating_add(judged.resting), facts(taken, judged))
    };
    let half = |(_, taken): &&(u64, u64)| taken.saturating_mul(2) >= u64::from(worst.range.size());
    let over = || worst.line.iter().filter(half).map(|(ms, _)| *ms);
    let mut known: BTreeMap<&'static str, Value> = facts(taken, worst).into_iter().collect();
    known.insert("bucket", json!(who(*bucket, sum)));
    known.insert("buckets", json!(bad.len()));
    known.insert("cut", json!(dropped));
    // The ports are counted; what they are counted against is known of a client that came round, and inferred of others.
    let sure = worst.range.name == "seen" && !pool(taken, &worst.range) || taken.collisions > 0;
    let mut timeline: BTreeMap<u64, u64> = BTreeMap::new();
    for (ms, taken) in &worst.line {
        timeline.insert(sum.at(*ms) / 1_000_000_000, *taken);
    }
    Some(Found {
        finding: "port-exhaustion",
        severity: worst.severity?,
        confidence: if sure { Confidence::High } else { Confidence::Medium },
        outcome: None,
        count: bad.len() as u64,
        first: sum.at(over().min().unwrap_or(worst.at)),
        last: sum.at(over().max().unwrap_or(worst.at)),
        frames: frames.frames(),
        groups: bad.iter().take(GROUPS_MAX).map(line).collect(),
        facts: known,
        timeline: timeline.into_iter().map(|(second, taken)| [second, taken]).collect(),
        ladder: None,
    })
}
