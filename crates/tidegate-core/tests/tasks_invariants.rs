//! Task slots under random events: whatever happens, in whatever order, the bounds hold and nobody is lost.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests may panic")]

use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use tidegate_core::limit::tasks::*;
use tidegate_core::time::{Nanos, Span};

#[derive(Clone, Debug)]
enum Move {
    Arrive { principal: u16, work: Work, host: Option<u64>, datastores: Vec<u64>, vm: Option<u64> },
    Started(usize, bool),
    Lost(usize),
    Left(usize),
    Progress(usize),
    Ended(usize, How),
    Latency(u64, Option<u32>),
    Advance(u64),
    Drain,
}

fn moves() -> impl Strategy<Value = Move> {
    let works = (0..Work::ALL.len()).prop_map(|at| Work::ALL[at]);
    let arrive = (
        0..5u16,
        works,
        prop::option::weighted(0.8, 0..2u64),
        prop::collection::vec(0..3u64, 0..3),
        prop::option::weighted(0.9, 0..9u64),
    );
    let how = prop_oneof![8 => Just(How::Fine), 1 => Just(How::Failed), 1 => Just(How::Expired)];
    let latency = prop::option::weighted(
        0.9,
        prop_oneof![15_000..28_000u32, Just(17_999), Just(18_000), Just(20_000), Just(25_000)],
    );
    prop_oneof![
        12 => arrive.prop_map(|(principal, work, host, datastores, vm)| Move::Arrive { principal, work, host, datastores, vm }),
        8 => (any::<usize>(), prop::bool::weighted(0.85)).prop_map(|(at, yes)| Move::Started(at, yes)),
        1 => any::<usize>().prop_map(Move::Lost),
        2 => any::<usize>().prop_map(Move::Left),
        2 => any::<usize>().prop_map(Move::Progress),
        8 => (any::<usize>(), how).prop_map(|(at, how)| Move::Ended(at, how)),
        3 => (0..3u64, latency).prop_map(|(datastore, micros)| Move::Latency(datastore, micros)),
        6 => (0..20_000u64).prop_map(Move::Advance),
        1 => (60_000..400_000u64).prop_map(Move::Advance),
    ]
}

/// What runs, seen from outside.
#[derive(Clone, Debug)]
struct Call {
    principal: u16,
    work: Work,
    host: Option<u64>,
    datastores: BTreeSet<u64>,
    vm: Option<u64>,
    arrived: Nanos,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Stage {
    Waits,
    Sent,
    Runs,
    Lost,
}

#[derive(Default)]
struct Counts {
    arrived: u64,
    went: u64,
    refused: u64,
    left: u64,
}

struct World {
    slots: TaskSlots,
    settings: Settings,
    now: Nanos,
    /// When the time of day was told last, and what it was.
    told: (Nanos, i64),
    calls: BTreeMap<u64, Call>,
    /// (principal, VM) and the datastores of its snapshots, as long as they are open.
    open: BTreeMap<u64, (BTreeSet<u16>, BTreeSet<u64>)>,
    speeds: BTreeMap<u64, (bool, u32)>,
    counts: Counts,
}

const HOUR: i64 = 400;

fn settings() -> Settings {
    let open: Vec<(i64, i64)> = (0..50).map(|n| (n * 2 * HOUR, (n * 2 + 1) * HOUR)).collect();
    let windows = |outside| vec![Window { open: open.clone(), outside }];
    let bulk = PrincipalPlan { bulk: true, vms_max: 3, windows: Vec::new() };
    let principals = vec![
        PrincipalPlan::default(),
        bulk.clone(),
        PrincipalPlan { windows: windows(Outside::Hold), ..bulk },
        PrincipalPlan { windows: windows(Outside::TurnAway), ..PrincipalPlan::default() },
    ];
    Settings {
        start: 6,
        most: 12,
        leases_max: 3,
        leases_per_host_max: 2,
        snapshots_per_datastore_max: 3,
        waiting_max: 12,
        work_max: Span::secs(1_000_000),
        principals,
        ..Settings::default()
    }
}

impl World {
    fn new() -> World {
        let mut world = World {
            slots: TaskSlots::new(settings()),
            settings: settings(),
            now: Nanos(0),
            told: (Nanos(0), 0),
            calls: BTreeMap::new(),
            open: BTreeMap::new(),
            speeds: BTreeMap::new(),
            counts: Counts::default(),
        };
        world.event(Event::Time { unix_s: 0 });
        world
    }

