//! Two limits compared: whether more in flight gets more done.
//!
//! The question is put to noisy measurements, so the answer depends on how sure it can be. On a server that is *calm* (its
//! calls take about as long as on an idle one) a step up is believed to pay unless the measurements clearly say no. On one
//! that is *loaded* it must have been seen to pay.

use serde::{Deserialize, Serialize};

/// Gain of rate per gain of limit: from the first on the search goes on fast, from the second on it goes on.
pub(super) const FAST_GAIN: f64 = 0.5;
pub(super) const LEAST_GAIN: f64 = 0.15;
/// A loss of rate that is no loss: one part in twenty.
const TOLERANCE: f64 = 0.05;
/// Standard errors that a calm server is given the benefit of, and that prove a loss.
const BENEFIT: f64 = 1.5;
const PROOF: f64 = 2.5;

/// A limit and what was measured at it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Level {
    pub limit: u32,
    /// Units of work per second.
    pub rate: f64,
    /// Standard error of the rate, as a share of it.
    pub error: f64,
}

/// A level that is measured again and again is never surer than this part of one measurement: servers drift.
const MEMORY: f64 = 0.5;

impl Level {
    /// Seconds per unit of work.
    pub fn unit(self) -> f64 {
        f64::from(self.limit) / self.rate
    }

    /// This level, measured once more.
    pub fn and(self, again: Level) -> Level {
        let (old, new) = (self.error.max(1e-3).powi(2), again.error.max(1e-3).powi(2));
        let weight = (old / (old + new)).max(MEMORY * MEMORY);
        let error = (old * new / (old + new)).sqrt().max(MEMORY * again.error);
        Level { rate: self.rate + weight * (again.rate - self.rate), error, ..again }
    }
}

/// What a step up has brought.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Verdict {
    /// Nearly as much as on an idle server.
    Fast,
    /// Something.
    Slow,
    /// Next to nothing.
    Flat,
    /// Less is done than before.
    Loss,
}

/// Compares a level with a higher one; `loaded`: calls take clearly longer than on an idle server.
pub(super) fn compare(low: Level, high: Level, loaded: bool) -> Verdict {
    let gained = (high.rate / low.rate).ln();
    let offered = (f64::from(high.limit) / f64::from(low.limit)).ln();
    let error = low.error.hypot(high.error);
    let benefit = if loaded { 0.0 } else { BENEFIT * error };
    if gained < -TOLERANCE - PROOF * error {
        Verdict::Loss
    } else if gained >= FAST_GAIN * offered - benefit {
        Verdict::Fast
    } else if gained >= LEAST_GAIN * offered - benefit {
        Verdict::Slow
    } else {
        Verdict::Flat
    }
}

/// Samples that tell a step of one part in `step` from none, with calls of that scatter; within reason.
pub(super) fn samples_for(scatter: f64, step: f64) -> u32 {
    ((3.0 * scatter * step).powi(2) as u32).min(300)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level(limit: u32, rate: f64, error: f64) -> Level {
        Level { limit, rate, error }
    }

    #[test]
    fn an_exact_measurement_is_taken_at_its_word() {
        let low = level(10, 10.0, 0.0);
        for (rate, verdict) in
            [(12.0, Verdict::Fast), (10.5, Verdict::Slow), (10.0, Verdict::Flat), (9.0, Verdict::Loss)]
        {
            assert_eq!(compare(low, level(12, rate, 0.0), false), verdict, "{rate}");
        }
    }

    #[test]
    fn a_doubtful_one_is_believed_on_a_calm_server_only() {
        let (low, high) = (level(10, 10.0, 0.1), level(12, 9.8, 0.1));
        assert_eq!(compare(low, high, false), Verdict::Fast);
        assert_eq!(compare(low, high, true), Verdict::Flat);
        assert_eq!(compare(low, level(12, 6.0, 0.1), false), Verdict::Loss);
    }

    #[test]
    fn scattered_calls_need_more_samples() {
        assert!(samples_for(0.05, 6.0) < 2);
        assert_eq!(samples_for(1.0, 6.0), 300);
    }
}
