//! Monitors of servers: the pool of the core behind a mutex, the probes on sockets, and what follows from both.
//!
//! - [`Health::run`]: wakes the pool when it wants to be woken, starts probes, tells services how their servers stand.
//! - `probe`: one probe, from its first attempt to its verdict.
//!
//! The mutex is held for one call into the pool and never under another lock; what the pool asks for is done after it.

mod probe;
pub(crate) mod told;

use crate::clock;
use crate::dial::Way;
use crate::error::GateError;
use crate::gate::Served;
use crate::plan::MonitorPlan;
use crate::pool::Server;
use crate::service::Service;
use crate::timers::Timers;
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use tidegate_core::admission::{Event as Told, ServerId};
use tidegate_core::health::{
    Action, Actions, Alarms, Event, Evidence, Member, Passed, Pool, PoolView, Standing, Verdict,
};
use tidegate_core::ledger::Watermark;
use tidegate_core::time::Span;
use tokio::task::JoinSet;

/// A loop that was late by so much within the last second lags.
const LAG: Span = Span::millis(500);
/// Between two looks at our own side.
const LOOK: Span = Span::millis(500);

/// Whom a member of the pool stands for.
struct Target {
    service: Weak<Service>,
    id: ServerId,
    server: Arc<Server>,
    /// As its service's plan has it.
    monitor: Arc<MonitorPlan>,
}

/// All monitors of this process.
pub(crate) struct Health {
    state: Mutex<State>,
    changed: tokio::sync::Notify,
}

struct State {
    pool: Pool,
    targets: Vec<Target>,
    /// Probes that wait to be run: one per member at the most, for the pool asks for no second one.
    asked: Vec<Asked>,
    /// Counts plans: what was begun under an earlier one ends in vain.
    plans: u64,
}

