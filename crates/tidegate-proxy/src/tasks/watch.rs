//! The collector: asks the vCenter how the tasks that hold slots go on, once a second and principal at most.

use super::hold::Watcher;
use super::{Handle, Inner, Kind};
use crate::clock;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tidegate_core::limit::tasks::{Event, TaskKey, VmKey};

/// Most tasks that one call asks for; the others come next.
const AT_ONCE: usize = 256;
/// Between two calls for one principal.
const EVERY: Duration = Duration::from_secs(1);

/// A task that is asked for.
#[derive(Debug)]
pub(super) struct Outstanding {
    id: Box<str>,
    watcher: Watcher,
    /// In which round it was asked for last.
    round: u64,
}

impl Outstanding {
    pub(super) fn new(id: &str, watcher: Watcher) -> Outstanding {
        Outstanding { id: id.into(), watcher, round: 0 }
    }
}

/// What was seen of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Its id.
    pub(crate) id: String,
    /// Whether it did what it was to do; `None`: it is not over.
    pub(crate) fine: Option<bool>,
    /// Id of what it was done to, if that is said.
    pub(crate) entity: Option<String>,
}

/// Whoever can ask the vCenter.
pub(crate) trait Witness {
    /// How these tasks are, asked with a session of the principal. What cannot be read is left out.
    async fn look(&self, watcher: Watcher, ids: &[String]) -> Vec<Seen>;
}

/// Asks for as long as the slots are there.
pub(crate) async fn run(handle: Arc<Handle>, witness: impl Witness) {
    for number in 1.. {
        if handle.closed() {
            return;
        } else if !round(&handle, &witness, number).await {
            handle.begun.notified().await;
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// Asks once for each principal; false when there is nothing to ask for.
pub(super) async fn round(handle: &Handle, witness: &impl Witness, number: u64) -> bool {
    let asked = handle.due(number);
    for (watcher, ids) in &asked {
        let seen = witness.look(*watcher, ids).await;
        handle.seen(&seen);
    }
    !asked.is_empty()
}

impl Handle {
    /// What is asked for in this round: what was asked for the longest time ago.
    pub(super) fn due(&self, round: u64) -> BTreeMap<Watcher, Vec<String>> {
        let mut inner = self.inner();
        let Inner { outstanding, slots, .. } = &mut *inner;
        outstanding.retain(|task, _| slots.runs(*task));
        let mut order: Vec<(u64, TaskKey)> = outstanding.iter().map(|(task, it)| (it.round, *task)).collect();
        order.sort_unstable();
        let mut asked: BTreeMap<Watcher, Vec<String>> = BTreeMap::new();
        for (_, task) in order {
            let Some(it) = outstanding.get_mut(&task) else { continue };
            let ids = asked.entry(it.watcher).or_default();
            if ids.len() < AT_ONCE {
                ids.push(it.id.to_string());
                it.round = round;
            }
        }
        asked
    }

    pub(super) fn seen(&self, all: &[Seen]) {
        let mut inner = self.inner();
        let now = clock::now();
        for seen in all {
            let task = TaskKey(self.key(Kind::Task, &seen.id));
            let vm = seen.entity.as_ref().map(|id| VmKey(self.key(Kind::Vm, id)));
            if inner.outstanding.contains_key(&task) {
                inner.event(
                    now,
                    match seen.fine {
                        Some(fine) => Event::Ended { task, fine, vm },
                        None => Event::Progress { task },
                    },
                );
            }
        }
        self.rearm(&inner, now);
    }
}
