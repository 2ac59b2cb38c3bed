//! The ledger beside a naive one that walks over lists: whatever happens, both say the same of every port.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests may panic")]

use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use tidegate_core::ledger::*;
use tidegate_core::time::{Nanos, Span};

const QUARANTINE: Span = Span::secs(60);
const FIRST: u16 = 1000;

#[derive(Clone, Debug)]
enum Move {
    Lease(u8, bool),
    Release(usize, usize),
    Again(usize),
    Connected(usize),
    Advance(u64),
    /// Others use these ports (offsets from FIRST) of the bucket of this source and destination.
    Reconcile(u8, u8, Vec<u16>),
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let one = prop_oneof![
        8 => (0..3u8, any::<bool>()).prop_map(|(to, probe)| Move::Lease(to, probe)),
        6 => (any::<usize>(), 0..Ending::ALL.len()).prop_map(|(which, ending)| Move::Release(which, ending)),
        1 => any::<usize>().prop_map(Move::Again),
        1 => any::<usize>().prop_map(Move::Connected),
        3 => (0..20_000u64).prop_map(Move::Advance),
        1 => (0..2u8, 0..3u8, prop::collection::vec(0..40u16, 0..12)).prop_map(|(f, t, p)| Move::Reconcile(f, t, p)),
    ];
    prop::collection::vec(one, 1..400)
}

fn source(number: u8) -> IpAddr {
    [127, 0, 0, 100 + number].into()
}

fn to(number: u8) -> SocketAddr {
    ([127, 0, 0, number], 443).into()
}

fn settings(sources: u8, count: u16, headroom: u16, seed: u64) -> Settings {
    // Two ranges with a hole between them.
    let (low, high) = (count / 2, count - count / 2);
    let ports = vec![(FIRST..=FIRST + low - 1).into(), (FIRST + low + 3..=FIRST + low + 2 + high).into()];
    Settings { quarantine: QUARANTINE, ..Settings::new((0..sources).map(source).collect(), ports, headroom, seed) }
}

/// One bucket as lists of ports. What was never used is a set: the ledger may take any of them first.
#[derive(Default)]
struct Naive {
    /// The lowest port of the headroom.
    border: u16,
    unused: [BTreeSet<u16>; 2],
    /// Leased and not used after all, the latest last: before those that rest since their last use.
    returned: [Vec<u16>; 2],
    free: [VecDeque<u16>; 2],
    resting: [VecDeque<(u16, Nanos)>; 2],
    /// Port, whether the kernel's list has it, since when.
    foreign: [VecDeque<(u16, bool, Nanos)>; 2],
    leased: BTreeMap<u16, Use>,
    last: BTreeMap<u16, Ending>,
}

/// A slot knows times to 2^20 ns, and never frees a port too early.
fn rested(when: Nanos, now: Nanos, rest: Span) -> bool {
    Nanos(((when.0 >> 20) + 1) << 20) + rest <= now
}

impl Naive {
    fn new(settings: &Settings) -> Naive {
        let all: Vec<u16> = settings.ports.iter().flat_map(|range| range.first..=range.last).collect();
        let (traffic, probe) = all.split_at(all.len() - usize::from(settings.headroom));
        let unused = [traffic.iter().copied().collect(), probe.iter().copied().collect()];
        Naive { border: probe[0], unused, ..Naive::default() }
    }

    fn free(&self, of: usize) -> usize {
        self.unused[of].len() + self.returned[of].len() + self.free[of].len()
    }

    fn available(&self, usage: Use) -> (usize, usize) {
        (self.free(usage as usize), if usage == Use::Probe { self.resting[1].len() } else { 0 })
    }

    fn pass(&mut self, now: Nanos) {
        for of in 0..2 {
            while self.resting[of].front().is_some_and(|(_, when)| rested(*when, now, QUARANTINE)) {
                self.free[of].extend(self.resting[of].pop_front().map(|(port, _)| port));
            }
            while self.foreign[of].front().is_some_and(|(_, _, when)| rested(*when, now, FOREIGN_REST)) {
                self.free[of].extend(self.foreign[of].pop_front().map(|(port, ..)| port));
            }
        }
    }

    /// The ledger leased this: it must be the one that rested longest.
    fn lease(&mut self, lease: &Lease, last: Option<Ending>) {
        let of = lease.usage as usize;
        assert_eq!(usize::from(lease.port >= self.border), of, "headroom is for probes, the rest is not: {lease:?}");
        if self.returned[of].last() == Some(&lease.port) {
            self.returned[of].pop();
        } else if !self.unused[of].is_empty() || !self.returned[of].is_empty() {
            assert!(self.unused[of].remove(&lease.port), "a port that was never used rested longest: {lease:?}");
        } else if let Some(port) = self.free[of].pop_front() {
            assert_eq!(lease.port, port, "first in, first out");
        } else {
            assert_eq!(lease.usage, Use::Probe);
            assert_eq!(Some(lease.port), self.resting[of].pop_front().map(|(port, _)| port));
        }
        assert_eq!(last, self.last.get(&lease.port).copied(), "history of {lease:?}");
        assert_eq!(self.leased.insert(lease.port, lease.usage), None, "leased twice: {lease:?}");
    }

