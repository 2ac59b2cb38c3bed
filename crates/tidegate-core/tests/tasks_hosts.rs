//! Task slots before a vCenter whose hosts are not equal: no token dies in the queue of any of them.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests may panic")]

use std::collections::VecDeque;
use tidegate_core::limit::tasks::*;
use tidegate_core::rng::Rng;
use tidegate_core::time::{Nanos, Span};

const LIFE_S: u64 = 300;
/// So many calls wait at the gate.
const WAITING: u64 = 60;

/// A host as vCenter's gateway sees it: so many workers, and a queue in which tokens die.
struct Host {
    workers: usize,
    task_s: u64,
    /// Of all calls, so many are for it.
    share: f64,
    queue: VecDeque<(Ask, u64)>,
    works: VecDeque<(Ask, u64)>,
}

fn host(workers: usize, task_s: u64, share: f64) -> Host {
    Host { workers, task_s, share, queue: VecDeque::new(), works: VecDeque::new() }
}

struct World {
    slots: TaskSlots,
    second: u64,
    hosts: Vec<Host>,
    /// Whether the gate knows which call is for which host.
    known: bool,
    rng: Rng,
    asks: Vec<usize>,
    went: u64,
    done: u64,
    expired: u64,
    /// Longest wait for a worker, in seconds.
    longest: u64,
}

impl World {
    fn new(hosts: Vec<Host>, known: bool) -> World {
        let day = Span::secs(86_400);
        let settings = Settings { wait_max: day, waiting_max: 10_000, work_max: day, ..Settings::default() };
        let rng = Rng::new(7);
        let (went, done, expired, longest) = (0, 0, 0, 0);
        let slots = TaskSlots::new(settings);
        World { slots, second: 0, hosts, known, rng, asks: Vec::new(), went, done, expired, longest }
    }

    fn event(&mut self, event: Event) {
        let mut actions = Vec::new();
        self.slots.on_event(Nanos(self.second * 1_000_000_000), event, &mut actions);
        for action in actions {
            if let Action::Go { ask } = action {
                self.went += 1;
                self.hosts[self.asks[ask.0 as usize]].queue.push_back((ask, self.second));
                self.event(Event::Started { ask, task: Some(TaskKey(ask.0)) });
            }
        }
    }

    /// One more call waits at the gate, for one host or another.
    fn arrive(&mut self) {
        let mut at = self.rng.uniform(0.0, self.hosts.iter().map(|host| host.share).sum());
        let first = |host: &Host| {
            at -= host.share;
            at < 0.0
        };
        let to = self.hosts.iter().position(first).unwrap_or(0);
        let ask = Ask(self.asks.len() as u64);
        self.asks.push(to);
        let host = self.known.then_some(HostKey(to as u64));
        let (principal, work, datastores) = (PrincipalIx(0), Work::Task, Datastores::default());
        self.event(Event::Arrive { ask, principal, work, host, datastores, vm: None });
    }

    /// A second in the life of the hosts.
    fn tick(&mut self) {
        self.second += 1;
        let mut over = Vec::new();
        for host in &mut self.hosts {
            while let Some((ask, _)) = host.works.pop_front_if(|(_, until)| *until <= self.second) {
                over.push((ask, How::Fine));
            }
            while host.works.len() < host.workers
                && let Some((ask, since)) = host.queue.pop_front()
            {
                let waited = self.second - since;
                self.longest = self.longest.max(waited);
                if waited > LIFE_S {
                    over.push((ask, How::Expired));
                } else {
                    host.works.push_back((ask, self.second + host.task_s));
                }
            }
        }
        for (ask, how) in over {
            self.done += u64::from(how == How::Fine);
            self.expired += u64::from(how == How::Expired);
            self.event(Event::Ended { task: TaskKey(ask.0), how, vm: None });
        }
        if self.second.is_multiple_of(5) {
            let alive = self.hosts.iter().flat_map(|host| host.queue.iter().chain(&host.works));
            let alive: Vec<Ask> = alive.map(|(ask, _)| *ask).collect();
            alive.into_iter().for_each(|ask| self.event(Event::Progress { task: TaskKey(ask.0) }));
        }
        for (number, host) in self.hosts.iter().enumerate() {
            let there = (host.queue.len() + host.works.len()) as u32;
            assert!(!self.known || self.slots.on_host(HostKey(number as u64)) == there);
        }
    }

