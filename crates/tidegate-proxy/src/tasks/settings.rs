//! The plan's words about tasks in the machine's.

use crate::plan::{Outside as OutsidePlan, VcenterPlan};
use tidegate_core::limit::tasks::{Outside, PrincipalPlan, Settings, Window};

/// What the machine goes by. Everybody who is not named comes first, and may begin at any time.
pub(super) fn of(plan: &VcenterPlan, seed: u64) -> Settings {
    let tasks = &plan.tasks;
    let named = plan.principals.iter().map(|principal| PrincipalPlan {
        bulk: principal.bulk,
        vms_max: principal.vms_max,
        windows: principal
            .windows
            .iter()
            .map(|window| Window { open: window.open.clone(), outside: outside(window.outside) })
            .collect(),
    });
    Settings {
        token_life: tasks.token_life,
        start: tasks.start,
        most: tasks.most,
        leases_max: tasks.leases_max,
        leases_per_host_max: tasks.leases_per_host_max,
        snapshots_per_datastore_max: tasks.snapshots_per_datastore_max,
        lease_timeout: tasks.lease_timeout,
        wait_max: tasks.wait_max,
        waiting_max: tasks.waiting_max,
        work_max: tasks.work_max,
        hold_us: tasks.hold_us,
        halve_us: tasks.halve_us,
        principals: std::iter::once(PrincipalPlan::default()).chain(named).collect(),
        seed,
    }
}

/// The names of principals, in the order of their numbers, from 1.
pub(super) fn names(plan: &VcenterPlan) -> Vec<String> {
    plan.principals.iter().map(|principal| principal.name.clone()).collect()
}

fn outside(outside: OutsidePlan) -> Outside {
    match outside {
        OutsidePlan::Hold => Outside::Hold,
        OutsidePlan::TurnAway => Outside::TurnAway,
    }
}
