//! VMs in work: which have open snapshots on which datastores, and who works on them.
//!
//! A VM counts once per datastore, from the moment in which its first snapshot may begin until its snapshots are removed,
//! however many it has. It is in a principal's work while a call or task of it runs there, and while a snapshot that it
//! made is open.

use super::event::{DatastoreKey, Datastores, PrincipalIx, VmKey};
use crate::time::Nanos;
use std::collections::{BTreeMap, BTreeSet};

/// So many VMs are in work at once; beyond it those are forgotten that would be next.
const VMS_MAX: usize = 16_384;

#[derive(Clone, Copy, Debug, Default)]
struct Part {
    running: u32,
    /// A snapshot that it made is open.
    opened: bool,
}

#[derive(Clone, Debug, Default)]
struct Vm {
    /// Where it has snapshots.
    datastores: BTreeSet<DatastoreKey>,
    /// Snapshots that are being made.
    making: u32,
    open: bool,
    parts: BTreeMap<PrincipalIx, Part>,
    /// When it is forgotten, if nothing is heard of it.
    until: Nanos,
}

/// How a snapshot ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Made {
    /// There is none.
    No,
    /// There is one, or there may be.
    Yes,
}

/// All of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Vms {
    table: BTreeMap<VmKey, Vm>,
    timers: BTreeSet<(Nanos, VmKey)>,
    on_datastore: BTreeMap<DatastoreKey, u32>,
    of_principal: BTreeMap<PrincipalIx, u32>,
}

impl Vms {
    /// VMs with open snapshots on a datastore.
    pub fn on(&self, datastore: DatastoreKey) -> u32 {
        self.on_datastore.get(&datastore).copied().unwrap_or(0)
    }

    /// VMs in a principal's work.
    pub fn of(&self, principal: PrincipalIx) -> u32 {
        self.of_principal.get(&principal).copied().unwrap_or(0)
    }

    /// Whether the principal works on it.
    pub fn works_on(&self, principal: PrincipalIx, vm: VmKey) -> bool {
        self.table.get(&vm).is_some_and(|vm| vm.parts.contains_key(&principal))
    }

    /// Whether it counts on this datastore.
    pub fn has(&self, vm: VmKey, datastore: DatastoreKey) -> bool {
        self.table.get(&vm).is_some_and(|vm| vm.datastores.contains(&datastore))
    }

    /// A call of the principal begins on it.
    pub fn begin(&mut self, principal: PrincipalIx, vm: VmKey, until: Nanos) {
        self.with(vm, until, |vm| vm.parts.entry(principal).or_default().running += 1);
    }

    /// It is over.
    pub fn end(&mut self, principal: PrincipalIx, vm: VmKey, until: Nanos) {
        self.with(vm, until, |vm| {
            vm.parts.entry(principal).and_modify(|part| part.running = part.running.saturating_sub(1));
        });
    }

    /// A snapshot of it begins on these.
    pub fn make(&mut self, vm: VmKey, datastores: &Datastores, until: Nanos) {
        self.with(vm, until, |vm| {
            vm.making += 1;
            vm.datastores.extend(datastores.iter().take(2 * Datastores::MAX - vm.datastores.len()));
        });
    }

    /// That is over.
    pub fn made(&mut self, principal: PrincipalIx, vm: VmKey, made: Made, until: Nanos) {
        self.with(vm, until, |vm| {
            vm.making = vm.making.saturating_sub(1);
            if made == Made::Yes {
                vm.open = true;
                vm.parts.entry(principal).or_default().opened = true;
            }
        });
    }

    /// Its snapshots are removed.
    pub fn removed(&mut self, vm: VmKey, until: Nanos) {
        self.with(vm, until, |vm| {
            vm.open = false;
            vm.parts.values_mut().for_each(|part| part.opened = false);
        });
    }

    /// Something was heard of it.
    pub fn heard(&mut self, vm: VmKey, until: Nanos) {
        self.with(vm, until, |_| ());
    }

    /// When the next one is forgotten.
    pub fn next(&self) -> Option<Nanos> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// Forgets those of which nothing was heard until now. One that still runs is not forgotten before its tasks are.
    pub fn forget(&mut self, now: Nanos, until: Nanos) {
        while let Some(&(_, key)) = self.timers.first().filter(|(at, _)| *at <= now) {
            let runs = |vm: &Vm| vm.making > 0 || vm.parts.values().any(|part| part.running > 0);
            if self.table.get(&key).is_some_and(runs) {
                self.heard(key, until.max(Nanos(now.0.saturating_add(1))));
            } else {
                self.drop(key);
            }
        }
    }

    /// Principals have other numbers now.
    pub fn renumber(&mut self, number: impl Fn(PrincipalIx) -> PrincipalIx) {
        for vm in self.table.values_mut() {
            for (principal, part) in std::mem::take(&mut vm.parts) {
                let sum = vm.parts.entry(number(principal)).or_default();
                sum.running += part.running;
                sum.opened |= part.opened;
            }
        }
        self.of_principal.clear();
        let principals = self.table.values().flat_map(|vm| vm.parts.keys());
        principals.for_each(|principal| *self.of_principal.entry(*principal).or_default() += 1);
    }

