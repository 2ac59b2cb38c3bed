//! How many requests may be sent again: a fifth of those that come, so that trying again never becomes a storm of its own.

use crate::time::{Nanos, Span};

/// Most that are sent again at the same time, per service (Envoy's default is 3 as well).
pub const RETRIES_AT_ONCE: usize = 3;
/// What one request adds, in thousandths of a retry: 20 % may be sent again.
const PER_REQUEST: u64 = 200;
/// A service with few requests may try again once in so long all the same.
const AT_LEAST_EVERY: Span = Span::secs(1);
/// Most that is saved up, in thousandths.
const SAVED_MAX: u64 = 64_000;
const ONE: u64 = 1_000;

/// The budget of one service.
#[derive(Clone, Debug)]
pub struct Retries {
    saved: u64,
    last: Nanos,
}

impl Retries {
    /// A full budget.
    pub fn new(now: Nanos) -> Retries {
        Retries { saved: SAVED_MAX, last: now }
    }

    /// A request was sent for the first time.
    pub fn sent(&mut self) {
        self.saved = (self.saved + PER_REQUEST).min(SAVED_MAX);
    }

    /// Whether one more may be sent again now, beside `others` that may have to be as well.
    pub fn may(&mut self, now: Nanos, others: u32) -> bool {
        let periods = now.since(self.last).0 / AT_LEAST_EVERY.0;
        self.last = self.last + Span(periods * AT_LEAST_EVERY.0);
        self.saved = self.saved.saturating_add(periods.saturating_mul(ONE)).min(SAVED_MAX);
        self.saved >= ONE * (u64::from(others) + 1)
    }

    /// One is sent again; false when it may not be.
    pub fn take(&mut self, now: Nanos) -> bool {
        let may = self.may(now, 0);
        self.saved -= if may { ONE } else { 0 };
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn never_more_than_a_fifth_and_one_a_second_and_what_was_saved(
            steps in prop::collection::vec((0u64..2_000, any::<bool>()), 1..500),
        ) {
            let (mut now, mut sent, mut again) = (Nanos(0), 0u64, 0u64);
            let mut retries = Retries::new(now);
            for (millis, retry) in steps {
                now = now + Span::millis(millis);
                if retry {
                    again += u64::from(retries.take(now));
                } else {
                    retries.sent();
                    sent += 1;
                }
                prop_assert!(again * ONE <= SAVED_MAX + sent * PER_REQUEST + now.0 / AT_LEAST_EVERY.0 * ONE);
            }
        }
    }

    #[test]
    fn one_a_second_where_there_are_few_requests() {
        let mut retries = Retries::new(Nanos(0));
        (0..64).for_each(|_| assert!(retries.take(Nanos(0))));
        assert!(!retries.take(Nanos(0)) && !retries.may(Nanos(999_999_999), 0));
        assert!(!retries.may(Nanos(0) + Span::secs(1), 1), "the other one may need it");
        assert!(retries.take(Nanos(0) + Span::secs(1)) && !retries.take(Nanos(0) + Span::secs(1)));
        (0..5).for_each(|_| retries.sent());
        assert!(retries.take(Nanos(0) + Span::secs(1)));
    }
}
