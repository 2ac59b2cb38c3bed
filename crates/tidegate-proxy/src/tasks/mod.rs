//! Task slots at run time: the core's machine behind a mutex of its own, and what belongs to its numbers.
//!
//! The mutex is held only for a decision, never while another lock of the gate is asked for, and never over an await. Names
//! of hosts, datastores, VMs and tasks become keyed hashes here; the only ones that are kept are those of tasks that the
//! collector asks for.
//!
//! - [`Handle`]: one service's slots. [`TaskAsk`]: what a call wants; [`TaskHold`]: the slot that it has.
//! - [`watch`]: the collector, which asks the vCenter how tasks go on.

mod hold;
mod places;
mod settings;
mod told;
pub(crate) mod watch;

use crate::clock;
use crate::gate::feed::Feed;
use crate::plan::VcenterPlan;
use crate::setup::Setup;
use crate::vcenter::Ref;
pub(crate) use hold::{TaskAsk, TaskHold, Watcher, Word};
use places::Places;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tidegate_core::key;
use tidegate_core::limit::tasks::{
    Action, Ask, Event, How, PrincipalIx, TaskKey, TaskSlots, TasksView, VmKey, Why, Work,
};
use tidegate_core::time::{Nanos, Span};
use tokio::sync::Notify;
use watch::Outstanding;

/// The time of day is told at least this often: somebody may set the clock.
const TELL: Duration = Duration::from_secs(60);

#[derive(Default)]
struct Mail {
    told: Option<Word>,
    waker: Option<Waker>,
}

struct Inner {
    slots: TaskSlots,
    actions: Vec<Action>,
    mail: HashMap<Ask, Mail>,
    places: Places,
    /// Names of principals, by number less 1.
    principals: Vec<String>,
    outstanding: BTreeMap<TaskKey, Outstanding>,
    /// The operator lets everything pass.
    bypass: bool,
    /// Between two looks of the collector.
    every: Duration,
}

/// The task slots of one service.
pub(crate) struct Handle {
    inner: Mutex<Inner>,
    /// What the names are hashed with; it stays when the plan changes.
    seed: u64,
    asks: AtomicU64,
    /// When the timer will look next, in nanoseconds.
    armed: AtomicU64,
    timer: Notify,
    /// Woken when there is something to watch.
    begun: Notify,
    /// Timer and collector run.
    running: AtomicBool,
    closed: AtomicBool,
}

impl Handle {
    /// The slots of a vCenter whose sessions the gate keeps: else nobody can ask how tasks go on.
    pub(crate) fn of(setup: &Setup) -> Option<Handle> {
        let vcenter = setup.vcenter().filter(|_| setup.broker().is_some())?;
        Some(Handle::new(vcenter.plan(), setup.plan.admission.seed))
    }

    /// Nothing is under way, as far as is known.
    fn new(plan: &VcenterPlan, seed: u64) -> Handle {
        let handle = Handle {
            inner: Mutex::new(Inner {
                slots: TaskSlots::new(settings::of(plan, seed)),
                actions: Vec::new(),
                mail: HashMap::new(),
                places: Places::default(),
                principals: settings::names(plan),
                outstanding: BTreeMap::new(),
                bypass: false,
                every: watch::every(plan.tasks.token_life),
            }),
            seed,
            asks: AtomicU64::new(0),
            armed: AtomicU64::new(u64::MAX),
            timer: Notify::new(),
            begun: Notify::new(),
            running: AtomicBool::new(false),
            closed: AtomicBool::new(false),
        };
        handle.event(Event::Time { unix_s: unix_s() });
        handle
    }

    /// Another plan. Principals are matched by name; who is not named any more is one of everybody else.
    pub(crate) fn apply(&self, plan: &VcenterPlan) {
        let mut inner = self.inner();
        inner.every = watch::every(plan.tasks.token_life);
        let names = settings::names(plan);
        let before = std::mem::replace(&mut inner.principals, names.clone());
        let number = |ix: PrincipalIx| {
            let name = usize::from(ix.0).checked_sub(1).and_then(|at| before.get(at));
            let place = name.and_then(|name| names.iter().position(|other| other == name));
            PrincipalIx(place.and_then(|at| u16::try_from(at + 1).ok()).unwrap_or(0))
        };
        let now = clock::now();
        let mut actions = std::mem::take(&mut inner.actions);
        inner.slots.apply(now, settings::of(plan, self.seed), number, &mut actions);
        inner.deliver(&mut actions);
        inner.actions = actions;
        self.rearm(&inner, now);
    }

