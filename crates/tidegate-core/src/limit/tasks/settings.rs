//! What the operator decided about task slots.

use crate::reason::words;
use crate::time::Span;
use serde::{Deserialize, Serialize};

/// The numbers behind the slots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How long a token of the gateway to the hosts lives (KB 440879: 300 s). Above zero.
    pub token_life: Span,
    /// Slots until it is known how fast tasks come to an end. At least 1.
    pub start: u32,
    /// Slots at the most: vCenter serves 640 requests at once. At least `start`.
    pub most: u32,
    /// Open leases: 52 connections for disks fit through one vCenter (VDDK 8.0).
    pub leases_max: u32,
    /// Open leases per host: its 48 MB of buffers are 48 streams.
    pub leases_per_host_max: u32,
    /// VMs with open snapshots per datastore: 4 is usual with backup products. At least 1.
    pub snapshots_per_datastore_max: u32,
    /// A lease of which nobody heard for so long is over: 300 s, as vCenter has it.
    pub lease_timeout: Span,
    /// How long a call waits.
    pub wait_max: Span,
    /// How many calls wait.
    pub waiting_max: u32,
    /// A VM in work, an open snapshot or a task is forgotten after so long.
    pub work_max: Span,
    /// No snapshot begins on a datastore that takes so long for a request (microseconds), until it takes a tenth less.
    pub hold_us: u32,
    /// One that takes so long may have half as many snapshots. At least `hold_us`.
    pub halve_us: u32,
    /// Everybody else first, then principals that are named, at most 65 535. Missing ones are as [`PrincipalPlan::default`].
    pub principals: Vec<PrincipalPlan>,
    /// Spreads the times at which clients come back.
    pub seed: u64,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            token_life: Span::secs(300),
            start: 32,
            most: 640,
            leases_max: 52,
            leases_per_host_max: 48,
            snapshots_per_datastore_max: 4,
            lease_timeout: Span::secs(300),
            wait_max: Span::secs(60),
            waiting_max: 2000,
            work_max: Span::secs(7200),
            hold_us: 20_000,
            halve_us: 25_000,
            principals: Vec::new(),
            seed: 0,
        }
    }
}

/// What one principal may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrincipalPlan {
    /// It works through many VMs by itself (a backup product), so `vms_max` holds, and the last slots are not for it.
    pub bulk: bool,
    /// VMs that it may have in work at once.
    pub vms_max: u32,
    /// When it may begin on a VM: in any of these; none means always.
    pub windows: Vec<Window>,
}

impl Default for PrincipalPlan {
    fn default() -> PrincipalPlan {
        PrincipalPlan { bulk: false, vms_max: 50, windows: Vec::new() }
    }
}

/// Hours in which a principal may begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// From (inclusive) and to (exclusive), in seconds since 1970 UTC.
    pub open: Vec<(i64, i64)>,
    /// What becomes of a call outside of them.
    pub outside: Outside,
}

words! {
    /// What becomes of a call outside of its principal's windows.
    Outside {
        /// It waits, as long as a call may wait.
        Hold = "hold",
        /// It is told to come back later.
        TurnAway = "turn-away",
    }
}