    fn event(&mut self, event: Event) {
        let mut actions = Vec::new();
        self.slots.on_event(self.now, event, &mut actions);
        let mut went = false;
        for action in actions {
            match action {
                Action::Go { ask } => {
                    went = true;
                    self.went(ask.0);
                }
                Action::Hold { ask, .. } => assert_eq!(self.calls[&ask.0].stage, Stage::Waits),
                Action::TurnAway { ask, retry_after, .. } => {
                    assert!((Span::secs(1)..=Span::secs(4500)).contains(&retry_after));
                    assert_eq!(self.calls.remove(&ask.0).map(|call| call.stage), Some(Stage::Waits));
                    self.counts.refused += 1;
                }
            }
        }
        self.check(went);
    }

    /// The machine let this one go: it had to be allowed.
    fn went(&mut self, ask: u64) {
        self.counts.went += 1;
        let call = self.calls[&ask].clone();
        let plan = self.settings.principals.get(usize::from(call.principal)).cloned().unwrap_or_default();
        assert_eq!(call.stage, Stage::Waits, "each goes once");
        assert!(self.now.since(call.arrived) <= self.settings.wait_max);
        let work = call.work != Work::Unsnapshot;
        let begun = call.vm.is_some_and(|vm| self.works_on(call.principal, vm));
        let second = self.told.1 + (self.now.since(self.told.0).0 / 1_000_000_000) as i64;
        assert!(!work || begun || plan.windows.is_empty() || second / HOUR % 2 == 0, "outside of its windows");
        if call.work == Work::Snapshot {
            for datastore in &call.datastores {
                let (hot, cap) = self.speed(*datastore);
                let there = self.on(*datastore);
                assert!(!hot, "no snapshot begins on a slow datastore");
                let own = call.vm.is_some_and(|vm| there.contains(&vm));
                assert!(own || there.len() < cap as usize, "{there:?} on one that may have {cap}");
            }
        }
        self.calls.get_mut(&ask).unwrap().stage = Stage::Sent;
        let leases = |host: Option<u64>| {
            let open = self.calls.values().filter(|call| call.work == Work::Lease && call.stage != Stage::Waits);
            open.filter(|call| host.is_none() || call.host == host).count() as u32
        };
        assert!(leases(None) <= self.settings.leases_max);
        assert!((0..2).all(|host| leases(Some(host)) <= self.settings.leases_per_host_max));
        let vms = (0..9).filter(|vm| self.works_on(call.principal, *vm)).count() as u32;
        assert!(!plan.bulk || vms <= plan.vms_max, "{vms} VMs in work");
    }

    fn works_on(&self, principal: u16, vm: u64) -> bool {
        let opened = self.open.get(&vm).is_some_and(|open| open.0.contains(&principal));
        let works = |call: &Call| call.work != Work::Unsnapshot && call.stage != Stage::Waits;
        opened || self.calls.values().any(|call| call.principal == principal && call.vm == Some(vm) && works(call))
    }

    /// VMs that have, or get, snapshots there.
    fn on(&self, datastore: u64) -> BTreeSet<u64> {
        let open = self.open.iter().filter(|(_, open)| open.1.contains(&datastore)).map(|(vm, _)| *vm);
        let made = |call: &&Call| call.work == Work::Snapshot && call.stage != Stage::Waits;
        let made = self.calls.values().filter(made).filter(|call| call.datastores.contains(&datastore));
        open.chain(made.filter_map(|call| call.vm)).collect()
    }

    fn speed(&self, datastore: u64) -> (bool, u32) {
        self.speeds.get(&datastore).copied().unwrap_or((false, self.settings.snapshots_per_datastore_max))
    }

    fn slot(call: &Call) -> bool {
        match call.stage {
            Stage::Waits => false,
            Stage::Runs => call.work != Work::Lease,
            Stage::Sent | Stage::Lost => true,
        }
    }

