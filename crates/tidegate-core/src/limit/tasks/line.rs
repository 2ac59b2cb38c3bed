//! Who waits, and who is next: first come first served within a principal, fairly between principals.

use super::event::{Ask, PrincipalIx};
use crate::admission::ClientKey;
use crate::queue::Fair;
use std::collections::{BTreeMap, BTreeSet};

/// All calls are one unit of work to the fair queue: what their tasks will take is not known.
const UNIT: u64 = 1000;

/// Calls that wait.
#[derive(Clone, Default)]
pub(super) struct Line {
    fair: Fair<Ask>,
    virtual_time: u64,
    waiting: BTreeMap<PrincipalIx, BTreeSet<(u64, Ask)>>,
    count: u32,
}

fn client(principal: PrincipalIx) -> ClientKey {
    ClientKey(principal.0.into())
}

impl Line {
    /// How many wait.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Puts one in; `order` counts up.
    pub fn push(&mut self, principal: PrincipalIx, order: u64, ask: Ask) {
        self.fair.push(client(principal), order, ask, UNIT, self.virtual_time, false);
        self.count += u32::from(self.waiting.entry(principal).or_default().insert((order, ask)));
    }

    /// The next one among those that may go.
    pub fn find(&self, may: impl FnMut(Ask) -> bool) -> Option<Ask> {
        self.fair.find(may)
    }

    /// Takes out one that goes.
    pub fn take(&mut self, principal: PrincipalIx, order: u64, ask: Ask) {
        self.virtual_time = self.fair.take(client(principal), order, self.virtual_time);
        self.uncount(principal, order, ask);
    }

    /// Takes out one that does not go.
    pub fn remove(&mut self, principal: PrincipalIx, order: u64, ask: Ask) {
        self.fair.remove(client(principal), order, ask, self.virtual_time);
        self.uncount(principal, order, ask);
    }

    /// One that went is over.
    pub fn done(&mut self, principal: PrincipalIx) {
        self.fair.done(client(principal), UNIT, UNIT, self.virtual_time);
    }

    /// The newest call of the principal that has the most of them here.
    pub fn crowd(&self) -> Option<Ask> {
        let most = self.waiting.values().max_by_key(|asks| (asks.len(), asks.last()));
        most.and_then(|asks| asks.last()).map(|(_, ask)| *ask)
    }

    /// Principals of which somebody waits.
    pub fn principals(&self) -> impl Iterator<Item = PrincipalIx> + '_ {
        self.waiting.keys().copied()
    }

    /// All that wait.
    pub fn iter(&self) -> impl Iterator<Item = Ask> + '_ {
        self.waiting.values().flatten().map(|(_, ask)| *ask)
    }

    fn uncount(&mut self, principal: PrincipalIx, order: u64, ask: Ask) {
        let Some(asks) = self.waiting.get_mut(&principal) else { return };
        self.count -= u32::from(asks.remove(&(order, ask)));
        if asks.is_empty() {
            self.waiting.remove(&principal);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_principal_that_could_not_go_for_long_gets_no_more_than_its_share_then() {
        let mut line = Line::default();
        let (held, free) = (PrincipalIx(1), PrincipalIx(2));
        (0..100).for_each(|n| line.push(held, n, Ask(n)));
        for n in 100..200 {
            line.push(free, n, Ask(n));
            assert_eq!(line.find(|ask| ask.0 >= 100), Some(Ask(n)));
            line.take(free, n, Ask(n));
        }
        (200..300).for_each(|n| line.push(free, n, Ask(n)));
        let mut gone = [0; 2];
        for _ in 0..20 {
            let next = line.find(|_| true).unwrap();
            let principal = if next.0 < 100 { held } else { free };
            gone[usize::from(principal.0) - 1] += 1;
            line.take(principal, next.0, next);
        }
        assert_eq!(gone, [11, 9], "its turn first, and then by turns");
    }

    #[test]
    fn the_crowd_is_where_most_wait() {
        let mut line = Line::default();
        assert_eq!(line.crowd(), None);
        for (principal, order) in [(1, 1), (2, 2), (2, 3), (1, 4), (2, 5), (3, 6)] {
            line.push(PrincipalIx(principal), order, Ask(order));
        }
        assert_eq!(line.crowd(), Some(Ask(5)));
        line.remove(PrincipalIx(2), 5, Ask(5));
        assert_eq!(line.crowd(), Some(Ask(4)), "two and two: the newest");
        assert_eq!((line.count(), line.principals().count(), line.iter().count()), (5, 3, 5));
    }
}
