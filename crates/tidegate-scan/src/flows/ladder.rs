//! Examples, frame by frame: what each end said, as a ladder.

use serde::Serialize;
use tidegate_core::flow::{Key, Note, Side};

use super::found::Frame;
use super::hosts::Hosts;
use super::notes::word;
use crate::capture::{Tcp, flag};

/// Rows of a ladder, at most.
const ROWS_MAX: usize = 40;
/// Cases that are shown, at most.
const CASES_MAX: usize = 64;
/// Numbers within a quarter of the circle after the first one belong to it.
const NEAR: u32 = 1 << 30;

/// Frames of one tuple, in the order in which they were told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Ladder {
    /// Host and port of the one on the left: who sent the first row.
    pub left: String,
    /// Host and port of the other one.
    pub right: String,
    /// What was there before the first row, in words.
    pub before: String,
    /// The frames, 40 at most.
    pub rows: Vec<Row>,
}

/// One frame.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// The file: its place in the report's files.
    pub file: u32,
    /// The number of the record in that file, from 1.
    pub frame: u64,
    /// When, in nanoseconds since 1970.
    pub at: u64,
    /// The one on the left sent it.
    pub from_left: bool,
    /// Its flags: `SYN|ACK`.
    pub flags: String,
    /// Its sequence number, from the first one that the sender used.
    pub seq: u32,
    /// What it acknowledges, from the first number that the other one used; `None` without ACK.
    pub ack: Option<u32>,
    /// Bytes of data.
    pub length: u32,
    /// What the machine makes of it: `challenge`. Empty: nothing to tell.
    pub note: &'static str,
}

/// A frame as it is kept.
#[derive(Clone, Copy, Debug)]
struct Rung {
    frame: Frame,
    at: u64,
    side: Side,
    flags: u8,
    seq: u32,
    ack: u32,
    length: u32,
    note: Note,
}

/// A tuple that is watched.
#[derive(Clone, Debug)]
struct Case {
    first: Frame,
    key: Key,
    left: Side,
    before: String,
    rungs: Vec<Rung>,
}

/// The cases that are shown.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ladders {
    cases: Vec<Case>,
}

impl Ladders {
    /// Shows the frames of a tuple from this one on, which the one on the `left` sends. `before`: what was there, in words. Those
    /// that are watched already, and those after the first 64, are not shown; false says so.
    pub fn watch(&mut self, key: Key, left: Side, frame: Frame, before: String) -> bool {
        let new = self.cases.len() < CASES_MAX && self.cases.iter().all(|case| case.key != key);
        if new {
            self.cases.push(Case { first: frame, key, left, before, rungs: Vec::new() });
        }
        new
    }

    /// One more frame of a tuple that is watched. False: there is no room for more.
    pub fn add(&mut self, key: Key, side: Side, frame: Frame, tcp: &Tcp<'_>, at: u64, note: Note) -> bool {
        let Some(case) = self.cases.iter_mut().find(|case| case.key == key) else { return false };
        let Tcp { flags, seq, ack, length, .. } = *tcp;
        case.rungs.push(Rung { frame, at, side, flags, seq, ack, length, note });
        case.rungs.len() < ROWS_MAX
    }

    /// Takes over those of another shard: the first ones of all are kept.
    pub fn absorb(&mut self, other: Ladders) {
        self.cases.extend(other.cases);
        self.cases.sort_by_key(|case| case.first);
        self.cases.truncate(CASES_MAX);
    }

    /// The frames of a tuple that was watched.
    pub fn ladder(&self, key: Key, hosts: &Hosts) -> Option<Ladder> {
        let case = self.cases.iter().find(|case| case.key == key)?;
        let name = |side| {
            let (host, port) = key.at(side);
            hosts.socket(host, port)
        };
        let mut numbers = [Numbers::default(), Numbers::default()];
        let rows = case.rungs.iter().map(|rung| row(rung, rung.side == case.left, &mut numbers)).collect();
        Some(Ladder { left: name(case.left), right: name(case.left.other()), before: case.before.clone(), rows })
    }
}

/// Where the numbers of one end begin: at each of its SYNs, and where an older connection's numbers are met.
#[derive(Default)]
struct Numbers(Vec<u32>);

impl Numbers {
    /// It begins here.
    fn begin(&mut self, number: u32) {
        if !self.0.contains(&number) {
            self.0.push(number);
        }
    }

    /// The number, counted from the nearest beginning.
    fn relative(&mut self, number: u32) -> u32 {
        let near = self.0.iter().map(|first| number.wrapping_sub(*first)).filter(|ahead| *ahead < NEAR).min();
        near.unwrap_or_else(|| {
            self.begin(number);
            0
        })
    }
}

fn row(rung: &Rung, from_left: bool, [left, right]: &mut [Numbers; 2]) -> Row {
    let (sender, receiver) = if from_left { (left, right) } else { (right, left) };
    let Rung { frame, at, flags, length, note, .. } = *rung;
    if flags & flag::SYN != 0 {
        sender.begin(rung.seq);
    }
    Row {
        file: frame.file,
        frame: frame.frame,
        at,
        from_left,
        flags: words(flags),
        seq: sender.relative(rung.seq),
        ack: (flags & flag::ACK != 0).then(|| receiver.relative(rung.ack)),
        length,
        note: if note == Note::Quiet { "" } else { word(note) },
    }
}

/// `SYN|ACK`.
fn words(flags: u8) -> String {
    let names = [
        (flag::SYN, "SYN"),
        (flag::FIN, "FIN"),
        (flag::RST, "RST"),
        (flag::PSH, "PSH"),
        (flag::ACK, "ACK"),
        (flag::URG, "URG"),
    ];
    let set: Vec<&str> = names.iter().filter(|(bit, _)| flags & bit != 0).map(|(_, name)| *name).collect();
    set.join("|")
}
