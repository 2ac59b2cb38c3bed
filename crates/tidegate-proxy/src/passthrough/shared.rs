//! What the connections of one service share: what was learned of its servers, and who is being held.

use super::half_open::HalfOpen;
use super::peak::Peak;
use super::seat::Seats;
use crate::home::Home;
use crate::pool::Server;
use crate::stream::Pipes;
use crate::wire::turns::Learned;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use tidegate_core::time::Nanos;

/// Most establishments of one address that count as different.
const PLACES: u32 = 64;

/// Shared by all connections of a service on one shard.
#[derive(Default)]
pub(crate) struct Shared {
    learned: RefCell<HashMap<Arc<str>, Learned>>,
    places: RefCell<HashMap<IpAddr, u64>>,
    connections: Cell<u64>,
    /// Connections by client.
    clients: RefCell<HashMap<IpAddr, u32>>,
    pub(super) half_open: RefCell<HashMap<Arc<str>, HalfOpen>>,
    pub(super) seats: Seats,
    /// Connections to servers that are in use.
    pub(super) in_use: Peak,
    pub(super) pipes: Rc<Pipes>,
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

    /// Counts a connection of the client at `address`; `None` when it has `max` of them.
    pub(super) fn join(&self, address: IpAddr, max: Option<u32>) -> Option<Joined<'_>> {
        let mut clients = self.clients.borrow_mut();
        let count = clients.entry(address).or_default();
        if max.is_some_and(|max| *count >= max) {
            return None;
        }
        *count += 1;
        Some(Joined { shared: self, address })
    }

    /// Once a second: closes who idles for too long, and shows how many are in use.
    pub(crate) fn sweep(&self, home: &Home, now: Nanos) {
        let stats = &home.service.stats;
        self.seats.look(now, &home.service.setup(), stats.open_conns.get(), (home.pressure)());
        stats.in_use_max.set(u64::from(self.in_use.most(now)));
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

/// One connection of a client. Given back when dropped.
pub(super) struct Joined<'a> {
    shared: &'a Shared,
    address: IpAddr,
}

impl Drop for Joined<'_> {
    fn drop(&mut self) {
        let mut clients = self.shared.clients.borrow_mut();
        if let Some(count) = clients.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                clients.remove(&self.address);
            }
        }
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
    fn a_client_has_so_many_connections() {
        let shared = Shared::default();
        let (a, b) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        let one = shared.join(a, Some(2));
        let two = shared.join(a, Some(2));
        assert!(one.is_some() && two.is_some() && shared.join(a, Some(2)).is_none());
        assert!(shared.join(b, Some(2)).is_some() && shared.join(a, None).is_some());
        drop(one);
        assert!(shared.join(a, Some(2)).is_some());
        drop(two);
        assert!(shared.clients.borrow().is_empty());
    }

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
