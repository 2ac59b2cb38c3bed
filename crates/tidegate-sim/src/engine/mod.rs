//! The engine: virtual time in which clients, a policy and servers meet.
//!
//! A [`World`] moves from one event to the next ([`World::step`]): a server is done with a job, the policy wants to be
//! woken, a client gives up, or something of the agenda is due; of those that fall together, in this order. After each the policy's verdicts
//! are carried out until there are none. The same spec and policy give the same run anywhere. [Faults](World::fault)
//! can be put in between any two steps, and whoever drives the world may look at all of it.

mod act;
mod agenda;
mod calls;
mod clients;
mod due;
mod faults;
mod server;
mod tally;

pub use calls::{CallNo, Session, Step, Who};
pub use clients::Begin;
pub use faults::Fault;
pub use tally::{Failed, Sample, Standing};

use crate::error::SpecError;
use crate::host::Outcome;
use crate::policy::{Policy, Verdict};
use crate::provider::{Done, Tally as ServerTally};
use crate::rng::SplitMix64;
use crate::spec::Spec;
use agenda::{Agenda, Due};
use calls::Calls;
use clients::{HostState, Population};
use server::Server;
use std::collections::VecDeque;
use tally::Tally;
use tidegate_core::time::{Nanos, Span};

/// Everything that is played.
pub struct World<P> {
    now: Nanos,
    end: Nanos,
    events: u64,
    agenda: Agenda,
    servers: Vec<Server>,
    populations: Vec<Population>,
    hosts: Vec<HostState>,
    calls: Calls,
    policy: P,
    /// The policy's process is there.
    gate_up: bool,
    /// Clients can reach anything.
    link_up: bool,
    delay: Span,
    /// Disturbances that are still to come: before the last one nothing is over.
    to_come: u32,
    tally: Tally,
    verdicts: Vec<Verdict>,
    queue: VecDeque<Verdict>,
    done: Vec<Done>,
    spec: Spec,
}

/// What a step was.
enum Source {
    Server(usize),
    Wake,
    GiveUp(usize),
    Agenda,
}

impl<P: Policy> World<P> {
    /// The world at time 0.
    ///
    /// # Errors
    /// The spec is not one.
    pub fn new(spec: Spec, policy: P, begin: Begin) -> Result<World<P>, SpecError> {
        spec.check()?;
        let mut servers = Vec::new();
        for (index, server) in spec.servers.iter().enumerate() {
            let seed = SplitMix64::stream(spec.seed ^ 0x5e55, index as u64).next_u64();
            let law = server.law.law(1.0);
            let path = || format!("servers[{index}].law");
            let law = law.map_err(|error| SpecError::new(path(), format_args!("makes no law: {error}"), ""))?;
            servers.push(Server::new(server, law, seed));
        }
        let mut world = World {
            now: Nanos(0),
            end: Nanos(0) + Span::from_secs_f64(spec.window_s),
            events: 0,
            agenda: Agenda::default(),
            servers,
            populations: clients::populations(&spec),
            hosts: clients::hosts(&spec, begin),
            calls: Calls::default(),
            policy,
            gate_up: true,
            link_up: true,
            delay: Span::from_secs_f64(spec.network.delay_s),
            to_come: 0,
            tally: Tally::new(spec.populations.len()),
            verdicts: Vec::new(),
            queue: VecDeque::new(),
            done: Vec::new(),
            spec,
        };
        world.schedule();
        Ok(world)
    }

    /// Puts everything that is known beforehand on the agenda.
    fn schedule(&mut self) {
        let at = |seconds: f64| Nanos(0) + Span::from_secs_f64(seconds);
        let gate = self.spec.gate.clone();
        for (index, server) in self.spec.servers.iter().enumerate() {
            let index = index as u16;
            self.agenda.push(at(server.down_until_s), Due::Up { server: index, fall: 0 });
            for (change, what) in server.changes.iter().enumerate() {
                self.to_come += u32::from(what.restart_for_s.is_some());
                self.agenda.push(at(what.at_s), Due::Change { server: index, change: change as u16 });
            }
        }
        for flap in &self.spec.network.flaps {
            self.to_come += 1;
            self.agenda.push(at(flap.at_s), Due::Cut(true));
            self.agenda.push(at(flap.at_s + flap.for_s), Due::Cut(false));
        }
        if self.policy.is_gate() {
            for restart in &gate.restart_at_s {
                self.to_come += 1;
                self.agenda.push(at(*restart), Due::GateDown(true));
                self.agenda.push(at(*restart + gate.down_s), Due::GateDown(false));
            }
        }
        for (index, population) in self.spec.populations.iter().enumerate() {
            if let crate::spec::PopulationSpec::Bulk(bulk) = population {
                self.agenda.push(at(bulk.begin_s), Due::Bulk(index as u16));
            }
        }
        for (index, host) in self.hosts.iter().enumerate() {
            self.agenda.push(host.next.at + self.delay, Due::Begin { host: index as u32, turn: 0 });
        }
        self.agenda.push(Nanos(0), Due::Sample);
    }

