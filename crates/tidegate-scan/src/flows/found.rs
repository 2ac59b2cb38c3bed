//! What a finding says: one form for all of them.

use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

use super::ladder::Ladder;

/// Frames that a finding names, at most.
pub(crate) const FRAMES_MAX: usize = 20;
/// Groups that a finding names, at most.
pub(crate) const GROUPS_MAX: usize = 10;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    Notice,
    /// It will hurt.
    Warning,
    /// It hurts.
    Critical,
}

/// How sure it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Confidence {
    /// A hint.
    Low,
    /// Likely.
    Medium,
    /// The frames say so.
    High,
}

/// A frame of a capture. Frames are in the order in which their packets were told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Frame {
    /// The number of the packet among all packets, from 1: the same for any number of shards.
    #[serde(skip)]
    pub number: u64,
    /// The file: its place in the report's files.
    pub file: u32,
    /// The number of the record in that file, from 1.
    pub frame: u64,
}

/// Those who have a finding in common.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Group {
    /// Who that is, in words.
    pub who: String,
    /// How often.
    pub count: u64,
    /// What else is known of it. Names end in their units: `_s`, `_ms`, `_percent`.
    pub facts: Map<String, Value>,
}

/// Something that went wrong.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Found {
    /// What: the last part of the rule's name.
    pub finding: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// How sure it is.
    pub confidence: Confidence,
    /// How it came out, where there is more than one way.
    pub outcome: Option<String>,
    /// How often.
    pub count: u64,
    /// When first, in nanoseconds since 1970.
    pub first: u64,
    /// When last.
    pub last: u64,
    /// Frames that show it, the first ones, 20 at most.
    pub frames: Vec<Frame>,
    /// The worst groups, 10 at most, the worst first.
    pub groups: Vec<Group>,
    /// What else is known. Names end in their units: `_s`, `_ms`, `_percent`.
    pub facts: BTreeMap<&'static str, Value>,
    /// How often at which time: seconds since 1970, and a count.
    pub timeline: Vec<[u64; 2]>,
    /// An example, frame by frame.
    pub ladder: Option<Ladder>,
}

/// The source ports of one client towards one server port.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BucketLine {
    /// Who talks to whom, in words: `10.0.0.1 -> 10.0.0.2:443`.
    pub bucket: String,
    /// Flows that stand and are not over.
    pub live: u64,
    /// Flows in TIME-WAIT.
    pub time_wait: u64,
    /// Different source ports that were seen.
    pub ports_seen: u64,
    /// The range that the client seems to choose from: first and last port.
    pub range: [u16; 2],
    /// Live and TIME-WAIT of the range, 0 to 1.
    pub share: f64,
}

/// The first frames of something.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Firsts(Vec<Frame>);

impl Firsts {
    /// One more, if it is among the first.
    pub fn add(&mut self, frame: Frame) {
        let place = self.0.partition_point(|earlier| *earlier < frame);
        if place < FRAMES_MAX && self.0.get(place) != Some(&frame) {
            self.0.insert(place, frame);
            self.0.truncate(FRAMES_MAX);
        }
    }

    /// Those of another shard.
    pub fn absorb(&mut self, other: Self) {
        other.0.into_iter().for_each(|frame| self.add(frame));
    }

    /// All of them.
    pub fn frames(&self) -> Vec<Frame> {
        self.0.clone()
    }
}
