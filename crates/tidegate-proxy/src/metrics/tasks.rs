//! Metrics of the work that is under way inside a vCenter.

use super::{Scrape, of, with};
use crate::gate::Served;
use tidegate_core::limit::tasks::Why;

pub(super) fn tasks(scrape: &mut Scrape, served: &Served) {
    let service = &served.service;
    let Some(view) = service.tasks().map(|tasks| tasks.view()) else { return };
    let labels = of(&service.name);
    for (name, help, value) in [
        ("tidegate_tasks_limit", "How many tasks may be under way in the vCenter", view.limit),
        ("tidegate_tasks_running", "Tasks under way in the vCenter", view.running),
        ("tidegate_tasks_leases", "Leases that are open", view.leases),
        ("tidegate_tasks_vms", "VMs in work", view.vms),
        ("tidegate_tasks_snapshot_vms", "VMs with open snapshots", view.snapshots),
        ("tidegate_tasks_full_hosts", "Hosts that have as many tasks under way as they may", view.full_hosts),
        ("tidegate_tasks_slow_datastores", "Datastores too slow for a new snapshot", view.slow_datastores),
    ] {
        scrape.gauge(name, help, &labels, f64::from(value));
    }
    for (why, held) in Why::ALL.iter().zip(view.held) {
        let help = "Calls that wait to begin work, by what they wait for";
        scrape.gauge("tidegate_tasks_held", help, &with(&labels, "reason", why.word()), f64::from(held));
    }
    let totals = &view.totals;
    for (name, help, value) in [
        ("tidegate_tasks_arrived_calls", "Calls that were to begin work", totals.arrived),
        ("tidegate_tasks_begun_calls", "Calls that were let go", totals.let_go),
        ("tidegate_tasks_ended", "Tasks and leases that did what they were to do", totals.fine),
        ("tidegate_tasks_failed", "Tasks and leases that did not", totals.failed),
        ("tidegate_tasks_late", "Of those that ended, those that took most of a token's life", totals.late),
        ("tidegate_tasks_expired", "Of those that failed, those whose token was dead", totals.expired),
        ("tidegate_tasks_forgotten", "Slots given back because nothing was heard any more", totals.forgotten),
    ] {
        scrape.count(name, help, &labels, value);
    }
    for (why, n) in Why::ALL.iter().zip(totals.turned_away) {
        let help = "Calls that were to begin work and were turned away, by reason";
        scrape.count("tidegate_tasks_turned_away_calls", help, &with(&labels, "reason", why.word()), n);
    }
}