    /// Plays the next event; false when the run is over, or nothing more will happen in it.
    pub fn step(&mut self) -> bool {
        if self.is_over() {
            return false;
        }
        let mut next = (Nanos::NEVER, Source::Agenda);
        for (index, server) in self.servers.iter().enumerate() {
            if let Some(at) = server.next_done().filter(|at| *at < next.0) {
                next = (at, Source::Server(index));
            }
        }
        if let Some(at) = self.policy.next_wake().filter(|at| *at < next.0 && self.gate_up) {
            next = (at, Source::Wake);
        }
        for (index, population) in self.populations.iter_mut().enumerate() {
            while let Some(&(at, call)) = population.patience.front() {
                if self.calls.get(call).is_some_and(|call| call.present) {
                    next = if at < next.0 { (at, Source::GiveUp(index)) } else { next };
                    break;
                }
                population.patience.pop_front();
            }
        }
        if let Some(at) = self.agenda.next().filter(|at| *at < next.0) {
            next = (at, Source::Agenda);
        }
        if next.0 > self.end {
            self.now = self.end;
            return false;
        }
        self.now = self.now.max(next.0);
        self.events += 1;
        match next.1 {
            Source::Server(index) => self.served(index),
            Source::Wake => self.policy.wake(self.now, &mut self.verdicts),
            Source::GiveUp(index) => {
                let first = self.populations.get_mut(index).and_then(|population| population.patience.pop_front());
                first.into_iter().for_each(|(_, call)| self.leave(call, Outcome::TimedOut));
            }
            Source::Agenda => self.due(),
        }
        self.act();
        true
    }

    /// Whether all hosts are connected and nothing that is to come can undo it.
    pub fn is_over(&self) -> bool {
        let all = self.hosts.len() as u32;
        self.now >= self.end || (all > 0 && self.tally.standing == all && self.to_come == 0 && self.link_up)
    }

    /// Now.
    pub fn now(&self) -> Nanos {
        self.now
    }

    /// How much of the run is over, 0 to 1.
    pub fn share(&self) -> f64 {
        let time = self.now.0 as f64 / self.end.0.max(1) as f64;
        let hosts = f64::from(self.tally.standing) / (self.hosts.len() as f64).max(1.0);
        if self.is_over() { 1.0 } else { time.max(hosts).min(1.0) }
    }

    /// Events played so far.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// What stands between clients and servers.
    pub fn policy(&self) -> &P {
        &self.policy
    }

    /// The same, to listen to it.
    pub fn policy_mut(&mut self) -> &mut P {
        &mut self.policy
    }

    /// The spec that is played.
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// Hosts connected now, to servers that know their sessions.
    pub fn connected(&self) -> u32 {
        self.tally.standing
    }

    /// All hosts.
    pub fn host_count(&self) -> u32 {
        self.hosts.len() as u32
    }

    /// Jobs at a server now, wherever they came from.
    pub fn in_flight(&self, server: u16) -> usize {
        self.servers.get(usize::from(server)).map_or(0, Server::in_flight)
    }

    /// What a server has done so far.
    pub fn server_tally(&self, server: u16) -> ServerTally {
        self.servers.get(usize::from(server)).map(Server::tally).unwrap_or_default()
    }

    /// Whether a server is there.
    pub fn is_up(&self, server: u16) -> bool {
        self.servers.get(usize::from(server)).is_some_and(|server| server.up)
    }

    /// Whether the gate is there.
    pub fn gate_is_up(&self) -> bool {
        self.gate_up
    }

    /// The calls under way, in a fixed order.
    pub fn calls(&self) -> Vec<CallNo> {
        self.calls.all()
    }
}
