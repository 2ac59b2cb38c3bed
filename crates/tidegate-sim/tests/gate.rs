//! The machine of `tidegate-core` between the hosts and the server, in virtual time: the storm of KB 412434 held.
#![allow(clippy::unwrap_used, reason = "tests")]

/// The plan with the documented defaults is the one that the core's own tests use.
#[path = "../../tidegate-core/tests/world/mod.rs"]
mod world;

use std::collections::BTreeMap;
use tidegate_core::admission::{
    Action, Arrival, CallId, ClientKey, Event, KindKey, LimitPlan, Machine, OperationKey, Outcome as End, Plan, Role,
    ServerPlan, SessionKey,
};
use tidegate_core::reason::Reason;
use tidegate_core::time::{Nanos, Span};
use tidegate_sim::floor::{Work, floor_s};
use tidegate_sim::host::{Call, Host, HostScript, Next, Outcome};
use tidegate_sim::law::{Law, LawKind};
use tidegate_sim::provider::{JobId, Offer, Provider, ProviderModel};
use tidegate_sim::retry::Retry;
use tidegate_sim::rng::SplitMix64;
use world::plan;

const SCRIPT: HostScript = HostScript { follow_ups: 3, poll: Span::secs(10), timeout: Span::secs(30) };
const POLITE: Retry = Retry::Fixed { min: Span::secs(10), max: Span::secs(12) };
const GREEDY: Retry = Retry::Greedy { wait: Span::millis(500) };

enum Due {
    Begin(usize),
    GiveUp(usize, CallId),
    Crash,
}

/// A server that is away for a while, and slow when it is back.
#[derive(Clone, Copy)]
struct Outage {
    at: Nanos,
    back: Nanos,
    warm: Nanos,
}

const NEVER: Outage = Outage { at: Nanos::NEVER, back: Nanos::NEVER, warm: Nanos(0) };

/// One call at the gate or behind it.
struct Live {
    host: usize,
    job: Option<JobId>,
    call: Call,
}

struct Storm {
    server: Provider,
    machine: Machine,
    hosts: Vec<Host>,
    nexts: Vec<Next>,
    sessions: Vec<u64>,
    agenda: BTreeMap<(Nanos, u64), Due>,
    order: u64,
    live: BTreeMap<CallId, Live>,
    jobs: BTreeMap<JobId, CallId>,
    out: Vec<Action>,
    done: Vec<tidegate_sim::provider::Done>,
    timeouts: u32,
    failed: Vec<u32>,
    outage: Outage,
    /// Sessions with a lower number have died with the server.
    alive_from: u64,
    /// Calls of dead sessions that reached the server.
    invalid: u32,
}

impl Storm {
    fn new(law: Law, limit: u32, retries: &[Retry], seed: u64) -> Storm {
        Storm::with(law, plan(limit), retries, seed, NEVER)
    }

    fn with(law: Law, plan: Plan, retries: &[Retry], seed: u64, outage: Outage) -> Storm {
        let server = Provider::new(ProviderModel { law, threads: 200, backlog: 1024, crash_at: None }, Nanos(0));
        let streams = retries.iter().enumerate();
        let mut hosts: Vec<Host> =
            streams.map(|(i, retry)| Host::new(SCRIPT, *retry, SplitMix64::stream(seed, i as u64))).collect();
        let nexts: Vec<Next> = hosts.iter_mut().map(|host| host.start(Nanos(0), Span::secs(2))).collect();
        let begins = nexts.iter().enumerate().map(|(i, next)| ((next.at, i as u64), Due::Begin(i)));
        let agenda = begins.chain([((outage.at, u64::MAX), Due::Crash)]).collect();
        Storm {
            server,
            machine: Machine::new(plan, None, Nanos(0)).unwrap(),
            sessions: vec![0; hosts.len()],
            failed: vec![0; hosts.len()],
            order: hosts.len() as u64,
            hosts,
            nexts,
            agenda,
            live: BTreeMap::new(),
            jobs: BTreeMap::new(),
            out: Vec::new(),
            done: Vec::new(),
            timeouts: 0,
            outage,
            alive_from: 0,
            invalid: 0,
        }
    }

    /// Plays until all are connected or the window is over; returns when the last one was in.
    fn play(&mut self, window: Span) -> Option<Nanos> {
        loop {
            let agenda = self.agenda.keys().next().map_or(Nanos::NEVER, |key| key.0);
            let wake = self.machine.next_wake().unwrap_or(Nanos::NEVER);
            let now = agenda.min(self.server.next_done().unwrap_or(Nanos::NEVER)).min(wake);
            if now > Nanos(0) + window || self.hosts.iter().all(|host| host.connected_at().is_some()) {
                return self
                    .hosts
                    .iter()
                    .map(Host::connected_at)
                    .collect::<Option<Vec<_>>>()
                    .map(|at| at.into_iter().max().unwrap());
            }
            self.server.advance(now, &mut self.done);
            self.answers(now);
            if wake <= now {
                self.machine.on_event(now, Event::Wake, &mut self.out);
            } else if agenda <= now
                && let Some((_, due)) = self.agenda.pop_first()
            {
                self.due(now, due);
            }
            self.act(now);
        }
    }