    fn release(&mut self, now: Nanos, lease: &Lease, ending: Ending) {
        let of = lease.usage as usize;
        assert_eq!(self.leased.remove(&lease.port), Some(lease.usage));
        match ending {
            Ending::Clean | Ending::Reset => self.free[of].push_back(lease.port),
            Ending::Unknown | Ending::Refused | Ending::Collision => self.resting[of].push_back((lease.port, now)),
            Ending::Foreign => self.foreign[of].push_back((lease.port, false, now)),
            Ending::Never => return self.returned[of].push(lease.port),
        }
        self.last.insert(lease.port, ending);
    }

    fn reconcile(&mut self, now: Nanos, ports: &BTreeSet<u16>) {
        for of in 0..2 {
            let (mut seen, mut told) = (Vec::new(), VecDeque::new());
            for (port, by_list, when) in std::mem::take(&mut self.foreign[of]) {
                match (ports.contains(&port), by_list) {
                    (true, _) => seen.push(port),
                    (false, false) => told.push_back((port, false, when)),
                    (false, true) => self.free[of].push_back(port),
                }
            }
            let free = self.unused[of].iter().chain(&self.returned[of]).chain(&self.free[of]);
            let mut gone: Vec<u16> = free.copied().filter(|port| ports.contains(port)).collect();
            gone.sort_unstable();
            seen.extend(gone);
            self.unused[of].retain(|port| !ports.contains(port));
            self.returned[of].retain(|port| !ports.contains(port));
            self.free[of].retain(|port| !ports.contains(port));
            self.foreign[of] = told;
            self.foreign[of].extend(seen.iter().map(|port| (*port, true, now)));
            self.last.extend(seen.iter().map(|port| (*port, Ending::Foreign)));
        }
    }
}

struct World {
    ledger: Ledger,
    naive: BTreeMap<(SocketAddr, IpAddr), Naive>,
    settings: Settings,
    leases: Vec<Lease>,
    ended: Vec<Lease>,
    now: Nanos,
}

impl World {
    fn new(settings: Settings) -> World {
        let ledger = Ledger::new(settings.clone()).unwrap();
        let now = Nanos(5_000_000_000);
        World { ledger, naive: BTreeMap::new(), settings, leases: Vec::new(), ended: Vec::new(), now }
    }

    fn play(&mut self, one: &Move) {
        match one {
            Move::Lease(number, probe) => self.lease(to(*number), if *probe { Use::Probe } else { Use::Traffic }),
            Move::Release(which, ending) if !self.leases.is_empty() => {
                let lease = self.leases.swap_remove(which % self.leases.len());
                self.ledger.release(self.now, &lease, Ending::ALL[*ending]);
                let naive = self.naive.get_mut(&(lease.destination, lease.source)).unwrap();
                naive.release(self.now, &lease, Ending::ALL[*ending]);
                self.ended.push(lease);
            }
            Move::Again(which) if !self.ended.is_empty() => {
                self.ledger.release(self.now, &self.ended[which % self.ended.len()], Ending::Clean);
            }
            Move::Connected(which) if !self.leases.is_empty() => {
                self.ledger.connected(&self.leases[which % self.leases.len()]);
            }
            Move::Advance(millis) => self.now = self.now + Span::millis(*millis),
            Move::Reconcile(from, number, offsets) => {
                let ports: BTreeSet<u16> = offsets.iter().map(|offset| FIRST + offset).collect();
                let listed: Vec<u16> = ports.iter().copied().collect();
                self.ledger.reconcile(self.now, Nanos::NEVER, source(*from), to(*number), &listed);
                if let Some(naive) = self.naive.get_mut(&(to(*number), source(*from))) {
                    naive.reconcile(self.now, &ports);
                }
            }
            _ => {}
        }
        self.naive.values_mut().for_each(|naive| naive.pass(self.now));
        self.check();
    }

