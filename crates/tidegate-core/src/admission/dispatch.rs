//! Filling free slots: from the queues, or past them when everything passes.

use super::call::{Calls, State};
use super::event::{Action, CallId, Class, ServerId};
use super::machine::Machine;
use super::server::{Server, least_loaded};
use super::stand::reason_of;
use crate::queue::Place;
use crate::reason::Reason;
use crate::time::Nanos;

/// Whose calls may go where they are not bound to.
struct Free {
    /// Servers whose sessions are taken for dead.
    dead: Vec<ServerId>,
    /// Standbys help.
    standbys: bool,
}

impl Free {
    /// The servers whose calls may go to this one, beside those that are bound to none; `None`: it takes only its own.
    fn of(&self, server: &Server) -> Option<&[ServerId]> {
        (self.standbys || !server.standby).then_some(&self.dead)
    }
}

impl Machine {
    /// A server with a free slot for a call bound to `bound`, or to none. Who is bound to a dead server is bound to none.
    pub(super) fn slot_for(
        &self,
        now: Nanos,
        bound: Option<ServerId>,
        fits: impl Fn(&Server) -> bool,
    ) -> Option<ServerId> {
        let bound = bound.filter(|bound| !self.servers.get(usize::from(bound.0)).is_some_and(Server::dead));
        let help = self.standbys_help();
        let open = |id, server: &Server| bound.map_or(help || !server.standby, |bound| bound == id);
        let free = |id, server: &Server| open(id, server) && server.has_slot(now);
        least_loaded(&self.servers, |id, server| free(id, server) && fits(server))
    }

    /// Fills free slots from the queues until there is none, or nobody who may take it.
    pub(super) fn dispatch(&mut self, now: Nanos, out: &mut Vec<Action>) {
        self.dispatched = now;
        self.relax(now);
        self.judge_batches(now);
        if self.passes_all() {
            return self.let_all_pass(now, out);
        }
        while self.queues.total() > 0 && !self.maintenance && !self.draining {
            self.skip_polls();
            let free = Free { dead: self.dead(), standbys: self.standbys_help() };
            let heads = |server: ServerId, state: &Server| self.next_for(now, server, state, &free);
            let able = least_loaded(&self.servers, |id, server| heads(id, server).is_some());
            let Some(server) = able else { return };
            let Some((index, reserved_slot)) =
                self.servers.get(usize::from(server.0)).and_then(|state| self.next_for(now, server, state, &free))
            else {
                return;
            };
            self.serve(now, index, server, reserved_slot, out);
        }
    }

    /// The servers whose sessions are taken for dead.
    fn dead(&self) -> Vec<ServerId> {
        let dead = self.servers.iter().enumerate().filter(|(_, server)| server.dead());
        dead.map(|(index, _)| ServerId(index as u16)).collect()
    }

    /// The held call that goes to `server` next, and whether it takes the probes' reserved slot.
    fn next_for(&self, now: Nanos, server: ServerId, state: &Server, free: &Free) -> Option<(u32, bool)> {
        let dead = free.of(state);
        if state.reachable(now)
            && !state.probing
            && state.has_means()
            && let Some(probe) = self.queues.first(Class::Probe, server, dead, u32::MAX)
        {
            return Some((probe, true));
        }
        if !state.has_slot(now) {
            return None;
        }
        if let Some(poll) = self.urgent(now, server, dead) {
            return Some((poll, false));
        }
        let bulk_cap = self.plan.bulk_per_client_min.max(state.limit / 8);
        let cap = |class| match class {
            Class::NewSession if !state.may_begin(now, self.plan.silence) => None,
            Class::Bulk if state.recovery.keeps_bulk_out(self.queues.count(Class::NewSession) > 0) => None,
            Class::Bulk => Some(bulk_cap),
            _ => Some(u32::MAX),
        };
        let first: [Option<u32>; 6] = std::array::from_fn(|class| {
            cap(Class::ALL[class]).and_then(|cap| self.queues.first(Class::ALL[class], server, dead, cap))
        });
        let heads = first.map(|index| index.and_then(|index| self.calls.get(index)).map(|call| call.place.work));
        let class = self.shares.choose(&heads)?;
        first[class as usize].map(|index| (index, false))
    }

    /// The oldest poll of a settled session, once it has waited for a quarter of its patience. It then goes before all
    /// others, its client's share or not: a poll that is not answered in time costs its client the session, and everybody
    /// the far greater work of a new one. Where polls alone are more than a server can serve, letting still more clients in
    /// would only take the sessions of others.
    fn urgent(&self, now: Nanos, server: ServerId, dead: Option<&[ServerId]>) -> Option<u32> {
        let index = self.calls.find(*self.polls.front()?)?;
        let call = self.calls.get(index)?;
        let waited = now.since(call.arrived).0 >= call.deadline.since(call.arrived).0 / 4;
        let here = match call.place.bound {
            Some(bound) => bound == server || dead.is_some_and(|dead| dead.contains(&bound)),
            None => dead.is_some(),
        };
        (waited && here).then_some(index)
    }

