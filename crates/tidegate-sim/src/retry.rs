//! What a host does between a failed attempt and its next one.

use crate::rng::SplitMix64;
use tidegate_core::time::Span;

/// After this many doublings the wait is at its cap in any case.
const DOUBLINGS: u32 = 32;

/// A retry policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// Somewhere between two lengths, each time anew.
    Fixed {
        /// The shortest.
        min: Span,
        /// The longest.
        max: Span,
    },
    /// Always the same short wait.
    Greedy {
        /// How long.
        wait: Span,
    },
    /// Exponential backoff with full jitter: between nothing and `base × 2^failures`, at most `cap`.
    Jittered {
        /// The bound after the first failure.
        base: Span,
        /// The highest bound.
        cap: Span,
    },
    /// As the server says (`Retry-After`); where it says nothing, as [`Retry::Fixed`].
    RetryAfter {
        /// The shortest wait of its own.
        min: Span,
        /// The longest wait of its own.
        max: Span,
    },
}

impl Retry {
    /// How long to wait after failure number `failures` (≥ 1) in a row, where the server may have said `retry_after`.
    pub fn wait(&self, failures: u32, retry_after: Option<Span>, rng: &mut SplitMix64) -> Span {
        match *self {
            Retry::Fixed { min, max } => rng.between(min, max),
            Retry::Greedy { wait } => wait,
            Retry::Jittered { base, cap } => {
                let doublings = failures.saturating_sub(1).min(DOUBLINGS);
                let bound = Span(base.0.saturating_mul(1 << doublings)).min(cap);
                rng.between(Span::ZERO, bound)
            }
            Retry::RetryAfter { min, max } => retry_after.unwrap_or_else(|| rng.between(min, max)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_policy_keeps_its_bounds() {
        let mut rng = SplitMix64::new(1);
        let (ten, twelve) = (Span::secs(10), Span::secs(12));
        for failures in 1..100 {
            let fixed = Retry::Fixed { min: ten, max: twelve }.wait(failures, Some(Span::secs(1)), &mut rng);
            assert!(fixed >= ten && fixed < twelve);
            let jittered = Retry::Jittered { base: Span::secs(1), cap: Span::secs(30) };
            let bound = 30.0f64.min(2f64.powi(failures as i32 - 1));
            assert!(jittered.wait(failures, None, &mut rng).as_secs_f64() <= bound);
            let told = Retry::RetryAfter { min: ten, max: twelve };
            assert_eq!(told.wait(failures, Some(Span::secs(3)), &mut rng), Span::secs(3));
            assert!(told.wait(failures, None, &mut rng) >= ten);
        }
    }
}
