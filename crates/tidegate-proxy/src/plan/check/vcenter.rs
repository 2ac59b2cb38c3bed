//! Checks of the plan of a vCenter.

use super::{Checked, check_cost, check_name, ensure};
use crate::plan::{BrokerPlan, PrincipalPlan, TasksPlan, VcenterPlan, WindowPlan};
use std::collections::BTreeSet;
use tidegate_core::time::Span;

/// Bounds that the core's index of principals and the size of a plan set.
const PRINCIPALS: usize = 256;
const USERS: usize = 64;
const WINDOWS: usize = 64;
const INTERVALS: usize = 1024;

pub(super) fn check(at: &str, plan: &VcenterPlan) -> Checked {
    for (name, operation) in &plan.operations {
        check_cost(&format!("{at}.operations.{name}"), operation.cost_milli)?;
    }
    check_cost(&format!("{at}.default"), plan.default.cost_milli)?;
    count(at, "long_polls_max", plan.long_polls_max)?;
    let fine = plan.long_poll_max >= Span::secs(1) && plan.long_poll_max <= Span::secs(86_400);
    ensure(fine, format_args!("{at}.long_poll_max_ns"), "must be from 1 s to one day")?;
    plan.broker.as_ref().map_or(Ok(()), |broker| check_broker(&format!("{at}.broker"), broker))?;
    check_tasks(&format!("{at}.tasks"), &plan.tasks)?;
    check_principals(&format!("{at}.principals"), &plan.principals)
}

fn check_broker(at: &str, broker: &BrokerPlan) -> Checked {
    ensure(broker.clones_max <= 64, format_args!("{at}.clones_max"), "must be 0 to 64")?;
    for (name, n) in [
        ("sessions_max", broker.sessions_max),
        ("sessions_per_principal_max", broker.sessions_per_principal_max),
        ("own_max", broker.own_max),
        ("principals_max", broker.principals_max),
        ("waiting_max", broker.waiting_max),
    ] {
        count(at, name, n)?;
    }
    for (name, length) in [
        ("wait_max_ns", broker.wait_max),
        ("idle_ns", broker.idle),
        ("life_ns", broker.life),
        ("verify_ns", broker.verify),
        ("keepalive_ns", broker.keepalive),
    ] {
        span(at, name, length)?;
    }
    ensure(broker.keepalive < broker.idle, format_args!("{at}.keepalive_ns"), "must be shorter than idle_ns")
}

fn check_tasks(at: &str, tasks: &TasksPlan) -> Checked {
    for (name, n) in [
        ("most", tasks.most),
        ("leases_max", tasks.leases_max),
        ("snapshots_per_datastore_max", tasks.snapshots_per_datastore_max),
        ("waiting_max", tasks.waiting_max),
    ] {
        count(at, name, n)?;
    }
    for (name, length) in [
        ("token_life_ns", tasks.token_life),
        ("lease_timeout_ns", tasks.lease_timeout),
        ("wait_max_ns", tasks.wait_max),
        ("work_max_ns", tasks.work_max),
    ] {
        span(at, name, length)?;
    }
    let within = |n: u32, most: u32| (1..=most).contains(&n);
    ensure(within(tasks.start, tasks.most), format_args!("{at}.start"), "must be 1 to most")?;
    let fine = within(tasks.leases_per_host_max, tasks.leases_max);
    ensure(fine, format_args!("{at}.leases_per_host_max"), "must be 1 to leases_max")?;
    ensure(tasks.hold_us >= 1, format_args!("{at}.hold_us"), "must be 1 or more")?;
    ensure(tasks.halve_us >= tasks.hold_us, format_args!("{at}.halve_us"), "must be hold_us or more")
}

fn check_principals(at: &str, principals: &[PrincipalPlan]) -> Checked {
    ensure(principals.len() <= PRINCIPALS, at, format_args!("has more than {PRINCIPALS} members"))?;
    let mut names = BTreeSet::new();
    for (index, principal) in principals.iter().enumerate() {
        let at = format!("{at}[{index}]");
        check_name(&format!("{at}.name"), &principal.name)?;
        ensure(names.insert(&principal.name), format_args!("{at}.name"), "is used twice")?;
        let users = &principal.users;
        let fine = (1..=USERS).contains(&users.len()) && users.iter().all(|user| (1..=256).contains(&user.len()));
        ensure(fine, format_args!("{at}.users"), "must be 1 to 64 names of 1 to 256 bytes")?;
        count(&at, "vms_max", principal.vms_max)?;
        ensure(principal.windows.len() <= WINDOWS, format_args!("{at}.windows"), "has more than 64 members")?;
        for (index, window) in principal.windows.iter().enumerate() {
            check_window(&format!("{at}.windows[{index}]"), window)?;
        }
    }
    Ok(())
}

fn check_window(at: &str, window: &WindowPlan) -> Checked {
    ensure(
        window.open.len() <= INTERVALS,
        format_args!("{at}.open"),
        format_args!("has more than {INTERVALS} members"),
    )?;
    let forward = window.open.iter().all(|(from, to)| from < to);
    let apart = window.open.windows(2).all(|pair| matches!(pair, [(_, to), (from, _)] if to <= from));
    ensure(forward && apart, format_args!("{at}.open"), "must be in order and not overlapping, and each have a length")
}

fn count(at: &str, name: &str, n: u32) -> Checked {
    ensure((1..=1_000_000).contains(&n), format_args!("{at}.{name}"), "must be 1 to 1000000")
}

fn span(at: &str, name: &str, length: Span) -> Checked {
    let fine = length >= Span::millis(1) && length <= Span::secs(86_400);
    ensure(fine, format_args!("{at}.{name}"), "must be from 1 ms to one day")
}
