//! Collisions by the way in which they came out.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde_json::{Map, json};
use tidegate_core::flow::Outcome;

use super::Case;
use crate::flows::found::{Confidence, FRAMES_MAX, Found, Frame, GROUPS_MAX, Group, Severity};
use crate::flows::look::Bucket;
use crate::flows::summary::Summary;

/// Client, server and port that are told apart for each way, at most.
const BUCKETS_MAX: usize = 10_000;
/// Examples of each way.
const EXAMPLES_MAX: usize = 20;

/// How a collision came out, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Way {
    Silent,
    Rejected,
    Unanswered,
    NoRetry,
    Retried,
    Superseded,
    Undecided,
}

impl Way {
    fn words(self) -> &'static str {
        match self {
            Way::Silent => "silently dropped",
            Way::Rejected => "rejected",
            Way::Unanswered => "challenge unanswered",
            Way::NoRetry => "challenge, reset, no retry",
            Way::Retried => "challenge, reset, retry succeeded",
            Way::Superseded => "superseded",
            Way::Undecided => "undecided",
        }
    }

    fn severity(self) -> Severity {
        match self {
            Way::Silent | Way::Rejected | Way::Unanswered | Way::NoRetry => Severity::Critical,
            Way::Retried => Severity::Warning,
            Way::Superseded | Way::Undecided => Severity::Notice,
        }
    }

    /// The way of an outcome; of none: undecided. A challenge that was answered waits for its retry.
    pub fn of(outcome: Option<Outcome>) -> Way {
        match outcome {
            None => Way::Undecided,
            Some(Outcome::Challenged) => Way::NoRetry,
            Some(Outcome::Unanswered) => Way::Unanswered,
            Some(Outcome::Superseded) => Way::Superseded,
            Some(Outcome::Rejected) => Way::Rejected,
            Some(Outcome::Silent) => Way::Silent,
        }
    }
}

/// All collisions that came out one way.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    count: u64,
    span: Option<(u64, u64)>,
    idle_ms: Option<(u64, u64)>,
    reuse_ms: Option<(u64, u64)>,
    occupants: BTreeMap<&'static str, u64>,
    buckets: BTreeMap<Bucket, Of>,
    /// Collisions of those that found no place among the buckets.
    cut: u64,
    examples: Vec<Case>,
}

/// The collisions of one client with one server's port.
#[derive(Clone, Copy, Debug, Default)]
struct Of {
    count: u64,
    idle_ms: Option<(u64, u64)>,
    reuse_ms: Option<(u64, u64)>,
}

fn widen(range: &mut Option<(u64, u64)>, other: Option<(u64, u64)>) {
    let both = [*range, other];
    *range = both.into_iter().flatten().reduce(|one, next| (one.0.min(next.0), one.1.max(next.1)));
}

fn point(value: u64) -> Option<(u64, u64)> {
    Some((value, value))
}

fn seconds((least, most): (u64, u64)) -> (f64, f64) {
    (least as f64 / 1000.0, most as f64 / 1000.0)
}

impl Of {
    fn add(&mut self, other: Of) {
        self.count = self.count.saturating_add(other.count);
        widen(&mut self.idle_ms, other.idle_ms);
        widen(&mut self.reuse_ms, other.reuse_ms);
    }
}

impl Tally {
    /// One more.
    pub fn add(&mut self, case: Case) {
        let of = Of { count: 1, idle_ms: point(case.idle_ms), reuse_ms: point(case.reuse_ms) };
        self.bucket(case.bucket, of);
        self.count = self.count.saturating_add(1);
        widen(&mut self.span, Some((case.first, case.last)));
        widen(&mut self.idle_ms, of.idle_ms);
        widen(&mut self.reuse_ms, of.reuse_ms);
        let occupants = self.occupants.entry(case.occupant.name()).or_default();
        *occupants = occupants.saturating_add(1);
        self.examples.push(case);
        self.trim();
    }

    fn trim(&mut self) {
        self.examples.sort_by_key(Case::order);
        self.examples.truncate(EXAMPLES_MAX);
    }

    fn bucket(&mut self, bucket: Bucket, of: Of) {
        if self.buckets.len() < BUCKETS_MAX || self.buckets.contains_key(&bucket) {
            self.buckets.entry(bucket).or_default().add(of);
        } else {
            self.cut = self.cut.saturating_add(of.count);
        }
    }

    /// Takes over those of another shard.
    pub fn absorb(&mut self, other: Tally) {
        self.count = self.count.saturating_add(other.count);
        self.cut = self.cut.saturating_add(other.cut);
        widen(&mut self.span, other.span);
        widen(&mut self.idle_ms, other.idle_ms);
        widen(&mut self.reuse_ms, other.reuse_ms);
        for (state, count) in other.occupants {
            let occupants = self.occupants.entry(state).or_default();
            *occupants = occupants.saturating_add(count);
        }
        other.buckets.into_iter().for_each(|(bucket, of)| self.bucket(bucket, of));
        self.examples.extend(other.examples);
        self.trim();
    }

    /// What it comes to. `dropped`: collisions that nobody could follow.
    pub fn found(&self, way: Way, dropped: u64, sum: &Summary<'_>) -> Option<Found> {
        let (first, last) = self.span?;
        let mut frames: Vec<Frame> = self.examples.iter().flat_map(|case| case.frames.clone()).collect();
        frames.truncate(FRAMES_MAX);
        frames.sort_unstable();
        let mut facts = BTreeMap::from([("occupants", json!(self.occupants))]);
        for (names, range) in [
            (("occupant_idle_least_s", "occupant_idle_most_s"), self.idle_ms),
            (("port_reused_least_s", "port_reused_most_s"), self.reuse_ms),
        ] {
            if let Some((least, most)) = range.map(seconds) {
                facts.extend([(names.0, json!(least)), (names.1, json!(most))]);
            }
        }
        if self.cut > 0 {
            facts.insert("cut", json!(self.cut));
        }
        if dropped > 0 {
            facts.insert("not_followed", json!(dropped));
        }
        Some(Found {
            finding: "tuple-collision",
            severity: way.severity(),
            confidence: if sum.gaps > 0 { Confidence::Medium } else { Confidence::High },
            outcome: Some(way.words().to_owned()),
            count: self.count,
            first,
            last,
            frames,
            groups: groups(self, sum),
            facts,
            timeline: Vec::new(),
            ladder: self.examples.iter().find_map(|case| sum.ladders.ladder(case.key, sum.hosts)),
        })
    }
}

fn groups(tally: &Tally, sum: &Summary<'_>) -> Vec<Group> {
    let mut worst: Vec<(&Bucket, &Of)> = tally.buckets.iter().collect();
    worst.sort_by_key(|(bucket, of)| (Reverse(of.count), **bucket));
    let group = |(bucket, of): (&Bucket, &Of)| {
        let mut facts = Map::new();
        if let Some((least, most)) = of.idle_ms.map(seconds) {
            facts.insert("occupant_idle_least_s".to_owned(), json!(least));
            facts.insert("occupant_idle_most_s".to_owned(), json!(most));
        }
        if let Some((least, _)) = of.reuse_ms.map(seconds) {
            facts.insert("port_reused_least_s".to_owned(), json!(least));
        }
        let server = sum.hosts.socket(bucket.server, bucket.port);
        Group { who: format!("{} -> {server}", sum.hosts.name(bucket.client)), count: of.count, facts }
    };
    worst.into_iter().take(GROUPS_MAX).map(group).collect()
}
