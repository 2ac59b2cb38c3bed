//! What the connections of one service share: what was learned of its servers, and who is being held.

use crate::pool::Server;
use crate::wire::turns::Learned;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

/// Most establishments of one address that count as different.
const PLACES: u32 = 64;

/// Shared by all connections of a service on one shard.
#[derive(Default)]
pub(crate) struct Shared {
    learned: RefCell<HashMap<Arc<str>, Learned>>,
    places: RefCell<HashMap<IpAddr, u64>>,
    connections: Cell<u64>,
}

impl Shared {
    /// A number that no other connection has.
    pub(super) fn number(&self) -> u64 {
        self.connections.replace(self.connections.get() + 1)
    }

    /// Gives `f` what is known of `server`. There are as many entries as the plan has had servers.
    pub(super) fn with_learned<T>(&self, server: &Server, f: impl FnOnce(&mut Learned) -> T) -> T {
        let mut all = self.learned.borrow_mut();
        match all.get_mut(&*server.name) {
            Some(learned) => f(learned),
            None => f(all.entry(server.name.clone()).or_default()),
        }
    }

    /// A number for an establishment from `address`, the smallest that none of its others has now. To the machine a
    /// client that opens a session again while it is held has given up the first try; a host that opens five
    /// connections at once has not, so each of those is a client of its own while it is held. Beyond `max` of them they
    /// replace one another.
    pub(super) fn place(&self, address: IpAddr, max: u32) -> Place<'_> {
        let mut places = self.places.borrow_mut();
        let taken = places.entry(address).or_default();
        let free = taken.trailing_ones();
        if free >= max.min(PLACES) {
            return Place { shared: self, address, number: 0, counted: false };
        }
        *taken |= 1 << free;
        Place { shared: self, address, number: free, counted: true }
    }
}

/// Given back when dropped.
pub(super) struct Place<'a> {
    shared: &'a Shared,
    address: IpAddr,
    pub(super) number: u32,
    counted: bool,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut places = self.shared.places.borrow_mut();
        let Some(taken) = places.get_mut(&self.address).filter(|_| self.counted) else { return };
        *taken &= !(1 << self.number);
        if *taken == 0 {
            places.remove(&self.address);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_numbered_from_the_bottom_and_given_back() {
        let shared = Shared::default();
        let address = IpAddr::from([10, 0, 0, 1]);
        let (a, b) = (shared.place(address, 2), shared.place(address, 2));
        assert_eq!((a.number, b.number), (0, 1));
        let beyond = shared.place(address, 2);
        assert_eq!(beyond.number, 0);
        drop(beyond);
        drop(a);
        assert_eq!(shared.place(address, 2).number, 0);
        drop(b);
        assert!(shared.places.borrow().is_empty());
    }
}
