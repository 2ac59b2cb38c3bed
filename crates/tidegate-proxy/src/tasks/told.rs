//! What the task slots tell about themselves, as JSON and in words.

use super::Handle;
use crate::why;
use serde_json::{Map, Value, json};
use std::fmt::Write;
use tidegate_core::limit::tasks::{TasksView, Why};

impl Handle {
    /// The key `tasks` of a service in status.
    pub(crate) fn told(&self) -> Value {
        let view = self.view();
        json!({
            "limit": view.limit,
            "per_second": view.per_second,
            "running": view.running,
            "bulk": view.bulk,
            "waiting": view.waiting,
            "held": by(&view.held),
            "leases": view.leases,
            "vms": view.vms,
            "snapshot_vms": view.snapshots,
            "slow_datastores": view.slow_datastores,
            "ended": view.totals.fine,
            "failed": view.totals.failed,
            "forgotten": view.totals.forgotten,
            "turned_away": by(&view.totals.turned_away),
            "text": sentence(&view),
            "waits": waits(&view),
        })
    }
}

/// Numbers by the word of their reason.
fn by<N: Copy + Into<Value>>(numbers: &[N]) -> Map<String, Value> {
    Why::ALL.iter().zip(numbers).map(|(why, n)| (why.word().to_string(), (*n).into())).collect()
}

fn sentence(view: &TasksView) -> String {
    let mut text = format!("{} of {} task slots taken", view.running, view.limit);
    if view.bulk > 0 {
        let _writing_to_a_string_cannot_fail = write!(text, " ({} by bulk principals)", view.bulk);
    }
    if let Some(rate) = view.per_second {
        let _likewise = write!(text, ", {rate:.1} tasks end per second");
    }
    let others = [
        (view.leases, "leases open"),
        (view.vms, "VMs in work"),
        (view.snapshots, "VMs with open snapshots"),
        (view.slow_datastores, "datastores too slow"),
    ];
    for (n, what) in others.into_iter().filter(|(n, _)| *n > 0) {
        let _likewise = write!(text, ", {n} {what}");
    }
    text
}

/// What calls wait for, a line each.
fn waits(view: &TasksView) -> Vec<String> {
    let held = Why::ALL.iter().zip(view.held).filter(|(_, n)| *n > 0);
    held.map(|(why, n)| format!("{n} {why}: {}", why::slot(*why))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_says_who_waits_for_what() {
        let mut view = TasksView { limit: 8, running: 3, ..TasksView::default() };
        assert_eq!(sentence(&view), "3 of 8 task slots taken");
        (view.per_second, view.bulk, view.vms, view.waiting) = (Some(1.25), 2, 3, 5);
        (view.held[Why::Limit as usize], view.held[Why::Latency as usize]) = (4, 1);
        let words = "3 of 8 task slots taken (2 by bulk principals), 1.2 tasks end per second, 3 VMs in work";
        assert_eq!(sentence(&view), words);
        let words = [
            "4 task-limit: as many tasks are under way as a token's life allows",
            "1 datastore-latency: its datastore is slow",
        ];
        assert_eq!(waits(&view), words);
    }
}