    fn due(&mut self, now: Nanos, due: Due) {
        match due {
            Due::Begin(host) => self.begin(now, host),
            Due::GiveUp(host, id) if self.live.contains_key(&id) => {
                let job = self.live[&id].job;
                self.machine.on_event(now, Event::ClientGone(id), &mut self.out);
                match job {
                    Some(job) => self.server.leave(now, job, &mut self.done),
                    None => drop(self.live.remove(&id)),
                }
                self.timeouts += 1;
                self.ended(now, host, Outcome::TimedOut);
            }
            Due::GiveUp(..) => {}
            Due::Crash => self.crash(now),
        }
    }

    fn crash(&mut self, now: Nanos) {
        self.server.crash(now, &mut self.done);
        self.answers(now);
        self.alive_from = self.order + 1;
        for id in std::mem::take(&mut self.jobs).into_values() {
            self.machine.on_event(now, Event::Done(id, End::Broken), &mut self.out);
            let host = self.live.remove(&id).unwrap().host;
            self.ended(now, host, Outcome::Broken);
        }
    }

    fn begin(&mut self, now: Nanos, host: usize) {
        let call = self.nexts[host].call;
        let (role, cost_milli) = match call {
            Call::SetContext => (Role::Open, 1000),
            Call::FollowUp(_) => (Role::Call, 333),
            Call::Poll => (Role::Poll, 10),
        };
        let session = (call != Call::SetContext).then_some(SessionKey(self.sessions[host]));
        let client = ClientKey(host as u64);
        let arrival = Arrival {
            client,
            kind: KindKey::default(),
            role,
            operation: OperationKey::default(),
            session,
            cost_milli,
            deadline: None,
            token_expiry: None,
            honours_retry_after: false,
            reserved: false,
        };
        let id = self.machine.arrive(now, arrival, &mut self.out);
        self.live.insert(id, Live { host, job: None, call });
        self.order += 1;
        self.agenda.insert((self.nexts[host].deadline, self.order), Due::GiveUp(host, id));
    }

    fn act(&mut self, now: Nanos) {
        while !self.out.is_empty() {
            for action in std::mem::take(&mut self.out) {
                let id = action.call();
                match action {
                    Action::Admit { .. } if self.outage.at <= now && now < self.outage.back => {
                        self.machine.on_event(now, Event::Done(id, End::ConnectFailed), &mut self.out);
                    }
                    Action::Admit { .. } => {
                        if self.outage.at <= now {
                            self.machine.on_event(now, Event::Connected(id), &mut self.out);
                        }
                        let live = self.live.get_mut(&id).unwrap();
                        let units = match live.call {
                            Call::SetContext => 1.0,
                            Call::FollowUp(_) => 1.0 / 3.0,
                            Call::Poll => 0.01,
                        };
                        let dead = live.call != Call::SetContext && self.sessions[live.host] < self.alive_from;
                        let cold = if self.outage.at <= now && now < self.outage.warm { 2.0 } else { 1.0 };
                        let units = if dead { 0.01 } else { cold * units };
                        let Offer::Taken(job) = self.server.offer(now, units, &mut self.done) else { unreachable!() };
                        live.job = Some(job);
                        self.jobs.insert(job, id);
                    }
                    Action::TurnAway { retry_after, reason, .. } => {
                        let host = self.live.remove(&id).unwrap().host;
                        let outcome = match reason {
                            Reason::TokenDead => Outcome::InvalidSession,
                            _ => Outcome::TurnedAway { retry_after: Some(retry_after) },
                        };
                        self.ended(now, host, outcome);
                    }
                    _ => {}
                }
            }
            self.answers(now);
        }
    }

    fn answers(&mut self, now: Nanos) {
        for done in std::mem::take(&mut self.done) {
            let id = self.jobs.remove(&done.job).unwrap();
            let live = self.live.remove(&id).unwrap();
            self.order += 1;
            let opened = (live.call == Call::SetContext && done.useful).then_some(SessionKey(self.order));
            self.machine.on_event(now, Event::Done(id, End::Answered { opened, closed: false }), &mut self.out);
            if done.useful {
                if let Some(SessionKey(session)) = opened {
                    self.sessions[live.host] = session;
                }
                let dead = live.call != Call::SetContext && self.sessions[live.host] < self.alive_from;
                self.invalid += u32::from(dead);
                self.ended(now, live.host, if dead { Outcome::InvalidSession } else { Outcome::Answered });
            }
        }
    }

