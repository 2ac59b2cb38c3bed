//! The lines of a trace, and who writes them.

use super::digest::Digest;
use super::tape::Step;
use crate::admission::{Event, Machine, Plan};
use crate::time::Nanos;
use serde::{Deserialize, Serialize};
use std::hash::Hasher;

/// Of traces; another number is not read.
pub const TRACE_FORMAT: u32 = 1;

/// What the machine was told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Told {
    /// Something has happened.
    Event(Event),
    /// A new plan was swapped in.
    Plan(Box<Plan>),
}

/// Where a trace begins.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Begin {
    /// [`TRACE_FORMAT`].
    pub format: u32,
    /// The version of tidegate that recorded it.
    pub version: String,
    /// The service whose machine it is.
    pub service: String,
    /// When.
    pub now: Nanos,
    /// The machine, whole.
    pub machine: Machine,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub(super) enum Line {
    Step {
        now: Nanos,
        told: Told,
        said: u64,
    },
    /// All that was told in that time.
    End(Ending),
    /// There was more, but it was lost.
    Cut(Ending),
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ending {
    pub steps: u64,
    /// Of every byte before this line.
    pub checksum: u64,
}

/// The first line.
#[derive(Serialize, Deserialize)]
pub(super) struct First<T> {
    pub begin: T,
}

/// Turns a machine and its steps into the lines of a trace.
#[derive(Default)]
pub struct Writer {
    checksum: Digest,
    steps: u64,
}

impl Writer {
    /// How many steps it has written.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// The first line.
    ///
    /// # Errors
    /// The machine cannot be written down (it holds a number that is none).
    pub fn begin(&mut self, begin: &Begin, out: &mut Vec<u8>) -> Result<(), serde_json::Error> {
        self.line(&First { begin }, out)
    }

    /// One step.
    ///
    /// # Errors
    /// As [`begin`](Writer::begin).
    pub fn step(&mut self, step: Step, out: &mut Vec<u8>) -> Result<(), serde_json::Error> {
        self.steps += 1;
        self.line(&Line::Step { now: step.now, told: step.told, said: step.said }, out)
    }

    /// The last line; `cut` when steps are missing before it.
    ///
    /// # Errors
    /// As [`begin`](Writer::begin).
    pub fn end(&mut self, cut: bool, out: &mut Vec<u8>) -> Result<(), serde_json::Error> {
        let ending = Ending { steps: self.steps, checksum: self.checksum.finish() };
        self.line(&if cut { Line::Cut(ending) } else { Line::End(ending) }, out)
    }

    fn line(&mut self, line: &impl Serialize, out: &mut Vec<u8>) -> Result<(), serde_json::Error> {
        let begin = out.len();
        serde_json::to_writer(&mut *out, line)?;
        out.push(b'\n');
        self.checksum.write(out.get(begin..).unwrap_or_default());
        Ok(())
    }
}
