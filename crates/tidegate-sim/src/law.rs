//! How much a server gets done, in units of work per second, at a concurrency of `n` jobs.
//!
//! Three laws, each with a knee after which more concurrency means less work done:
//!
//! - [`LawKind::Usl`]: Gunther's Universal Scalability Law, `X(n) = n / (S (1 + σ(n−1) + κ n(n−1)))` with σ = 0.02 and κ
//!   chosen so that the best n, `√((1−σ)/κ)`, is the knee. It degrades slowly; latency tells in time.
//! - [`LawKind::Cliff`]: linear up to the knee, then down to 5 % of the best rate within a quarter of the knee (a working
//!   set that no longer fits).
//! - [`LawKind::Convoy`]: a lock convoy: past the knee fewer and fewer jobs get the lock. Those that do are served in the
//!   constant `S`; the others make (nearly) no progress until their clients time out. Answered calls never look slow.

use serde::{Deserialize, Serialize};
use tidegate_core::time::Span;

/// Contention of the USL: the share of the work that is serial, where nothing else is said.
pub const SIGMA: f64 = 0.02;
/// Cliff and convoy: how far past the knee, as a share of it, they reach their bottom.
const FALL: f64 = 0.25;
/// Cliff and convoy: the most that is left of the best rate at the bottom.
const BOTTOM: f64 = 0.05;
/// Convoy: how fast a stuck job moves, as a share of a served one's speed (together they stay within [`BOTTOM`]).
const STUCK: f64 = 0.005;

/// Which law.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LawKind {
    /// Universal Scalability Law.
    Usl,
    /// Linear, then a cliff.
    Cliff,
    /// Lock convoy.
    Convoy,
}

/// Why a law was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LawError {
    /// The knee is below 1.
    #[error("the knee is 0 jobs: give at least 1")]
    Knee,
    /// A unit of work takes no time.
    #[error("a unit of work takes no time: give more than 0 s")]
    Unit,
    /// A coefficient of the USL that is not one.
    #[error("sigma must be 0 to 1 (and less than 1), kappa more than 0 and at most 1")]
    Coefficients,
}

/// A law with its knee and its unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Law {
    kind: LawKind,
    knee: u32,
    unit_s: f64,
    sigma: f64,
    kappa: f64,
}

/// How `n` running jobs move: the `fast` ones at one rate (units per second each), the others at another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Split {
    pub fast: usize,
    pub fast_rate: f64,
    pub slow_rate: f64,
}

impl Law {
    /// The law `kind` whose best concurrency is `knee` jobs (≥ 1), where one unit of work alone takes `unit` (> 0).
    pub fn new(kind: LawKind, knee: u32, unit: Span) -> Result<Law, LawError> {
        if knee == 0 {
            return Err(LawError::Knee);
        }
        if unit == Span::ZERO {
            return Err(LawError::Unit);
        }
        let knee_f = f64::from(knee);
        let kappa = (1.0 - SIGMA) / (knee_f * knee_f);
        Ok(Law { kind, knee, unit_s: unit.as_secs_f64(), sigma: SIGMA, kappa })
    }

    /// The USL with these coefficients: 0 ≤ `sigma` < 1 and 0 < `kappa` ≤ 1.
    pub fn usl(sigma: f64, kappa: f64, unit: Span) -> Result<Law, LawError> {
        let fits = (0.0..1.0).contains(&sigma) && kappa > 0.0 && kappa <= 1.0;
        if !fits {
            return Err(LawError::Coefficients);
        }
        let knee = ((1.0 - sigma) / kappa).sqrt().round().max(1.0) as u32;
        Ok(Law { sigma, kappa, ..Law::new(LawKind::Usl, knee, unit)? })
    }

    /// The concurrency with the best rate, in jobs.
    pub fn knee(&self) -> u32 {
        self.knee
    }

    /// The rate at the knee, in units of work per second.
    pub fn best_rate(&self) -> f64 {
        self.rate(self.knee as usize)
    }

