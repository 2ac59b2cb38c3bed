//! One bucket: the ports from one source to one destination, those for traffic and those for probes.

use super::flow::Flow;
use super::pool::Pool;
use super::ranges::{PortRange, Ports};
use super::slot::{Slot, State};
use super::words::{Ending, Lease, Use};
use crate::rng::Rng;
use crate::time::{Nanos, Span};
use std::collections::BTreeMap;

/// Ever since the bucket is known.
#[derive(Clone, Debug, Default)]
pub(super) struct Totals {
    /// By use.
    pub leased: [u64; 2],
    /// By ending.
    pub ended: [u64; 7],
}

#[derive(Debug)]
pub(super) struct Bucket {
    /// By use: no port is in both.
    pub pools: [Pool; 2],
    /// Leases of ports that the settings no longer have.
    outside: BTreeMap<u16, Slot>,
    pub leased: [u32; 2],
    pub connecting: u32,
    pub high_water: u32,
    pub used: Nanos,
    pub flow: Flow,
    pub totals: Totals,
    serial: u16,
}

impl Bucket {
    pub fn new(now: Nanos, split: &[Vec<PortRange>; 2], rng: &mut Rng) -> Bucket {
        Bucket {
            pools: split.each_ref().map(|ranges| Pool::new(Ports::new(ranges.clone(), rng.next_u64()))),
            outside: BTreeMap::new(),
            leased: [0; 2],
            connecting: 0,
            high_water: 0,
            used: now,
            flow: Flow::default(),
            totals: Totals::default(),
            serial: 0,
        }
    }

    pub fn outside(&self) -> u32 {
        self.outside.len() as u32
    }

    pub fn busy(&self) -> bool {
        self.leased != [0; 2]
    }

    /// Sum over both pools.
    pub fn sum(&self, of: impl Fn(&Pool) -> u32) -> u32 {
        self.pools.iter().map(of).sum()
    }

    pub fn pass(&mut self, now: Nanos, quarantine: Span) {
        self.pools.iter_mut().for_each(|pool| pool.pass(now, quarantine, &mut self.flow));
    }

    /// Ports that a lease for `usage` could get: free ones, and for probes, which must not wait, how many rest.
    pub fn available(&self, usage: Use) -> (u32, u32) {
        let pool = &self.pools[usage as usize];
        (pool.free(), if usage == Use::Probe { pool.resting() } else { 0 })
    }

    /// A port and the number of its lease.
    pub fn take(&mut self, now: Nanos, usage: Use) -> Option<(u16, u16)> {
        let serial = self.serial.wrapping_add(1);
        let pool = &mut self.pools[usage as usize];
        let free = pool.take(usage, serial);
        if free.is_some() {
            self.flow.gone(now);
        }
        // A server that refuses probe after probe fills the headroom with quarantines. Its tuple's history goes with the
        // verdict, so a port that still rests is better evidence than none.
        let resting = || (usage == Use::Probe).then(|| pool.take_resting(usage, serial)).flatten();
        let port = free.or_else(resting)?;
        self.serial = serial;
        self.used = now;
        self.connecting += 1;
        self.leased[usage as usize] += 1;
        self.totals.leased[usage as usize] += 1;
        self.high_water = self.high_water.max(self.leased.iter().sum());
        Some((port, serial))
    }

    /// The slot of a lease, unless it was released before.
    pub fn slot(&self, lease: &Lease) -> Option<&Slot> {
        let inside = self.pools.iter().find_map(|pool| pool.slot(lease.port));
        inside.or_else(|| self.outside.get(&lease.port)).filter(|slot| Self::is_of(slot, lease))
    }

    fn is_of(slot: &Slot, lease: &Lease) -> bool {
        slot.state().leased() == Some(lease.usage) && slot.link() == lease.serial
    }

    pub fn connected(&mut self, lease: &Lease) {
        let inside = self.pools.iter_mut().find_map(|pool| pool.slot_mut(lease.port));
        let slot = inside.or_else(|| self.outside.get_mut(&lease.port)).filter(|slot| Self::is_of(slot, lease));
        if let Some(slot) = slot.filter(|slot| matches!(slot.state(), State::Connecting(_))) {
            slot.set_state(State::Connected(lease.usage));
            self.connecting -= 1;
        }
    }

    /// False when there is no such lease.
    pub fn release(&mut self, now: Nanos, lease: &Lease, ending: Ending) -> bool {
        let Some(slot) = self.slot(lease) else { return false };
        if matches!(slot.state(), State::Connecting(_)) {
            self.connecting -= 1;
        }
        self.used = now;
        self.leased[lease.usage as usize] -= 1;
        self.totals.ended[ending as usize] += 1;
        if self.outside.remove(&lease.port).is_some() {
            return true;
        }
        let pool = self.pools.iter_mut().find(|pool| pool.slot(lease.port).is_some());
        if pool.is_some_and(|pool| pool.give_back(now, lease.port, ending)) {
            self.flow.back(now);
        }
        true
    }

    pub fn reconcile(&mut self, now: Nanos, asked: Nanos, used: &[u16]) {
        self.pools.iter_mut().for_each(|pool| pool.reconcile(now, asked, used, &mut self.flow));
    }

    /// What is known of every port that was ever used.
    pub fn known(&self) -> BTreeMap<u16, Slot> {
        let inside = self.pools.iter().flat_map(|pool| pool.known());
        inside.chain(self.outside.iter().map(|(port, slot)| (*port, *slot))).collect()
    }

    /// Takes other ports, and keeps what is `known` of them. Leases of ports that are no longer among them live on.
    pub fn rebuild(&mut self, split: &[Vec<PortRange>; 2], known: BTreeMap<u16, Slot>, rng: &mut Rng) {
        let has = |port: u16| split.iter().flatten().any(|range| (range.first..=range.last).contains(&port));
        let (mut inside, outside): (Vec<_>, Vec<_>) = known.into_iter().partition(|(port, _)| has(*port));
        inside.sort_by_key(|(port, slot)| (slot.when(), *port));
        self.outside = outside.into_iter().filter(|(_, slot)| slot.state().leased().is_some()).collect();
        self.pools = split.each_ref().map(|ranges| {
            let ports = Ports::new(ranges.clone(), rng.next_u64());
            let known: Vec<_> = inside.iter().filter(|(port, _)| ports.index(*port).is_some()).copied().collect();
            Pool::with(ports, &known)
        });
    }
}