    fn lease(&mut self, destination: SocketAddr, usage: Use) {
        let sources = &self.settings.sources;
        let unknown = Naive::new(&self.settings);
        let known = |source: &IpAddr| self.naive.get(&(destination, *source)).unwrap_or(&unknown);
        let most = sources.iter().map(|source| known(source).available(usage)).max().unwrap();
        match self.ledger.lease(self.now, destination, None, usage) {
            Ok(lease) => {
                assert_eq!(known(&lease.source).available(usage), most, "the source with most free ports");
                let last = self.ledger.last_use(&lease).map(|(_, ending)| ending);
                let fresh = || Naive::new(&self.settings);
                self.naive.entry((destination, lease.source)).or_insert_with(fresh).lease(&lease, last);
                self.leases.push(lease);
            }
            Err(error) => assert_eq!(most, (0, 0), "{error}"),
        }
    }

    fn check(&mut self) {
        let view = self.ledger.view(self.now);
        assert_eq!(view.buckets.len(), self.naive.len());
        let tuples: BTreeSet<_> =
            self.leases.iter().map(|lease| (lease.source, lease.port, lease.destination)).collect();
        assert_eq!(tuples.len(), self.leases.len(), "a tuple is leased once at a time");
        for bucket in view.buckets {
            let naive = &self.naive[&(bucket.destination, bucket.source)];
            let both = |of: &dyn Fn(usize) -> usize| (of(0) + of(1)) as u32;
            assert_eq!(bucket.free, both(&|of| naive.free(of)));
            assert_eq!(bucket.free_headroom, naive.free(1) as u32);
            assert_eq!(bucket.quarantined, both(&|of| naive.resting[of].len()));
            assert_eq!(bucket.foreign, both(&|of| naive.foreign[of].len()));
            assert_eq!(bucket.traffic + bucket.probes, naive.leased.len() as u32);
            conserved(&bucket);
            let used = bucket.capacity - bucket.headroom + bucket.free_headroom - bucket.free;
            assert_eq!(bucket.watermark, Watermark::of(used, bucket.capacity - bucket.headroom));
            assert!(bucket.connecting <= bucket.traffic + bucket.probes && bucket.high_water >= bucket.traffic);
            match bucket.forecast {
                Some(Span::ZERO) => assert_eq!(bucket.free, bucket.free_headroom),
                Some(left) => assert!(left <= Span::secs(3600) && bucket.gone_per_second > bucket.back_per_second),
                None => assert!(bucket.free > bucket.free_headroom),
            }
        }
    }
}