    fn check(&self, went: bool) {
        let view = self.slots.view(self.now);
        let count = |what: &dyn Fn(&Call) -> bool| self.calls.values().filter(|call| what(call)).count() as u32;
        let waiting = count(&|call| call.stage == Stage::Waits);
        assert_eq!(view.running, count(&World::slot), "slots are counted right");
        assert_eq!(view.bulk, count(&|call| World::slot(call) && [1, 2].contains(&call.principal)));
        assert_eq!(view.leases, count(&|call| call.work == Work::Lease && call.stage != Stage::Waits));
        assert_eq!((view.waiting, view.held.iter().sum()), (waiting, waiting));
        assert!(waiting <= self.settings.waiting_max && (1..=self.settings.most).contains(&view.limit));
        assert!(!went || view.running <= view.limit, "{} of {} slots", view.running, view.limit);
        for host in 0..2 {
            let there = count(&|call| World::slot(call) && call.host == Some(host));
            assert_eq!(self.slots.on_host(HostKey(host)), there, "slots of hosts are counted right");
        }
        let (counts, totals) = (&self.counts, &view.totals);
        assert!(totals.late <= totals.fine + totals.let_go && totals.expired <= totals.failed);
        assert_eq!(counts.arrived, counts.went + counts.refused + counts.left + u64::from(waiting));
        let turned_away = totals.turned_away.iter().sum::<u64>();
        assert_eq!(
            (totals.arrived, totals.let_go, turned_away, totals.left),
            (counts.arrived, counts.went, counts.refused, counts.left)
        );
        let over = totals.unbegun + totals.fine + totals.failed + totals.forgotten;
        assert_eq!(totals.let_go, over + u64::from(count(&|call| call.stage != Stage::Waits)));
        if let Some(wake) = self.slots.next_wake(self.now) {
            assert!(wake > self.now, "what is due is done");
        } else {
            assert!(self.calls.is_empty(), "somebody would wait for ever");
        }
    }

    /// The call is over; `made`: its snapshot is open, if it made one.
    fn over(&mut self, ask: u64, done: bool, made: bool) {
        let call = self.calls.remove(&ask).unwrap();
        let Some(vm) = call.vm else { return };
        if call.work == Work::Unsnapshot && done {
            // Snapshots that are being made keep what the VM has.
            let being =
                |other: &&Call| other.work == Work::Snapshot && other.vm == Some(vm) && other.stage != Stage::Waits;
            let open = self.open.remove(&vm);
            if let (Some((_, datastores)), true) = (open, self.calls.values().filter(being).count() > 0) {
                self.open.insert(vm, (BTreeSet::new(), datastores));
            }
        } else if call.work == Work::Snapshot {
            let open = self.open.entry(vm).or_default();
            open.1.extend(&call.datastores);
            if made {
                open.0.insert(call.principal);
            }
            self.forget_unmade(vm);
        }
    }

    /// A VM whose last snapshot did not come about has none.
    fn forget_unmade(&mut self, vm: u64) {
        let being = |other: &Call| other.work == Work::Snapshot && other.vm == Some(vm) && other.stage != Stage::Waits;
        if self.open.get(&vm).is_some_and(|open| open.0.is_empty()) && !self.calls.values().any(being) {
            self.open.remove(&vm);
        }
    }

    fn pick(&self, at: usize, stages: &[Stage]) -> Option<u64> {
        let calls: Vec<u64> =
            self.calls.iter().filter(|(_, call)| stages.contains(&call.stage)).map(|(ask, _)| *ask).collect();
        (!calls.is_empty()).then(|| calls[at % calls.len()])
    }

    fn advance(&mut self, span: Span) {
        let end = self.now + span;
        while let Some(at) = self.slots.next_wake(self.now).filter(|at| *at <= end) {
            self.now = at;
            let before: BTreeSet<u64> = self.slots_taken();
            let forgotten = self.slots.view(at).totals.forgotten;
            // What is forgotten is what the machine says, checked by number: its time is told by scenes in tests/tasks.rs.
            let mut probe = self.slots.clone();
            probe.on_event(at, Event::Wake, &mut Vec::new());
            if probe.view(at).totals.forgotten > forgotten {
                let gone: Vec<u64> = before.into_iter().filter(|ask| !self.known_by(&probe, *ask)).collect();
                assert_eq!(probe.view(at).totals.forgotten - forgotten, gone.len() as u64);
                gone.into_iter().for_each(|ask| self.over(ask, false, true));
            }
            self.event(Event::Wake);
        }
        self.now = end;
        self.told = (end, (end.0 / 1_000_000_000) as i64);
        self.event(Event::Time { unix_s: self.told.1 });
    }

