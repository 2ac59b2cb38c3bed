//! What follows from an event: verdicts carried out, servers that answer, clients that learn of it.

use super::World;
use super::agenda::{Due, Line};
use super::calls::{Call, CallNo, Who};
use super::due::key;
use crate::host::{self, Outcome};
use crate::policy::{End, Policy, Verdict};
use crate::provider::{Done, Offer};
use crate::spec::Refuse;
use tidegate_core::admission::Role;
use tidegate_core::time::Span;

/// The work of telling a client that its session is not known, at the most.
const STRAY_UNITS: f64 = 0.01;

impl<P: Policy> World<P> {
    /// Carries out verdicts until there are none.
    pub(super) fn act(&mut self) {
        loop {
            self.queue.extend(self.verdicts.drain(..));
            match self.queue.pop_front() {
                Some(Verdict::Send(call, server)) => self.offer(call, server),
                Some(Verdict::TurnAway(call, retry_after)) => {
                    self.finish(call, Outcome::TurnedAway { retry_after }, false);
                }
                Some(Verdict::NoSession(call)) => self.finish(call, Outcome::InvalidSession, false),
                Some(Verdict::Refuse(call)) => self.finish(call, Outcome::Broken, true),
                Some(Verdict::Expire(call)) => self.expire(call),
                None => return,
            }
        }
    }

    /// Sends a call to a server.
    fn offer(&mut self, number: CallNo, to: u16) {
        let Some(call) = self.calls.get_mut(number) else { return };
        let Some(server) = self.servers.get_mut(usize::from(to)) else { return };
        if !server.up {
            return self.policy.done(self.now, number, End::Refused, &mut self.verdicts);
        }
        let owner = match call.who {
            Who::Host(host) => u64::from(host) + 1,
            Who::Bulk(_) => 0,
        };
        let mut knows = |(at, session): (u16, u64)| at == to && server.sessions.touch(self.now, session, owner);
        call.stray = call.session.is_some_and(|session| !knows(session));
        self.tally.strays += u64::from(call.stray);
        let units = if call.stray { call.step.units.min(STRAY_UNITS) } else { call.step.units };
        match server.provider().offer(self.now, units, &mut self.done) {
            Offer::Taken(job) => {
                call.at = Some((to, job));
                server.owns(job, number);
                let reused = server.idle > 0;
                server.idle -= u32::from(reused);
                if !reused {
                    self.policy.connected(self.now, number, &mut self.verdicts);
                }
            }
            Offer::Full => {
                let busy = server.spec.refuse == Refuse::Busy;
                let (end, outcome) = if busy {
                    (End::Overload, Outcome::TurnedAway { retry_after: None })
                } else {
                    (End::Broken, Outcome::Broken)
                };
                self.policy.done(self.now, number, end, &mut self.verdicts);
                self.finish(number, outcome, !busy);
            }
            Offer::Crashed => {
                let down = Span::from_secs_f64(server.spec.crash_down_s);
                self.crash(to, down);
                self.policy.done(self.now, number, End::Broken, &mut self.verdicts);
                self.finish(number, Outcome::Broken, false);
            }
        }
        self.settle(usize::from(to));
    }

    /// Plays what a server has done up to now.
    pub(super) fn served(&mut self, index: usize) {
        let Some(server) = self.servers.get_mut(index) else { return };
        server.advance(self.now, &mut self.done);
        self.settle(index);
    }

    /// Passes on what a server is done with.
    pub(super) fn settle(&mut self, index: usize) {
        if self.done.is_empty() {
            return;
        }
        let done = std::mem::take(&mut self.done);
        for done in &done {
            self.answered(index, done);
        }
        self.done = done;
        self.done.clear();
    }

    fn answered(&mut self, index: usize, done: &Done) {
        let Some(server) = self.servers.get_mut(index) else { return };
        let Some(number) = server.disown(done.job) else { return };
        let Some(call) = self.calls.get(number).copied() else { return };
        server.idle += 1;
        let opens = call.step.role == Role::Open;
        let opened = opens.then(|| {
            let owner = if let Who::Host(host) = call.who { u64::from(host) + 1 } else { 0 };
            (index as u16, server.sessions.open(self.now, owner, None))
        });
        let end = End::Answered { opened: opened.map(key), closed: call.stray };
        self.policy.done(self.now, number, end, &mut self.verdicts);
        if let (Who::Host(host), true, true) = (call.who, opens, call.present) {
            self.hosts.get_mut(host as usize).into_iter().for_each(|state| state.session = opened);
        }
        self.finish(number, if call.stray { Outcome::InvalidSession } else { Outcome::Answered }, false);
    }

    /// The gate does not wait for a server's answer any more.
    fn expire(&mut self, number: CallNo) {
        let Some(Call { at: Some((server, job)), .. }) = self.calls.get(number).copied() else { return };
        if let Some(state) = self.servers.get_mut(usize::from(server)) {
            state.provider().leave(self.now, job, &mut self.done);
        }
        self.settle(usize::from(server));
        self.tell_client(number, Outcome::Broken, false);
    }

    /// A call is over for everybody.
    pub(super) fn finish(&mut self, number: CallNo, outcome: Outcome, refused: bool) {
        self.tell_client(number, outcome, refused);
        self.calls.remove(number);
    }

    /// A client learns how its call ended, if it still waits.
    pub(super) fn tell_client(&mut self, number: CallNo, outcome: Outcome, refused: bool) {
        let Some(call) = self.calls.get_mut(number).filter(|call| call.present) else { return };
        call.present = false;
        let who = call.who;
        let population = self.population_of(who);
        if outcome == Outcome::Answered {
            self.tally.answered.get_mut(population).into_iter().for_each(|answered| *answered += 1);
        } else if let Some(failed) = self.tally.failed.get_mut(population) {
            match outcome {
                Outcome::Answered => {}
                Outcome::TimedOut => failed.timeout += 1,
                Outcome::TurnedAway { .. } => failed.turned_away += 1,
                Outcome::Broken if refused => failed.refused += 1,
                Outcome::Broken | Outcome::InvalidSession => failed.broken += 1,
            }
        }
        let Who::Host(index) = who else { return };
        let Some(state) = self.hosts.get_mut(index as usize) else { return };
        // An answer takes its time to come back; who gives up does not wait for one, and was heard so much later.
        let at = if outcome == Outcome::TimedOut { self.now - self.delay } else { self.now + self.delay };
        state.next = state.host.ended(at, outcome);
        state.turn += 1;
        state.call = None;
        let stands = state.host.connected_at().is_some().then_some(at);
        let line = match (outcome, state.next.call) {
            (Outcome::Answered, host::Call::Poll) => Line::Polls,
            (Outcome::Answered, _) => Line::Soon,
            _ => Line::None,
        };
        let due = Due::Begin { host: index, turn: state.turn };
        self.agenda.push_behind(line, state.next.at + self.delay, due);
        self.stand(index, stands);
    }
}
