//! A server of the pool as it is now: its model, its sessions, and whether it is there.

use super::calls::CallNo;
use crate::law::Law;
use crate::provider::{Done, JobId, Provider, ProviderModel, Tally};
use crate::session::Sessions;
use crate::spec::{LawSpec, ServerSpec};
use std::collections::BTreeMap;
use tidegate_core::time::{Nanos, Span};

/// Most sessions that a server keeps.
const SESSIONS: usize = 2_000_000;

/// One server.
#[derive(Debug)]
pub(super) struct Server {
    pub spec: ServerSpec,
    law: LawSpec,
    provider: Provider,
    pub sessions: Sessions,
    pub up: bool,
    cold: bool,
    /// How often it fell.
    pub fall: u32,
    jobs: BTreeMap<JobId, CallNo>,
    /// Connections of the gate to it that stand and are not used now.
    pub idle: u32,
}

impl Server {
    /// A server that is not there yet.
    pub fn new(spec: &ServerSpec, law: Law, seed: u64) -> Server {
        let model = ProviderModel { law, threads: spec.threads, backlog: spec.backlog, crash_at: spec.crash_at };
        Server {
            spec: spec.clone(),
            law: spec.law,
            provider: Provider::new(model, Nanos(0)),
            sessions: Sessions::new(Span::from_secs_f64(spec.session_idle_s), SESSIONS, seed),
            up: false,
            cold: false,
            fall: 0,
            jobs: BTreeMap::new(),
            idle: 0,
        }
    }

    pub fn next_done(&self) -> Option<Nanos> {
        self.provider.next_done()
    }

    pub fn advance(&mut self, now: Nanos, done: &mut Vec<Done>) {
        self.provider.advance(now, done);
    }

    pub fn provider(&mut self) -> &mut Provider {
        &mut self.provider
    }

    pub fn in_flight(&self) -> usize {
        self.provider.in_flight()
    }

    pub fn tally(&self) -> Tally {
        self.provider.tally()
    }

    /// Notes whose job it is.
    pub fn owns(&mut self, job: JobId, call: CallNo) {
        self.jobs.insert(job, call);
    }

    /// Whose job it was; nobody's when its caller was forgotten.
    pub fn disown(&mut self, job: JobId) -> Option<CallNo> {
        self.jobs.remove(&job)
    }

    /// Another law from now on; false when the numbers make none, and nothing changed.
    pub fn change(&mut self, now: Nanos, law: LawSpec, cold: bool, done: &mut Vec<Done>) -> bool {
        let times = if cold { self.spec.cold_factor } else { 1.0 };
        let Ok(model) = law.law(times) else { return false };
        (self.law, self.cold) = (law, cold);
        self.provider.change(now, model, done);
        true
    }

    /// The law that it would have warm.
    pub fn law(&self) -> LawSpec {
        self.law
    }

    /// Whether it is cold.
    pub fn cold(&self) -> bool {
        self.cold
    }

    /// It is gone with all that it knew; gives the calls that it was working on, oldest first.
    pub fn crash(&mut self, now: Nanos, done: &mut Vec<Done>) -> Vec<CallNo> {
        self.provider.crash(now, done);
        self.sessions.clear();
        (self.up, self.idle) = (false, 0);
        self.fall += 1;
        std::mem::take(&mut self.jobs).into_values().collect()
    }
}
