//! What a server did with the calls that were admitted at one and the same limit.
//!
//! Only calls admitted since the limit last changed count: one that began earlier spent part of its time in other company.
//! The rate comes from Little's law (slots ÷ time per unit of work), not from counting completions: a handful of calls that
//! begin together also end together, and a count over a time that is not a multiple of theirs is off by a third.
//!
//! A short window sees the short calls end and not the long ones. Where calls of equal work take equally long that does no
//! harm; where they scatter as widely as exponential ones, the time that unfinished calls have taken so far belongs to the
//! sum (the maximum-likelihood estimate of a censored exponential). In between, it counts by the scatter squared.

use super::overdue::InFlight;
use crate::time::{Nanos, Span};
use serde::{Deserialize, Serialize};

/// A sample longer than so many times what was expected of it is taken as this: it says "long", not how long.
const LONGEST: f64 = 8.0;

/// Calls that were admitted, and answered, at one limit.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Window {
    began: Option<Nanos>,
    samples: u32,
    seconds: f64,
    units: f64,
    /// Sums of seconds², seconds × units and units².
    squares: (f64, f64, f64),
}

/// What a window says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Reading {
    /// Seconds per unit of work.
    pub unit: f64,
    /// Standard error of that, as a share of it.
    pub error: f64,
    /// How far single calls are from the mean, as a share of it (coefficient of variation).
    pub scatter: f64,
    /// Seconds that a slot is taken for at a time.
    pub round: f64,
    /// Calls that were answered.
    pub samples: u32,
}

impl Window {
    /// A call is admitted: the window begins with the first one.
    pub fn begin(&mut self, now: Nanos) {
        self.began.get_or_insert(now);
    }

    /// A call of this window was answered after `seconds`; `unit` is what a unit of work is expected to take.
    pub fn add(&mut self, seconds: f64, units: f64, unit: Option<f64>) {
        let seconds = unit.map_or(seconds, |unit| seconds.min(LONGEST * unit * units));
        self.samples += 1;
        self.seconds += seconds;
        self.units += units;
        let (ss, sw, ww) = self.squares;
        self.squares = (ss + seconds * seconds, sw + seconds * units, ww + units * units);
    }

    /// Time since its first call was admitted.
    pub fn age(&self, now: Nanos) -> Span {
        self.began.map_or(Span::ZERO, |began| now.since(began))
    }

    /// Seconds of service that were seen to their end.
    pub fn seconds(&self) -> f64 {
        self.seconds
    }

    /// What it says so far; `scatter` is what is known of it from before.
    pub fn read(&self, now: Nanos, in_flight: &InFlight, scatter: f64) -> Option<Reading> {
        if self.samples == 0 || self.units <= 0.0 || self.seconds <= 0.0 {
            return None;
        }
        let (ss, sw, ww) = self.squares;
        let mean = self.seconds / self.units;
        let far = (ss - 2.0 * mean * sw + mean * mean * ww).max(0.0).sqrt() / self.seconds;
        let samples = f64::from(self.samples);
        let own = far * samples.sqrt();
        // Few samples say little of their own scatter.
        let scatter = (own * own * samples + scatter * scatter * 8.0).sqrt() / (samples + 8.0).sqrt();
        let begun = self.began.map_or(0.0, |began| in_flight.seconds_since(began, now));
        let unit = (self.seconds + scatter.min(1.0).powi(2) * begun) / self.units;
        // A call's service time weighted by itself: many cheap polls do not hide the calls that fill the slots.
        let round = ss / self.seconds;
        Some(Reading { unit, error: scatter / samples.sqrt(), scatter, round, samples: self.samples })
    }
}
