//! The clients: hosts with where they stand, and the bulk callers.

use super::calls::{CallNo, Session, Step};
use crate::host::{Call, Host, HostScript, Next};
use crate::rng::SplitMix64;
use crate::spec::{BulkSpec, HostsSpec, PopulationSpec, Spec, StepSpec};
use std::collections::VecDeque;
use tidegate_core::admission::{KindKey, OperationKey, Role};
use tidegate_core::time::{Nanos, Span};

/// One host.
#[derive(Debug)]
pub(super) struct HostState {
    pub host: Host,
    pub next: Next,
    pub population: u16,
    /// Rises with each call that it means to make, so that an older intention can be told.
    pub turn: u32,
    pub call: Option<CallNo>,
    pub session: Option<Session>,
    /// When it first meant to call.
    pub began: Nanos,
    /// Since when it is connected, to a server that knows its session.
    pub stands: Option<Nanos>,
    /// Sessions that it asked for.
    pub attempts: u32,
}

/// What the clients of one population have in common.
#[derive(Debug)]
pub(super) struct Population {
    pub name: String,
    pub kind: KindKey,
    pub timeout: Span,
    pub honours_retry_after: bool,
    steps: Vec<Step>,
    poll: Option<Step>,
    pub bulk: Option<Bulk>,
    /// When its clients give up, first to last: all have the same patience, so who called first gives up first.
    pub patience: VecDeque<(Nanos, CallNo)>,
    pub hosts: u32,
}

/// Principals that take turns.
#[derive(Debug)]
pub(super) struct Bulk {
    pub principals: u32,
    pub sent: u64,
    gap_s: f64,
    rng: SplitMix64,
}

impl Bulk {
    /// How long until the next call: gaps of a Poisson process.
    pub fn gap(&mut self) -> Span {
        Span::from_secs_f64(-self.gap_s * (1.0 - self.rng.unit()).ln())
    }
}

impl Population {
    fn new(spec: &PopulationSpec, rng: SplitMix64) -> Population {
        let kind = KindKey::named(spec.name().as_bytes());
        match spec {
            PopulationSpec::Hosts(hosts) => Population {
                name: hosts.name.clone(),
                kind,
                timeout: Span::from_secs_f64(hosts.timeout_s),
                honours_retry_after: hosts.honours_retry_after,
                steps: hosts.script.iter().flat_map(|each| (0..each.times).map(|_| step(each))).collect(),
                poll: hosts.poll.as_ref().map(step),
                bulk: None,
                patience: VecDeque::new(),
                hosts: hosts.hosts.unsigned_abs() as u32,
            },
            PopulationSpec::Bulk(bulk) => Population {
                name: bulk.name.clone(),
                kind,
                timeout: Span::from_secs_f64(bulk.timeout_s),
                honours_retry_after: false,
                steps: vec![Step { operation: key(&bulk.operation), role: Role::Bulk, units: bulk.units }],
                poll: None,
                bulk: Some(principals(bulk, rng)),
                patience: VecDeque::new(),
                hosts: 0,
            },
        }
    }

    /// What a call of its hosts asks for; nothing for a poll where they make none.
    pub fn step(&self, call: Call) -> Option<Step> {
        match call {
            Call::SetContext => self.steps.first().copied(),
            Call::FollowUp(number) => self.steps.get(number as usize + 1).copied(),
            Call::Poll => self.poll,
        }
    }
}

fn key(operation: &str) -> OperationKey {
    OperationKey::listed(&[operation.as_bytes()])
}

fn step(spec: &StepSpec) -> Step {
    Step { operation: key(&spec.operation), role: spec.role, units: spec.units }
}

fn principals(bulk: &BulkSpec, rng: SplitMix64) -> Bulk {
    Bulk { principals: bulk.principals, sent: 0, gap_s: 1.0 / bulk.rate_per_s, rng }
}

/// The populations of a spec, each with a stream of random numbers of its own.
pub(super) fn populations(spec: &Spec) -> Vec<Population> {
    let streams = |index: usize| SplitMix64::stream(spec.seed ^ 0xb01c, index as u64);
    spec.populations.iter().enumerate().map(|(index, each)| Population::new(each, streams(index))).collect()
}

/// When hosts begin.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Begin {
    /// All, each somewhere in the spread of its population.
    Spread,
    /// By hand: so many, then a pause, and so on.
    Batches {
        /// How many.
        size: u32,
        /// From one batch to the next.
        pause: Span,
    },
}

/// The hosts of a spec, with their first calls.
pub(super) fn hosts(spec: &Spec, begin: Begin) -> Vec<HostState> {
    let mut all = Vec::new();
    for (population, hosts) in spec.populations.iter().enumerate() {
        let Some(hosts) = hosts.as_hosts() else { continue };
        for _ in 0..hosts.hosts {
            let rng = SplitMix64::stream(spec.seed, all.len() as u64);
            all.push(host(hosts, population as u16, all.len() as u64, rng, begin));
        }
    }
    all
}

fn host(spec: &HostsSpec, population: u16, index: u64, rng: SplitMix64, begin: Begin) -> HostState {
    let calls: u32 = spec.script.iter().map(|step| step.times).sum();
    let poll = spec.poll.as_ref().map_or(Span(u64::MAX), |_| Span::from_secs_f64(spec.poll_s));
    let script = HostScript { follow_ups: calls.saturating_sub(1), poll, timeout: Span::from_secs_f64(spec.timeout_s) };
    let mut host = Host::new(script, spec.retry.policy(), rng);
    let first = Nanos(0) + Span::from_secs_f64(spec.begin_s);
    let next = match begin {
        Begin::Spread => host.start(first, Span::from_secs_f64(spec.spread_s)),
        Begin::Batches { size, pause } => {
            let batch = index / u64::from(size.max(1));
            host.start(first + Span(pause.0.saturating_mul(batch)), Span::ZERO)
        }
    };
    HostState { host, next, population, turn: 0, call: None, session: None, began: next.at, stands: None, attempts: 0 }
}
