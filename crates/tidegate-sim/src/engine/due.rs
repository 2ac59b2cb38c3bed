//! What is due: clients begin and give up, servers change, the network and the gate go and come.

use super::World;
use super::agenda::Due;
use super::calls::{Call, CallNo, Step, Who};
use crate::host::Outcome;
use crate::policy::{Arriving, Policy};
use tidegate_core::admission::{ClientKey, SessionKey};
use tidegate_core::time::{Nanos, Span};

impl<P: Policy> World<P> {
    pub(super) fn due(&mut self) {
        match self.agenda.pop() {
            Some(Due::Begin { host, turn }) => self.begin(host, turn),
            Some(Due::Bulk(population)) => self.bulk(population),
            Some(Due::Change { server, change }) => self.change(server, change),
            Some(Due::Up { server, fall }) => self.up(server, fall),
            Some(Due::Warm { server, fall }) => self.warm(server, fall),
            Some(Due::Cut(cut)) => {
                self.to_come -= u32::from(!cut);
                self.cut(cut);
            }
            Some(Due::GateDown(down)) => {
                self.to_come -= u32::from(!down);
                self.gate_down(down);
            }
            Some(Due::Sample) => {
                self.sample();
                self.agenda.push(self.now + Span::from_secs_f64(self.spec.sample_s), Due::Sample);
            }
            None => {}
        }
    }

    /// A host makes the call that it meant to make.
    fn begin(&mut self, host: u32, turn: u32) {
        let Some(state) = self.hosts.get_mut(host as usize).filter(|state| state.turn == turn) else { return };
        let next = state.next;
        let Some(population) = self.populations.get(usize::from(state.population)) else { return };
        let Some(step) = population.step(next.call) else { return };
        if next.call == crate::host::Call::SetContext {
            state.session = None;
            state.attempts += 1;
        }
        let session = state.session;
        let (who, client, timeout) = (Who::Host(host), ClientKey(u64::from(host)), next.deadline + self.delay);
        self.send(who, client, session, step, timeout);
    }

    /// A population sends its next bulk call.
    fn bulk(&mut self, number: u16) {
        let Some(population) = self.populations.get_mut(usize::from(number)) else { return };
        let (step, timeout) = (population.step(crate::host::Call::SetContext), population.timeout);
        let Some(bulk) = &mut population.bulk else { return };
        let principal = bulk.sent % u64::from(bulk.principals.max(1));
        bulk.sent += 1;
        let next = self.now + bulk.gap();
        self.agenda.push(next, Due::Bulk(number));
        let client = ClientKey(1 << 48 | u64::from(number) << 24 | principal);
        let gives_up = self.now + timeout;
        step.into_iter().for_each(|step| self.send(Who::Bulk(number), client, None, step, gives_up));
    }

    /// A call reaches the policy, if there is a way.
    fn send(&mut self, who: Who, client: ClientKey, session: Option<(u16, u64)>, step: Step, gives_up: Nanos) {
        let number = self.calls.insert(Call { who, step, session, present: true, at: None, stray: false });
        if let Who::Host(host) = who {
            self.hosts.get_mut(host as usize).into_iter().for_each(|state| state.call = Some(number));
        }
        if !self.link_up || !self.gate_up {
            return self.finish(number, Outcome::Broken, true);
        }
        let index = self.population_of(who);
        let Some(population) = self.populations.get_mut(index) else { return };
        population.patience.push_back((gives_up, number));
        let arriving = Arriving {
            client,
            kind: population.kind,
            operation: step.operation,
            role: step.role,
            session: session.map(key),
            bound: session.map(|(server, _)| server),
            honours_retry_after: population.honours_retry_after,
        };
        self.policy.arrive(self.now, number, &arriving, &mut self.verdicts);
    }

    /// A client does not wait any more.
    pub(super) fn leave(&mut self, number: CallNo, outcome: Outcome) {
        let Some(call) = self.calls.get_mut(number).filter(|call| call.present) else { return };
        let at = call.at;
        self.tell_client(number, outcome, false);
        self.policy.client_gone(self.now, number, at.is_some(), &mut self.verdicts);
        match at {
            Some((server, job)) => {
                if let Some(state) = self.servers.get_mut(usize::from(server)) {
                    state.provider().leave(self.now, job, &mut self.done);
                }
                self.settle(usize::from(server));
            }
            None => drop(self.calls.remove(number)),
        }
    }

    /// The number of a caller's population.
    pub(super) fn population_of(&self, who: Who) -> usize {
        match who {
            Who::Host(host) => self.hosts.get(host as usize).map_or(usize::MAX, |host| usize::from(host.population)),
            Who::Bulk(population) => usize::from(population),
        }
    }
}

/// A session as a policy sees it.
pub(super) fn key((server, number): (u16, u64)) -> SessionKey {
    SessionKey(u64::from(server) << 48 | number)
}
