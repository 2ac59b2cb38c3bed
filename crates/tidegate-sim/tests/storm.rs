//! The models together in virtual time: a storm without a gate, which ends as KB 412434 says, and a small one that does not.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use tidegate_core::time::{Nanos, Span};
use tidegate_sim::floor::{Work, floor_s};
use tidegate_sim::host::{Call, Host, HostScript, Next, Outcome};
use tidegate_sim::law::{Law, LawKind};
use tidegate_sim::provider::{JobId, Offer, Provider, ProviderModel};
use tidegate_sim::retry::Retry;
use tidegate_sim::rng::SplitMix64;

const SCRIPT: HostScript = HostScript { follow_ups: 3, poll: Span::secs(10), timeout: Span::secs(30) };
const RETRY: Retry = Retry::Fixed { min: Span::secs(10), max: Span::secs(12) };

#[derive(Debug, PartialEq)]
struct Report {
    connected: Vec<Option<Nanos>>,
    wasted: f64,
    trace: Vec<(Nanos, usize, Outcome)>,
}

fn units(call: Call) -> f64 {
    match call {
        Call::SetContext => 1.0,
        Call::FollowUp(_) => 1.0 / 3.0,
        Call::Poll => 0.01,
    }
}

/// Plays a storm without a gate. Events are ordered by time, then by what was scheduled first.
fn storm(law: Law, hosts: usize, window: Span, seed: u64) -> Report {
    let mut server = Provider::new(ProviderModel { law, threads: 200, backlog: 1024, crash_at: None }, Nanos(0));
    let mut agenda: BTreeMap<(Nanos, u64), (usize, Option<JobId>)> = BTreeMap::new(); // job: its timeout
    let mut hosts: Vec<_> = (0..hosts).map(|i| Host::new(SCRIPT, RETRY, SplitMix64::stream(seed, i as u64))).collect();
    let (mut nexts, mut owners): (Vec<Next>, BTreeMap<JobId, usize>) = (Vec::new(), BTreeMap::new());
    let (mut order, mut trace, mut done) = (0, Vec::new(), Vec::new());
    for (i, host) in hosts.iter_mut().enumerate() {
        nexts.push(host.start(Nanos(0), Span::secs(2)));
        order += 1;
        agenda.insert((nexts[i].at, order), (i, None));
    }
    let end = Nanos(0) + window;
    loop {
        let due = agenda.keys().next().map_or(Nanos::NEVER, |&(at, _)| at);
        let now = due.min(server.next_done().unwrap_or(Nanos::NEVER));
        if now > end {
            break;
        }
        let mut ended: Vec<(usize, Outcome)> = Vec::new();
        server.advance(now, &mut done);
        for job in done.drain(..).filter(|done| done.useful) {
            ended.push((owners.remove(&job.job).unwrap(), Outcome::Answered));
        }
        if due == now
            && ended.is_empty()
            && let Some((_, (i, timeout))) = agenda.pop_first()
        {
            match timeout {
                Some(job) if owners.remove(&job).is_some() => {
                    server.leave(now, job, &mut done);
                    ended.push((i, Outcome::TimedOut));
                }
                Some(_) => {}
                None => match server.offer(now, units(nexts[i].call), &mut done) {
                    Offer::Taken(job) => {
                        owners.insert(job, i);
                        order += 1;
                        agenda.insert((nexts[i].deadline, order), (i, Some(job)));
                    }
                    _ => ended.push((i, Outcome::Broken)),
                },
            }
        }
        for (i, outcome) in ended {
            trace.push((now, i, outcome));
            nexts[i] = hosts[i].ended(now, outcome);
            order += 1;
            agenda.insert((nexts[i].at, order), (i, None));
        }
    }
    let connected = hosts.iter().map(Host::connected_at).collect();
    Report { connected, wasted: server.tally().wasted_share(), trace }
}

fn law(kind: LawKind) -> Law {
    Law::new(kind, 22, Span::millis(500)).unwrap()
}

fn floor(kind: LawKind, hosts: u32) -> f64 {
    floor_s(Work { hosts, session_units: 2.0, poll_units: 0.01, poll_s: 10.0 }, law(kind).best_rate())
}

const KINDS: [LawKind; 3] = [LawKind::Usl, LawKind::Cliff, LawKind::Convoy];

#[test]
fn three_hundred_hosts_bring_it_down() {
    for kind in KINDS {
        let window = Span::from_secs_f64(3.0 * floor(kind, 300));
        let report = storm(law(kind), 300, window, 1);
        let connected = report.connected.iter().flatten().count();
        assert!(connected <= 3, "{kind:?}: {connected} connected");
        assert!(report.wasted > 0.9, "{kind:?}: {} wasted", report.wasted);
    }
}

#[test]
fn fifteen_hosts_are_in_at_once() {
    for kind in KINDS {
        let report = storm(law(kind), 15, Span::secs(20), 1);
        let last = report.connected.iter().map(|at| at.unwrap()).max().unwrap();
        assert!(last < Nanos(0) + Span::secs(5), "{kind:?}: {last:?}");
        assert_eq!(report.wasted, 0.0);
        assert!(last.0 as f64 / 1e9 >= 0.99 * floor(kind, 15), "the floor is one");
    }
}

#[test]
fn the_same_seed_gives_the_same_trace_and_another_one_another() {
    for kind in KINDS {
        let play = |seed| storm(law(kind), 60, Span::secs(40), seed);
        assert_eq!(play(3), play(3));
        assert_ne!(play(3), play(4));
    }
}

#[test]
fn a_host_that_fails_starts_again_and_one_that_loses_its_session_does_at_once() {
    let mut host = Host::new(SCRIPT, RETRY, SplitMix64::new(1));
    let first = host.start(Nanos(0), Span::ZERO);
    assert_eq!((first.call, first.deadline), (Call::SetContext, first.at + Span::secs(30)));
    let again = host.ended(Nanos(0), Outcome::TurnedAway { retry_after: Some(Span::secs(1)) });
    assert!(again.at >= Nanos(0) + Span::secs(10), "this policy does not honour Retry-After");
    assert!(!again.reconnect, "who is turned away keeps the connection");
    for _ in 0..4 {
        host.ended(Nanos(9), Outcome::Answered);
    }
    assert_eq!((host.connected_at(), host.failures()), (Some(Nanos(9)), 0));
    let lost = host.ended(Nanos(20), Outcome::InvalidSession);
    assert_eq!((lost.at, lost.call, host.connected_at()), (Nanos(20), Call::SetContext, None));
    let timed_out = host.ended(Nanos(20), Outcome::TimedOut);
    assert!(timed_out.at > Nanos(20) && timed_out.reconnect);
}
