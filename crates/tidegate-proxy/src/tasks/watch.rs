//! The collector: asks the vCenter how the tasks that hold slots go on, once a second and principal at most where a token
//! lives for 300 s, and more often where it lives for less.

use super::hold::Watcher;
use super::{Handle, Inner, Kind};
use crate::broker::{self, agent};
use crate::clock;
use crate::home::Home;
use crate::vcenter::answer::{self, Judged, State, TaskState};
use crate::vcenter::write;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tidegate_core::limit::tasks::{Ask, Event, How, TaskKey, VmKey};
use tidegate_core::session::broker::PrincipalKey;
use tidegate_core::time::Span;

/// Most tasks that one call asks for; the others come next.
const AT_ONCE: usize = 256;
/// Between two calls for one principal: this part of a token's life …
const LIVES: u32 = 300;
/// … within these bounds.
const OFTEN: Duration = Duration::from_millis(50);
const SELDOM: Duration = Duration::from_secs(1);

/// Time between two looks at the tasks of one principal.
pub(super) fn every(token_life: Span) -> Duration {
    (clock::duration(token_life) / LIVES).clamp(OFTEN, SELDOM)
}

/// A task that is asked for.
#[derive(Debug)]
pub(super) struct Outstanding {
    id: Box<str>,
    watcher: Watcher,
    /// Its call: they are numbered in the order in which they came.
    ask: Ask,
    /// In which round it was asked for last.
    round: u64,
}

impl Outstanding {
    pub(super) fn new(id: &str, watcher: Watcher, ask: Ask) -> Outstanding {
        Outstanding { id: id.into(), watcher, ask, round: 0 }
    }
}

/// What was seen of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Its id.
    pub(crate) id: String,
    /// How it ended; `None`: it is not over.
    pub(crate) how: Option<How>,
    /// Id of what it was done to, if that is said.
    pub(crate) entity: Option<String>,
}

/// Whoever can ask the vCenter.
pub(crate) trait Witness {
    /// How these tasks are, asked with a session of the principal. What cannot be read is left out.
    async fn look(&self, watcher: Watcher, ids: &[String]) -> Vec<Seen>;
}

/// Sessions that the gate keeps, as a witness.
struct Kept {
    home: Rc<Home>,
    broker: Arc<broker::Handle>,
}

impl Witness for Kept {
    async fn look(&self, watcher: Watcher, ids: &[String]) -> Vec<Seen> {
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let ask = |collector: &str| write::retrieve_tasks(collector, &ids);
        let Some((up, said)) = agent::ask_for(&self.home, &self.broker, PrincipalKey(watcher.0), ask).await else {
            return Vec::new();
        };
        match answer::judge(said.status, &said.body) {
            Judged::Fine => answer::task_states(&said.body).into_iter().map(seen).collect(),
            Judged::OwnSessionDead | Judged::EmptyInventory => {
                self.broker.dead(up);
                Vec::new()
            }
            // A task that vCenter has forgotten hides all others, until it is told apart.
            Judged::Other | Judged::StaleGateway => gone(&said.body).into_iter().collect(),
        }
    }
}

/// How a task is, by its state.
fn seen(TaskState { id, state, entity, expired }: TaskState) -> Seen {
    let how = match state {
        State::Queued | State::Running => None,
        State::Success => Some(How::Fine),
        State::Error if expired => Some(How::Expired),
        State::Error => Some(How::Failed),
    };
    Seen { id, how, entity }
}

/// A task that does not exist any more.
fn gone(body: &[u8]) -> Option<Seen> {
    let fault = answer::faulted(body).filter(|fault| fault.name == "ManagedObjectNotFound")?;
    Some(Seen { id: fault.object?.id, how: Some(How::Failed), entity: None })
}

/// Starts timer and collector, unless they run.
pub(crate) fn ensure(home: &Rc<Home>, handle: &Arc<Handle>, broker: &Arc<broker::Handle>) {
    if !handle.running.swap(true, Ordering::Relaxed) {
        tokio::task::spawn_local(handle.clone().run_timer());
        tokio::task::spawn_local(run(handle.clone(), Kept { home: home.clone(), broker: broker.clone() }));
    }
}

/// Asks for as long as the slots are there.
pub(crate) async fn run(handle: Arc<Handle>, witness: impl Witness) {
    for number in 1.. {
        if handle.closed() {
            return;
        } else if !round(&handle, &witness, number).await {
            handle.begun.notified().await;
        }
        tokio::time::sleep(handle.every()).await;
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
        // In the order in which they were begun: a snapshot is made before it is removed, whatever one look tells first.
        let task = |seen: &Seen| TaskKey(self.key(Kind::Task, &seen.id));
        let known = all.iter().filter_map(|seen| Some((inner.outstanding.get(&task(seen))?.ask, task(seen), seen)));
        let mut known: Vec<(Ask, TaskKey, &Seen)> = known.collect();
        known.sort_by_key(|(ask, ..)| *ask);
        for (_, task, seen) in known {
            let vm = seen.entity.as_ref().map(|id| VmKey(self.key(Kind::Vm, id)));
            let event = match seen.how {
                Some(how) => Event::Ended { task, how, vm },
                None => Event::Progress { task },
            };
            inner.event(now, event);
        }
        self.rearm(&inner, now);
    }
}
