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

mod tally;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};

use tidegate_core::flow::{Key, Note, Outcome, State};

use self::tally::{Tally, Way};
use crate::flows::cold::bit;
use crate::flows::found::{Found, Frame};
use crate::flows::look::{Bucket, Ended, Leaving, Look};
use crate::flows::report::pending;
use crate::flows::summary::Summary;

/// Collisions that have not come out yet, at most.
const CASES_MAX: usize = 16_384;
/// Frames of one example.
const EXAMPLE_FRAMES: usize = 8;

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
            for live in sum.live().filter(|live| live.flow.contested()) {
                if let (Some(case), Some(outcome)) = (all.cases.get_mut(&live.key), pending(&live, sum.to)) {
                    case.outcome = Some(outcome);
                }
            }
        }
        let mut open: Vec<Key> = all.cases.keys().copied().collect();
        open.sort_unstable();
        open.into_iter().for_each(|key| all.settle(key));
        all.tallies.iter().filter_map(|(way, tally)| tally.found(*way, all.dropped, sum)).collect()
    }
}

/// `established, silent for 2.0 s`.
fn occupant(state: State, idle_ms: u64) -> String {
    let (seconds, tenths) = (idle_ms / 1000, idle_ms % 1000 / 100);
    format!("{}, silent for {seconds}.{tenths} s", state.name())
}