    /// Takes a call out of the queue and admits it, unless it could no longer be answered in time.
    fn serve(&mut self, now: Nanos, index: u32, server: ServerId, reserved_slot: bool, out: &mut Vec<Action>) {
        let Some(call) = self.calls.get(index) else {
            return;
        };
        let (place, deadline, expiry, wanting) = (call.place, call.deadline, call.token_expiry, call.wanting);
        let waiting = std::array::from_fn(|class| self.queues.count(Class::ALL[class]) > 0);
        let urgent = self.polls.front().is_some_and(|poll| self.calls.find(*poll) == Some(index));
        if urgent && self.queues.remove(&place, index) {
            self.queues.charge(&place); // it may not be its queue's next one
        } else {
            self.queues.serve(&place, index);
        }
        self.clients.release(place.client, index);
        // A call was given up at a time that was planned when it came; calls may take longer since. The server is idle: what is
        // expected of it may be out of date, and only an answer can put it right.
        let idle = self.servers.get(usize::from(server.0)).is_some_and(|server| server.in_flight == 0);
        let end = if idle { deadline } else { self.give_up(call) };
        let late = if expiry.is_some_and(|expiry| expiry <= now) {
            Some(Reason::TokenDead)
        } else if now >= end {
            Some(wanting.map_or(Reason::Deadline, reason_of))
        } else {
            None
        };
        if let Some(reason) = late {
            self.queues.done(&place, 0);
            return self.turn_away(now, index, reason, out);
        }
        self.shares.dispatched(&self.plan.guarantees, place.class, place.work, waiting);
        self.admit(now, index, server, reserved_slot, out);
    }

    /// Bypass or observe: everything passes, whatever the limit.
    pub(super) fn let_all_pass(&mut self, now: Nanos, out: &mut Vec<Action>) {
        if !self.passes_all() {
            return self.dispatch(now, out);
        }
        let held: Vec<u32> = self.queues.iter().collect();
        for index in held {
            self.leave_queue(index);
            self.pass(now, index, out);
        }
    }

    /// Admits a call past every limit, and notes what would have become of it.
    pub(super) fn pass(&mut self, now: Nanos, index: u32, out: &mut Vec<Action>) {
        let Some(place) = self.calls.get(index).map(|call| call.place) else {
            return;
        };
        let free = self.slot_for(now, place.bound, |_| true).is_some();
        let help = self.standbys_help();
        let usable = |_, server: &Server| server.down.is_none() && (help || !server.standby);
        let server = place.bound.or_else(|| least_loaded(&self.servers, usable));
        let server = server.or_else(|| least_loaded(&self.servers, |_, _| true)).unwrap_or(ServerId(0));
        self.queues.charge(&place);
        self.admit(now, index, server, false, out);
        if !free && !self.bypass {
            self.observe(now, index, &place, out);
        }
    }

    fn observe(&mut self, now: Nanos, index: u32, place: &Place, out: &mut Vec<Action>) {
        let slots: u64 = self.servers.iter().map(|server| u64::from(server.allowed())).sum();
        let calls: u64 = self.servers.iter().map(|server| u64::from(server.in_flight)).sum();
        let over = self.work_in_flight * calls.saturating_sub(slots) / calls.max(1);
        let predicted = self.predicted(now, place, 0, over);
        let room = self.plan.client_timeout - self.plan.margin;
        let turn_away = predicted.filter(|predicted| *predicted > room).map(|_| Reason::TooLate);
        *(if turn_away.is_some() { &mut self.counters.would_turn_away } else { &mut self.counters.would_hold }) += 1;
        out.push(Action::Observed { call: self.calls.id(index), turn_away, predicted });
    }

    /// A poll of a settled session is held.
    pub(super) fn remember_poll(&mut self, id: CallId) {
        self.polls.push_back(id);
        if self.polls.len() > 2 * self.queues.count(Class::Steady) as usize + 64 {
            let calls = &self.calls;
            self.polls.retain(|id| held(calls, *id));
        }
    }

    /// Forgets the polls at the front that are held no more.
    pub(super) fn skip_polls(&mut self) {
        while self.polls.front().is_some_and(|id| !held(&self.calls, *id)) {
            self.polls.pop_front();
        }
    }
}

fn held(calls: &Calls, id: CallId) -> bool {
    calls.find(id).and_then(|index| calls.get(index)).is_some_and(|call| call.state == State::Held)
}
