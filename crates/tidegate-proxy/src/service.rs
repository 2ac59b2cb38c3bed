//! One service at run time: the admission machine behind one mutex, held only for the decision.
//!
//! Actions reach the task of each call through its mailbox: one entry per call that is known, one pending action in it.
//! A [`Ticket`] stands for a call. Dropped without an outcome it never frees a slot: a held call counts as gone, an
//! admitted one stays taken until the machine's own quarantine ends it.

mod hasher;
mod ticket;

use crate::broker;
use crate::clock;
use crate::dial::Way;
use crate::explain::{Record, Ring};
use crate::lobby::Lobby;
use crate::pool::Server;
use crate::setup::Setup;
use crate::stats::ServiceStats;
use crate::tasks;
use arc_swap::{ArcSwap, ArcSwapOption};
use hasher::CallHasher;
use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};
pub(crate) use ticket::Ticket;
use tidegate_core::admission::Machine;
use tidegate_core::admission::{Action, Arrival, CallId, Event, Learned, ServerId, Slots, Snapshot};
use tidegate_core::reason::{End, Reason};
use tidegate_core::session::Passed;
use tidegate_core::session::broker::Event as BrokerEvent;
use tidegate_core::time::{Nanos, Span};
use tidegate_core::trace::{Begin, Step as TraceStep, Taped};

/// What the machine decided about a call.
#[derive(Clone)]
pub(crate) enum Decision {
    /// Send it there.
    Admit(Arc<Server>),
    /// Wait.
    Hold,
    /// Answer in the protocol's own words.
    TurnAway { reason: Reason, retry_after: Span },
    /// The server did not answer in time.
    Expire,
}

struct Entry {
    mail: Option<Decision>,
    waker: Option<Waker>,
    record: Record,
}

struct Core {
    machine: Taped,
    actions: Vec<Action>,
    calls: HashMap<u64, Entry, BuildHasherDefault<CallHasher>>,
    servers: Vec<Arc<Server>>,
    ring: Ring,
}

/// One service.
pub(crate) struct Service {
    pub(crate) name: Arc<str>,
    pub(crate) stats: ServiceStats,
    /// How this process connects to servers.
    pub(crate) way: Arc<Way>,
    setup: ArcSwap<Setup>,
    /// Who keeps the sessions, where the plan wants that.
    broker: ArcSwapOption<broker::Handle>,
    /// How much work is under way inside a vCenter whose sessions are kept.
    tasks: ArcSwapOption<tasks::Handle>,
    /// Calls that wait for either.
    pub(crate) lobby: Lobby,
    core: Mutex<Core>,
    /// When the timer task will look next, in nanoseconds.
    armed: AtomicU64,
    timer: tokio::sync::Notify,
    stopping: AtomicBool,
}

impl Service {
    pub(crate) fn new(name: &str, setup: Setup, machine: Machine, way: Arc<Way>) -> Arc<Service> {
        let servers = setup.servers.clone();
        let broker = broker::Handle::new(&setup).map(Arc::new);
        let tasks = tasks::Handle::of(&setup).map(Arc::new);
        Arc::new(Service {
            name: name.into(),
            stats: ServiceStats::default(),
            way,
            setup: ArcSwap::from_pointee(setup),
            broker: ArcSwapOption::new(broker),
            tasks: ArcSwapOption::new(tasks),
            lobby: Lobby::default(),
            core: Mutex::new(Core {
                machine: Taped::new(machine),
                actions: Vec::new(),
                calls: HashMap::default(),
                servers,
                ring: Ring::default(),
            }),
            armed: AtomicU64::new(u64::MAX),
            timer: tokio::sync::Notify::new(),
            stopping: AtomicBool::new(false),
        })
    }

    /// The part of the plan that connections need, as it is now.
    pub(crate) fn setup(&self) -> Arc<Setup> {
        self.setup.load_full()
    }

    /// Who keeps the sessions; `None`: they pass as they are.
    pub(crate) fn broker(&self) -> Option<Arc<broker::Handle>> {
        self.broker.load_full()
    }

    /// The task slots of a vCenter whose sessions are kept.
    pub(crate) fn tasks(&self) -> Option<Arc<tasks::Handle>> {
        self.tasks.load_full()
    }

