//! The turns of a connection: asking the machine for each, and telling it how each ended.

use super::{Broken, Flow, Turn};
use crate::clock;
use crate::passthrough::{end, settings};
use crate::service::{Decision, Ticket};
use crate::wire::turns::Over;
use std::task::{Context, Poll};
use tidegate_core::admission::{Outcome, Role};
use tidegate_core::reason::{End, Step, Who};

/// A turn that begins so many times `settle` after the last answer is a poll: one second with the default.
const POLL_PAUSE: f64 = 20.0;

impl Flow {
    /// What the machine has decided since.
    pub(super) fn read_mail(&mut self) -> Result<(), Broken> {
        let (Turn::Asked(ticket) | Turn::Open(ticket)) = &self.turn else { return Ok(()) };
        let Poll::Ready(decision) = ticket.poll_mail() else { return Ok(()) };
        self.decided(decision)
    }

    pub(super) fn decided(&mut self, decision: Decision) -> Result<(), Broken> {
        match decision {
            Decision::Hold => {}
            Decision::Expire => return Err(Broken::Expired),
            Decision::TurnAway { reason, .. } => return Err(Broken::TurnedAway(reason)),
            Decision::Admit(_) => {
                if let Turn::Asked(ticket) = std::mem::replace(&mut self.turn, Turn::Between) {
                    ticket.connected(None);
                    self.turn = Turn::Open(ticket);
                    self.answered = false;
                    self.link.set_busy(true);
                    self.turns.admitted(clock::now());
                }
            }
        }
        Ok(())
    }

    /// The client's next record begins a turn.
    pub(super) fn ask(&mut self, cx: &Context<'_>) -> Result<(), Broken> {
        let now = clock::now();
        let setup = self.home.service.setup();
        let pause = settings(&setup).settle.mul_f64(POLL_PAUSE);
        let role = if now.since(self.last_answer) >= pause { Role::Poll } else { Role::Call };
        self.begun += 1;
        let mut arrival = self.caller.arrival(role, self.begun);
        if setup.plan.admission.session_idle.is_some_and(|idle| now.since(self.last_turn) > idle) {
            arrival.session = None; // the connection is alive, whatever the plan says of sessions
        }
        self.last_turn = now;
        let record = self.caller.record(&arrival, role.word());
        let (ticket, decision) = self.home.service.arrive(arrival, record, cx);
        self.home.service.stats.open_requests.add(1);
        self.turn = Turn::Asked(ticket);
        if matches!(decision, Decision::Hold)
            && let Some(up) = &mut self.up
        {
            up.shrink();
        }
        self.decided(decision)
    }

    pub(super) fn turn_over(&mut self, over: Option<Over>) {
        if over.is_none() {
            return;
        }
        if let Turn::Open(ticket) = std::mem::replace(&mut self.turn, Turn::Between) {
            let opened = (self.first && !self.turns.are_opaque()).then_some(self.caller.session);
            self.finish(ticket, Outcome::Answered { opened, closed: false }, end(Who::Server, Step::Done));
            self.first = false;
        }
    }

    pub(super) fn finish(&mut self, ticket: Ticket, outcome: Outcome, end: End) {
        ticket.done(outcome, end, 0);
        self.idle();
    }

    pub(super) fn idle(&mut self) {
        self.link.set_busy(false);
        self.home.service.stats.open_requests.sub(1);
    }
}
