//! Servers whose traffic fails where that of the others does not.
//!
//! Five failed calls in a row, or a rate of success that is lower than that of the rest of the service by more than chance:
//! a z-test of two proportions over windows of ten seconds, one-sided, at 3 standard errors (1 in 740), and by at least five
//! points, so that large numbers do not make small differences count.

use crate::time::{Nanos, Span};
use serde::{Deserialize, Serialize};

/// Envoy's `consecutive_5xx`, `interval` and `success_rate_request_volume`.
const IN_ROW: u32 = 5;
pub(super) const WINDOW: Span = Span::secs(10);
const CALLS_LEAST: u64 = 100;
/// Standard errors, and difference of the rates, above which a server is an outlier.
const SIGMAS: f64 = 3.0;
const POINTS: f64 = 0.05;
/// How long a server is ejected, times how often it was; Envoy's `base_ejection_time` and `max_ejection_time`.
const EJECTION: Span = Span::secs(30);
const EJECTION_MAX: Span = Span::secs(300);

/// How many servers of a service may be ejected at a time: 30 %, at least one.
pub(super) fn ejected_max(servers: usize) -> usize {
    (servers * 3 / 10).max(1)
}

/// How the calls of one server ended, in this window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Outcomes {
    pub good: u64,
    pub bad: u64,
    /// Failures in a row.
    in_row: u32,
    /// Ejections in a row, and when the last one was.
    times: u32,
    last: Nanos,
}

impl Outcomes {
    /// A call has ended. True when it was one failure too many.
    pub fn note(&mut self, good: bool) -> bool {
        self.good += u64::from(good);
        self.bad += u64::from(!good);
        self.in_row = if good { 0 } else { self.in_row.saturating_add(1) };
        self.in_row >= IN_ROW
    }

    /// The window is over.
    pub fn begin(&mut self) {
        (self.good, self.bad) = (0, 0);
    }

    /// It is ejected: for how long.
    pub fn eject(&mut self, now: Nanos) -> Span {
        self.times = if now.since(self.last) > Span(2 * EJECTION_MAX.0) { 1 } else { self.times.saturating_add(1) };
        (self.last, self.in_row) = (now, 0);
        Span(EJECTION.0.saturating_mul(u64::from(self.times))).min(EJECTION_MAX)
    }

    /// Whether this server does worse than the `rest`, by more than chance.
    pub fn worse_than(&self, rest: &Outcomes) -> bool {
        let (mine, theirs) = (self.good + self.bad, rest.good + rest.bad);
        if mine < CALLS_LEAST || theirs < CALLS_LEAST {
            return false;
        }
        let (mine, theirs) = (mine as f64, theirs as f64);
        let (rate, others) = (self.good as f64 / mine, rest.good as f64 / theirs);
        let both = (self.good + rest.good) as f64 / (mine + theirs);
        let error = (both * (1.0 - both) * (1.0 / mine + 1.0 / theirs)).sqrt();
        others - rate > POINTS && others - rate > SIGMAS * error
    }
}

impl std::iter::Sum for Outcomes {
    fn sum<I: Iterator<Item = Outcomes>>(all: I) -> Outcomes {
        all.fold(Outcomes::default(), |sum, one| Outcomes { good: sum.good + one.good, bad: sum.bad + one.bad, ..sum })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcomes(good: u64, bad: u64) -> Outcomes {
        Outcomes { good, bad, ..Outcomes::default() }
    }

    #[test]
    fn chance_makes_no_outlier() {
        assert!(!outcomes(97, 3).worse_than(&outcomes(990, 10)), "3 % of 100 may be chance");
        assert!(!outcomes(0, 99).worse_than(&outcomes(1000, 0)), "too few calls to tell");
        assert!(!outcomes(97_000, 3000).worse_than(&outcomes(990_000, 10_000)), "a small difference, however sure");
        assert!(!outcomes(0, 100).worse_than(&outcomes(0, 1000)), "all fail alike");
        assert!(outcomes(80, 20).worse_than(&outcomes(990, 10)));
        assert!(!outcomes(990, 10).worse_than(&outcomes(80, 20)), "better is no reason");
    }

    #[test]
    fn ejections_in_a_row_last_longer_up_to_a_bound() {
        let mut one = Outcomes::default();
        let now = Nanos(Span::secs(10_000).0);
        assert_eq!(one.eject(now), Span::secs(30));
        assert_eq!(one.eject(now + Span::secs(60)), Span::secs(60));
        for _ in 0..20 {
            one.eject(now + Span::secs(120));
        }
        assert_eq!(one.eject(now + Span::secs(180)), Span::secs(300));
        assert_eq!(one.eject(now + Span::secs(10_000)), Span::secs(30), "long ago is forgotten");
    }
}