impl Health {
    /// Nobody is monitored.
    pub(crate) fn new(seed: u64) -> Result<Arc<Health>, GateError> {
        let pool = Pool::new(Vec::new(), seed, clock::now()).map_err(|error| GateError::plan("monitor", error))?;
        let state = Mutex::new(State { pool, targets: Vec::new(), asked: Vec::new(), plans: 0 });
        Ok(Arc::new(Health { state, changed: tokio::sync::Notify::new() }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Monitors the servers of these services, as their plans say. What is known of a server that stays, stays; `passed` is
    /// what another process knew.
    ///
    /// # Errors
    /// Settings are none; a plan that was checked has no such.
    pub(crate) fn apply(&self, served: &[Served], passed: Vec<Passed>) -> Result<(), GateError> {
        let (mut members, mut targets) = (Vec::new(), Vec::new());
        for (number, one) in (0u16..).zip(served) {
            let setup = one.service.setup();
            let Some(monitor) = setup.plan.monitor.clone().filter(|_| !one.service.stopping()) else { continue };
            let monitor = Arc::new(monitor);
            for (id, server) in (0u16..).map(ServerId).zip(&setup.servers) {
                let (name, host) = (format!("{}/{}", one.service.name, server.name), server.host().to_string());
                members.push(Member { name, service: number, server: id, host, settings: monitor.settings });
                let (service, server) = (Arc::downgrade(&one.service), server.clone());
                targets.push(Target { service, id, server, monitor: monitor.clone() });
            }
        }
        let mut state = self.state();
        state.pool.apply(clock::now(), members).map_err(|error| GateError::plan("monitor", error))?;
        state.pool.take_over(clock::now(), passed);
        // A server of an earlier plan may serve its last calls still: they are no longer about anybody.
        state.targets.iter().for_each(|target| target.server.watched_as(None));
        targets.iter().enumerate().for_each(|(at, target)| target.server.watched_as(Some(at)));
        state.targets = targets;
        state.asked.clear();
        state.plans += 1;
        // A machine that is new, or has a new plan, knows nothing of what was said before.
        let stand = |at| state.pool.standing(at).map(Action::Stand).map(|action| (at, action));
        let all = (0..state.targets.len()).filter_map(stand).collect();
        let stands = state.sort(all);
        drop(state);
        pass_on(stands);
        self.changed.notify_one();
        Ok(())
    }

    /// A call to `server` has ended.
    pub(crate) fn traffic(&self, server: &Server, good: bool) {
        if server.watched().is_some() {
            self.of(server, |pool, at, out| pool.traffic(clock::now(), at, good, out));
        }
    }

    /// A connect of traffic that had failed was inquired into.
    pub(crate) fn dialled(&self, server: &Server, verdict: Verdict, evidence: Evidence) {
        let event = Event::DialEnded { verdict, evidence };
        self.of(server, |pool, at, out| pool.on_event(clock::now(), at, event, out));
    }

    /// The number of connections at which `server` was found to be at its limit.
    pub(crate) fn learned_limit(&self, server: &Server) -> Option<u32> {
        let state = self.state();
        state.pool.limit(server.watched()?)
    }

    /// What another process must know.
    pub(crate) fn passed(&self) -> Vec<Passed> {
        self.state().pool.pass_on(clock::now())
    }

    /// What is known of all.
    pub(crate) fn view(&self) -> PoolView {
        self.state().pool.view(clock::now())
    }

    /// Tells the pool something of a server. Its place is asked for under the lock: another plan may change it.
    fn of(&self, server: &Server, tell: impl FnOnce(&mut Pool, usize, &mut Actions)) {
        self.with(|state, out| {
            if let Some(at) = server.watched() {
                tell(&mut state.pool, at, out);
            }
        });
    }

    /// Tells the pool something, and passes on how servers stand; probes that it asks for are started by [`Health::run`].
    fn with(&self, tell: impl FnOnce(&mut State, &mut Actions)) {
        let mut out = Vec::new();
        let mut state = self.state();
        tell(&mut state, &mut out);
        if out.is_empty() {
            return;
        }
        let stands = state.sort(out);
        drop(state);
        pass_on(stands);
        self.changed.notify_one();
    }

    /// Wakes the pool and runs its probes until it is dropped.
    pub(crate) async fn run(self: Arc<Self>, way: Arc<Way>, timers: Rc<Timers>) {
        let (mut probes, mut plans) = (JoinSet::new(), 0);
        loop {
            self.with(|state, out| {
                let now = clock::now();
                let alarms = Alarms { loop_lag: timers.lag() >= LAG, ports: way.ports.fullest() >= Watermark::Hold };
                state.pool.alarms(now, alarms, out);
                state.pool.wake(now, out);
            });
            let (asked, next, current) = {
                let mut state = self.state();
                (std::mem::take(&mut state.asked), state.pool.next_wake(), state.plans)
            };
            if plans != current {
                probes.abort_all(); // nobody waits for how they end
                plans = current;
            }
            while probes.try_join_next().is_some() {}
            for asked in asked {
                probes.spawn_local(self.clone().probe(way.clone(), timers.clone(), asked));
            }
            // Without members there is nothing to look at.
            let Some(next) = next else {
                self.changed.notified().await;
                continue;
            };
            let wait = next.since(clock::now()).min(LOOK).max(Span::millis(1));
            let _or_told = tokio::time::timeout(clock::duration(wait), self.changed.notified()).await;
        }
    }

    async fn probe(self: Arc<Self>, way: Arc<Way>, timers: Rc<Timers>, asked: Asked) {
        let Asked { server, monitor, at, plans } = asked;
        let (verdict, evidence) = probe::run(&way, &timers, &server, &monitor).await;
        if verdict == Verdict::Ok {
            server.heard_now(clock::now());
        }
        let event = Event::ProbeEnded { verdict, evidence };
        self.with(|state, out| {
            if state.plans == plans {
                state.pool.on_event(clock::now(), at, event, out);
            }
        });
        self.changed.notify_one(); // the next one is due sooner than this one would have been lost
    }
}

fn pass_on(stands: Vec<(Arc<Service>, ServerId, Standing)>) {
    for (service, id, standing) in stands {
        service.event(Told::Health(id, standing));
    }
}

/// A probe that is to be run.
struct Asked {
    server: Arc<Server>,
    monitor: Arc<MonitorPlan>,
    /// Its place in the pool, as long as there is no other plan.
    at: usize,
    plans: u64,
}

impl State {
    /// Keeps the probes that are asked for; gives out how servers stand.
    fn sort(&mut self, actions: Actions) -> Vec<(Arc<Service>, ServerId, Standing)> {
        let mut stands = Vec::new();
        for (at, action) in actions {
            let Some(target) = self.targets.get(at) else { continue };
            match action {
                Action::Probe { .. } => {
                    let (server, monitor) = (target.server.clone(), target.monitor.clone());
                    self.asked.push(Asked { server, monitor, at, plans: self.plans });
                }
                Action::Stand(standing) => {
                    stands.extend(target.service.upgrade().map(|service| (service, target.id, standing)));
                }
            }
        }
        stands
    }
}
