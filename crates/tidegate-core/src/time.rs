//! Time as the core knows it: a point ([`Nanos`]) and a length ([`Span`]), both in nanoseconds.
//!
//! The core never reads a clock. Whoever drives it (the gate, the simulator, a test) passes `now` in, so the same
//! events give the same decisions anywhere.

use serde::{Deserialize, Serialize};
use std::ops::{Add, Sub};

/// A point in time: nanoseconds since an origin that the driver chose. Never goes back between two events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Nanos(pub u64);

/// A length of time in nanoseconds, never negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Span(pub u64);

impl Nanos {
    /// The end of time: a deadline that never comes.
    pub const NEVER: Nanos = Nanos(u64::MAX);

    /// How long after `earlier` this is; zero when it is not after it.
    pub fn since(self, earlier: Nanos) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }
}

impl Span {
    /// No time at all.
    pub const ZERO: Span = Span(0);

    /// `n` milliseconds.
    pub const fn millis(n: u64) -> Span {
        Span(n.saturating_mul(1_000_000))
    }

    /// `n` seconds.
    pub const fn secs(n: u64) -> Span {
        Span(n.saturating_mul(1_000_000_000))
    }

    /// `seconds`, rounded down to a nanosecond; negative and NaN give zero, what does not fit gives the longest span.
    pub fn from_secs_f64(seconds: f64) -> Span {
        Span((seconds * 1e9) as u64) // `as` saturates and maps NaN to 0, which is what the doc promises
    }

    /// In seconds.
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1e9
    }

    /// This span times `factor` (≥ 0), saturating.
    pub fn mul_f64(self, factor: f64) -> Span {
        Span((self.0 as f64 * factor) as u64)
    }
}

impl Add<Span> for Nanos {
    type Output = Nanos;
    fn add(self, span: Span) -> Nanos {
        Nanos(self.0.saturating_add(span.0))
    }
}

impl Sub<Span> for Nanos {
    type Output = Nanos;
    fn sub(self, span: Span) -> Nanos {
        Nanos(self.0.saturating_sub(span.0))
    }
}

impl Add for Span {
    type Output = Span;
    fn add(self, other: Span) -> Span {
        Span(self.0.saturating_add(other.0))
    }
}

impl Sub for Span {
    type Output = Span;
    fn sub(self, other: Span) -> Span {
        Span(self.0.saturating_sub(other.0))
    }
}
