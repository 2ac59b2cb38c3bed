//! Where VMs lie, and which datastores are known: what Python reads from the vCenter's counters.

use super::hold::TaskAsk;
use super::{FRESH, Kind};
use crate::gate::feed::{Feed, Placed};
use std::collections::{BTreeMap, BTreeSet};
use tidegate_core::limit::tasks::{DatastoreKey, Event, HostKey, VmKey};
use tidegate_core::time::Nanos;

/// Where a VM lies.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    host: Option<HostKey>,
    datastores: Box<[DatastoreKey]>,
}

/// The last look.
#[derive(Debug, Default)]
pub(super) struct Places {
    vms: BTreeMap<VmKey, Place>,
    /// Datastores whose latency the machine knows.
    known: BTreeSet<DatastoreKey>,
    /// When that was told.
    at: Nanos,
}

impl Places {
    /// A look: what the machine must be told.
    pub(super) fn fed(&mut self, now: Nanos, feed: &Feed, key: impl Fn(Kind, &str) -> u64) -> Vec<Event> {
        let datastore = |id: &str| DatastoreKey(key(Kind::Datastore, id));
        let told: BTreeMap<DatastoreKey, u32> =
            feed.datastores.iter().filter_map(|d| Some((datastore(&d.id), d.latency_us?))).collect();
        let known = std::mem::replace(&mut self.known, told.keys().copied().collect());
        let gone = known.into_iter().filter(|datastore| !told.contains_key(datastore));
        let gone = gone.map(|datastore| Event::Latency { datastore, micros: None });
        let events = gone.chain(told.iter().map(|(key, us)| Event::Latency { datastore: *key, micros: Some(*us) }));
        if let Some(vms) = &feed.vms {
            let place = |placed: &Placed| Place {
                host: placed.host.as_ref().map(|id| HostKey(key(Kind::Host, id))),
                datastores: placed.datastores.iter().map(|id| datastore(id)).collect(),
            };
            self.vms = vms.iter().map(|(id, placed)| (VmKey(key(Kind::Vm, id)), place(placed))).collect();
        }
        self.at = now;
        events.collect()
    }

    /// What is too old to be believed: what the machine must be told.
    pub(super) fn stale(&mut self, now: Nanos) -> Vec<Event> {
        if self.next().is_none_or(|at| at > now) {
            return Vec::new();
        }
        let known = std::mem::take(&mut self.known);
        known.into_iter().map(|datastore| Event::Latency { datastore, micros: None }).collect()
    }

    /// When that is.
    pub(super) fn next(&self) -> Option<Nanos> {
        (!self.known.is_empty()).then(|| self.at + FRESH)
    }

    /// Adds to what a call names where its VM lies.
    pub(super) fn find(&self, ask: &mut TaskAsk, named: impl Iterator<Item = DatastoreKey>) {
        let place = ask.vm.and_then(|vm| self.vms.get(&vm));
        ask.host = place.and_then(|place| place.host).or(ask.host);
        let on = place.into_iter().flat_map(|place| place.datastores.iter().copied());
        ask.datastores = on.chain(named).collect();
    }
}
