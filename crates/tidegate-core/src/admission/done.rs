//! A call ends, or its connection does not even begin: slots given back, what is learned from it, calls held again.

use super::call::{Call, InFlight, State};
use super::event::{Action, CallId, Outcome};
use super::machine::Machine;
use crate::reason::Reason;
use crate::time::Nanos;

impl Machine {
    pub(super) fn client_gone(&mut self, now: Nanos, id: CallId, out: &mut Vec<Action>) {
        let Some(index) = self.calls.find(id) else {
            self.counters.unknown_call += 1;
            return;
        };
        self.left(now, index);
        let Some(call) = self.calls.get_mut(index) else {
            return;
        };
        if let State::InFlight(in_flight) = &mut call.state {
            if !in_flight.orphan {
                in_flight.orphan = true;
                self.counters.orphaned += 1;
                let server = usize::from(in_flight.server.0);
                self.servers.get_mut(server).into_iter().for_each(|server| server.orphans += 1);
            }
            return;
        }
        self.leave_queue(index);
        if let Some(call) = self.calls.remove(index) {
            self.timers.remove(&(call.timer, index));
        }
        self.counters.client_gone += 1;
        self.dispatch(now, out);
    }

    /// The call has reached its server: from here on it counts as admitted.
    pub(super) fn count(&mut self, index: u32) {
        let Some(call) = self.calls.get_mut(index) else {
            return;
        };
        let State::InFlight(in_flight) = &mut call.state else {
            return;
        };
        if in_flight.counted {
            return;
        }
        in_flight.counted = true;
        self.pending -= 1;
        self.counters.admitted += 1;
        self.servers.get_mut(usize::from(in_flight.server.0)).into_iter().for_each(|server| server.admitted += 1);
        if let Some(session) = call.session {
            self.sessions.admitted(session, call.place.work);
        }
    }

    pub(super) fn connected(&mut self, now: Nanos, id: CallId, out: &mut Vec<Action>) {
        let Some(index) = self.calls.find(id) else { return };
        let Some(in_flight) = self.calls.get(index).and_then(Call::in_flight) else { return };
        let was_down = self.reached(now, index, in_flight, out);
        self.count(index);
        if was_down {
            self.dispatch(now, out);
        }
    }

    pub(super) fn done(&mut self, now: Nanos, id: CallId, outcome: Outcome, out: &mut Vec<Action>) {
        let Some(index) = self.calls.find(id) else {
            self.counters.unknown_call += 1;
            return;
        };
        let Some(in_flight) = self.calls.get(index).and_then(Call::in_flight) else {
            self.counters.unknown_call += 1;
            return;
        };
        if outcome == Outcome::ConnectFailed && !in_flight.counted {
            self.connect_failed(now, index, in_flight, out);
        } else if let (Outcome::NotConnected(cause), false) = (outcome, in_flight.counted) {
            self.not_connected(now, index, in_flight, cause, out);
        } else {
            self.count(index);
            let Some(call) = self.free(index) else { return };
            self.learn(now, &call, in_flight, outcome, out);
            self.adapt(now, &call, in_flight, outcome);
            self.recover(now, &call, in_flight, Some(outcome), out);
        }
        self.dispatch(now, out);
    }

    /// Takes a call in flight out of the table and gives its slot back.
    pub(super) fn free(&mut self, index: u32) -> Option<Call> {
        let call = self.calls.remove(index)?;
        self.timers.remove(&(call.timer, index));
        let in_flight = call.in_flight()?;
        self.work_in_flight -= call.place.work;
        if let Some(server) = self.servers.get_mut(usize::from(in_flight.server.0)) {
            server.give_back(in_flight.reserved_slot, in_flight.orphan, in_flight.trial);
            server.end(in_flight.since, index);
        }
        Some(call)
    }

    fn learn(&mut self, now: Nanos, call: &Call, at: InFlight, outcome: Outcome, out: &mut Vec<Action>) {
        let (work, service) = (call.place.work, now.since(at.since));
        let counter = match outcome {
            Outcome::Answered { .. } => &mut self.counters.answered,
            Outcome::Overload => &mut self.counters.overload,
            Outcome::Broken | Outcome::ConnectFailed | Outcome::NotConnected(_) => &mut self.counters.broken,
            Outcome::Incomplete => &mut self.counters.incomplete,
            Outcome::Parked => &mut self.counters.parked,
        };
        *counter += 1;
        let Outcome::Answered { opened, closed } = outcome else {
            self.queues.done(&call.place, work);
            return;
        };
        if !at.orphan {
            self.waited(now, call);
        }
        if let Some(session) = opened {
            self.counters.sessions_opened += 1;
            if !at.orphan {
                self.sessions.open(now, session, call.place.client, at.server); // else nobody will ever use it
            }
        }
        if let Some(session) = call.session {
            self.sessions.answered(now, session);
        }
        if let Some(session) = call.session.filter(|_| closed) {
            self.sessions.close(session);
        }
        let window_closed = self.rate.completed(now, work, service, self.plan.rate_window);
        self.queues.done(&call.place, self.rate.true_work(work, service));
        if window_closed {
            self.replan(now, out);
        }
    }

    /// Nothing was sent: the server is down, the call is held again in its old place.
    fn connect_failed(&mut self, now: Nanos, index: u32, at: InFlight, out: &mut Vec<Action>) {
        self.counters.connect_failed += 1;
        self.pending -= 1;
        if let Some(call) = self.calls.get(index).cloned() {
            self.recover(now, &call, at, Some(Outcome::ConnectFailed), out);
        }
        let retry_at = now + self.plan.retry_server.mul_f64(self.rng.uniform(0.8, 1.2));
        if let Some(server) = self.servers.get_mut(usize::from(at.server.0)) {
            server.give_back(at.reserved_slot, at.orphan, at.trial);
            server.end(at.since, index);
            server.failed(retry_at, at.trial);
        }
        self.hold_again(now, index, at, Reason::ServerDown, out);
    }

    /// Nothing was sent, and the slot is given back: the call is held again in its old place, or turned away for `reason`.
    pub(super) fn hold_again(&mut self, now: Nanos, index: u32, at: InFlight, reason: Reason, out: &mut Vec<Action>) {
        let give_up = self.calls.get(index).map_or(now, |call| self.give_up(call));
        let passes_all = self.passes_all() || self.draining;
        let Some(call) = self.calls.get_mut(index) else {
            return;
        };
        self.work_in_flight -= call.place.work;
        self.timers.remove(&(call.timer, index));
        call.timer = give_up;
        call.state = State::Held;
        let (place, opens) = (call.place, call.opens);
        let twin = self.clients.opening(place.client).filter(|_| opens);
        if at.orphan {
            self.queues.done(&place, place.work);
            self.calls.remove(index);
            self.counters.client_gone += 1;
        } else if passes_all || give_up <= now {
            self.queues.done(&place, place.work);
            self.turn_away(now, index, reason, out);
        } else if twin.is_some() {
            self.queues.done(&place, place.work);
            self.turn_away(now, index, Reason::Superseded, out); // the newer one waits already, with the same seniority
        } else {
            self.counters.held_again += 1;
            self.enqueue(now, index, true);
            let (ahead, _) = self.queues.ahead(&place);
            out.push(Action::Hold { call: self.calls.id(index), ahead, predicted: None });
        }
    }
}