fn conserved(bucket: &BucketView) {
    let known = bucket.traffic + bucket.probes + bucket.free + bucket.quarantined + bucket.foreign;
    assert_eq!(known, bucket.capacity + bucket.outside, "{bucket:?}");
    let ever = bucket.leased_total.values().sum::<u64>() - bucket.ended_total.values().sum::<u64>();
    assert_eq!(ever, u64::from(bucket.traffic + bucket.probes));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_ledger_is_the_naive_one(moves in moves(), sources in 1..3u8, count in 4..32u16, seed in any::<u64>()) {
        let mut world = World::new(settings(sources, count, 1 + count / 5, seed));
        moves.iter().for_each(|one| world.play(one));
    }

    #[test]
    fn the_same_moves_give_the_same_ledger(moves in moves(), seed in any::<u64>()) {
        let mut worlds = [0; 2].map(|_| World::new(settings(2, 20, 4, seed)));
        worlds.iter_mut().for_each(|world| moves.iter().for_each(|one| world.play(one)));
        let [one, other] = worlds.each_mut().map(|world| (world.ledger.view(world.now), world.ledger.export(world.now)));
        prop_assert_eq!(one, other);
    }

    #[test]
    fn leases_live_through_other_settings(moves in moves(), count in 4..32u16, headroom in 1..4u16, sources in 0..3u8) {
        let mut world = World::new(settings(2, 20, 4, 3));
        moves.iter().for_each(|one| world.play(one));
        let before = world.ledger.view(world.now).buckets;
        world.ledger.apply(world.now, settings(sources, count, headroom, 3)).unwrap();
        for bucket in world.ledger.view(world.now).buckets {
            conserved(&bucket);
            let same = |other: &&BucketView| (other.destination, other.source) == (bucket.destination, bucket.source);
            let before = before.iter().find(same).unwrap();
            prop_assert_eq!((before.traffic, before.probes, before.connecting), (bucket.traffic, bucket.probes, bucket.connecting));
            prop_assert_eq!((u32::from(count), u32::from(headroom)), (bucket.capacity, bucket.headroom));
        }
        let mut tuples: BTreeSet<_> = world.leases.iter().map(|lease| (lease.source, lease.port, lease.destination)).collect();
        for _ in 0..100 {
            if let Ok(lease) = world.ledger.lease(world.now, to(1), Some(source(0)), Use::Traffic) {
                prop_assert!(tuples.insert((lease.source, lease.port, lease.destination)), "leased twice: {:?}", lease);
            }
        }
        for lease in world.leases {
            world.ledger.release(world.now, &lease, Ending::Reset);
        }
        for bucket in world.ledger.view(world.now).buckets {
            conserved(&bucket);
            prop_assert_eq!((bucket.outside, bucket.probes, bucket.connecting), (0, 0, bucket.traffic));
        }
    }

    /// Whoever asks for a source gets that one or none, and another source is another one.
    #[test]
    fn a_lease_has_the_source_that_was_asked_for(moves in moves(), sources in 0..3u8, asked in prop::collection::vec((0..4u8, any::<bool>()), 1..60)) {
        let mut world = World::new(settings(2, 20, 4, 3));
        moves.iter().for_each(|one| world.play(one));
        world.ledger.apply(world.now, settings(sources, 20, 4, 3)).unwrap();
        for (number, probe) in asked {
            let usage = if probe { Use::Probe } else { Use::Traffic };
            match world.ledger.lease_from(world.now, to(1), source(number), usage) {
                Ok(lease) => prop_assert!(lease.source == source(number) && (sources == 0 || number < sources)),
                Err(NoPort::NoSource { .. }) => prop_assert!(sources > 0 && number >= sources),
                Err(error) => prop_assert!(matches!(error, NoPort::Exhausted { .. }), "{error}"),
            }
            let other = world.ledger.other_source(to(1), &[source(number)]);
            prop_assert_eq!(other, (0..sources).find(|other| *other != number).map(source));
            prop_assert_eq!(world.ledger.other_source("[::1]:443".parse().unwrap(), &[]), None);
        }
    }

    #[test]
    fn the_next_process_leaves_alone_what_was_in_use(moves in moves()) {
        let mut world = World::new(settings(2, 20, 4, 3));
        moves.iter().for_each(|one| world.play(one));
        let carried = world.ledger.export(world.now);
        let carried: Carried = serde_json::from_str(&serde_json::to_string(&carried).unwrap()).unwrap();
        let mut next = Ledger::new(settings(2, 20, 4, 8)).unwrap();
        let start = Nanos(90_000_000_000);
        next.import(start, &carried).unwrap();
        let view = next.view(start);
        prop_assert_eq!(view.generation, 2);
        for bucket in &view.buckets {
            conserved(bucket);
            let old = world.ledger.view(world.now).buckets;
            let same = |other: &&BucketView| (other.destination, other.source) == (bucket.destination, bucket.source);
            let old = old.iter().find(same).unwrap();
            prop_assert!(bucket.quarantined.abs_diff(old.quarantined) <= 20 && bucket.free >= old.free);
            prop_assert_eq!(bucket.free + bucket.quarantined + bucket.foreign, bucket.capacity);
        }
        for lease in &world.leases {
            while let Ok(other) = next.lease(start, lease.destination, None, Use::Traffic) {
                prop_assert!((other.source, other.port) != (lease.source, lease.port));
            }
        }
        for bucket in carried.buckets {
            next.reconcile(start, start, bucket.source, bucket.destination, &[]);
        }
        prop_assert!(next.view(start).buckets.iter().all(|bucket| bucket.foreign == 0), "the old process is gone");
    }
}

#[test]
fn another_format_is_refused() {
    let mut ledger = Ledger::new(settings(1, 20, 4, 3)).unwrap();
    let carried = Carried { format: 2, ..ledger.export(Nanos(0)) };
    assert_eq!(ledger.import(Nanos(0), &carried), Err(CarriedError::Format(2)));
}

#[test]
fn probes_have_ports_whatever_traffic_does_and_however_often_they_are_refused() {
    let mut ledger = Ledger::new(settings(1, 30, 8, 3)).unwrap();
    while ledger.lease(Nanos(0), to(1), None, Use::Traffic).is_ok() {}
    for second in 1..600 {
        let now = Nanos(0) + Span::secs(second);
        let lease = ledger.lease(now, to(1), None, Use::Probe).unwrap();
        let last = ledger.last_use(&lease);
        assert_eq!(last.is_none(), second <= 8, "at first from a tuple that was never used: {last:?}");
        ledger.release(now, &lease, Ending::Refused);
    }
}

#[test]
fn a_forecast_comes_true() {
    let mut ledger = Ledger::new(settings(1, 1000, 8, 3)).unwrap();
    let mut foretold = None;
    for tick in 0.. {
        let now = Nanos(tick * 100_000_000);
        if ledger.lease(now, to(1), None, Use::Traffic).is_err() {
            let foretold: Nanos = foretold.unwrap();
            let off = foretold.since(now).max(now.since(foretold)).as_secs_f64();
            return assert!(off < 3.0, "foretold at half of it, {off} s off");
        }
        if tick == 500 {
            foretold = Some(now + ledger.view(now).buckets[0].forecast.unwrap());
        }
    }
}
