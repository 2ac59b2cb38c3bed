//! How long clients wait for an answer, learned per kind of client from those that left without one.
//!
//! Clients of a kind have one timeout, so they leave after waits of nearly the same length. The tenth percentile of those
//! waits is what is learned: an answer that comes later is wasted on every tenth client at the least. Three things keep
//! other reasons to leave from being taken for impatience:
//!
//! - Clients that leave in one moment leave for one reason (a cut cable, a balancer that was restarted): one of them counts.
//! - Where the waits do not agree nothing is learned.
//! - A client that was seen to wait longer than the others counts as one that left then, so what is learned goes up with
//!   them, or is given up.
//!
//! A **fuse** keeps what was learned from doing harm: when for a whole client timeout more than half of a kind are turned
//! away for want of patience while the servers are half idle, what was learned of that kind is forgotten.

use crate::admission::KindKey;
use crate::time::{Nanos, Span};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};

/// Kinds that are remembered; others have the timeout of the plan.
const KINDS_MAX: usize = 256;
/// Waits of a kind before anything is learned, and those that are remembered.
const LEAST: usize = 20;
const WAITS_MAX: usize = 64;
/// Waits agree when the median is at most so many times the tenth percentile.
const AGREE: f64 = 1.25;
/// A wait this much longer than the learned one contradicts it; less is the imprecision of timers.
const LONGER: f64 = 1.1;
/// Calls of a kind that must have ended before the fuse is looked at.
const FUSE_LEAST: u32 = 10;

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Kind {
    /// The last waits that ended without an answer.
    waits: VecDeque<Span>,
    learned: Option<Span>,
    /// When one left last.
    left: Nanos,
    /// Since when ends are counted for the fuse: all of them, and those turned away in vain.
    counted: Nanos,
    ended: u32,
    in_vain: u32,
}

/// Patience by kind of client.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Patience {
    table: BTreeMap<u32, Kind>,
}

impl Kind {
    fn push(&mut self, wait: Span) {
        if self.waits.len() >= WAITS_MAX {
            self.waits.pop_front();
        }
        self.waits.push_back(wait);
        let mut sorted: Vec<Span> = self.waits.iter().copied().collect();
        sorted.sort_unstable();
        let at = |part: usize| sorted.get(sorted.len() / part).copied();
        let agree = |tenth: Span, median: Span| median <= tenth.mul_f64(AGREE);
        self.learned = at(10)
            .zip(at(2))
            .filter(|(tenth, median)| sorted.len() >= LEAST && agree(*tenth, *median))
            .map(|(tenth, _)| tenth);
    }
}

impl Patience {
    /// What an earlier machine learned.
    pub fn remembered(patience: &[(KindKey, Span)]) -> Patience {
        let kind = |wait: Span| Kind {
            waits: std::iter::repeat_n(wait, LEAST).collect(),
            learned: Some(wait),
            ..Kind::default()
        };
        let known = patience.iter().filter(|(key, _)| key.0 != 0).take(KINDS_MAX);
        Patience { table: known.map(|(key, wait)| (key.0, kind(*wait))).collect() }
    }

    /// What this machine has learned, to begin another one with.
    pub fn remember(&self) -> Vec<(KindKey, Span)> {
        self.table.iter().filter_map(|(key, kind)| Some((KindKey(*key), kind.learned?))).collect()
    }

    /// How long clients of this kind wait, if that is learned.
    pub fn of(&self, kind: KindKey) -> Option<Span> {
        self.table.get(&kind.0)?.learned
    }

    /// A client left at `now` after `waited`; within a `moment` of the one before it, it says nothing new.
    pub fn left(&mut self, now: Nanos, key: KindKey, waited: Span, moment: Span) {
        if key.0 == 0 || (self.table.len() >= KINDS_MAX && !self.table.contains_key(&key.0)) {
            return;
        }
        let kind = self.table.entry(key.0).or_insert_with(|| Kind { counted: now, ..Kind::default() });
        if kind.waits.is_empty() || now.since(kind.left) >= moment {
            kind.push(waited);
        }
        kind.left = now;
    }

