//! The timers of calls: held calls are given up, calls in flight expire, slots come out of quarantine.

use super::call::State;
use super::event::Action;
use super::machine::Machine;
use super::server::Server;
use super::stand::reason_of;
use crate::reason::Reason;
use crate::time::Nanos;

impl Machine {
    /// When the driver must send [`Event::Wake`](super::Event::Wake), if nothing else happens before.
    pub fn next_wake(&self) -> Option<Nanos> {
        let timer = self.timers.first().map(|timer| timer.0);
        // A retry that was due when slots were filled last was tried then, or nobody could: only an event changes that.
        let tried = self.servers.iter().filter(|server| !server.kept());
        let retries = tried.filter_map(|server| server.down.filter(|retry| !retry.trying));
        let retry =
            retries.map(|retry| retry.at).filter(|at| *at > self.dispatched).min().filter(|_| self.queues.total() > 0);
        timer.into_iter().chain(retry).chain(self.next_relaxed()).chain(self.next_batch()).min()
    }

    pub(super) fn wake(&mut self, now: Nanos, out: &mut Vec<Action>) {
        while let Some(&(at, index)) = self.timers.first().filter(|timer| timer.0 <= now) {
            self.timers.remove(&(at, index));
            match self.calls.get(index).map(|call| call.state) {
                Some(State::Held) => {
                    let reason = self.why_given_up(index);
                    self.turn_away(now, index, reason, out);
                }
                Some(State::InFlight(in_flight)) if in_flight.expired => {
                    self.count(index);
                    let call = self.free(index); // the quarantine is over: the slot is free, the late answer unknown
                    if let Some(call) = call {
                        self.queues.done(&call.place, call.place.work);
                        self.recover(now, &call, in_flight, None, out);
                    }
                }
                Some(State::InFlight(_)) => self.expire(now, index, out),
                None => {}
            }
        }
        self.dispatch(now, out);
    }

    fn expire(&mut self, now: Nanos, index: u32, out: &mut Vec<Action>) {
        let id = self.calls.id(index);
        let Some(call) = self.calls.get_mut(index) else {
            return;
        };
        call.timer = now + self.plan.quarantine;
        self.timers.insert((call.timer, index));
        if let State::InFlight(in_flight) = &mut call.state {
            in_flight.expired = true;
        }
        let in_flight = call.in_flight();
        self.counters.expired += 1;
        let terms = self.terms();
        let server = in_flight.map(|in_flight| usize::from(in_flight.server.0));
        if let Some(server) = server.and_then(|server| self.servers.get_mut(server)) {
            server.finder.iter_mut().for_each(|finder| finder.overload(now, terms));
            server.judge(now, terms);
        }
        in_flight.into_iter().for_each(|at| self.overdue(now, at));
        out.push(Action::Expire { call: id });
    }

    fn why_given_up(&self, index: u32) -> Reason {
        let Some(call) = self.calls.get(index) else {
            return Reason::Deadline;
        };
        let down = |server: &Server| server.down.is_some();
        let unreachable = match call.place.bound {
            Some(server) => self.servers.get(usize::from(server.0)).is_some_and(down),
            None => self.servers.iter().all(down),
        };
        match (self.maintenance, unreachable, call.wanting, call.staggered) {
            (true, ..) => Reason::Maintenance,
            (_, true, ..) => Reason::ServerDown,
            (_, _, Some(cause), _) => reason_of(cause),
            (.., true) => Reason::TooLate,
            _ => Reason::Deadline,
        }
    }
}
