//! Examples, frame by frame: what each end said, as a ladder.

use serde::Serialize;

/// Rows of a ladder, at most.
const ROWS_MAX: usize = 40;
/// Cases that are shown, at most.
const CASES_MAX: usize = 64;

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

/// The cases that are shown.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ladders {}
