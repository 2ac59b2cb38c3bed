//! Playing a trace again.

use super::digest::digest;
use super::error::TraceError;
use super::lines::{Line, Told};
use super::read::{self, Lines};
use crate::admission::{Action, Event, Machine};
use crate::time::Nanos;
use serde::Serialize;
use std::io::{self, BufRead};

/// What a replay found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Of this report.
    pub format: u32,
    /// The service that was recorded.
    pub service: String,
    /// The version of tidegate that recorded it.
    pub version: String,
    /// Events that were told again.
    pub events: u64,
    /// Actions that the machine gave.
    pub decisions: u64,
    /// The machine said the same to every event.
    pub identical: bool,
    /// Where it first said something else; nothing is told after that.
    pub first_difference: Option<Difference>,
}

/// Where a replay went another way.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// The number of the event, from 1.
    pub event: u64,
    /// Seconds after the trace began.
    pub at_s: f64,
    /// What the machine was told.
    pub told: Told,
    /// What it said now.
    pub said: Vec<Action>,
}

/// Replays the trace that `open` gives, twice: it is read once to see that it is whole.
///
/// # Errors
/// It is not a whole trace of this format.
pub fn replay<R: BufRead>(open: impl Fn() -> io::Result<R>) -> Result<Report, TraceError> {
    read::check(open()?)?;
    let mut lines = Lines::new(open()?);
    let begin = read::begin(lines.read()?.ok_or(TraceError::NotATrace)?)?;
    let mut machine = begin.machine;
    let mut report = Report {
        format: 1,
        service: begin.service,
        version: begin.version,
        events: 0,
        decisions: 0,
        identical: true,
        first_difference: None,
    };
    let mut actions = Vec::new();
    while let Line::Step { now, told, said } = lines.step()? {
        actions.clear();
        if !tell(&mut machine, now, &told, &mut actions) {
            return Err(TraceError::Corrupt { line: lines.number });
        }
        report.events += 1;
        report.decisions += actions.len() as u64;
        if digest(&actions) != said {
            let at_s = now.since(begin.now).as_secs_f64();
            report.identical = false;
            report.first_difference = Some(Difference { event: report.events, at_s, told, said: actions });
            break;
        }
    }
    Ok(report)
}

/// False when the plan is none.
fn tell(machine: &mut Machine, now: Nanos, told: &Told, out: &mut Vec<Action>) -> bool {
    match told {
        Told::Event(Event::Arrive(arrival)) => {
            machine.arrive(now, *arrival, out);
            true
        }
        Told::Event(event) => {
            machine.on_event(now, *event, out);
            true
        }
        Told::Plan(plan) => machine.apply(now, (**plan).clone(), out).is_ok(),
    }
}

/// Tells a machine whatever steps a fuzzer made up.
#[cfg(fuzzing)]
pub fn tell_lines(machine: &mut Machine, lines: &[u8]) {
    let (mut time, mut out) = (Nanos(0), Vec::new());
    for line in lines.split(|byte| *byte == b'\n') {
        if let Ok(Line::Step { now, told, .. }) = serde_json::from_slice(line) {
            time = time.max(now); // who drives a machine promises that time never goes back
            out.clear();
            let _is_a_plan = tell(machine, time, &told, &mut out);
        }
    }
}
