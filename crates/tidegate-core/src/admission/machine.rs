//! The machine: what each event does.
//!
//! A call is *held* or *in flight*. Held: it has a place in the queues and a timer at which it is turned away. In flight:
//! it has a slot at a server and a timer at which the driver is told to stop waiting; the slot is given back when the
//! server is done, or when the quarantine after that timer is over. A call whose connect failed goes back to held with
//! its old place. `arrive.rs`, `done.rs` and `timers.rs` are the events, `hold.rs` and `dispatch.rs` the two ways on,
//! `predict.rs` says how long a wait will be.

use super::call::{Call, Calls, InFlight, State};
use super::client::Clients;
use super::event::{Action, CallId, Class, Event, ServerId};
use super::learned::Learned;
use super::plan::{Mode, Plan, PlanError, ServerPlan};
use super::server::Server;
use super::share::Shares;
use super::snapshot::Counters;
use crate::limit::{Absence, Costs, Patience, Rate};
use crate::queue::Queues;
use crate::reason::Reason;
use crate::rng::Rng;
use crate::session::Sessions;
use crate::time::Nanos;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, VecDeque};

/// The admission machine of one service. See the [module](super) for how a call goes through it.
#[derive(Clone, Serialize, Deserialize)]
pub struct Machine {
    pub(super) plan: Plan,
    pub(super) calls: Calls,
    pub(super) queues: Queues,
    pub(super) clients: Clients,
    pub(super) sessions: Sessions,
    pub(super) servers: Vec<Server>,
    pub(super) shares: Shares,
    pub(super) rate: Rate,
    pub(super) costs: Costs,
    pub(super) patience: Patience,
    pub(super) absence: Absence,
    pub(super) rng: Rng,
    pub(super) timers: BTreeSet<(Nanos, u32)>,
    /// Held polls of settled sessions, oldest first; those that have left since are skipped.
    pub(super) polls: VecDeque<CallId>,
    pub(super) counters: Counters,
    /// Arrival numbers.
    pub(super) arrivals: u64,
    /// Work in flight, in thousandths of a unit.
    pub(super) work_in_flight: u64,
    /// Calls in flight that may still be held again.
    pub(super) pending: u32,
    /// When free slots were filled last.
    pub(super) dispatched: Nanos,
    pub(super) maintenance: bool,
    pub(super) bypass: bool,
    pub(super) draining: bool,
}

impl Machine {
    /// A machine with nothing in it, that begins with what an earlier one has learned.
    ///
    /// # Errors
    /// The plan is not one.
    pub fn new(plan: Plan, learned: Option<&Learned>, now: Nanos) -> Result<Machine, PlanError> {
        plan.check()?;
        let server = |plan: &ServerPlan| {
            let known = learned.and_then(|learned| learned.servers.iter().find(|known| known.name == plan.name));
            Server::new(plan, known, now)
        };
        let follow_ups = learned.map_or(plan.follow_ups_milli, |learned| learned.follow_ups_milli);
        Ok(Machine {
            calls: Calls::default(),
            queues: Queues::new(plan.servers.len()),
            clients: Clients::new(plan.clients_max as usize, plan.seniority),
            sessions: Sessions::new(plan.sessions_max as usize, follow_ups),
            servers: plan.servers.iter().map(server).collect(),
            shares: Shares::default(),
            rate: Rate::default(),
            costs: learned.map_or_else(Costs::default, |learned| Costs::remembered(&learned.costs)),
            patience: learned.map_or_else(Patience::default, |learned| Patience::remembered(&learned.patience)),
            absence: Absence::new(learned.and_then(|learned| learned.absence)),
            rng: Rng::new(plan.seed),
            timers: BTreeSet::new(),
            polls: VecDeque::new(),
            counters: Counters::default(),
            arrivals: 0,
            work_in_flight: 0,
            pending: 0,
            dispatched: now,
            maintenance: false,
            bypass: false,
            draining: false,
            plan,
        })
    }

    /// The class of a live call.
    pub fn class_of(&self, call: CallId) -> Option<Class> {
        self.calls.find(call).and_then(|index| self.calls.get(index)).map(Call::class)
    }

    /// How many calls may be in flight at a server now; 0 for one that is not there.
    pub fn limit_of(&self, server: ServerId) -> u32 {
        self.servers.get(usize::from(server.0)).map_or(0, |server| server.limit)
    }

