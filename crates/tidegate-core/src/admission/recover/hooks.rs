//! Where the machine tells a server's recovery what has happened, and asks it who may come in.

use super::Member;
use super::batch::Terms;
use crate::admission::call::{Call, InFlight, State};
use crate::admission::event::{Action, Class, Outcome, ServerId};
use crate::admission::machine::Machine;
use crate::reason::Reason;
use crate::time::Nanos;

impl Machine {
    fn batch_terms(&self) -> Terms {
        Terms { patience: self.plan.client_timeout, pause: self.plan.rate_window, quiet: self.plan.limit_window }
    }

    /// A call goes to `server`. One that opens a session belongs to a batch, while there are any.
    pub(in crate::admission) fn enter(&mut self, now: Nanos, index: u32, server: ServerId) {
        let Some(call) = self.calls.get_mut(index) else { return };
        let Some(server) = self.servers.get_mut(usize::from(server.0)) else { return };
        if server.in_flight <= 1 {
            server.recovery.heard = now; // silence begins with the first call that waits
        }
        if call.opens {
            let good = server.good();
            let batch = server.recovery.enter(now, good, self.plan.client_timeout);
            if let State::InFlight(in_flight) = &mut call.state {
                in_flight.batch = batch;
            }
        } else if let Some((batches, session)) = server.recovery.batches().zip(call.session) {
            batches.goes_on(session);
        }
    }

    /// A call has ended at its server; `None`: the gate has stopped waiting for it.
    pub(in crate::admission) fn recover(
        &mut self,
        now: Nanos,
        call: &Call,
        at: InFlight,
        outcome: Option<Outcome>,
        out: &mut Vec<Action>,
    ) {
        let terms = self.batch_terms();
        let opened = match outcome {
            Some(Outcome::Answered { opened, .. }) if !at.orphan => opened,
            _ => None,
        };
        let opened = opened.filter(|session| !self.sessions.complete(*session)).zip(at.batch);
        let complete = call.session.is_some_and(|session| self.sessions.complete(session));
        let Some(server) = self.servers.get_mut(usize::from(at.server.0)) else { return };
        let recovery = &mut server.recovery;
        recovery.opening -= u32::from(call.opens).min(recovery.opening);
        let answered = matches!(outcome, Some(Outcome::Answered { .. }));
        if let Some(batches) = recovery.batches() {
            if answered && !at.expired {
                batches.answered(call.session, call.place.work, now.since(at.since));
            }
            if let Some(batch) = at.batch {
                let member = opened.map(|(session, batch)| Member { client: call.place.client, session, batch });
                let reached =
                    !matches!(outcome, Some(Outcome::Incomplete | Outcome::ConnectFailed | Outcome::NotConnected(_)));
                batches.entered(now, batch, member, reached, terms);
            }
            if let Some(session) = call.session {
                batches.went_on(now, session, complete && answered, terms);
            }
            if matches!(outcome, Some(Outcome::Overload | Outcome::Broken)) {
                batches.overload(now, at.since, terms);
            }
        }
        match outcome {
            Some(Outcome::Answered { .. }) => {
                let lives = recovery.outlived(at.since);
                self.heard(now, at.server, true, lives, out);
            }
            Some(Outcome::Overload) => self.heard(now, at.server, false, false, out),
            Some(Outcome::Broken) => recovery.failed(now),
            Some(Outcome::ConnectFailed) => recovery.connect_failed(now, at.since, self.plan.silence),
            Some(Outcome::Incomplete | Outcome::NotConnected(_) | Outcome::Parked) | None => {}
        }
    }

    /// The server was heard of; `up`: it is reachable. When that was in doubt, it has begun anew, unless it is known to
    /// live on.
    pub(in crate::admission) fn heard(
        &mut self,
        now: Nanos,
        server: ServerId,
        up: bool,
        lives: bool,
        out: &mut Vec<Action>,
    ) {
        let Some(state) = self.servers.get_mut(usize::from(server.0)) else { return };
        let sure = state.dead() && state.recovery.refused();
        let was_down = up && !state.kept() && state.down.take().is_some();
        // The call that was answered has given its slot back already; it was in flight until now.
        let failed = was_down || state.recovery.failing();
        let doubted = state.recovery.heard(now, state.in_flight + 1, self.plan.silence);
        if lives || state.down.is_some() {
            return;
        } else if failed {
            state.begin_anew(now);
        } else if doubted {
            state.recovery.begin(now); // a silence alone says nothing of its limit
        }
        if was_down && sure {
            self.end_sessions(now, server, out);
        }
    }

    /// The connection of a call stands. True when its server was down.
    pub(in crate::admission) fn reached(
        &mut self,
        now: Nanos,
        index: u32,
        at: InFlight,
        out: &mut Vec<Action>,
    ) -> bool {
        let server = self.servers.get(usize::from(at.server.0));
        if server.is_none_or(|server| server.down.is_none() || server.kept()) {
            return false;
        }
        let lives = server.is_some_and(|server| !server.recovery.failing() && server.recovery.outlived(at.since));
        self.heard(now, at.server, true, lives, out);
        if lives {
            return true;
        }
        // Who has tried the server is the first of the first batch.
        let opens = self.calls.get(index).is_some_and(|call| call.opens);
        if let Some(server) = self.servers.get_mut(usize::from(at.server.0)) {
            server.recovery.opening -= u32::from(opens).min(server.recovery.opening);
        }
        self.enter(now, index, at.server);
        true
    }

    /// The driver has seen that a server began anew.
    pub(in crate::admission) fn restarted(&mut self, now: Nanos, server: ServerId, out: &mut Vec<Action>) {
        let Some(state) = self.servers.get_mut(usize::from(server.0)) else { return };
        state.begin_anew(now);
        self.end_sessions(now, server, out);
        self.dispatch(now, out);
    }

    /// The server did not answer in time.
    pub(in crate::admission) fn overdue(&mut self, now: Nanos, at: InFlight) {
        let terms = self.batch_terms();
        let server = self.servers.get_mut(usize::from(at.server.0));
        if let Some(batches) = server.and_then(|server| server.recovery.batches()) {
            batches.overload(now, at.since, terms);
        }
    }

    /// Its sessions have died with the server: what is held of them is told so, that its clients log in again in order.
    fn end_sessions(&mut self, now: Nanos, server: ServerId, out: &mut Vec<Action>) {
        self.sessions.end_all(server);
        if self.passes_all() {
            return;
        }
        let held: Vec<u32> = self.queues.iter().collect();
        for index in held {
            let session = self.calls.get(index).and_then(|call| call.session);
            if session.is_some_and(|session| self.sessions.dead(session)) {
                self.turn_away(now, index, Reason::TokenDead, out);
            }
        }
    }

    /// Looks at the batches of all servers.
    pub(in crate::admission) fn judge_batches(&mut self, now: Nanos) {
        let terms = self.batch_terms();
        let waiting = self.queues.count(Class::NewSession) > 0;
        for server in &mut self.servers {
            let least = server.batch_least();
            if let Some(batches) = server.recovery.batches() {
                batches.fall_quiet(now, terms, |client| self.clients.held(client) > 0);
            }
            server.recovery.judge(now, waiting, least, terms);
        }
    }

    /// When the batches must be looked at again, if nothing happens before.
    pub(in crate::admission) fn next_batch(&self) -> Option<Nanos> {
        let terms = self.batch_terms();
        let moments = self.servers.iter().flat_map(|server| server.recovery.moments(terms));
        moments.filter(|at| *at > self.dispatched && *at < Nanos::NEVER).min()
    }
}
