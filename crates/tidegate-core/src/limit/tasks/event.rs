//! What happens to task slots, and what must be done about it.

use crate::reason::{Reason, words};
use crate::time::Span;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// A call that wants a task slot, numbered by the driver. A number is not used again while the call is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ask(pub u64);

/// A host, by the keyed hash of its name at vCenter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostKey(pub u64);

/// A datastore, by the keyed hash of its name at vCenter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DatastoreKey(pub u64);

/// A virtual machine, by the keyed hash of its name at vCenter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VmKey(pub u64);

/// A task or a lease, by the keyed hash of its name at vCenter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskKey(pub u64);

/// Who calls: the place of a principal in [`Settings::principals`](super::Settings::principals); 0 is everybody else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PrincipalIx(pub u16);

/// The datastores of a call: at most [`Datastores::MAX`], each once, in the order of their keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Datastores {
    keys: [Option<DatastoreKey>; Datastores::MAX],
}

impl Datastores {
    /// So many are remembered of one call; a VM has its disks on one or two.
    pub const MAX: usize = 8;

    /// Them.
    pub fn iter(&self) -> impl Iterator<Item = DatastoreKey> + '_ {
        self.keys.iter().flatten().copied()
    }
}

impl FromIterator<DatastoreKey> for Datastores {
    /// The lowest ones, when there are too many.
    fn from_iter<I: IntoIterator<Item = DatastoreKey>>(keys: I) -> Datastores {
        let mut lowest = BTreeSet::new();
        for key in keys {
            lowest.insert(key);
            if lowest.len() > Datastores::MAX {
                lowest.pop_last();
            }
        }
        let mut datastores = Datastores::default();
        datastores.keys.iter_mut().zip(lowest).for_each(|(place, key)| *place = Some(key));
        datastores
    }
}

words! {
    /// How a task or lease ended.
    How {
        /// It did what it was to do.
        Fine = "fine",
        /// It did not.
        Failed = "failed",
        /// It did not, because its token was dead when its turn came.
        Expired = "expired",
    }
}

words! {
    /// What a call begins.
    Work {
        /// A task that none of the others is.
        Task = "task",
        /// A snapshot of a VM (`CreateSnapshot_Task`).
        Snapshot = "snapshot",
        /// The end of a VM's snapshots (`RemoveSnapshot_Task` and its like).
        Unsnapshot = "unsnapshot",
        /// An export or import of disks (a lease).
        Lease = "lease",
    }
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A call wants to begin work. One of the actions that follow is about it.
    Arrive {
        /// The call.
        ask: Ask,
        /// Who calls.
        principal: PrincipalIx,
        /// What it begins.
        work: Work,
        /// The host that does it, if known.
        host: Option<HostKey>,
        /// The datastores that it is done on, as far as known.
        datastores: Datastores,
        /// The VM that it is done to, if known.
        vm: Option<VmKey>,
    },
    /// vCenter has answered: it began this task or lease. `None`: it said no, nothing runs.
    Started {
        /// The call.
        ask: Ask,
        /// What runs now.
        task: Option<TaskKey>,
    },
    /// There was no answer, so the work may run: the slot is held for the life of a token.
    Lost {
        /// The call.
        ask: Ask,
    },
    /// The task or lease was seen alive.
    Progress {
        /// Which.
        task: TaskKey,
    },
    /// The task or lease is over.
    Ended {
        /// Which.
        task: TaskKey,
        /// How.
        how: How,
        /// The VM that it was done to, where only vCenter knew that.
        vm: Option<VmKey>,
    },
    /// The client left: a call that waits leaves the line, one that was let go and not sent gives its slot back.
    Left {
        /// The call.
        ask: Ask,
    },
    /// How long a datastore takes for a request now, in microseconds; `None`: not known any more.
    Latency {
        /// Which.
        datastore: DatastoreKey,
        /// So long.
        micros: Option<u32>,
    },
    /// The time of day, in seconds since 1970 UTC, for the windows: told first of all, and again with every wake.
    Time {
        /// So late it is.
        unix_s: i64,
    },
    /// The time that `next_wake` named has come.
    Wake,
    /// The service shuts down: what waits is turned away, nothing new is let go.
    Drain,
}

words! {
    /// Why a call waits, or was turned away.
    Why {
        /// As many tasks are in vCenter as a token's life allows.
        Limit = "task-limit",
        /// As many tasks are on a host as a token's life allows.
        Host = "host-task-limit",
        /// The last slots are not for bulk principals.
        Share = "bulk-share",
        /// As many leases are open as one vCenter may have …
        Leases = "leases",
        /// … or one host.
        HostLeases = "host-leases",
        /// As many snapshots are open on a datastore as it may have.
        Snapshots = "datastore-snapshots",
        /// A datastore is slow.
        Latency = "datastore-latency",
        /// A bulk principal has as many VMs in work as it may have.
        Vms = "vms-in-work",
        /// It is not the hour in which this principal may begin.
        Window = "window",
        /// Too many wait.
        QueueFull = "queue-full",
        /// The service shuts down.
        Draining = "draining",
    }
}

impl Why {
    /// Whether it waits for a slot.
    pub(super) fn slot(self) -> bool {
        matches!(self, Why::Limit | Why::Share)
    }

    /// The gate's general word for a call that was turned away for this.
    pub const fn reason(self) -> Reason {
        match self {
            Why::QueueFull => Reason::QueueFull,
            Why::Draining => Reason::Draining,
            _ => Reason::Deadline,
        }
    }
}

/// Something that the driver must do. Each call gets one `Go` or one `TurnAway`, at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Send it. Say how it was answered: [`Event::Started`], or [`Event::Lost`], or, when it was not sent, [`Event::Left`].
    Go {
        /// The call.
        ask: Ask,
    },
    /// Keep it, read nothing more from its client, notice when the client leaves.
    Hold {
        /// The call.
        ask: Ask,
        /// What it waits for.
        why: Why,
    },
    /// Tell its client to come back later. The call is forgotten.
    TurnAway {
        /// The call.
        ask: Ask,
        /// What it has waited for in vain, or why it may not wait.
        reason: Why,
        /// When to come back.
        retry_after: Span,
    },
}
