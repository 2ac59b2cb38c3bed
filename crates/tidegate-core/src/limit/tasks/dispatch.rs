//! Who may go, and what that takes.

use super::event::{Action, Ask, VmKey, Why, Work};
use super::feedback::Begun;
use super::machine::{Known, Over, State, TaskSlots};
use super::pace::Load;
use super::vms::{Made, less};
use crate::time::Nanos;

/// Of so many slots one is not for bulk principals, so that an operator does not wait for the end of a backup.
const SHARE: u32 = 8;

impl Known {
    /// Whether it takes a slot now. A lease does until vCenter has granted it: then its data goes another way.
    pub fn slot(&self) -> bool {
        match self.state {
            State::Waits => false,
            State::Runs(_) => self.work != Work::Lease,
            State::Sent | State::Lost => true,
        }
    }

    /// Whether a lease is, or may be, open for it.
    fn lease(&self) -> bool {
        self.work == Work::Lease && self.state != State::Waits
    }

    /// Whether it is work on a VM, rather than the end of it.
    pub fn works(&self) -> bool {
        self.work != Work::Unsnapshot
    }
}

impl TaskSlots {
    /// Lets go whoever may.
    pub(super) fn dispatch(&mut self, now: Nanos, actions: &mut Vec<Action>) {
        let limit = self.limit();
        while self.running < limit {
            let may = |ask| self.asks.get(&ask).is_some_and(|known| self.blocked(now, known).is_none());
            let Some(ask) = self.line.find(may) else { break };
            self.go(now, ask);
            actions.push(Action::Go { ask });
        }
        let wants = |ask| self.asks.get(&ask).and_then(|known| self.blocked(now, known)).is_some_and(Why::slot);
        self.wanted = self.line.count() > 0 && self.line.find(wants).is_some();
        self.load(now);
    }

    /// Tells the pace how full it is now.
    pub(super) fn load(&mut self, now: Nanos) {
        let load = Load { running: self.running, wanted: self.wanted };
        self.bound.pace.load(now, load, self.limit());
    }

    /// What a call waits for, if anything: a free slot last of all.
    pub(super) fn blocked(&self, now: Nanos, known: &Known) -> Option<Why> {
        let plan = self.plan(known.principal);
        let begins = known.vm.filter(|vm| known.works() && !self.vms.works_on(known.principal, *vm));
        if self.closed(now, known) {
            return Some(Why::Window);
        } else if plan.bulk && begins.is_some() && self.vms.of(known.principal) >= plan.vms_max {
            return Some(Why::Vms);
        }
        let own = match known.work {
            Work::Snapshot => self.snapshot_blocked(known),
            Work::Lease => self.lease_blocked(known),
            Work::Task | Work::Unsnapshot => None,
        };
        let own =
            own.or_else(|| known.host.filter(|host| self.hosts.full(now, &self.settings, *host)).map(|_| Why::Host));
        let limit = self.limit();
        let share = if limit < 2 { 0 } else { (limit / SHARE).max(1) };
        own.or_else(|| (self.running >= limit).then_some(Why::Limit))
            .or_else(|| (plan.bulk && self.bulk >= limit - share).then_some(Why::Share))
    }

    /// Whether it is not the hour of this call. What was begun in time may be finished, and cleaned up at any time.
    pub(super) fn closed(&self, now: Nanos, known: &Known) -> bool {
        let begun = known.vm.is_some_and(|vm| self.vms.works_on(known.principal, vm));
        known.works() && !begun && !self.hours.open(now, self.plan(known.principal))
    }

    fn snapshot_blocked(&self, known: &Known) -> Option<Why> {
        let mut datastores = known.datastores.iter();
        if datastores.any(|datastore| self.storage.hot(datastore)) {
            return Some(Why::Latency);
        }
        let counts = |datastore| known.vm.is_some_and(|vm| self.vms.has(vm, datastore));
        let full = |datastore| self.vms.on(datastore) >= self.storage.cap(&self.settings, datastore);
        let mut datastores = known.datastores.iter();
        datastores.any(|datastore| !counts(datastore) && full(datastore)).then_some(Why::Snapshots)
    }

