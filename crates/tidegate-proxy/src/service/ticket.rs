//! A ticket stands for one call that the machine knows.

use super::{Decision, Service};
use crate::clock;
use crate::dial::NotDialled;
use crate::stats::Connects;
use std::cell::Cell;
use std::sync::Arc;
use std::task::Poll;
use tidegate_core::admission::{CallId, Event, Outcome};
use tidegate_core::reason::{End, Step, Who};

/// One call that the machine knows.
pub(crate) struct Ticket {
    service: Arc<Service>,
    call: CallId,
    over: bool,
    /// Its slot was given back while the server keeps it.
    parked: Cell<bool>,
}

impl Ticket {
    pub(super) fn new(service: Arc<Service>, call: CallId) -> Ticket {
        Ticket { service, call, over: false, parked: Cell::new(false) }
    }

    /// What the machine has decided since, if anything; the call's task is woken when that happens.
    pub(crate) fn poll_mail(&self) -> Poll<Decision> {
        match self.service.core().take_mail(self.call) {
            Some(decision) => Poll::Ready(decision),
            None => Poll::Pending,
        }
    }

    /// A new connection to the server stands, and `why` it is no idle one, where that could be.
    pub(crate) fn connected(&self, why: Option<Connects>) {
        self.service.core().calls.entry(self.call.0).and_modify(|entry| entry.record.connects = why);
        self.service.event(Event::Connected(self.call));
    }

    /// The client left. A held call is over then; an admitted one keeps its slot.
    pub(crate) fn client_gone(&self) {
        if self.parked.get() {
            return;
        }
        self.service.event(Event::ClientGone(self.call));
    }

    /// The server keeps the call until something happens there: its slot is given back, and the machine forgets it.
    pub(crate) fn park(&self) {
        self.service.event(Event::Done(self.call, Outcome::Parked));
        self.parked.set(true);
    }

    /// The client left while the call was held. If it was admitted in that very moment, nothing was sent, so the slot is
    /// free again.
    pub(crate) fn leave(mut self, end: End) {
        self.over = true;
        let mut core = self.service.core();
        let now = clock::now();
        let mail = core.take_mail(self.call);
        if !matches!(mail, Some(Decision::TurnAway { .. })) {
            core.event(now, Event::ClientGone(self.call));
        }
        if matches!(mail, Some(Decision::Admit(_) | Decision::Expire)) {
            core.event(now, Event::Done(self.call, Outcome::Incomplete));
        }
        core.close(self.call, end, 0);
        self.service.rearm(&core);
    }

    /// There is no connection to the server, and nothing was sent: what now?
    pub(crate) fn not_dialled(&self, why: NotDialled) -> Decision {
        let outcome = match why {
            NotDialled::Failed => Outcome::ConnectFailed,
            NotDialled::NotConnected(cause) => Outcome::NotConnected(cause),
        };
        let mut core = self.service.core();
        core.event(clock::now(), Event::Done(self.call, outcome));
        let decision = core.take_mail(self.call);
        self.service.rearm(&core);
        decision.unwrap_or(Decision::Hold)
    }

    /// The server is done with the call, which frees its slot.
    pub(crate) fn done(mut self, outcome: Outcome, end: End, status: u16) {
        self.over = true;
        let mut core = self.service.core();
        let now = clock::now();
        let server = core.server_of(self.call);
        if !self.parked.get() {
            core.event(now, Event::Done(self.call, outcome));
        }
        core.close(self.call, end, status);
        self.service.rearm(&core);
        drop(core);
        let good = match outcome {
            Outcome::Answered { .. } => Some(true),
            Outcome::Overload => Some(false),
            Outcome::Broken if end.who == Who::Server => Some(false),
            _ => None,
        };
        if let (Some(server), Some(good)) = (server, good) {
            if outcome != Outcome::Broken {
                server.heard_now(now);
            }
            self.service.way.health.traffic(&server, good);
        }
    }

    /// The gate stops waiting, but the server may still be working: the slot stays taken until the machine's quarantine.
    pub(crate) fn abandon(self, end: End, status: u16) {
        self.close(end, status);
    }

    /// The machine has forgotten the call (turned away), or the client left while it was held.
    pub(crate) fn close(mut self, end: End, status: u16) {
        self.over = true;
        self.service.core().close(self.call, end, status);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if self.over {
            return;
        }
        let mut core = self.service.core();
        let known = !self.parked.get() && !matches!(core.take_mail(self.call), Some(Decision::TurnAway { .. }));
        if known {
            core.event(clock::now(), Event::ClientGone(self.call));
        }
        core.close(self.call, End { who: Who::Gate, step: Step::Wait }, 0);
        self.service.rearm(&core);
    }
}