    fn slots_taken(&self) -> BTreeSet<u64> {
        self.calls.iter().filter(|(_, call)| call.stage != Stage::Waits).map(|(ask, _)| *ask).collect()
    }

    fn known_by(&self, slots: &TaskSlots, ask: u64) -> bool {
        match self.calls[&ask].stage {
            Stage::Runs => slots.runs(TaskKey(ask)),
            _ => slots.knows(Ask(ask)),
        }
    }

    fn step(&mut self, what: Move) {
        match what {
            Move::Arrive { principal, work, host, datastores, vm } => {
                let ask = self.counts.arrived;
                self.counts.arrived += 1;
                let datastores: BTreeSet<u64> = datastores.into_iter().collect();
                let (arrived, stage) = (self.now, Stage::Waits);
                let call = Call { principal, work, host, datastores: datastores.clone(), vm, arrived, stage };
                self.calls.insert(ask, call);
                self.event(Event::Arrive {
                    ask: Ask(ask),
                    principal: PrincipalIx(principal),
                    work,
                    host: host.map(HostKey),
                    datastores: datastores.into_iter().map(DatastoreKey).collect(),
                    vm: vm.map(VmKey),
                });
            }
            Move::Started(at, yes) => {
                let Some(ask) = self.pick(at, &[Stage::Sent]) else { return };
                if yes {
                    self.calls.get_mut(&ask).unwrap().stage = Stage::Runs;
                } else {
                    self.over(ask, false, false);
                }
                self.event(Event::Started { ask: Ask(ask), task: yes.then_some(TaskKey(ask)) });
            }
            Move::Lost(at) => {
                let Some(ask) = self.pick(at, &[Stage::Sent]) else { return };
                self.calls.get_mut(&ask).unwrap().stage = Stage::Lost;
                self.event(Event::Lost { ask: Ask(ask) });
            }
            Move::Left(at) => {
                let Some(ask) = self.pick(at, &[Stage::Waits, Stage::Sent]) else { return };
                if self.calls[&ask].stage == Stage::Waits {
                    self.counts.left += 1;
                    self.calls.remove(&ask);
                } else {
                    self.over(ask, false, false);
                }
                self.event(Event::Left { ask: Ask(ask) });
            }
            Move::Progress(at) => {
                let Some(ask) = self.pick(at, &[Stage::Runs]) else { return };
                self.event(Event::Progress { task: TaskKey(ask) });
            }
            Move::Ended(at, how) => {
                let Some(ask) = self.pick(at, &[Stage::Runs]) else { return };
                let fine = how == How::Fine;
                self.over(ask, fine, fine);
                self.event(Event::Ended { task: TaskKey(ask), how, vm: None });
            }
            Move::Latency(datastore, micros) => {
                let (hot, cap) = self.speed(datastore);
                let most = self.settings.snapshots_per_datastore_max;
                match micros {
                    None => _ = self.speeds.remove(&datastore),
                    Some(25_000..) => _ = self.speeds.insert(datastore, (true, (cap / 2).max(1))),
                    Some(20_000..) => _ = self.speeds.insert(datastore, (true, cap)),
                    Some(18_000..) => _ = self.speeds.insert(datastore, (hot, cap)),
                    Some(_) => _ = self.speeds.insert(datastore, (false, (cap + 1).min(most))),
                }
                self.event(Event::Latency { datastore: DatastoreKey(datastore), micros });
            }
            Move::Advance(millis) => self.advance(Span::millis(millis)),
            Move::Drain => self.event(Event::Drain),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn bounds_hold_and_nobody_is_lost(moves in prop::collection::vec(moves(), 1..250)) {
        let mut world = World::new();
        moves.into_iter().for_each(|what| world.step(what));
        world.step(Move::Drain);
        world.advance(Span::secs(2_000_000));
        let view = world.slots.view(world.now);
        prop_assert_eq!((view.running, view.waiting, view.leases, view.vms, view.snapshots), (0, 0, 0, 0, 0));
        prop_assert_eq!(world.slots.next_wake(world.now), None);
    }
}
