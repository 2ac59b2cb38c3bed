//! What goes wrong: servers that fall and change, a network that is cut, a gate that is restarted. The spec's own faults
//! come from the agenda; whoever drives a world may add others between two steps.

use super::World;
use super::agenda::Due;
use super::calls::CallNo;
use crate::host::Outcome;
use crate::policy::{End, Policy};
use crate::spec::{ChangeSpec, LawSpec};
use tidegate_core::time::Span;

/// A fault that whoever drives a world adds to those of the spec.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fault {
    /// A server falls with all its jobs and sessions, and is there again after some time.
    Crash(u16, Span),
    /// From now on a server works by another law.
    Law(u16, LawSpec),
    /// All clients are cut off (true), or let in again.
    Cut(bool),
    /// The gate goes away (true), or is there again.
    GateDown(bool),
    /// The client of a call leaves, as if it had given up.
    Leave(CallNo),
    /// Time jumps ahead: what was due meanwhile happens late.
    Jump(Span),
}

impl<P: Policy> World<P> {
    /// Lets a fault happen now.
    pub fn fault(&mut self, fault: Fault) {
        match fault {
            Fault::Crash(server, down) => self.crash(server, down),
            Fault::Law(server, law) => self.change_law(server, law),
            Fault::Cut(cut) => self.cut(cut),
            Fault::GateDown(down) => self.gate_down(down),
            Fault::Leave(call) => self.leave(call, Outcome::TimedOut),
            Fault::Jump(span) => self.now = self.now + span,
        }
        self.act();
    }

    /// A server falls with all its jobs and sessions, and is there again after `down`.
    pub(super) fn crash(&mut self, index: u16, down: Span) {
        let Some(server) = self.servers.get_mut(usize::from(index)) else { return };
        let lost = server.crash(self.now, &mut self.done);
        let fall = server.fall;
        self.done.clear(); // what ended just now is lost with the rest
        self.agenda.push(self.now + down, Due::Up { server: index, fall });
        for number in lost {
            self.policy.done(self.now, number, End::Broken, &mut self.verdicts);
            self.finish(number, Outcome::Broken, false);
        }
        for host in 0..self.hosts.len() as u32 {
            let session = self.hosts.get(host as usize).and_then(|state| state.session);
            if session.is_some_and(|(server, _)| server == index) {
                self.stand(host, None);
            }
        }
    }

    /// From now on a server works by another law.
    pub(super) fn change_law(&mut self, index: u16, law: LawSpec) {
        if let Some(server) = self.servers.get_mut(usize::from(index)) {
            let cold = server.cold();
            server.change(self.now, law, cold, &mut self.done);
            self.settle(usize::from(index));
        }
    }

    /// Cuts all clients off (true), or lets them in again.
    pub(super) fn cut(&mut self, cut: bool) {
        self.link_up = !cut;
        if !cut {
            return;
        }
        for number in self.calls.all() {
            self.leave(number, Outcome::Broken);
        }
        for host in 0..self.hosts.len() as u32 {
            self.stand(host, None);
        }
    }

    /// The gate goes away with everything that it holds and relays (true), or is there again with what it had learned.
    /// What the servers work on goes on.
    pub(super) fn gate_down(&mut self, down: bool) {
        if !self.policy.is_gate() || self.gate_up != down {
            return;
        }
        self.gate_up = !down;
        if !down {
            return self.policy.restart(self.now);
        }
        for number in self.calls.all() {
            if let Some((server, job)) = self.calls.get(number).and_then(|call| call.at)
                && let Some(state) = self.servers.get_mut(usize::from(server))
            {
                state.provider().leave(self.now, job, &mut self.done);
                state.disown(job);
                self.settle(usize::from(server));
            }
            self.finish(number, Outcome::Broken, false);
        }
        self.servers.iter_mut().for_each(|server| server.idle = 0);
    }

    /// A change of the spec.
    pub(super) fn change(&mut self, index: u16, number: u16) {
        let Some(server) = self.servers.get(usize::from(index)) else { return };
        let Some(change) = server.spec.changes.get(usize::from(number)).copied() else { return };
        let ChangeSpec { knee, unit_s, restart_for_s, .. } = change;
        if knee.is_some() || unit_s.is_some() {
            let law = server.law().changed(&change);
            self.change_law(index, law);
        }
        if let Some(down) = restart_for_s {
            self.to_come -= 1;
            self.crash(index, Span::from_secs_f64(down));
        }
    }

    /// A server is there again, and cold.
    pub(super) fn up(&mut self, index: u16, fall: u32) {
        let Some(server) = self.servers.get_mut(usize::from(index)).filter(|server| server.fall == fall) else {
            return;
        };
        server.up = true;
        let (law, cold_s) = (server.law(), server.spec.cold_s);
        let cold = cold_s > 0.0;
        server.change(self.now, law, cold, &mut self.done);
        self.settle(usize::from(index));
        if cold {
            self.agenda.push(self.now + Span::from_secs_f64(cold_s), Due::Warm { server: index, fall });
        }
    }

    /// A server is warm.
    pub(super) fn warm(&mut self, index: u16, fall: u32) {
        let Some(server) = self.servers.get_mut(usize::from(index)).filter(|server| server.fall == fall) else {
            return;
        };
        let law = server.law();
        server.change(self.now, law, false, &mut self.done);
        self.settle(usize::from(index));
    }
}