    /// The rate at `n` running jobs, in units of work per second. Never above [`Law::best_rate`].
    pub fn rate(&self, n: usize) -> f64 {
        let split = self.split(n);
        split.fast as f64 * split.fast_rate + (n - split.fast) as f64 * split.slow_rate
    }

    /// How `n` running jobs move.
    pub(crate) fn split(&self, n: usize) -> Split {
        let alone = 1.0 / self.unit_s;
        let jobs = n as f64;
        match self.kind {
            _ if n == 0 => Split { fast: 0, fast_rate: alone, slow_rate: 0.0 },
            LawKind::Usl => {
                let drag = 1.0 + self.sigma * (jobs - 1.0) + self.kappa * jobs * (jobs - 1.0);
                Split { fast: n, fast_rate: alone / drag, slow_rate: 0.0 }
            }
            LawKind::Cliff => {
                let knee = f64::from(self.knee);
                let rate = jobs.min(knee) * alone * (1.0 - (1.0 - BOTTOM) * self.beyond(n));
                Split { fast: n, fast_rate: rate / jobs, slow_rate: 0.0 }
            }
            LawKind::Convoy => {
                let served = (f64::from(self.knee) * (1.0 - self.beyond(n))).floor() as usize;
                let stuck = STUCK.min(BOTTOM * f64::from(self.knee) / jobs);
                Split { fast: served.min(n), fast_rate: alone, slow_rate: alone * stuck }
            }
        }
    }

    /// How far past the knee `n` is: 0 up to the knee, 1 at the bottom of the fall and after.
    fn beyond(&self, n: usize) -> f64 {
        let knee = f64::from(self.knee);
        ((n as f64 - knee) / (knee * FALL)).clamp(0.0, 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn law(kind: LawKind, knee: u32) -> Law {
        Law::new(kind, knee, Span::millis(500)).unwrap()
    }

    #[test]
    fn usl_at_a_knee_of_22_does_18_7_units_per_second() {
        let usl = law(LawKind::Usl, 22);
        assert!((usl.best_rate() - 18.68).abs() < 0.01, "{}", usl.best_rate());
        assert!(usl.rate(200) < 0.3 * usl.best_rate());
    }

    #[test]
    fn usl_by_its_coefficients_finds_its_knee() {
        let usl = Law::usl(0.02, 0.002, Span::millis(5)).unwrap();
        assert_eq!(usl.knee(), 22);
        assert!((usl.best_rate() - 1877.0).abs() < 1.0, "{}", usl.best_rate());
        assert_eq!(Law::usl(1.0, 0.002, Span::millis(5)), Err(LawError::Coefficients));
        assert_eq!(Law::usl(0.0, 0.0, Span::millis(5)), Err(LawError::Coefficients));
    }

    #[test]
    fn cliff_and_convoy_keep_a_few_percent_at_the_bottom() {
        for kind in [LawKind::Cliff, LawKind::Convoy] {
            let law = law(kind, 22);
            assert_eq!(law.best_rate(), 44.0);
            assert!(law.rate(200) <= 0.051 * law.best_rate(), "{kind:?} {}", law.rate(200));
            assert!(law.rate(23) > 0.5 * law.best_rate(), "one too many is not the end: {kind:?}");
        }
    }

    #[test]
    fn refuses_nonsense() {
        assert_eq!(Law::new(LawKind::Usl, 0, Span::secs(1)), Err(LawError::Knee));
        assert_eq!(Law::new(LawKind::Usl, 1, Span::ZERO), Err(LawError::Unit));
    }

    proptest! {
        #[test]
        fn the_knee_is_the_best_concurrency(
            kind in prop::sample::select(vec![LawKind::Usl, LawKind::Cliff, LawKind::Convoy]),
            knee in 1u32..200, n in 0usize..1000,
        ) {
            let law = law(kind, knee);
            prop_assert!(law.rate(n) <= law.best_rate() * (1.0 + 1e-12));
            prop_assert!(law.split(n).fast <= n);
            prop_assert!(n == 0 || law.rate(n) > 0.0);
        }
    }
}
