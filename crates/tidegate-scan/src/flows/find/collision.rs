//! Tuple collisions: a SYN on a connection that is still there, and how it came out (RFC 5961 §4.2, RFC 9293 §3.10.7.4).
//!
//! The client has closed its end, or lost it, and takes the same source port again; the server, or a box between them, still
//! keeps the old connection: the occupant. Outcomes:
//!
//! - **challenge, reset, retry succeeded** (warning): as the RFC has it. It costs a SYN timeout (1 s).
//! - **challenge, reset, no retry** and **challenge unanswered** (critical): something between them swallows the challenge or the
//!   RST, or the client gave up.
//! - **rejected** and **silently dropped** (critical): a firewall or balancer keeps the occupant and refuses the SYN, or drops it.
//! - **superseded** (notice): the server took the new connection at once.
//! - **undecided** (notice): the capture ends before.
//!
//! A SYN that is repeated is one collision. Confidence is medium where the capture has gaps: an end that was not captured leaves
//! an occupant that is none.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use serde_json::{Map, json};
use tidegate_core::flow::{Key, Note, Outcome, State};

use crate::flows::cold::bit;
use crate::flows::found::{Confidence, FRAMES_MAX, Found, Frame, GROUPS_MAX, Group, Severity};
use crate::flows::look::{Bucket, Ended, Leaving, Look};
use crate::flows::report::pending;
use crate::flows::summary::Summary;

/// Collisions that have not come out yet, at most.
const CASES_MAX: usize = 16_384;
/// Client, server and port that are told apart for each way, at most.
const BUCKETS_MAX: usize = 10_000;
/// Examples of each way.
const EXAMPLES_MAX: usize = 20;
/// Frames of one example.
const EXAMPLE_FRAMES: usize = 8;

