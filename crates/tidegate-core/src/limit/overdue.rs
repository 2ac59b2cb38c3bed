//! Calls in flight by age: those that should have been answered long ago.
//!
//! Past its knee a server may keep answering some calls as fast as ever while others make no progress at all (a lock that
//! goes to whoever asks next). Answers alone never show that; the calls that are missing do.

use crate::time::{Nanos, Span};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A call is overdue at this many times the time that its work is expected to take: so far, plus so many times the scatter.
/// Of calls as scattered as exponential ones (1.0) that is one in 240; a call that is stuck gets to any number.
const OVERDUE: (f64, f64) = (2.0, 3.5);
/// Calls that are looked at, oldest first: enough to tell a quarter of any limit that is still being searched for.
const LOOK_AT: usize = 1024;

/// The calls in flight at one server.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub(super) struct InFlight {
    /// Work in thousandths of a unit, by admission.
    calls: BTreeMap<(Nanos, u32), u64>,
}

/// JSON has no keys of two parts.
type Written = Vec<((Nanos, u32), u64)>;

impl From<Written> for InFlight {
    fn from(calls: Written) -> InFlight {
        InFlight { calls: calls.into_iter().collect() }
    }
}

impl From<InFlight> for Written {
    fn from(in_flight: InFlight) -> Written {
        in_flight.calls.into_iter().collect()
    }
}

impl InFlight {
    pub fn begin(&mut self, now: Nanos, call: u32, work: u64) {
        self.calls.insert((now, call), work);
    }

    pub fn end(&mut self, since: Nanos, call: u32) {
        self.calls.remove(&(since, call));
    }

    pub fn len(&self) -> u32 {
        self.calls.len() as u32
    }

    /// Seconds for which the calls admitted since `began` have been in flight, all together.
    pub fn seconds_since(&self, began: Nanos, now: Nanos) -> f64 {
        self.calls.range((began, 0)..).map(|((since, _), _)| now.since(*since).as_secs_f64()).sum()
    }

    /// How many are overdue when a unit of work takes `unit` seconds with that scatter; `slack`: what clocks may add.
    /// `times`: so many times over.
    pub fn overdue(&self, now: Nanos, unit: f64, scatter: f64, slack: Span, times: f64) -> u32 {
        let factor = times * (OVERDUE.0 + OVERDUE.1 * scatter.min(1.0));
        let late = |(since, work): (Nanos, u64)| {
            now.since(since).as_secs_f64() > factor * unit * work as f64 / 1000.0 + slack.as_secs_f64()
        };
        self.calls.iter().take(LOOK_AT).filter(|((since, _), work)| late((*since, **work))).count() as u32
    }
}
