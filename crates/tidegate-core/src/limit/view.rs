//! Why a limit is what it is, as plain data: what `status`, `explain`, metrics and tests read.

use crate::reason::words;
use crate::time::Span;
use serde::{Deserialize, Serialize};

words! {
    /// How the limit of a server is found.
    LimitMode {
        /// The operator set it.
        Static = "static",
        /// It is searched for, step by step upwards.
        SlowStart = "slow-start",
        /// It is near the best that is known; now and then a little more is tried.
        Steady = "steady",
        /// The server has come back; clients are let in batch by batch.
        Recovering = "recovering",
    }
}

words! {
    /// What changed the limit last.
    LimitCause {
        /// The first limit of a server of which nothing is known, or what the operator set.
        Start = "start",
        /// It was learned in an earlier run.
        Remembered = "remembered",
        /// More in flight got more done.
        Gained = "gained",
        /// More in flight got no more done.
        NoGain = "no-gain",
        /// The server gets less done than it did with as much in flight.
        Fell = "fell",
        /// Calls in flight are overdue while others are answered.
        Stalled = "stalled",
        /// Calls take longer than clients wait.
        Slow = "slow",
        /// The server said that it cannot: refused, reset, timed out, busy.
        Overload = "overload",
        /// Nobody needed so much for a while.
        Idle = "idle",
        /// The server began anew.
        Restarted = "restarted",
    }
}

/// One server's limit, now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LimitView {
    /// How it is found.
    pub mode: LimitMode,
    /// What changed it last.
    pub cause: LimitCause,
    /// How long ago that was.
    pub since: Span,
    /// The limit with which the server got most done, as far as is known.
    pub best: Option<u32>,
    /// Time per unit of work on an unsaturated server.
    pub base: Option<Span>,
    /// Time per unit of work now.
    pub unit: Option<Span>,
    /// Work done with the limit full, in thousandths of a unit per second.
    pub rate_milli: Option<u64>,
    /// The next limit that will be tried, and in how long at the earliest.
    pub next: Option<(u32, Span)>,
}