/// How a collision came out, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Way {
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

    fn of(outcome: Option<Outcome>) -> Way {
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

/// One collision.
#[derive(Clone, Debug)]
struct Case {
    key: Key,
    bucket: Bucket,
    /// The number of its SYN.
    seq: u32,
    outcome: Option<Outcome>,
    /// What held the tuple.
    occupant: State,
    /// How long that had been silent, and how long ago it had begun, in milliseconds.
    idle_ms: u64,
    reuse_ms: u64,
    first: u64,
    last: u64,
    frames: Vec<Frame>,
}

impl Case {
    fn of(look: &Look<'_, '_>) -> Case {
        Case {
            key: look.key,
            bucket: Bucket::of(look.key, look.side),
            seq: look.tcp.seq,
            outcome: None,
            occupant: look.before.state,
            idle_ms: look.before.silent(look.at).0 / 1_000_000,
            reuse_ms: u64::from(look.ms.saturating_sub(look.cold.first)),
            first: look.at.0,
            last: look.at.0,
            frames: Vec::new(),
        }
    }

    fn add(&mut self, look: &Look<'_, '_>) {
        self.last = self.last.max(look.at.0);
        if self.frames.len() < EXAMPLE_FRAMES {
            self.frames.push(look.frame);
        }
    }

    /// Which of several examples is told first.
    fn order(&self) -> (Option<Frame>, Key) {
        (self.frames.first().copied(), self.key)
    }
}

/// All collisions that came out one way.
#[derive(Clone, Debug, Default)]
struct Tally {
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
    fn add(&mut self, case: Case) {
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

    fn absorb(&mut self, other: Tally) {
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
}

/// What is remembered.
#[derive(Clone, Debug, Default)]
pub(crate) struct Collision {
    cases: HashMap<Key, Case>,
    tallies: BTreeMap<Way, Tally>,
    /// Collisions that nobody could follow.
    dropped: u64,
}

impl Collision {
    /// Whether such a segment is to be shown: what the machine made of it, and its flags.
    pub fn wants(note: Note, _flags: u8) -> bool {
        matches!(
            note,
            Note::Collision
                | Note::Challenge
                | Note::Settled(_)
                | Note::Again
                | Note::Renewed
                | Note::Answered
                | Note::RetrySucceeded
        )
    }

    /// Looks at a segment.
    pub fn note(&mut self, look: &mut Look<'_, '_>) {
        if look.step.note != Note::Collision && self.cases.is_empty() {
            return;
        }
        if let (Some(lapsed), Some(case)) = (look.step.lapsed, self.cases.get_mut(&look.key)) {
            case.outcome = Some(lapsed);
        }
        if look.step.note == Note::Collision {
            self.begin(look);
        }
        let Some(case) = self.cases.get_mut(&look.key) else { return };
        if Collision::wants(look.step.note, look.tcp.flags) {
            case.add(look);
        }
        match look.step.note {
            Note::Settled(Outcome::Challenged) => case.outcome = Some(Outcome::Challenged),
            Note::Settled(outcome) => {
                case.outcome = Some(outcome);
                self.close(look.key, Way::of(Some(outcome)));
            }
            Note::RetrySucceeded => self.close(look.key, Way::Retried),
            _ => {}
        }
    }

    fn begin(&mut self, look: &mut Look<'_, '_>) {
        if self.cases.get(&look.key).is_some_and(|case| case.seq == look.tcp.seq) {
            return;
        }
        self.settle(look.key);
        if self.cases.len() >= CASES_MAX {
            self.dropped = self.dropped.saturating_add(1);
            return;
        }
        let case = Case::of(look);
        let words = occupant(look.before.state, case.idle_ms);
        self.cases.insert(look.key, case);
        if look.ladders.watch(look.key, look.side, look.frame, words) {
            look.cold.set(bit::WATCHED);
        }
    }

    /// It comes to nothing more.
    fn settle(&mut self, key: Key) {
        if let Some(case) = self.cases.get(&key) {
            let way = Way::of(case.outcome);
            self.close(key, way);
        }
    }

    fn close(&mut self, key: Key, way: Way) {
        if let Some(case) = self.cases.remove(&key) {
            self.tallies.entry(way).or_default().add(case);
        }
    }

    /// An incarnation is no longer in the table.
    pub fn over(&mut self, ended: &Ended) {
        let retry = ended.how == Leaving::Renewed
            && self.cases.get(&ended.key).is_some_and(|case| case.outcome == Some(Outcome::Challenged));
        // The SYN-ACK that makes a SYN supersede it is told next.
        let superseded = ended.how == Leaving::Renewed && ended.flow.contested();
        if !retry && !superseded {
            self.settle(ended.key);
        }
    }

    /// Takes over what another shard remembers.
    pub fn absorb(&mut self, other: Self) {
        self.cases.extend(other.cases);
        self.dropped = self.dropped.saturating_add(other.dropped);
        for (way, tally) in other.tallies {
            self.tallies.entry(way).or_default().absorb(tally);
        }
    }

    /// What it comes to.
    pub fn find(&self, sum: &Summary<'_>) -> Vec<Found> {
        let mut all = self.clone();
        if !self.cases.is_empty() {
            for live in sum.live.iter().filter(|live| live.flow.contested()) {
                if let (Some(case), Some(outcome)) = (all.cases.get_mut(&live.key), pending(live, sum.to)) {
                    case.outcome = Some(outcome);
                }
            }
        }
        let mut open: Vec<Key> = all.cases.keys().copied().collect();
        open.sort_unstable();
        open.into_iter().for_each(|key| all.settle(key));
        all.tallies.iter().filter_map(|(way, tally)| all.found(*way, tally, sum)).collect()
    }

    fn found(&self, way: Way, tally: &Tally, sum: &Summary<'_>) -> Option<Found> {
        let (first, last) = tally.span?;
        let mut frames: Vec<Frame> = tally.examples.iter().flat_map(|case| case.frames.clone()).collect();
        frames.truncate(FRAMES_MAX);
        frames.sort_unstable();
        let mut facts = BTreeMap::from([("occupants", json!(tally.occupants))]);
        for (names, range) in [
            (("occupant_idle_least_s", "occupant_idle_most_s"), tally.idle_ms),
            (("port_reused_least_s", "port_reused_most_s"), tally.reuse_ms),
        ] {
            if let Some((least, most)) = range.map(seconds) {
                facts.extend([(names.0, json!(least)), (names.1, json!(most))]);
            }
        }
        if tally.cut > 0 {
            facts.insert("cut", json!(tally.cut));
        }
        if self.dropped > 0 {
            facts.insert("not_followed", json!(self.dropped));
        }
        Some(Found {
            finding: "tuple-collision",
            severity: way.severity(),
            confidence: if sum.gaps > 0 { Confidence::Medium } else { Confidence::High },
            outcome: Some(way.words().to_owned()),
            count: tally.count,
            first,
            last,
            frames,
            groups: groups(tally, sum),
            facts,
            timeline: Vec::new(),
            ladder: tally.examples.iter().find_map(|case| sum.ladders.ladder(case.key, sum.hosts)),
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

/// `established, silent for 2.0 s`.
fn occupant(state: State, idle_ms: u64) -> String {
    let (seconds, tenths) = (idle_ms / 1000, idle_ms % 1000 / 100);
    format!("{}, silent for {seconds}.{tenths} s", state.name())
}
