//! How long an idle connection to a server may be kept: a little less than the server itself keeps it.
//!
//! A request that is sent in the moment in which the server closes the connection is lost, and if it is not idempotent it
//! may not be sent again. So the gate closes first: it learns from the ages at which the server closed idle connections,
//! and from what the server announces. What must not be sent twice goes only over connections that are younger than what
//! the server is known to keep.

use crate::reason::words;
use crate::time::{Nanos, Span};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Closings that are remembered, and for how long: a server may be configured anew.
const SEEN_MAX: usize = 64;
const FORGOTTEN_AFTER: Span = Span::secs(3600);
/// Fewer than this say nothing: connections break for other reasons, too.
const SEEN_MIN: usize = 3;
/// One of so many closings is left aside at the short end.
const OUTLIERS: usize = 16;
/// How much earlier than the server the gate closes; of a short time the half. A closing is found up to a second late.
const MARGIN: Span = Span::secs(2);
/// How much earlier than the server announced, or was seen to keep connections.
const ANNOUNCED_MARGIN: Span = Span::secs(1);
/// What a server is thought to keep of which nothing is known: the shortest default of common servers is 2 s (gunicorn).
const UNKNOWN: Span = Span::secs(1);

words! {
    /// How it is known how long an idle connection may be kept.
    IdleSource {
        /// The configuration says so.
        Configured = "configured",
        /// The server says so.
        Announced = "announced",
        /// The server was seen to close them.
        Learned = "learned",
    }
}

/// What is known of one server.
#[derive(Clone, Debug, Default)]
pub struct IdleTimeout {
    seen: VecDeque<(Nanos, Span)>,
    announced: Option<Span>,
    /// The longest time after which an idle connection was still open, and when that was seen.
    open: Option<(Nanos, Span)>,
    /// A request was lost on a connection that had been idle for so long, and when.
    lost: Option<(Nanos, Span)>,
}

impl IdleTimeout {
    /// The server closed these connections, found at one look, after they had been idle for so long. Connections of all
    /// ages that end together do not say anything about time: the server was restarted.
    pub fn closed(&mut self, now: Nanos, ages: &[Span]) {
        let (Some(youngest), Some(oldest)) = (ages.iter().min(), ages.iter().max()) else { return };
        if oldest.0 - youngest.0 > MARGIN.0 {
            return;
        }
        if self.seen.len() == SEEN_MAX {
            self.seen.pop_front();
        }
        self.seen.push_back((now, *youngest));
    }

    /// The server says that it keeps idle connections for so long (`Keep-Alive: timeout=N`). True when that is new.
    pub fn announced(&mut self, timeout: Span) -> bool {
        self.announced.replace(timeout) != Some(timeout)
    }

    /// A connection that has been idle for `age` is still open. A loss after less than that was no matter of time.
    pub fn open(&mut self, now: Nanos, age: Span) {
        if self.open.is_none_or(|(at, longest)| age >= longest || now.since(at) > FORGOTTEN_AFTER) {
            self.open = Some((now, age));
        }
        self.lost = self.lost.filter(|(_, lost)| age.0 <= lost.0 + MARGIN.0);
    }

    /// A request came to nothing because the server closed its connection, which had been idle for `age`.
    pub fn lost(&mut self, now: Nanos, age: Span) {
        let shortest = self.lost.map_or(age, |(_, lost)| lost.min(age));
        self.lost = Some((now, shortest));
    }

    /// How long to keep one, `configured` at most.
    pub fn keep(&mut self, now: Nanos, configured: Span) -> Span {
        self.keep_by(now, configured).0
    }

    /// As [`IdleTimeout::keep`], and how that is known.
    pub fn keep_by(&mut self, now: Nanos, configured: Span) -> (Span, IdleSource) {
        while self.seen.front().is_some_and(|(at, _)| now.since(*at) > FORGOTTEN_AFTER) {
            self.seen.pop_front();
        }
        let announced = self.announced.map(|timeout| (less(timeout, ANNOUNCED_MARGIN), IdleSource::Announced));
        let learned = self.learned().map(|time| (time, IdleSource::Learned));
        let shorter = |a: (Span, IdleSource), b: (Span, IdleSource)| if b.0 < a.0 { b } else { a };
        [announced, learned].into_iter().flatten().fold((configured, IdleSource::Configured), shorter)
    }

    /// How long a connection may have been idle, less than this, to carry a request that must not be sent twice. After a
    /// loss that is less than what was lost, until connections are seen to live longer.
    pub fn trusted(&mut self, now: Nanos, configured: Span) -> Span {
        self.lost = self.lost.filter(|(at, _)| now.since(*at) <= FORGOTTEN_AFTER);
        self.open = self.open.filter(|(at, _)| now.since(*at) <= FORGOTTEN_AFTER);
        let (keep, by) = self.keep_by(now, configured);
        let seen = match (by, self.open) {
            (IdleSource::Announced | IdleSource::Learned, _) => keep,
            (IdleSource::Configured, Some((_, age))) => less(age, ANNOUNCED_MARGIN).max(UNKNOWN),
            (IdleSource::Configured, None) => UNKNOWN,
        };
        let lost = match self.lost {
            None => keep,
            Some((_, age)) if age < UNKNOWN => Span::ZERO, // it closes at once, not after a time
            Some((_, age)) => less(age, MARGIN),
        };
        keep.min(seen).min(lost)
    }