    /// VMs in work, and those with open snapshots.
    pub fn counts(&self) -> (u32, u32) {
        let open = self.table.values().filter(|vm| vm.open || vm.making > 0).count();
        (self.table.len() as u32, open as u32)
    }

    /// Changes a VM, and all that is counted of it.
    fn with(&mut self, key: VmKey, until: Nanos, change: impl FnOnce(&mut Vm)) {
        let mut vm = self.take(key);
        change(&mut vm);
        vm.parts.retain(|_, part| part.running > 0 || part.opened);
        if vm.making == 0 && !vm.open {
            vm.datastores.clear();
        }
        if vm.parts.is_empty() && vm.making == 0 && !vm.open {
            return;
        }
        vm.until = until;
        vm.datastores.iter().for_each(|datastore| *self.on_datastore.entry(*datastore).or_default() += 1);
        vm.parts.keys().for_each(|principal| *self.of_principal.entry(*principal).or_default() += 1);
        self.timers.insert((until, key));
        self.table.insert(key, vm);
        if self.table.len() > VMS_MAX
            && let Some(&(_, oldest)) = self.timers.first()
        {
            self.drop(oldest);
        }
    }

    fn drop(&mut self, key: VmKey) {
        self.take(key);
    }

    /// Takes a VM out, and off all that is counted; an empty one if it is not in.
    fn take(&mut self, key: VmKey) -> Vm {
        let Some(vm) = self.table.remove(&key) else { return Vm::default() };
        self.timers.remove(&(vm.until, key));
        vm.datastores.iter().for_each(|datastore| less(&mut self.on_datastore, *datastore));
        vm.parts.keys().for_each(|principal| less(&mut self.of_principal, *principal));
        vm
    }
}

/// One less of a key, which goes with the last one.
pub(super) fn less<K: Ord>(counts: &mut BTreeMap<K, u32>, key: K) {
    if let Some(count) = counts.get_mut(&key) {
        *count = count.saturating_sub(1);
        if *count == 0 {
            counts.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VM: VmKey = VmKey(1);
    const LATER: Nanos = Nanos(100);
    const BACKUP: PrincipalIx = PrincipalIx(1);
    const OTHER: PrincipalIx = PrincipalIx(2);

    fn on(keys: &[u64]) -> Datastores {
        keys.iter().copied().map(DatastoreKey).collect()
    }

    fn counts(vms: &Vms) -> (u32, u32, u32, u32) {
        (vms.on(DatastoreKey(1)), vms.on(DatastoreKey(2)), vms.of(BACKUP), vms.of(OTHER))
    }

    #[test]
    fn a_vm_counts_once_however_many_snapshots_it_has() {
        let mut vms = Vms::default();
        for principal in [BACKUP, OTHER] {
            vms.begin(principal, VM, LATER);
            vms.make(VM, &on(&[1]), LATER);
        }
        assert_eq!(counts(&vms), (1, 0, 1, 1));
        vms.made(BACKUP, VM, Made::Yes, LATER);
        vms.end(BACKUP, VM, LATER);
        vms.removed(VM, LATER);
        assert_eq!(counts(&vms), (1, 0, 0, 1), "the other one is being made");
        vms.made(OTHER, VM, Made::No, LATER);
        vms.end(OTHER, VM, LATER);
        assert_eq!((counts(&vms), vms.counts()), ((0, 0, 0, 0), (0, 0)));
        assert!(vms.timers.is_empty() && vms.on_datastore.is_empty() && vms.of_principal.is_empty());
    }

    #[test]
    fn an_open_snapshot_is_work_of_who_made_it() {
        let mut vms = Vms::default();
        vms.begin(BACKUP, VM, LATER);
        vms.make(VM, &on(&[1, 2]), LATER);
        vms.made(BACKUP, VM, Made::Yes, LATER);
        vms.end(BACKUP, VM, LATER);
        assert_eq!(counts(&vms), (1, 1, 1, 0));
        vms.renumber(|_| OTHER);
        assert_eq!(counts(&vms), (1, 1, 0, 1));
        vms.forget(Nanos(99), LATER);
        assert_eq!(vms.counts(), (1, 1));
        vms.forget(Nanos(100), LATER);
        assert_eq!((counts(&vms), vms.counts()), ((0, 0, 0, 0), (0, 0)));
    }

    #[test]
    fn what_runs_is_not_forgotten_and_the_table_is_bounded() {
        let mut vms = Vms::default();
        vms.begin(BACKUP, VM, LATER);
        vms.forget(Nanos(100), Nanos(50));
        assert!(vms.works_on(BACKUP, VM), "its task will be forgotten first");
        (0..20_000).for_each(|vm| vms.begin(OTHER, VmKey(vm), Nanos(200)));
        assert_eq!(vms.counts().0 as usize, VMS_MAX);
        assert_eq!((vms.timers.len(), vms.of(OTHER) as usize), (VMS_MAX, VMS_MAX));
    }
}