    fn lease_blocked(&self, known: &Known) -> Option<Why> {
        if self.leases >= self.settings.leases_max {
            return Some(Why::Leases);
        }
        let on = known.host.and_then(|host| self.leases_on.get(&host)).copied().unwrap_or(0);
        (known.host.is_some() && on >= self.settings.leases_per_host_max).then_some(Why::HostLeases)
    }

    pub(super) fn go(&mut self, now: Nanos, ask: Ask) {
        let Some(known) = self.asks.get(&ask).copied() else { return };
        self.totals.let_go += 1;
        self.line.take(known.principal, known.order, ask);
        let begun = Begun { at: now, alive: now, rank: self.running + 1 };
        let rank_there = known.host.map_or(0, |host| self.hosts.running(host)) + 1;
        self.turn(now, ask, Known { state: State::Sent, begun, rank_there, ..known });
        self.set_timer(ask, now + self.settings.work_max);
        let until = now + self.settings.work_max;
        if let Some(vm) = known.vm.filter(|_| known.works()) {
            self.vms.begin(known.principal, vm, until);
            if known.work == Work::Snapshot {
                self.vms.make(vm, &known.datastores, until);
            }
        }
    }

    /// A call that was let go is over. `vm`: what it was done to, where only vCenter knew that.
    pub(super) fn over(&mut self, now: Nanos, ask: Ask, over: Over, vm: Option<VmKey>) {
        let Some(known) = self.remove(ask) else { return };
        self.count(now, &known, false);
        self.line.done(known.principal);
        if let State::Runs(task) = known.state {
            self.tasks.remove(&task);
        }
        match over {
            Over::Unbegun => self.totals.unbegun += 1,
            Over::Fine => self.totals.fine += 1,
            Over::Failed => self.totals.failed += 1,
            Over::Silent => {}
        }
        let until = now + self.settings.work_max;
        match known.work {
            Work::Unsnapshot => {
                if let Some(vm) = known.vm.or(vm).filter(|_| over == Over::Fine) {
                    self.vms.removed(vm, until);
                }
            }
            Work::Task | Work::Lease | Work::Snapshot => {
                let Some(vm) = known.vm else { return };
                if known.work == Work::Snapshot {
                    // Who does not know whether there is one thinks that there is.
                    let made = if matches!(over, Over::Fine | Over::Silent) { Made::Yes } else { Made::No };
                    self.vms.made(known.principal, vm, made, until);
                }
                self.vms.end(known.principal, vm, until);
            }
        }
    }

    /// A call changes, with all that is counted of it.
    pub(super) fn turn(&mut self, now: Nanos, ask: Ask, known: Known) {
        if let Some(before) = self.asks.insert(ask, known) {
            self.count(now, &before, false);
        }
        self.count(now, &known, true);
    }

    pub(super) fn count(&mut self, now: Nanos, known: &Known, more: bool) {
        if let Some(host) = known.host {
            let one = if more { 1 } else { -1 };
            let waiting = if known.state == State::Waits { one } else { 0 };
            let running = if known.slot() { one } else { 0 };
            self.hosts.count(now, &self.settings, host, waiting, running);
        }
        let add = |count: &mut u32| *count = if more { *count + 1 } else { count.saturating_sub(1) };
        if known.slot() {
            add(&mut self.running);
            if self.settings.principals.get(usize::from(known.principal.0)).is_some_and(|plan| plan.bulk) {
                add(&mut self.bulk);
            }
        }
        if known.lease() {
            add(&mut self.leases);
            match (known.host, more) {
                (Some(host), true) => *self.leases_on.entry(host).or_default() += 1,
                (Some(host), false) => less(&mut self.leases_on, host),
                (None, _) => {}
            }
        }
    }
}