    /// The operator lets everything pass: what waits goes without a slot, and so does what comes.
    pub(crate) fn bypass(&self, on: bool) {
        let mut inner = self.inner();
        inner.bypass = on;
        let now = clock::now();
        let waiting: Vec<Ask> = inner.mail.keys().copied().filter(|ask| inner.slots.why(now, *ask).is_some()).collect();
        for ask in waiting.into_iter().filter(|_| on) {
            inner.event(now, Event::Left { ask });
            inner.tell(ask, Word::Pass);
        }
        self.rearm(&inner, now);
    }

    /// Nothing new is begun any more.
    pub(crate) fn drain(&self) {
        self.event(Event::Drain);
    }

    /// The service has no task slots any more: timer and collector end.
    pub(crate) fn close(&self) {
        self.drain();
        self.closed.store(true, Ordering::Relaxed);
        self.timer.notify_one();
        self.begun.notify_one();
    }

    fn every(&self) -> Duration {
        self.inner().every
    }

    pub(crate) fn closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    /// A look at the counters of the vCenter: the whole truth about its datastores, and about its VMs if it has any.
    pub(crate) fn feed(&self, feed: &Feed) {
        let mut inner = self.inner();
        let now = clock::now();
        let events = inner.places.fed(now, feed, |kind, id| self.key(kind, id));
        events.into_iter().for_each(|event| inner.event(now, event));
        self.rearm(&inner, now);
    }

    /// What the slots look like now.
    pub(crate) fn view(&self) -> TasksView {
        self.inner().slots.view(clock::now())
    }

    /// What a call waits for now.
    pub(crate) fn why(&self, ask: Ask) -> Option<Why> {
        self.inner().slots.why(clock::now(), ask)
    }

