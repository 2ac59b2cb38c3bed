//! From one process to the next: which session is where, and who may use how much of a server's limit meanwhile.
//!
//! The process that goes serves the clients it has until they are gone; the one that comes serves the new ones. Slots pass
//! from the first to the second: [`Machine::shrink`] gives up what is not needed any more and never takes it back, and only
//! then is the other one told ([`Slots`]). What a session is, where it lives and whether it is settled goes over at once,
//! as ages, because two processes have two clocks.

use super::event::{ServerId, Slots};
use super::machine::Machine;
use crate::session::Passed;
use crate::time::Nanos;

impl Machine {
    /// Gives up the slots that are not needed any more; how many are still in use, by server. `clients`: whether
    /// connections are left that may bring calls.
    ///
    /// While calls are held nothing is given up; without clients all that is free is; else one slot stays.
    pub fn shrink(&mut self, clients: bool) -> Vec<u32> {
        let held = self.queues.total() > 0;
        let least = u32::from(clients);
        self.servers.iter_mut().map(|server| server.shrink(held, least)).collect()
    }

    /// The sessions, with the names of their servers, as they are passed on.
    pub fn pass_on(&self, now: Nanos) -> Vec<Passed> {
        let name = |server: ServerId| self.servers.get(usize::from(server.0)).map(|server| server.name.clone());
        self.sessions.pass_on(now, name)
    }

    /// Takes over the sessions of another process. Those of servers that are not in the plan are left out.
    pub fn take_over(&mut self, now: Nanos, sessions: Vec<Passed>) {
        let names = &self.servers;
        let at = |name: &str| names.iter().position(|server| server.name == name).map(|index| ServerId(index as u16));
        for (session, server) in sessions.into_iter().filter_map(|session| at(&session.server).map(|at| (session, at)))
        {
            self.sessions.take_over(now, &session, server);
        }
    }
}

impl super::server::Server {
    /// What it may use of its limit. What was given up is never taken back, whatever the process before this one says still.
    pub(super) fn share(&mut self, slots: Slots) {
        match (self.slots, slots) {
            (Some(Slots::AtMost(_)), Slots::AllBut(_)) => {}
            _ => self.slots = Some(slots),
        }
    }

    /// Gives up what is not in use, but `least` slots; nothing while calls wait for one.
    fn shrink(&mut self, held: bool, least: u32) -> u32 {
        let most = match self.slots {
            Some(Slots::AtMost(most)) => most.min(self.limit),
            Some(Slots::AllBut(used)) => self.limit.saturating_sub(used),
            None => self.limit,
        };
        let most = most.max(self.load());
        let used = if held { most } else { self.load().max(least).min(most) };
        self.slots = Some(Slots::AtMost(used));
        used
    }
}