    /// Takes an event and says what to do.
    pub fn on_event(&mut self, now: Nanos, event: Event, out: &mut Vec<Action>) {
        match event {
            Event::Arrive(arrival) => {
                self.arrive(now, arrival, out);
                return;
            }
            Event::ClientGone(call) => self.client_gone(now, call, out),
            Event::Connected(call) => self.connected(now, call, out),
            Event::Done(call, outcome) => self.done(now, call, outcome, out),
            Event::Restarted(server) => self.restarted(now, server, out),
            Event::Health(server, standing) => self.stands(now, server, standing, out),
            Event::SessionOver(session) => self.sessions.close(session),
            Event::Wake => self.wake(now, out),
            Event::Maintenance(on) => {
                if self.maintenance && !on {
                    self.servers.iter_mut().for_each(|server| server.begin_anew(now)); // that was the planned restart
                }
                self.maintenance = on;
                self.dispatch(now, out);
            }
            Event::Bypass(on) => {
                self.bypass = on;
                self.let_all_pass(now, out);
            }
            Event::Drain => {
                self.draining = true;
                let held: Vec<u32> = self.queues.iter().collect();
                held.into_iter().for_each(|index| self.turn_away(now, index, Reason::Draining, out));
            }
            Event::Slots(server, slots) => {
                let at = self.servers.get_mut(usize::from(server.0));
                at.into_iter().for_each(|server| server.share(slots));
                self.dispatch(now, out);
            }
        }
        self.end_event(now);
    }

    /// Whether every call passes: the plan only observes, or the operator said so.
    pub fn passes_all(&self) -> bool {
        self.bypass || self.plan.mode == Mode::Observe
    }

    /// Gives a call a slot. It must not be in the queues any more.
    pub(super) fn admit(
        &mut self,
        now: Nanos,
        index: u32,
        server: ServerId,
        reserved_slot: bool,
        out: &mut Vec<Action>,
    ) {
        let id = self.calls.id(index);
        let retry = self.plan.retry_server;
        let Some(call) = self.calls.get_mut(index) else {
            return;
        };
        let at = self.servers.get_mut(usize::from(server.0));
        let (trial, epoch) = at.map_or((false, 0), |state| {
            let trial = state.take(now, reserved_slot, retry);
            (trial, state.begin(now, index, call.place.work))
        });
        self.timers.remove(&(call.timer, index));
        call.timer = now + self.plan.upstream_timeout;
        call.wanting = None;
        call.state = State::InFlight(InFlight {
            server,
            since: now,
            epoch,
            batch: None,
            reserved_slot,
            trial,
            counted: false,
            orphan: false,
            expired: false,
        });
        self.timers.insert((call.timer, index));
        self.work_in_flight += call.place.work;
        self.pending += 1;
        self.enter(now, index, server);
        out.push(Action::Admit { call: id, server });
    }

    /// Forgets a held call (already out of the queues) or one that was never queued, and says so.
    pub(super) fn turn_away(&mut self, now: Nanos, index: u32, reason: Reason, out: &mut Vec<Action>) {
        let id = self.calls.id(index);
        let Some(call) = self.calls.get(index).cloned() else {
            return;
        };
        self.leave_queue(index);
        self.given_up(now, &call, reason);
        let retry_after = self.retry_after(now, reason, &call);
        if call.class() == Class::NewSession && reason != Reason::Superseded && !call.honours_retry_after {
            self.clients.turned_away(now, call.place.client);
        }
        self.timers.remove(&(call.timer, index));
        self.calls.remove(index);
        self.counters.turned_away[reason as usize] += 1;
        out.push(Action::TurnAway { call: id, reason, retry_after });
    }

    /// Takes a held call out of the queues, if it is in.
    pub(super) fn leave_queue(&mut self, index: u32) {
        let Some(call) = self.calls.get(index).filter(|call| call.state == State::Held) else {
            return;
        };
        if self.queues.remove(&call.place, index) {
            self.clients.release(call.place.client, index);
        }
    }

    /// Ends an event. Notes whether the pool does all that it is allowed to do: only then does its rate say something.
    pub(super) fn end_event(&mut self, now: Nanos) {
        self.sessions.lapse(now, self.plan.settle_after);
        self.skip_polls();
        let longest = self.absence.expected(self.plan.client_timeout).mul_f64(2.0);
        self.clients.expect_no_longer(now, longest);
        // A slot may be free while somebody waits: bulk at its cap, a session bound to another server.
        let full = |server: &Server| server.down.is_some() || server.load() >= server.room();
        let busy = self.servers.iter().any(|server| server.down.is_none()) && self.servers.iter().all(full);
        let waiting = self.passes_all() || (self.queues.total() > 0 && !self.maintenance);
        self.rate.saturated(now, waiting && busy);
        self.servers.iter_mut().for_each(|server| server.full(waiting));
    }
}
