//! Both paths together, as a model: the table of flows, the entries of the fast path, the epoch of the policy. A datapath does
//! the same with real packets; here they are told one after the other.

use super::key::Key;
use super::machine::Flow;
use super::path::{Entry, Path, decide};
use super::profile::Profile;
use super::segment::Segment;
use super::slow::{Course, Policy, punted};
use super::table::Table;
use std::collections::BTreeMap;

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passed {
    /// What the fast path did.
    pub path: Path,
    /// What the slow path did with what was punted.
    pub course: Option<Course>,
    /// The flow's state and numbers did not go together, and it was told anew.
    pub anomaly: bool,
}

impl Passed {
    /// Whether it was forwarded.
    pub fn forwarded(&self) -> bool {
        !matches!(self.course, Some(Course::Drop(_)))
    }
}

/// Flows, entries, epoch.
pub struct Paths {
    flows: Table<()>,
    entries: BTreeMap<Key, Entry>,
    entries_max: usize,
    epoch: u32,
    profile: Profile,
}

impl Paths {
    /// Nothing known yet. At most `flows_max` flows and `entries_max` entries; `seed` as in [`Table::new`].
    pub fn new(flows_max: usize, entries_max: usize, profile: Profile, seed: u64) -> Paths {
        Paths { flows: Table::new(flows_max, seed), entries: BTreeMap::new(), entries_max, epoch: 0, profile }
    }

    /// The flows.
    pub fn flows(&self) -> &Table<()> {
        &self.flows
    }

    /// The fast path's entry of a tuple.
    pub fn entry(&self, key: Key) -> Option<&Entry> {
        self.entries.get(&key)
    }

    /// The policy changed: every entry is of yesterday.
    pub fn flip(&mut self) {
        self.epoch = self.epoch.wrapping_add(1);
    }

    /// Takes one packet. `plain`: it is a whole TCP segment behind a plain IP header; `allows`: the policy lets its flow pass.
    pub fn packet(&mut self, key: Key, segment: &Segment, plain: bool, allows: bool) -> Passed {
        let path = decide(self.entries.get_mut(&key), plain.then_some(segment), self.epoch);
        if path == Path::Fast {
            return Passed { path, course: None, anomaly: false };
        }
        let (entry, policy, profile) =
            (self.entries.get(&key).copied(), Policy { epoch: self.epoch, allows }, self.profile);
        let slow = self.flows.alter(key, |flow| punted(flow, entry, segment, policy, &profile)).answer;
        let room = entry.is_some() || self.entries.len() < self.entries_max;
        match slow.entry.filter(|_| room) {
            Some(entry) => self.entries.insert(key, entry),
            None => self.entries.remove(&key),
        };
        let course = if slow.course == Course::Promote && !room { Course::Advance } else { slow.course };
        Passed { path, course: Some(course), anomaly: slow.anomaly }
    }

    /// Writes to a flow behind the machine's back, as a fault would.
    pub(super) fn force(&mut self, key: Key, write: impl FnOnce(&mut Flow)) {
        self.flows.alter(key, write);
    }

    /// Writes to an entry behind everybody's back.
    pub(super) fn force_entry(&mut self, key: Key, write: impl FnOnce(&mut Entry)) {
        if let Some(entry) = self.entries.get_mut(&key) {
            write(entry);
        }
    }
}