    /// Follows a new plan: a broker that goes on, a new one, or none any more, whose sessions are ended.
    fn follow(&self, setup: &Setup) {
        match (self.broker(), setup.broker()) {
            (Some(known), Some(plan)) => known.apply(plan, setup.plan.admission.seed),
            (None, Some(_)) => self.broker.store(broker::Handle::new(setup).map(Arc::new)),
            (Some(known), None) => {
                self.broker.store(None);
                known.retire();
            }
            (None, None) => {}
        }
        match (self.tasks(), tasks::Handle::of(setup)) {
            (Some(known), Some(_)) => setup.vcenter().into_iter().for_each(|vcenter| known.apply(vcenter.plan())),
            (known, new) => {
                new.iter().for_each(|new| new.bypass(self.machine(Machine::passes_all)));
                self.tasks.store(new.map(Arc::new));
                known.into_iter().for_each(|known| known.close());
            }
        }
    }

    /// Whether the service drains: no connection is kept alive any more.
    pub(crate) fn stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    fn core(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A call has arrived. The waker is woken when there is mail for it.
    pub(crate) fn arrive(
        self: &Arc<Self>,
        arrival: Arrival,
        record: impl FnOnce(CallId, Nanos) -> Record,
        cx: &Context<'_>,
    ) -> (Ticket, Decision) {
        let mut core = self.core();
        let now = clock::now();
        let mut actions = std::mem::take(&mut core.actions);
        let call = core.machine.arrive(now, arrival, &mut actions);
        let mut record = record(call, now);
        record.class = core.machine.class_of(call);
        core.calls.insert(call.0, Entry { mail: None, waker: None, record });
        core.deliver(now, &mut actions);
        core.actions = actions;
        let decision = core.take_mail(call).unwrap_or(Decision::Hold);
        if let Some(entry) = core.calls.get_mut(&call.0) {
            entry.waker = Some(cx.waker().clone());
        }
        self.rearm(&core);
        drop(core);
        (Ticket::new(self.clone(), call), decision)
    }

    /// Something happened that is about no ticket.
    pub(crate) fn event(&self, event: Event) {
        let mut core = self.core();
        let bypass = if let Event::Bypass(on) = event { Some(on) } else { None };
        core.event(clock::now(), event);
        self.rearm(&core);
        drop(core);
        if let (Some(on), Some(tasks)) = (bypass, self.tasks()) {
            tasks.bypass(on);
        }
    }

    /// Begins the drain: nothing more is admitted, held calls are turned away, connections close with their next answer.
    /// The machine's numbers before and after.
    pub(crate) fn stop(&self) -> (Snapshot, Snapshot) {
        self.stopping.store(true, Ordering::Relaxed);
        let mut core = self.core();
        let now = clock::now();
        let before = core.machine.snapshot(now);
        core.event(now, Event::Drain);
        self.rearm(&core);
        let after = core.machine.snapshot(now);
        drop(core);
        self.broker().into_iter().for_each(|broker| broker.event(BrokerEvent::Drain));
        self.tasks().into_iter().for_each(|tasks| tasks.drain());
        (before, after)
    }

    /// Another process takes over: what is held and who is here is served still, and then let go.
    pub(crate) fn retire(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// Clients that are here, those whose handshake is not over among them.
    pub(crate) fn clients(&self) -> u64 {
        self.stats.arriving.get() + self.stats.open_conns.get()
    }

    /// Gives up slots that are not needed any more; how many are in use, by server.
    pub(crate) fn shrink(&self) -> serde_json::Map<String, serde_json::Value> {
        let mut core = self.core();
        let used = core.machine.shrink(clock::now(), self.clients() > 0);
        core.servers.iter().zip(used).map(|(server, used)| (server.name.to_string(), used.into())).collect()
    }

    /// Another process uses so many slots of this server.
    pub(crate) fn share(&self, server: &str, used: u32) {
        let at = self.core().servers.iter().position(|known| *known.name == *server);
        if let Some(id) = at.and_then(|at| u16::try_from(at).ok()) {
            self.event(Event::Slots(ServerId(id), Slots::AllBut(used)));
        }
    }

    /// Another process uses so many slots of each server.
    pub(crate) fn share_all(&self, used: u32) {
        let count = self.core().servers.len();
        (0u16..).take(count).for_each(|id| self.event(Event::Slots(ServerId(id), Slots::AllBut(used))));
    }

    /// Whether calls wait when source ports are nearly used up; where everything passes they do not.
    pub(crate) fn spares_ports(&self) -> bool {
        self.machine(|machine| !machine.passes_all())
    }

    /// Takes over the sessions of another process.
    pub(crate) fn take_over(&self, sessions: Vec<Passed>) {
        self.core().machine.take_over(clock::now(), sessions);
    }

    /// A call is over that the machine has never seen.
    pub(crate) fn remember(&self, record: Record) {
        self.core().ring.push(record);
    }

    /// Looks at the machine, for what is read seldom.
    pub(crate) fn machine<T>(&self, look: impl FnOnce(&Machine) -> T) -> T {
        look(&self.core().machine)
    }

    /// Swaps the plan. Held calls stay in line; servers are matched by name, and one with another address is another
    /// machine: what is known of it is begun anew. The machine's numbers before and after.
    pub(crate) fn apply(
        &self,
        setup: Setup,
        plan: tidegate_core::admission::Plan,
    ) -> Result<(Snapshot, Snapshot), String> {
        let mut core = self.core();
        let now = clock::now();
        let before = core.machine.snapshot(now);
        let mut actions = std::mem::take(&mut core.actions);
        let servers = setup.servers.clone();
        let mut gone = Vec::new();
        let result = core.machine.apply(now, plan, &mut actions).map_err(|error| error.to_string());
        if result.is_ok() {
            if setup.plan.monitor.is_none() {
                core.machine.unwatch(now, &mut actions);
            }
            let before = std::mem::replace(&mut core.servers, servers.clone());
            let moved = |server: &Server| before.iter().any(|b| b.name == server.name && b.address != server.address);
            for (id, _) in (0u16..).zip(&servers).filter(|(_, server)| moved(server)) {
                core.machine.on_event(now, Event::Restarted(ServerId(id)), &mut actions);
            }
            self.setup.store(Arc::new(setup));
            gone.extend(before.into_iter().filter(|b| !servers.iter().any(|s| Arc::ptr_eq(s, b))));
        }
        core.deliver(now, &mut actions);
        core.actions = actions;
        self.rearm(&core);
        let after = core.machine.snapshot(now);
        drop(core); // closing connections takes its time, and other locks
        gone.iter().for_each(|gone: &Arc<Server>| gone.retire());
        self.follow(&self.setup());
        result.map(|()| (before, after))
    }

    /// Begins to note what the machine is told; `None` when somebody records already.
    pub(crate) fn record(&self) -> Option<Begin> {
        let mut core = self.core();
        core.machine.record(&self.name, clock::now())
    }

    /// Exchanges the steps noted so far for an empty buffer; true when some are missing after them.
    pub(crate) fn recorded(&self, steps: &mut Vec<TraceStep>) -> bool {
        self.core().machine.take(steps)
    }

    /// Notes no more.
    pub(crate) fn record_no_more(&self) {
        self.core().machine.stop();
    }

    /// Once a second: servers are told their limits as they are now, stale connections to them are closed.
    pub(crate) fn sweep(&self, now: Nanos) {
        {
            let core = self.core();
            (0u16..).zip(&core.servers).for_each(|(id, server)| server.allow(core.machine.limit_of(ServerId(id))));
        }
        let setup = self.setup();
        setup.servers.iter().for_each(|server| server.sweep(now, setup.io.server_idle));
    }

    /// The machine's own numbers.
    pub(crate) fn snapshot(&self) -> Snapshot {
        self.core().machine.snapshot(clock::now())
    }

    /// Whether clients had better ask for less now.
    pub(crate) fn pressed(&self) -> bool {
        self.core().machine.pressed(clock::now())
    }

    /// What the machine has learned.
    pub(crate) fn learned(&self) -> Learned {
        self.core().machine.learned()
    }

    /// Calls `f` with the records of calls that are live (in order of arrival, newest first), then of those that ended.
    pub(crate) fn records(&self, mut f: impl FnMut(&Record)) {
        let core = self.core();
        let mut live: Vec<&Record> = core.calls.values().map(|entry| &entry.record).collect();
        live.sort_unstable_by_key(|record| std::cmp::Reverse(record.call));
        live.into_iter().for_each(&mut f);
        core.ring.iter().for_each(f);
    }

    /// Wakes the timer task when the machine wants to be woken earlier than it will look.
    fn rearm(&self, core: &Core) {
        let next = core.machine.next_wake().map_or(u64::MAX, |at| at.0);
        if next < self.armed.load(Ordering::Relaxed) {
            self.armed.store(next, Ordering::Relaxed);
            self.timer.notify_one();
        }
    }

    /// The one timer of this service; runs as long as its task.
    pub(crate) async fn run_timer(self: Arc<Self>) {
        loop {
            let next = {
                let mut core = self.core();
                let now = clock::now();
                if core.machine.next_wake().is_some_and(|at| at <= now) {
                    core.event(now, Event::Wake);
                }
                let next = core.machine.next_wake();
                self.armed.store(next.map_or(u64::MAX, |at| at.0), Ordering::Relaxed);
                next.map(|at| clock::duration(at.since(now)))
            };
            match next {
                Some(wait) => {
                    // At least 1 ms between two looks, so that a wake that stays due cannot spin.
                    let wait = wait.max(std::time::Duration::from_millis(1));
                    let _ = tokio::time::timeout(wait, self.timer.notified()).await;
                }
                None => self.timer.notified().await,
            }
        }
    }
}

impl Core {
    fn event(&mut self, now: Nanos, event: Event) {
        let mut actions = std::mem::take(&mut self.actions);
        self.machine.on_event(now, event, &mut actions);
        self.deliver(now, &mut actions);
        self.actions = actions;
    }

    /// Puts each action into its call's mailbox, in order, and wakes whoever waits there.
    fn deliver(&mut self, now: Nanos, actions: &mut Vec<Action>) {
        for action in actions.drain(..) {
            let (call, mail) = match action {
                Action::Observed { call, turn_away, predicted } => {
                    if let Some(entry) = self.calls.get_mut(&call.0) {
                        entry.record.observed = Some(turn_away);
                        entry.record.predicted = predicted;
                    }
                    continue;
                }
                Action::Admit { call, server: id } => match self.servers.get(id.0 as usize) {
                    Some(server) => {
                        server.allow(self.machine.limit_of(id));
                        (call, Decision::Admit(server.clone()))
                    }
                    None => continue,
                },
                Action::Hold { call, ahead, predicted } => {
                    if let Some(entry) = self.calls.get_mut(&call.0) {
                        entry.record.ahead = Some(ahead);
                        entry.record.predicted = predicted;
                    }
                    (call, Decision::Hold)
                }
                Action::TurnAway { call, reason, retry_after } => (call, Decision::TurnAway { reason, retry_after }),
                Action::Expire { call } => (call, Decision::Expire),
            };
            let Some(entry) = self.calls.get_mut(&call.0) else { continue };
            entry.note(now, &mail);
            entry.mail = Some(mail);
            if let Some(waker) = &entry.waker {
                waker.wake_by_ref();
            }
        }
    }

    fn take_mail(&mut self, call: CallId) -> Option<Decision> {
        self.calls.get_mut(&call.0).and_then(|entry| entry.mail.take())
    }

    fn server_of(&self, call: CallId) -> Option<Arc<Server>> {
        let name = self.calls.get(&call.0)?.record.server.as_ref()?;
        self.servers.iter().find(|server| Arc::ptr_eq(&server.name, name)).cloned()
    }

    fn close(&mut self, call: CallId, end: End, status: u16) {
        if let Some(mut entry) = self.calls.remove(&call.0) {
            entry.record.end = Some(end);
            entry.record.status = status;
            self.ring.push(entry.record);
        }
    }
}

impl Entry {
    fn note(&mut self, now: Nanos, mail: &Decision) {
        match mail {
            Decision::Admit(server) => {
                self.record.decided = Some(now);
                self.record.server = Some(server.name.clone());
            }
            Decision::TurnAway { reason, retry_after } => {
                self.record.decided = Some(now);
                self.record.reason = Some(*reason);
                self.record.retry_after = Some(*retry_after);
            }
            Decision::Hold => self.record.decided = None,
            Decision::Expire => {}
        }
    }
}