    fn ended(&mut self, now: Nanos, host: usize, outcome: Outcome) {
        self.failed[host] += u32::from(outcome != Outcome::Answered);
        self.nexts[host] = self.hosts[host].ended(now, outcome);
        self.order += 1;
        self.agenda.insert((self.nexts[host].at, self.order), Due::Begin(host));
    }
}

fn law(kind: LawKind) -> Law {
    Law::new(kind, 22, Span::millis(500)).unwrap()
}

fn floor(kind: LawKind, hosts: u32) -> f64 {
    floor_s(Work { hosts, session_units: 2.0, poll_units: 0.01, poll_s: 10.0 }, law(kind).best_rate())
}

#[test]
fn every_host_gets_in_whatever_the_law_and_the_size() {
    for kind in [LawKind::Usl, LawKind::Cliff, LawKind::Convoy] {
        for hosts in [30, 300, 1000] {
            let mut storm = Storm::new(law(kind), 22, &vec![POLITE; hosts], 1);
            let floor = floor(kind, hosts as u32);
            let last = storm.play(Span::from_secs_f64(3.0 * floor + 60.0));
            let last = last.unwrap_or_else(|| unreachable!("{kind:?}, {hosts} hosts: not all are in")).0 as f64 / 1e9;
            let tally = storm.server.tally();
            let failed: u32 = storm.failed.iter().sum();
            println!("{kind:?} {hosts}: {:.2} x floor, {failed} turned away", last / floor);
            assert_eq!(storm.timeouts, 0, "{kind:?}, {hosts} hosts");
            assert_eq!(tally.wasted_units, 0.0);
            assert!(tally.max_in_flight <= 23, "{} in flight", tally.max_in_flight);
            // Batches of a gate that has just begun cost up to 3 s.
            assert!(last <= 1.5 * floor + 3.0, "{kind:?}, {hosts} hosts: {last} s, floor {floor} s");
        }
    }
}

#[test]
fn a_greedy_host_gains_nothing() {
    let retries: Vec<Retry> = (0..600).map(|i| if i % 10 == 0 { GREEDY } else { POLITE }).collect();
    let mut storm = Storm::new(law(LawKind::Usl), 22, &retries, 3);
    storm.play(Span::secs(600)).unwrap();
    let median = |greedy: bool| {
        let hosts = storm.hosts.iter().enumerate().filter(|(i, _)| (i % 10 == 0) == greedy);
        let mut at: Vec<Nanos> = hosts.map(|(_, host)| host.connected_at().unwrap()).collect();
        at.sort_unstable();
        at[at.len() / 2].0 as f64 / 1e9
    };
    let (greedy, polite) = (median(true), median(false));
    assert!(greedy > 0.7 * polite, "greedy {greedy} s, polite {polite} s");
}

#[test]
fn a_limit_well_under_the_knee_is_only_slower() {
    let mut storm = Storm::new(law(LawKind::Usl), 4, &[POLITE; 200], 5);
    assert!(storm.play(Span::secs(1000)).is_some());
    assert_eq!((storm.timeouts, storm.server.tally().max_in_flight), (0, 4));
}

#[test]
fn a_server_that_comes_back_cold_gets_everybody_in() {
    let at = |s| Nanos(0) + Span::secs(s);
    let restart = Outage { at: at(0), back: at(10), warm: at(20) };
    let crash = Outage { at: at(12), back: at(22), warm: at(32) };
    for limit in [LimitPlan::Static(22), LimitPlan::Adaptive { most: 256 }] {
        for (outage, hosts) in [(restart, 300), (restart, 1000), (crash, 300), (crash, 1000)] {
            let servers = vec![ServerPlan { name: "a".into(), limit }];
            let plan = Plan { servers, ..plan(22) };
            let mut storm = Storm::with(law(LawKind::Usl), plan, &vec![POLITE; hosts], 1, outage);
            let floor = floor(LawKind::Usl, hosts as u32);
            let last = storm.play(Span::from_secs_f64(3.0 * floor + 120.0));
            let last = last.unwrap_or_else(|| unreachable!("{limit:?}, {hosts} hosts: not all are in")).0 as f64 / 1e9;
            let failed: u32 = storm.failed.iter().sum();
            println!("{limit:?} {hosts}: in after {last:.1} s, floor {floor:.1} s and 10 s away, {failed} failed");
            assert_eq!((storm.timeouts, storm.server.tally().wasted_units), (0, 0.0));
            assert!(storm.invalid <= 1, "{} calls of dead sessions reached the server", storm.invalid);
            assert!(storm.server.tally().max_in_flight <= 23 + 3, "{} in flight", storm.server.tally().max_in_flight);
            // Away for 10 s, at half its speed for another 10 s; twice what was done is lost with the sessions.
            let lost = outage.at.0 as f64 / 1e9;
            assert!(last <= 1.2 * floor + lost + 20.0, "{limit:?}, {hosts} hosts: {last} s, floor {floor} s");
        }
    }
}
