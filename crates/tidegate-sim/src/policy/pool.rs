//! The servers as a plain proxy sees them: how many calls it has sent to each and not got back.

use crate::engine::CallNo;
use tidegate_core::recent::KeyMap;

/// Calls in flight by server.
#[derive(Clone, Debug)]
pub(super) struct Pool {
    in_flight: Vec<u32>,
    at: KeyMap<CallNo, u16>,
}

impl Pool {
    pub fn new(servers: u16) -> Pool {
        Pool { in_flight: vec![0; usize::from(servers.max(1))], at: KeyMap::default() }
    }

    /// The server of a call's session, else the one with the fewest calls.
    pub fn pick(&self, bound: Option<u16>) -> u16 {
        let least = || self.in_flight.iter().enumerate().min_by_key(|(_, calls)| **calls);
        bound.or_else(|| least().map(|(server, _)| server as u16)).unwrap_or_default()
    }

    /// Notes that a call is sent.
    pub fn send(&mut self, call: CallNo, server: u16) {
        self.at.insert(call, server);
        self.in_flight.get_mut(usize::from(server)).into_iter().for_each(|calls| *calls += 1);
    }

    /// Notes that a call is back, or given up; gives its server.
    pub fn back(&mut self, call: CallNo) -> Option<u16> {
        let server = self.at.remove(&call)?;
        self.in_flight.get_mut(usize::from(server)).into_iter().for_each(|calls| *calls -= 1);
        Some(server)
    }

    /// Where a call was sent.
    pub fn at(&self, call: CallNo) -> Option<u16> {
        self.at.get(&call).copied()
    }

    /// Calls in flight at a server.
    pub fn load(&self, server: u16) -> u32 {
        self.in_flight.get(usize::from(server)).copied().unwrap_or_default()
    }

    /// Calls in flight.
    pub fn total(&self) -> u32 {
        self.in_flight.iter().sum()
    }

    /// How many servers there are.
    pub fn servers(&self) -> u16 {
        self.in_flight.len() as u16
    }

    /// Forgets all calls.
    pub fn clear(&mut self) {
        self.in_flight.fill(0);
        self.at.clear();
    }
}