    /// As many calls wait as there is room for, for so long.
    fn storm(&mut self, seconds: u64) {
        for _ in 0..seconds {
            while (self.asks.len() as u64) < self.went + WAITING {
                self.arrive();
            }
            self.tick();
        }
    }
}

/// A storm of two hours: tasks done, tokens that died, and the longest wait as a part of a token's life.
fn two_hours(hosts: Vec<Host>, known: bool) -> (u64, u64, f64) {
    let mut world = World::new(hosts, known);
    world.storm(2 * 3600);
    (world.done, world.expired, world.longest as f64 / LIFE_S as f64)
}

/// Hosts of a vCenter, by how they differ.
fn shapes() -> Vec<(&'static str, Vec<Host>)> {
    vec![
        ("equal", (0..8).map(|_| host(2, 8, 1.0)).collect()),
        ("one hot of six", (0..6).map(|n| host(2, 8, if n == 0 { 3.0 } else { 1.0 })).collect()),
        ("one hot of twenty", (0..20).map(|n| host(2, 8, if n == 0 { 4.0 } else { 1.0 })).collect()),
        ("large and small", (0..12).map(|n| host(2, 4, f64::from(1 + n % 4))).collect()),
        ("one of one", vec![host(4, 10, 1.0)]),
    ]
}

fn one_slow() -> Vec<Host> {
    (0..8).map(|n| host(2, if n == 0 { 40 } else { 8 }, 1.0)).collect()
}

#[test]
fn no_token_dies_where_hosts_are_known() {
    for (name, hosts) in shapes().into_iter().chain([("one slow", one_slow())]) {
        let (done, expired, longest) = two_hours(hosts, true);
        assert!(done > 2000 && expired == 0 && longest < 0.55, "{name}: {done} done, {expired} dead, {longest}");
    }
}

#[test]
fn nor_where_they_are_not_as_tasks_that_are_late_tell_of_them() {
    for (name, hosts) in shapes() {
        let (done, expired, longest) = two_hours(hosts, false);
        assert!(done > 2000 && expired == 0 && longest < 0.9, "{name}: {done} done, {expired} dead, {longest}");
    }
}

#[test]
fn of_an_unknown_host_that_cannot_do_what_it_begins_with_no_more_than_that_dies() {
    let mut world = World::new(one_slow(), false);
    world.storm(3600);
    let expired = world.expired;
    assert!(expired <= 32, "{expired}");
    world.storm(2 * 3600);
    assert_eq!(world.expired, expired, "it has learned from it");
}

#[test]
fn a_vcenter_that_becomes_ten_times_slower_is_given_less() {
    for known in [true, false] {
        let mut world = World::new((0..4).map(|_| host(2, 2, 1.0)).collect(), known);
        world.storm(3600);
        world.hosts.iter_mut().for_each(|host| host.task_s = 20);
        world.storm(1800);
        let expired = world.expired;
        world.storm(2 * 3600);
        assert_eq!(world.expired, expired, "what was inside may die, and no more");
    }
}

#[test]
fn slow_tasks_that_do_not_wait_are_not_done_one_by_one() {
    for (task_s, known) in [(170, true), (170, false), (290, false), (900, true), (3600, false)] {
        let mut world = World::new((0..4).map(|_| host(8, task_s, 1.0)).collect(), known);
        world.storm(60 * task_s);
        let at_once = world.done as f64 / 60.0;
        assert!(at_once > 4.0 && world.expired < 8, "{task_s} s, {known}: {at_once}, {} dead", world.expired);
    }
}
