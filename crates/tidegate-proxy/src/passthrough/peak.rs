//! How many connections were in use at once, at most, within the last minute.

use std::cell::Cell;
use tidegate_core::time::{Nanos, Span};

/// Length of a part of the minute.
const PART: Span = Span::secs(10);
/// So many parts, the current one included.
const PARTS: usize = 6;

/// Counts, and remembers the most.
#[derive(Default)]
pub(super) struct Peak {
    now: Cell<u32>,
    most: Cell<[u32; PARTS]>,
    /// Number of the current part since the clock's beginning.
    part: Cell<u64>,
}

impl Peak {
    /// One more is in use.
    pub(super) fn add(&self) {
        self.now.set(self.now.get() + 1);
        let mut most = self.most.get();
        most[0] = most[0].max(self.now.get());
        self.most.set(most);
    }

    /// One fewer.
    pub(super) fn sub(&self) {
        self.now.set(self.now.get().saturating_sub(1));
    }

    /// The most since a minute ago, or a little less; called at least every ten seconds.
    pub(super) fn most(&self, now: Nanos) -> u32 {
        let part = now.0 / PART.0;
        let passed = usize::try_from(part - self.part.replace(part)).unwrap_or(PARTS).min(PARTS);
        let mut most = self.most.get();
        most.rotate_right(passed % PARTS);
        most[..passed].fill(self.now.get());
        self.most.set(most);
        most.into_iter().max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_is_forgotten_after_a_minute() {
        let peak = Peak::default();
        let at = |seconds| Nanos(0) + Span::secs(seconds);
        assert_eq!(peak.most(at(1000)), 0);
        (0..5).for_each(|_| peak.add());
        (0..4).for_each(|_| peak.sub());
        assert_eq!(peak.most(at(1005)), 5);
        assert_eq!(peak.most(at(1049)), 5);
        assert_eq!(peak.most(at(1060)), 1);
        peak.sub();
        assert_eq!(peak.most(at(2000)), 0, "long after");
    }
}
