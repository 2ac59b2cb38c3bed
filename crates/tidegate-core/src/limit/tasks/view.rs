//! Task slots as plain data: what `status`, metrics and tests read.

use super::event::{Ask, HostKey, PrincipalIx, Why};
use super::machine::{State, TaskSlots};
use crate::time::Nanos;

/// How many calls met which fate, since the machine began.
///
/// At any moment `arrived = let_go + turned_away (sum) + left + waiting`, and
/// `let_go = unbegun + fine + failed + forgotten + (running, and leases that are granted)`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Calls that arrived.
    pub arrived: u64,
    /// Calls that were let go.
    pub let_go: u64,
    /// Calls that were turned away, by [`Why`] (index: `why as usize`).
    pub turned_away: [u64; Why::ALL.len()],
    /// Calls whose client left while they waited.
    pub left: u64,
    /// Calls that were not sent after all, or to which vCenter said no.
    pub unbegun: u64,
    /// Tasks and leases that did what they were to do.
    pub fine: u64,
    /// Tasks and leases that did not.
    pub failed: u64,
    /// Of those that did, how many took so long that there are fewer slots now …
    pub late: u64,
    /// … and of those that did not, how many whose token was dead.
    pub expired: u64,
    /// Calls without an answer.
    pub lost: u64,
    /// Slots that were given back because nothing was heard any more.
    pub forgotten: u64,
}

/// What the slots look like.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TasksView {
    /// How many slots there are.
    pub limit: u32,
    /// Tasks that end per second, once that is known.
    pub per_second: Option<f64>,
    /// Slots that are taken, those of bulk principals among them …
    pub running: u32,
    /// … which are so many.
    pub bulk: u32,
    /// Calls that wait …
    pub waiting: u32,
    /// … by [`Why`] (index: `why as usize`).
    pub held: [u32; Why::ALL.len()],
    /// Hosts that have as many tasks as they may.
    pub full_hosts: u32,
    /// Open leases.
    pub leases: u32,
    /// VMs in work.
    pub vms: u32,
    /// VMs with open snapshots.
    pub snapshots: u32,
    /// Datastores that are too slow for a new snapshot.
    pub slow_datastores: u32,
    /// Since the machine began.
    pub totals: Totals,
}

impl TaskSlots {
    /// What it looks like now.
    pub fn view(&self, now: Nanos) -> TasksView {
        let mut held = [0; Why::ALL.len()];
        for known in self.asks.values().filter(|known| known.state == State::Waits) {
            held[self.blocked(now, known).unwrap_or(Why::Limit) as usize] += 1;
        }
        let (vms, snapshots) = self.vms.counts();
        TasksView {
            limit: self.limit(),
            per_second: self.bound.pace.per_second(self.settings.token_life, self.settings.start),
            running: self.running,
            bulk: self.bulk,
            waiting: self.line.count(),
            held,
            full_hosts: self.hosts.full_ones(now, &self.settings),
            leases: self.leases,
            vms,
            snapshots,
            slow_datastores: self.storage.hot_ones(),
            totals: self.totals.clone(),
        }
    }

    /// What a call waits for now; `None`: it does not wait.
    pub fn why(&self, now: Nanos, ask: Ask) -> Option<Why> {
        let known = self.asks.get(&ask).filter(|known| known.state == State::Waits)?;
        Some(self.blocked(now, known).unwrap_or(Why::Limit))
    }

    /// Tasks that are under way on a host.
    pub fn on_host(&self, host: HostKey) -> u32 {
        self.hosts.running(host)
    }

    /// VMs that a principal has in work.
    pub fn vms_of(&self, principal: PrincipalIx) -> u32 {
        self.vms.of(principal)
    }
}