    /// A client was still there after `waited`, and its call has ended. `in_vain`: turned away for want of patience though
    /// there was room. True when that was too much: what was learned of its kind is forgotten.
    pub fn ended(&mut self, now: Nanos, key: KindKey, waited: Span, in_vain: bool, fuse: Span) -> bool {
        let Some(kind) = self.table.get_mut(&key.0) else { return false };
        if kind.learned.is_some_and(|learned| waited > learned.mul_f64(LONGER)) {
            kind.push(waited);
        }
        kind.ended += 1;
        kind.in_vain += u32::from(in_vain);
        if now.since(kind.counted) < fuse {
            return false;
        }
        let blown = kind.ended >= FUSE_LEAST && kind.in_vain * 2 > kind.ended;
        (kind.counted, kind.ended, kind.in_vain) = (now, 0, 0);
        if blown {
            self.table.remove(&key.0);
        }
        blown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: KindKey = KindKey(7);
    const MOMENT: Span = Span::millis(100);

    fn left_after(patience: &mut Patience, waits: impl Iterator<Item = u64>) {
        for (second, wait) in waits.enumerate() {
            patience.left(Nanos(0) + Span::secs(second as u64), KIND, Span::millis(wait), MOMENT);
        }
    }

    #[test]
    fn twenty_that_leave_after_about_as_long_teach_their_timeout() {
        let mut patience = Patience::default();
        left_after(&mut patience, (0..19).map(|i| 10_000 + i));
        assert_eq!(patience.of(KIND), None);
        patience.left(Nanos(0) + Span::secs(100), KIND, Span::secs(12), MOMENT);
        assert_eq!(patience.of(KIND), Some(Span::millis(10_002)), "one in ten leaves by then");
        assert_eq!(patience.of(KindKey(8)), None);
        assert_eq!(Patience::remembered(&patience.remember()).of(KIND), patience.of(KIND));
    }

    #[test]
    fn a_kind_that_is_not_known_is_not_learned() {
        let mut patience = Patience::default();
        (0..40).for_each(|s| patience.left(Nanos(0) + Span::secs(s), KindKey(0), Span::secs(10), MOMENT));
        assert_eq!(patience.of(KindKey(0)), None);
    }

    #[test]
    fn many_that_leave_at_once_say_as_much_as_one() {
        let mut patience = Patience::default();
        (0..300).for_each(|i| patience.left(Nanos(0) + Span(i), KIND, Span::millis(8_000 + i), MOMENT));
        assert_eq!(patience.of(KIND), None);
    }

    #[test]
    fn waits_that_do_not_agree_teach_nothing() {
        let mut patience = Patience::default();
        left_after(&mut patience, (0..40).map(|i| 250 * i));
        assert_eq!(patience.of(KIND), None);
    }

    #[test]
    fn who_waits_longer_raises_it() {
        let mut patience = Patience::default();
        left_after(&mut patience, (0..20).map(|_| 10_000));
        let ended = |patience: &mut Patience, seconds| {
            patience.ended(Nanos(0), KIND, Span::secs(seconds), false, Span::secs(30))
        };
        (0..30).for_each(|_| _ = ended(&mut patience, 9));
        assert_eq!(patience.of(KIND), Some(Span::secs(10)), "an answer in time is no contradiction");
        (0..30).for_each(|_| _ = ended(&mut patience, 20));
        assert_eq!(patience.of(KIND), None, "some leave at ten, others wait for twenty");
        left_after(&mut patience, (0..64).map(|_| 20_000));
        assert_eq!(patience.of(KIND), Some(Span::secs(20)));
    }

    #[test]
    fn what_does_harm_is_forgotten() {
        let mut patience = Patience::default();
        left_after(&mut patience, (0..20).map(|_| 3_000));
        let mut blown = Vec::new();
        for second in 0..=31 {
            let now = Nanos(0) + Span::secs(second);
            blown.push(patience.ended(now, KIND, Span::secs(1), second % 3 > 0, Span::secs(30)));
        }
        assert_eq!(blown.iter().position(|blown| *blown), Some(30), "two thirds turned away while the servers idle");
        assert_eq!(patience.of(KIND), None);
    }

    #[test]
    fn kinds_and_waits_are_bounded() {
        let mut patience = Patience::default();
        for n in 1..2000u32 {
            patience.left(Nanos(u64::from(n)), KindKey(n), Span::secs(10), MOMENT);
            patience.left(Nanos(0) + Span::secs(u64::from(n)), KIND, Span::secs(10), MOMENT);
        }
        assert_eq!(patience.table.len(), KINDS_MAX);
        assert_eq!(patience.table[&KIND.0].waits.len(), WAITS_MAX);
    }
}