    /// A call begins work of this kind, on these objects. `watcher`: whose session may ask how it goes on.
    pub(crate) fn about<'r>(
        &self,
        work: Work,
        principal: u16,
        watcher: Option<Watcher>,
        objects: impl Iterator<Item = &'r Ref> + Clone,
    ) -> TaskAsk {
        let named =
            |kind: Kind| objects.clone().filter(move |object| kind.is(object)).map(move |o| self.key(kind, &o.id));
        let (vm, host) = (named(Kind::Vm).next(), named(Kind::Host).next());
        let mut ask = TaskAsk {
            principal: PrincipalIx(principal),
            work,
            host: host.map(tidegate_core::limit::tasks::HostKey),
            datastores: Default::default(),
            vm: vm.map(VmKey),
            watcher,
        };
        let on = named(Kind::Datastore).map(tidegate_core::limit::tasks::DatastoreKey);
        self.inner().places.find(&mut ask, on);
        ask
    }

    /// A call that goes on without a slot says how a lease goes on: its progress, its end. `this`: what it is called on.
    pub(crate) fn passing(&self, operation: &str, this: &str) {
        let task = TaskKey(self.key(Kind::Task, this));
        let event = match operation {
            "HttpNfcLeaseProgress" => Event::Progress { task },
            "HttpNfcLeaseComplete" => Event::Ended { task, how: How::Fine, vm: None },
            "HttpNfcLeaseAbort" => Event::Ended { task, how: How::Failed, vm: None },
            _ => return,
        };
        self.event(event);
    }

    /// Asks for a slot; `None`: no call needs one now.
    pub(crate) fn ask(self: &Arc<Self>, asked: TaskAsk) -> Option<TaskHold> {
        let ask = Ask(self.asks.fetch_add(1, Ordering::Relaxed));
        let TaskAsk { principal, work, host, datastores, vm, watcher } = asked;
        let mut inner = self.inner();
        if inner.bypass {
            return None;
        }
        let now = clock::now();
        inner.mail.insert(ask, Mail::default());
        inner.event(now, Event::Arrive { ask, principal, work, host, datastores, vm });
        self.rearm(&inner, now);
        drop(inner);
        Some(TaskHold::new(self.clone(), ask, work, watcher))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn event(&self, event: Event) {
        let mut inner = self.inner();
        let now = clock::now();
        inner.event(now, event);
        self.rearm(&inner, now);
    }

    /// The number that stands for an object.
    fn key(&self, kind: Kind, id: &str) -> u64 {
        key::secret(self.seed, kind as u8, id.as_bytes())
    }

    /// Wakes the timer when it must look earlier than it will.
    fn rearm(&self, inner: &Inner, now: Nanos) {
        let next = inner.next(now).map_or(u64::MAX, |at| at.0);
        if next < self.armed.load(Ordering::Relaxed) {
            self.armed.store(next, Ordering::Relaxed);
            self.timer.notify_one();
        }
    }

    /// The one timer of these slots; ends when they are closed.
    pub(crate) async fn run_timer(self: Arc<Self>) {
        while !self.closed() {
            let wait = self.look();
            // At least 1 ms between two looks, so that a wake that stays due cannot spin.
            let wait = wait.clamp(Duration::from_millis(1), TELL);
            let _ = tokio::time::timeout(wait, self.timer.notified()).await;
        }
    }

    /// Does what is due; how long until the next time.
    fn look(&self) -> Duration {
        let mut inner = self.inner();
        let now = clock::now();
        inner.places.stale(now).into_iter().for_each(|event| inner.event(now, event));
        // This wakes the machine, too.
        inner.event(now, Event::Time { unix_s: unix_s() });
        let next = inner.next(now);
        self.armed.store(next.map_or(u64::MAX, |at| at.0), Ordering::Relaxed);
        next.map_or(TELL, |at| clock::duration(at.since(now)))
    }
}

impl Inner {
    fn event(&mut self, now: Nanos, event: Event) {
        let mut actions = std::mem::take(&mut self.actions);
        self.slots.on_event(now, event, &mut actions);
        self.deliver(&mut actions);
        self.actions = actions;
    }

    /// Puts each word into its call's mailbox, and wakes whoever waits there.
    fn deliver(&mut self, actions: &mut Vec<Action>) {
        for action in actions.drain(..) {
            let (ask, told) = match action {
                Action::Hold { .. } => continue,
                Action::Go { ask } => (ask, Word::Go),
                Action::TurnAway { ask, reason, retry_after } => (ask, Word::TurnAway { reason, retry_after }),
            };
            self.tell(ask, told);
        }
    }

    fn tell(&mut self, ask: Ask, told: Word) {
        let Some(mail) = self.mail.get_mut(&ask) else { return };
        mail.told = Some(told);
        mail.waker.take().into_iter().for_each(Waker::wake);
    }

    fn next(&self, now: Nanos) -> Option<Nanos> {
        self.slots.next_wake(now).into_iter().chain(self.places.next()).min()
    }
}

/// What an id names. The number is part of the hash, so that equal ids of two kinds are two keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Host = b'h' as isize,
    Datastore = b'd' as isize,
    Vm = b'v' as isize,
    Task = b't' as isize,
}

impl Kind {
    /// Whether the object is one, by its type or, where none is said, by its id.
    fn is(self, object: &Ref) -> bool {
        let (kind, id) = match self {
            Kind::Host => ("HostSystem", "host-"),
            Kind::Datastore => ("Datastore", "datastore-"),
            Kind::Vm => ("VirtualMachine", "vm-"),
            Kind::Task => ("Task", "task-"),
        };
        object.kind == kind || object.kind.is_empty() && object.id.starts_with(id)
    }
}

/// The time of day, in seconds since 1970.
fn unix_s() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// A look at counters says nothing after this long (it comes every 20 s).
const FRESH: Span = Span::secs(300);

#[cfg(test)]
mod tests;
