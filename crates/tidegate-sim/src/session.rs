//! A server's sessions: opened by a login, ended by a time without calls, by their successor, or by a restart.

use crate::rng::SplitMix64;
use std::collections::BTreeSet;
use tidegate_core::recent::KeyMap;
use tidegate_core::time::{Nanos, Span};

/// The shape of a session number: decimal, below this, as VASA providers make them.
const NUMBERS: u64 = 1_000_000_000;

#[derive(Clone, Copy, Debug)]
struct Entry {
    owner: u64,
    expires: Nanos,
    /// Where it stands in `by_expiry`.
    listed: Nanos,
}

/// The table.
#[derive(Clone, Debug)]
pub struct Sessions {
    idle: Span,
    capacity: usize,
    rng: SplitMix64,
    entries: KeyMap<u64, Entry>,
    /// By when each might end: a call of the session only moves its entry, and this is put right when that time comes.
    by_expiry: BTreeSet<(Nanos, u64)>,
    made: u64,
}

impl Sessions {
    /// An empty table: sessions end after `idle` without a call; at `capacity` (≥ 1) the one nearest its end goes first.
    pub fn new(idle: Span, capacity: usize, seed: u64) -> Sessions {
        Sessions {
            idle,
            capacity: capacity.max(1),
            rng: SplitMix64::new(seed),
            entries: KeyMap::default(),
            by_expiry: BTreeSet::new(),
            made: 0,
        }
    }

    /// Opens a session for `owner` (0: nobody in particular), in place of the one that the caller had; gives its number.
    pub fn open(&mut self, now: Nanos, owner: u64, before: Option<u64>) -> u64 {
        self.expire(now);
        if let Some(before) = before.filter(|before| self.entries.get(before).is_some_and(|old| old.owner == owner)) {
            self.remove(before);
        }
        if self.entries.len() >= self.capacity
            && let Some(first) = self.first()
        {
            self.remove(first);
        }
        let mut number = 1 + self.rng.next_u64() % (NUMBERS - 1);
        while self.entries.contains_key(&number) {
            number = 1 + number % (NUMBERS - 1);
        }
        let expires = now + self.idle;
        self.entries.insert(number, Entry { owner, expires, listed: expires });
        self.by_expiry.insert((expires, number));
        self.made += 1;
        number
    }

    /// A call of session `number` by `owner`: true when it is known, alive and theirs; it then lives on.
    pub fn touch(&mut self, now: Nanos, number: u64, owner: u64) -> bool {
        self.expire(now);
        let expires = now + self.idle;
        let Some(entry) = self.entries.get_mut(&number).filter(|entry| entry.owner == owner) else { return false };
        entry.expires = expires;
        true
    }

    /// Ends the sessions whose time is over.
    pub fn expire(&mut self, now: Nanos) {
        while self.by_expiry.first().is_some_and(|first| first.0 <= now)
            && let Some(number) = self.first()
            && self.entries.get(&number).is_none_or(|entry| entry.expires <= now)
        {
            self.remove(number);
        }
    }

    /// The session that is nearest its end.
    fn first(&mut self) -> Option<u64> {
        loop {
            let (listed, number) = *self.by_expiry.first()?;
            let Some(entry) = self.entries.get_mut(&number).filter(|entry| entry.listed < entry.expires) else {
                return Some(number);
            };
            entry.listed = entry.expires;
            self.by_expiry.remove(&(listed, number));
            self.by_expiry.insert((entry.listed, number));
        }
    }

    /// Forgets all of them, as a restart does.
    pub fn clear(&mut self) {
        self.entries.clear();
        self.by_expiry.clear();
    }

    /// How many are alive (those whose time ended since the last call included).
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many were ever opened.
    pub fn made(&self) -> u64 {
        self.made
    }

    fn remove(&mut self, number: u64) {
        if let Some(entry) = self.entries.remove(&number) {
            self.by_expiry.remove(&(entry.listed, number));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(s: u64) -> Nanos {
        Nanos(0) + Span::secs(s)
    }

    #[test]
    fn lives_while_it_is_used() {
        let mut sessions = Sessions::new(Span::secs(10), 8, 1);
        let number = sessions.open(at(0), 0, None);
        assert!(sessions.touch(at(9), number, 0));
        assert!(sessions.touch(at(18), number, 0));
        assert!(!sessions.touch(at(28), number, 0));
    }

    #[test]
    fn belongs_to_its_owner_only() {
        let mut sessions = Sessions::new(Span::secs(10), 8, 1);
        let number = sessions.open(at(0), 7, None);
        assert!(!sessions.touch(at(1), number, 8));
        sessions.open(at(1), 8, Some(number));
        assert!(sessions.touch(at(2), number, 7), "a stranger's login does not end it");
        sessions.open(at(3), 7, Some(number));
        assert!(!sessions.touch(at(4), number, 7), "its owner's next login does");
    }

    #[test]
    fn at_its_bound_the_one_that_was_not_used_goes_first() {
        let mut sessions = Sessions::new(Span::secs(10), 2, 1);
        let (first, second) = (sessions.open(at(0), 0, None), sessions.open(at(1), 0, None));
        assert!(sessions.touch(at(2), first, 0));
        sessions.open(at(3), 0, None);
        assert!(sessions.touch(at(4), first, 0) && !sessions.touch(at(4), second, 0));
    }

    #[test]
    fn is_bounded() {
        let mut sessions = Sessions::new(Span::secs(10), 2, 1);
        let first = sessions.open(at(0), 0, None);
        sessions.open(at(1), 0, None);
        sessions.open(at(2), 0, None);
        assert_eq!((sessions.len(), sessions.made()), (2, 3));
        assert!(!sessions.touch(at(2), first, 0));
    }
}
