//! The alert for a stale gateway: too many of one answer within some minutes.

use crate::time::{Nanos, Span};
use std::collections::VecDeque;

/// More than 10 within 300 s (KB 440879).
const MANY: usize = 11;
const WITHIN: Span = Span::secs(300);

/// Notes answers that say that the token of a gateway to a host is not accepted any more.
#[derive(Clone, Debug, Default)]
pub struct StaleGateway {
    /// The latest ones, at most [`MANY`].
    times: VecDeque<Nanos>,
}

impl StaleGateway {
    /// There was one more. True when that raises the alert.
    pub fn note(&mut self, now: Nanos) -> bool {
        let raised = self.raised(now);
        if self.times.len() == MANY {
            self.times.pop_front();
        }
        self.times.push_back(now);
        !raised && self.raised(now)
    }

    /// Whether there were too many within the last five minutes.
    pub fn raised(&self, now: Nanos) -> bool {
        self.times.len() == MANY && self.times.front().is_some_and(|first| now.since(*first) < WITHIN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_eleventh_raises_it_and_five_minutes_end_it() {
        let mut alert = StaleGateway::default();
        let raised: Vec<u64> = (1..=12).filter(|n| alert.note(Nanos(0) + Span::secs(*n))).collect();
        assert_eq!(raised, [11]);
        assert!(alert.raised(Nanos(0) + Span::secs(301)), "the second to the twelfth are eleven");
        assert!(!alert.raised(Nanos(0) + Span::secs(302)));
    }

    proptest! {
        #[test]
        fn it_is_the_number_of_the_last_five_minutes(gaps in prop::collection::vec(0..120u64, 1..60)) {
            let mut alert = StaleGateway::default();
            let (mut now, mut times) = (Nanos(0), Vec::new());
            for gap in gaps {
                now = now + Span::secs(gap);
                let before = alert.raised(now);
                times.push(now);
                let many = times.iter().filter(|at| now.since(**at) < WITHIN).count() >= MANY;
                prop_assert_eq!(alert.note(now), many && !before);
                prop_assert_eq!(alert.raised(now), many);
            }
        }
    }
}