    fn learned(&self) -> Option<Span> {
        let mut ages: Vec<Span> = self.seen.iter().map(|(_, age)| *age).collect();
        ages.sort_unstable();
        let shortest = ages.get(ages.len() / OUTLIERS).filter(|_| ages.len() >= SEEN_MIN)?;
        Some(less(*shortest, MARGIN))
    }
}

fn less(time: Span, margin: Span) -> Span {
    Span(time.0 - margin.0.min(time.0 / 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIGURED: Span = Span::secs(30);

    fn after(ages: &[u64]) -> Span {
        let mut idle = IdleTimeout::default();
        ages.iter().for_each(|age| idle.closed(Nanos(0), &[Span::secs(*age)]));
        idle.keep(Nanos(0), CONFIGURED)
    }

    #[test]
    fn a_server_that_closes_after_five_seconds_is_left_earlier() {
        assert_eq!(after(&[5, 5]), CONFIGURED, "two are no evidence");
        assert_eq!(after(&[6, 5, 6]), Span::secs(3));
        assert_eq!(after(&[2, 2, 2]), Span::secs(1));
        assert_eq!(after(&[75, 75, 75]), CONFIGURED, "what is configured stands");
        let many: Vec<u64> = std::iter::repeat_n(10, 20).chain([1]).collect();
        assert_eq!(after(&many), Span::secs(8), "one broke for another reason");
    }

    #[test]
    fn a_restart_teaches_nothing() {
        let mut idle = IdleTimeout::default();
        for _ in 0..8 {
            idle.closed(Nanos(0), &[Span::secs(1), Span::secs(9), Span::secs(20)]);
        }
        assert_eq!(idle.keep(Nanos(0), CONFIGURED), CONFIGURED);
    }

    #[test]
    fn what_the_server_says_counts_less_a_second() {
        let mut idle = IdleTimeout::default();
        idle.announced(Span::secs(5));
        assert_eq!(idle.keep(Nanos(0), CONFIGURED), Span::secs(4));
        idle.announced(Span::secs(1));
        assert_eq!(idle.keep(Nanos(0), CONFIGURED), Span::millis(500));
        idle.announced(Span::secs(0));
        assert_eq!(idle.keep(Nanos(0), CONFIGURED), Span::ZERO);
        assert_eq!(idle.keep_by(Nanos(0), CONFIGURED).1, IdleSource::Announced);
        assert_eq!(idle.trusted(Nanos(0), CONFIGURED), Span::ZERO);
    }

    #[test]
    fn what_must_not_be_lost_is_trusted_as_far_as_the_server_was_seen_to_keep() {
        let mut idle = IdleTimeout::default();
        assert_eq!(idle.trusted(Nanos(0), CONFIGURED), UNKNOWN, "nothing is known");
        idle.open(Nanos(0), Span::secs(20));
        idle.open(Nanos(0), Span::secs(3));
        assert_eq!(idle.trusted(Nanos(0), CONFIGURED), Span::secs(19));
        assert_eq!(idle.trusted(Nanos(0), Span::secs(5)), Span::secs(5), "what is configured stands");
        (0..3).for_each(|_| idle.closed(Nanos(0), &[Span::secs(6)]));
        assert_eq!(idle.trusted(Nanos(0), CONFIGURED), Span::secs(4), "a closing tells more than a long life");
    }

    #[test]
    fn one_loss_is_enough_until_connections_live_longer() {
        let mut idle = IdleTimeout::default();
        idle.open(Nanos(0), Span::secs(20));
        idle.lost(Nanos(0), Span::secs(19));
        assert_eq!(idle.trusted(Nanos(0), CONFIGURED), Span::secs(17));
        idle.lost(Nanos(0), Span::millis(50));
        assert_eq!(idle.trusted(Nanos(0), CONFIGURED), Span::ZERO, "the server closes at once");
        assert_eq!(idle.keep(Nanos(0), CONFIGURED), CONFIGURED, "what may be sent twice may try");
        idle.open(Nanos(0), Span::secs(1));
        assert_eq!(idle.trusted(Nanos(0), CONFIGURED), Span::ZERO);
        idle.open(Nanos(0), Span::secs(3));
        assert_eq!(idle.trusted(Nanos(0), CONFIGURED), Span::secs(19), "it was something else, a crash");
        idle.lost(Nanos(0), Span::ZERO);
        assert_eq!(idle.trusted(Nanos(0) + Span::secs(7200), CONFIGURED), UNKNOWN, "all is forgotten");
    }

    #[test]
    fn what_was_learned_is_forgotten_and_bounded() {
        let mut idle = IdleTimeout::default();
        (0..1000).for_each(|n| idle.closed(Nanos(n), &[Span::secs(5)]));
        assert_eq!(idle.seen.len(), SEEN_MAX);
        assert_eq!(idle.keep(Nanos(0) + Span::secs(1), CONFIGURED), Span::secs(3));
        assert_eq!(idle.keep(Nanos(0) + Span::secs(7200), CONFIGURED), CONFIGURED);
    }
}
