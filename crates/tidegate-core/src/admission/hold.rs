//! Holding a call: whether it may wait, whose place it takes, and how long.

use super::call::{Call, State};
use super::event::{Action, Class};
use super::machine::Machine;
use crate::reason::Reason;
use crate::time::Nanos;

impl Machine {
    /// Puts a new call into the queue, if it may wait, and fills what is free. One action about it comes first.
    pub(super) fn hold(&mut self, now: Nanos, index: u32, reserved: bool, out: &mut Vec<Action>) {
        let begin = out.len();
        let twin = self.twin(index);
        if let Err(reason) = self.may_wait(now, index, reserved, twin, out) {
            self.turn_away(now, index, reason, out);
        } else {
            self.supersede(twin, index);
            self.enqueue(now, index, false);
            self.dispatch(now, out);
            self.first_about(now, index, begin, out);
            twin.into_iter().for_each(|twin| self.turn_away(now, twin, Reason::Superseded, out));
        }
        // An eviction that made room was pushed before; the driver is promised the new call first.
        let id = self.calls.id(index);
        if let Some(at) = out.iter().skip(begin).position(|action| action.call() == id) {
            out[begin..=begin + at].rotate_right(1);
        }
    }

    /// The held call that this one would replace.
    fn twin(&self, index: u32) -> Option<u32> {
        let call = self.calls.get(index).filter(|call| call.opens)?;
        self.clients.opening(call.place.client)
    }

    /// Takes the twin out of the queue and lets the newer call inherit its arrival number.
    fn supersede(&mut self, twin: Option<u32>, index: u32) {
        let Some((twin, order)) = twin.and_then(|twin| Some((twin, self.calls.get(twin)?.place.order))) else {
            return;
        };
        self.leave_queue(twin);
        if let Some(call) = self.calls.get_mut(index) {
            call.place.order = order;
        }
    }

    /// Whether a call may be held, making room for it if it outranks what is last. It may always take its twin's place.
    fn may_wait(
        &mut self,
        now: Nanos,
        index: u32,
        reserved: bool,
        twin: Option<u32>,
        out: &mut Vec<Action>,
    ) -> Result<(), Reason> {
        let Some(call) = self.calls.get(index) else {
            return Err(Reason::BadRequest);
        };
        let (client, rank) = (call.place.client, (call.class(), call.place.key));
        if self.give_up(call) <= now {
            return Err(Reason::TooLate);
        }
        let (ahead, work) = self.queues.ahead(&call.place);
        let wait = self.predicted(now, &call.place, ahead, work).unwrap_or_default();
        if call.honours_retry_after && now + wait > self.give_up(call) {
            return Err(Reason::TooLate); // it will come back when it is told to: holding it would only cost a socket
        }
        if twin.is_some() {
            return Ok(());
        }
        if self.clients.held(client) >= self.plan.held_per_client_max && !reserved {
            return Err(Reason::ClientCap);
        }
        let places = self.plan.held_max + if reserved { self.plan.reserved_places } else { 0 };
        if self.queues.total() < places {
            return Ok(());
        }
        let outranked = |call: &Call| !call.reserved && rank < (call.class(), call.place.key);
        let last = self.queues.last().filter(|last| self.calls.get(*last).is_some_and(outranked));
        let Some(last) = last else {
            return Err(Reason::QueueFull);
        };
        self.turn_away(now, last, Reason::QueueFull, out);
        Ok(())
    }

    /// Puts a call into the queue with a timer: the moment it is given up.
    pub(super) fn enqueue(&mut self, now: Nanos, index: u32, front: bool) {
        let timer = self.planned_end(now, index);
        let Some(call) = self.calls.get_mut(index) else {
            return;
        };
        call.state = State::Held;
        (call.timer, call.staggered) = timer;
        self.timers.insert((call.timer, index));
        self.queues.push(&call.place, index, front);
        self.clients.hold(now, call.place.client, index, call.opens);
        if call.polls && call.class() == Class::Steady && call.session.is_some() {
            let id = self.calls.id(index);
            self.remember_poll(id);
        }
    }

    /// Says `Hold` of a call that is still held.
    fn first_about(&mut self, now: Nanos, index: u32, begin: usize, out: &mut Vec<Action>) {
        let Some(call) = self.calls.get(index).filter(|call| call.state == State::Held) else {
            return;
        };
        let id = self.calls.id(index);
        if out.iter().skip(begin).any(|action| action.call() == id) {
            return; // turned away while slots were filled
        }
        let (ahead, work) = self.queues.ahead(&call.place);
        let predicted = self.predicted(now, &call.place, ahead, work);
        self.counters.held += 1;
        out.insert(begin, Action::Hold { call: id, ahead, predicted });
    }
}
