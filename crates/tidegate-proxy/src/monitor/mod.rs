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

/// A loop that was late by so much within the last second lags.
const LAG: Span = Span::millis(500);
/// Between two looks at our own side.
const LOOK: Span = Span::millis(500);

/// Whom a member of the pool stands for.
struct Target {
    service: Weak<Service>,
    id: ServerId,
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
}

impl Health {
    /// Nobody is monitored.
    pub(crate) fn new(seed: u64) -> Result<Arc<Health>, GateError> {
        let pool = Pool::new(Vec::new(), seed, clock::now()).map_err(|error| GateError::plan("monitor", error))?;
        let state = Mutex::new(State { pool, targets: Vec::new(), asked: Vec::new() });
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
            for (id, server) in (0u16..).zip(&setup.servers) {
                let Some(monitor) = setup.plan.monitor.as_ref().filter(|_| !one.service.stopping()) else {
                    server.watched_as(None);
                    continue;
                };
                server.watched_as(Some(members.len()));
                let (name, host) = (format!("{}/{}", one.service.name, server.name), server.host().to_string());
                let (server, settings) = (ServerId(id), monitor.settings);
                members.push(Member { name, service: number, server, host, settings });
                targets.push(Target { service: Arc::downgrade(&one.service), id: server });
            }
        }
        let mut state = self.state();
        state.pool.apply(clock::now(), members).map_err(|error| GateError::plan("monitor", error))?;
        state.pool.take_over(clock::now(), passed);
        state.targets = targets;
        state.asked.clear();
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
        if let Some(at) = server.watched() {
            self.with(|state, out| state.pool.traffic(clock::now(), at, good, out));
        }
    }

    /// A connect of traffic that had failed was inquired into.
    pub(crate) fn dialled(&self, server: &Server, verdict: Verdict, evidence: Evidence) {
        if let Some(at) = server.watched() {
            let event = Event::DialEnded { verdict, evidence };
            self.with(|state, out| state.pool.on_event(clock::now(), at, event, out));
        }
    }

    /// The number of connections at which `server` was found to be at its limit.
    pub(crate) fn learned_limit(&self, server: &Server) -> Option<u32> {
        let at = server.watched()?;
        self.state().pool.limit(at)
    }

    /// What another process must know.
    pub(crate) fn passed(&self) -> Vec<Passed> {
        self.state().pool.pass_on(clock::now())
    }

    /// What is known of all.
    pub(crate) fn view(&self) -> PoolView {
        self.state().pool.view(clock::now())
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
        loop {
            self.with(|state, out| {
                let now = clock::now();
                let alarms = Alarms { loop_lag: timers.lag() >= LAG, ports: way.ports.fullest() >= Watermark::Hold };
                state.pool.alarms(now, alarms, out);
                state.pool.wake(now, out);
            });
            let (asked, next) = {
                let mut state = self.state();
                (std::mem::take(&mut state.asked), state.pool.next_wake())
            };
            for asked in asked {
                tokio::task::spawn_local(self.clone().probe(way.clone(), timers.clone(), asked));
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
        let Some(service) = asked.service.upgrade() else { return };
        let setup = service.setup();
        let server = setup.servers.get(usize::from(asked.id.0));
        let (Some(server), Some(plan)) = (server, &setup.plan.monitor) else { return };
        let (verdict, evidence) = probe::run(&way, &timers, server, plan).await;
        if verdict == Verdict::Ok {
            server.heard_now(clock::now());
        }
        // It may have another number by now, and another may have taken its part.
        let now = service.setup();
        let mut same = now.servers.iter().filter(|one| one.name == server.name && one.address == server.address);
        if let Some(at) = same.next().and_then(|one| one.watched()) {
            let event = Event::ProbeEnded { verdict, evidence };
            self.with(|state, out| state.pool.on_event(clock::now(), at, event, out));
            self.changed.notify_one(); // the next one is due sooner than this one would have been lost
        }
    }
}

fn pass_on(stands: Vec<(Arc<Service>, ServerId, Standing)>) {
    for (service, id, standing) in stands {
        service.event(Told::Health(id, standing));
    }
}

/// A probe that is to be run.
struct Asked {
    service: Weak<Service>,
    id: ServerId,
}

impl State {
    /// Keeps the probes that are asked for; gives out how servers stand.
    fn sort(&mut self, actions: Actions) -> Vec<(Arc<Service>, ServerId, Standing)> {
        let mut stands = Vec::new();
        for (at, action) in actions {
            let Some(target) = self.targets.get(at) else { continue };
            match action {
                Action::Probe { .. } => self.asked.push(Asked { service: target.service.clone(), id: target.id }),
                Action::Stand(standing) => {
                    stands.extend(target.service.upgrade().map(|service| (service, target.id, standing)));
                }
            }
        }
        stands
    }
}
