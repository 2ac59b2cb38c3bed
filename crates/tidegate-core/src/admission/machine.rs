//! The machine: what each event does.
//!
//! A call is *held* or *in flight*. Held: it has a place in the queues and a timer at which it is turned away. In flight:
//! it has a slot at a server and a timer at which the driver is told to stop waiting; the slot is given back when the
//! server is done, or when the quarantine after that timer is over. A call whose connect failed goes back to held with
//! its old place. `dispatch.rs` fills free slots, `predict.rs` says how long a wait will be.

use super::call::{Call, Calls, InFlight, State};
use super::client::Clients;
use super::event::{Action, Arrival, CallId, Class, ClientKey, Event, Outcome, Role, ServerId};
use super::plan::{Mode, Plan, PlanError};
use super::server::{Retry, Server};
use super::share::Shares;
use super::snapshot::{Counters, Snapshot};
use crate::limit::Rate;
use crate::queue::{Place, Queues};
use crate::reason::Reason;
use crate::rng::Rng;
use crate::session::{Known, Sessions, SettleRule};
use crate::time::{Nanos, Span};
use std::collections::BTreeSet;

/// The admission machine of one service. See the [module](super) for how a call goes through it.
pub struct Machine {
    pub(super) plan: Plan,
    pub(super) calls: Calls,
    pub(super) queues: Queues,
    pub(super) clients: Clients,
    pub(super) sessions: Sessions,
    pub(super) servers: Vec<Server>,
    pub(super) shares: Shares,
    pub(super) rate: Rate,
    pub(super) rng: Rng,
    pub(super) timers: BTreeSet<(Nanos, u32)>,
    pub(super) counters: Counters,
    /// Arrival numbers.
    pub(super) arrivals: u64,
    /// Work in flight, in thousandths of a unit.
    pub(super) work_in_flight: u64,
    /// Calls in flight that may still be held again.
    pub(super) pending: u32,
    /// Time of the last event.
    now: Nanos,
    pub(super) maintenance: bool,
    pub(super) bypass: bool,
    pub(super) draining: bool,
}

impl Machine {
    /// A machine with nothing in it.
    ///
    /// # Errors
    /// The plan is not one.
    pub fn new(plan: Plan, now: Nanos) -> Result<Machine, PlanError> {
        plan.check()?;
        Ok(Machine {
            calls: Calls::default(),
            queues: Queues::new(plan.servers.len()),
            clients: Clients::new(plan.clients_max as usize, plan.seniority),
            sessions: Sessions::new(plan.sessions_max as usize, plan.follow_ups_milli),
            servers: plan.servers.iter().map(Server::new).collect(),
            shares: Shares::default(),
            rate: Rate::default(),
            rng: Rng::new(plan.seed),
            timers: BTreeSet::new(),
            counters: Counters::default(),
            arrivals: 0,
            work_in_flight: 0,
            pending: 0,
            now,
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

    /// When the driver must send [`Event::Wake`], if nothing else happens before.
    pub fn next_wake(&self) -> Option<Nanos> {
        let timer = self.timers.first().map(|timer| timer.0);
        // A retry that was due at the last event was tried then, or nobody could: only an event can change that.
        let retries = self.servers.iter().filter_map(|server| server.down.filter(|retry| !retry.trying));
        let retry = retries.map(|retry| retry.at).filter(|at| *at > self.now).min().filter(|_| self.queues.total() > 0);
        timer.into_iter().chain(retry).min()
    }

    /// Takes an event and says what to do.
    pub fn on_event(&mut self, now: Nanos, event: Event, out: &mut Vec<Action>) {
        match event {
            Event::Arrive(arrival) => {
                self.arrive(now, arrival, out);
            }
            Event::ClientGone(call) => self.client_gone(now, call, out),
            Event::Connected(call) => self.connected(now, call, out),
            Event::Done(call, outcome) => self.done(now, call, outcome, out),
            Event::SessionOver(session) => self.sessions.close(session),
            Event::Wake => self.wake(now, out),
            Event::Maintenance(on) => {
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
        }
        self.end_event(now);
    }

    /// A call arrives. The first action pushed is about it: `Admit`, `Hold` or `TurnAway`.
    pub fn arrive(&mut self, now: Nanos, arrival: Arrival, out: &mut Vec<Action>) -> CallId {
        self.counters.arrived += 1;
        let (class, bound, dead) = self.classify(now, &arrival);
        let place = self.place(now, &arrival, class, bound);
        let opens = arrival.role == Role::Open;
        let (index, id) = self.calls.insert(Call::new(now, &arrival, place, self.plan.client_timeout, opens));
        if self.draining {
            self.turn_away(now, index, Reason::Draining, out);
        } else if self.passes_all() {
            self.pass(now, index, out);
        } else if dead {
            self.turn_away(now, index, Reason::TokenDead, out);
        } else if let Some(server) = self.free_at_once(now, &place) {
            self.queues.charge(&place);
            self.admit(now, index, server, false, out);
        } else {
            self.hold(now, index, arrival.reserved, out);
        }
        self.end_event(now);
        id
    }

    /// Class, the server its session is bound to, and whether the session is known to be dead.
    fn classify(&mut self, now: Nanos, arrival: &Arrival) -> (Class, Option<ServerId>, bool) {
        let by_role = match arrival.role {
            Role::Probe => Some(Class::Probe),
            Role::Open => Some(Class::NewSession),
            Role::Bulk => Some(Class::Bulk),
            Role::Renew | Role::Poll | Role::Call => None,
        };
        if let (Some(class), Role::Probe | Role::Open) = (by_role, arrival.role) {
            return (class, None, false); // opening a session needs none, and a probe belongs to nobody
        }
        let expires_soon = arrival.token_expiry.is_none_or(|expiry| expiry <= now + self.plan.renew_within);
        let renewal = (arrival.role == Role::Renew && expires_soon).then_some(Class::Renewal);
        let Some(session) = arrival.session else {
            return (by_role.or(renewal).unwrap_or(Class::Steady), None, false);
        };
        let rule = SettleRule { after: self.plan.settle_after, calls: self.plan.settle_calls };
        let is_poll = arrival.role == Role::Poll;
        let (known, settled) = self.sessions.look_up(now, session, is_poll, rule, self.plan.session_idle);
        if let Some(client) = settled {
            self.counters.sessions_settled += 1;
            self.clients.connected(client);
        }
        let (class, bound) = match known {
            Known::Open(server) => (Class::Continuation, Some(server)),
            Known::Settled(server) => (Class::Steady, Some(server)),
            Known::Unknown | Known::Dead => (Class::Steady, None),
        };
        let bound = bound.filter(|server| usize::from(server.0) < self.servers.len());
        (by_role.or(renewal).unwrap_or(class), bound, known == Known::Dead)
    }

    fn place(&mut self, now: Nanos, arrival: &Arrival, class: Class, bound: Option<ServerId>) -> Place {
        self.arrivals += 1;
        let key = match class {
            // A reserved client stands before every seniority number.
            Class::NewSession if arrival.reserved => 0,
            Class::NewSession => (1 << 63) | self.clients.seniority(now, arrival.client),
            Class::Renewal => arrival.token_expiry.unwrap_or(now).0,
            _ => 0,
        };
        let work = u64::from(arrival.cost_milli.clamp(1, 1_000_000));
        Place { class, bound, client: arrival.client, key, order: self.arrivals, work }
    }

    pub(super) fn passes_all(&self) -> bool {
        self.bypass || self.plan.mode == Mode::Observe
    }

    /// A server for a call when nobody waits: the fast path, past the queues.
    fn free_at_once(&self, now: Nanos, place: &Place) -> Option<ServerId> {
        let may = self.queues.total() == 0 && !self.maintenance && !matches!(place.class, Class::Probe | Class::Bulk);
        if may { self.slot_for(now, place.bound) } else { None }
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
        let Some(call) = self.calls.get_mut(index) else {
            return;
        };
        self.timers.remove(&(call.timer, index));
        call.timer = now + self.plan.upstream_timeout;
        call.state = State::InFlight(InFlight {
            server,
            since: now,
            reserved_slot,
            counted: false,
            orphan: false,
            expired: false,
        });
        self.timers.insert((call.timer, index));
        self.work_in_flight += call.place.work;
        self.pending += 1;
        if let Some(state) = self.servers.get_mut(usize::from(server.0)) {
            state.take(now, reserved_slot, self.plan.retry_server);
        }
        out.push(Action::Admit { call: id, server });
    }

    /// Forgets a held call (already out of the queues) or one that was never queued, and says so.
    pub(super) fn turn_away(&mut self, now: Nanos, index: u32, reason: Reason, out: &mut Vec<Action>) {
        let id = self.calls.id(index);
        let Some(call) = self.calls.get(index).cloned() else {
            return;
        };
        self.leave_queue(index);
        let retry_after = self.retry_after(now, &call);
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

    fn client_gone(&mut self, now: Nanos, id: CallId, out: &mut Vec<Action>) {
        let Some(index) = self.calls.find(id) else {
            self.counters.unknown_call += 1;
            return;
        };
        let Some(call) = self.calls.get_mut(index) else {
            return;
        };
        if let State::InFlight(in_flight) = &mut call.state {
            if !in_flight.orphan {
                in_flight.orphan = true;
                self.counters.orphaned += 1;
                let server = usize::from(in_flight.server.0);
                self.servers.get_mut(server).into_iter().for_each(|server| server.orphans += 1);
            }
            return;
        }
        self.leave_queue(index);
        if let Some(call) = self.calls.remove(index) {
            self.timers.remove(&(call.timer, index));
        }
        self.counters.client_gone += 1;
        self.dispatch(now, out);
    }

    /// The call has reached its server: from here on it counts as admitted.
    fn count(&mut self, index: u32) {
        let Some(call) = self.calls.get_mut(index) else {
            return;
        };
        let State::InFlight(in_flight) = &mut call.state else {
            return;
        };
        if in_flight.counted {
            return;
        }
        in_flight.counted = true;
        self.pending -= 1;
        self.counters.admitted += 1;
        if let Some(session) = call.session {
            self.sessions.admitted(session, call.place.work);
        }
    }

    fn connected(&mut self, now: Nanos, id: CallId, out: &mut Vec<Action>) {
        let Some(index) = self.calls.find(id) else { return };
        let Some(in_flight) = self.calls.get(index).and_then(Call::in_flight) else { return };
        let server = self.servers.get_mut(usize::from(in_flight.server.0));
        let was_down = server.is_some_and(|server| server.down.take().is_some());
        self.count(index);
        if was_down {
            self.dispatch(now, out);
        }
    }

    fn done(&mut self, now: Nanos, id: CallId, outcome: Outcome, out: &mut Vec<Action>) {
        let Some(index) = self.calls.find(id) else {
            self.counters.unknown_call += 1;
            return;
        };
        let Some(in_flight) = self.calls.get(index).and_then(Call::in_flight) else {
            self.counters.unknown_call += 1;
            return;
        };
        if outcome == Outcome::ConnectFailed && !in_flight.counted {
            self.connect_failed(now, index, in_flight, out);
        } else {
            self.count(index);
            let Some(call) = self.free(index) else { return };
            self.learn(now, &call, in_flight, outcome, out);
        }
        self.dispatch(now, out);
    }

    /// Takes a call in flight out of the table and gives its slot back.
    fn free(&mut self, index: u32) -> Option<Call> {
        let call = self.calls.remove(index)?;
        self.timers.remove(&(call.timer, index));
        let in_flight = call.in_flight()?;
        self.work_in_flight -= call.place.work;
        if let Some(server) = self.servers.get_mut(usize::from(in_flight.server.0)) {
            server.give_back(in_flight.reserved_slot, in_flight.orphan);
        }
        Some(call)
    }

    fn learn(&mut self, now: Nanos, call: &Call, at: InFlight, outcome: Outcome, out: &mut Vec<Action>) {
        let (work, service) = (call.place.work, now.since(at.since));
        let counter = match outcome {
            Outcome::Answered { .. } => &mut self.counters.answered,
            Outcome::Overload => &mut self.counters.overload,
            Outcome::Broken | Outcome::ConnectFailed => &mut self.counters.broken,
            Outcome::Incomplete => &mut self.counters.incomplete,
        };
        *counter += 1;
        let Outcome::Answered { opened, closed } = outcome else {
            self.queues.done(&call.place, work);
            return;
        };
        if let Some(server) = self.servers.get_mut(usize::from(at.server.0)) {
            server.down = None;
        }
        if let Some(session) = opened {
            self.counters.sessions_opened += 1;
            self.sessions.open(now, session, call.place.client, at.server);
        }
        if let Some(session) = call.session.filter(|_| closed) {
            self.sessions.close(session);
        }
        let window_closed = self.rate.completed(now, work, service, self.plan.rate_window);
        self.queues.done(&call.place, self.rate.true_work(work, service));
        if window_closed {
            self.replan(now, out);
        }
    }

    /// Nothing was sent: the server is down, the call is held again in its old place.
    fn connect_failed(&mut self, now: Nanos, index: u32, at: InFlight, out: &mut Vec<Action>) {
        self.counters.connect_failed += 1;
        self.pending -= 1;
        let retry_at = now + self.plan.retry_server.mul_f64(self.rng.uniform(0.8, 1.2));
        if let Some(server) = self.servers.get_mut(usize::from(at.server.0)) {
            server.give_back(at.reserved_slot, at.orphan);
            server.failed(retry_at);
        }
        let give_up = self.calls.get(index).map_or(now, |call| self.give_up(call));
        let passes_all = self.passes_all() || self.draining;
        let Some(call) = self.calls.get_mut(index) else {
            return;
        };
        self.work_in_flight -= call.place.work;
        self.timers.remove(&(call.timer, index));
        call.timer = give_up;
        call.state = State::Held;
        let place = call.place;
        if at.orphan {
            self.queues.done(&place, place.work);
            self.calls.remove(index);
            self.counters.client_gone += 1;
        } else if passes_all || give_up <= now {
            self.queues.done(&place, place.work);
            self.turn_away(now, index, Reason::ServerDown, out);
        } else {
            self.counters.held_again += 1;
            self.enqueue(now, index, true);
            let (ahead, _) = self.queues.ahead(&place);
            out.push(Action::Hold { call: self.calls.id(index), ahead, predicted: None });
        }
    }

    fn wake(&mut self, now: Nanos, out: &mut Vec<Action>) {
        while let Some(&(at, index)) = self.timers.first().filter(|timer| timer.0 <= now) {
            self.timers.remove(&(at, index));
            match self.calls.get(index).map(|call| call.state) {
                Some(State::Held) => {
                    let reason = self.why_given_up(index);
                    self.turn_away(now, index, reason, out);
                }
                Some(State::InFlight(in_flight)) if in_flight.expired => {
                    self.count(index);
                    let call = self.free(index); // the quarantine is over: the slot is free, the late answer unknown
                    call.iter().for_each(|call| self.queues.done(&call.place, call.place.work));
                }
                Some(State::InFlight(_)) => self.expire(now, index, out),
                None => {}
            }
        }
        self.dispatch(now, out);
    }

    fn expire(&mut self, now: Nanos, index: u32, out: &mut Vec<Action>) {
        let id = self.calls.id(index);
        let Some(call) = self.calls.get_mut(index) else {
            return;
        };
        call.timer = now + self.plan.quarantine;
        self.timers.insert((call.timer, index));
        if let State::InFlight(in_flight) = &mut call.state {
            in_flight.expired = true;
        }
        self.counters.expired += 1;
        out.push(Action::Expire { call: id });
    }

    fn why_given_up(&self, index: u32) -> Reason {
        let Some(call) = self.calls.get(index) else {
            return Reason::Deadline;
        };
        let down = |server: &Server| server.down.is_some();
        let unreachable = match call.place.bound {
            Some(server) => self.servers.get(usize::from(server.0)).is_some_and(down),
            None => self.servers.iter().all(down),
        };
        match (self.maintenance, unreachable, call.staggered) {
            (true, _, _) => Reason::Maintenance,
            (_, true, _) => Reason::ServerDown,
            (_, _, true) => Reason::TooLate,
            _ => Reason::Deadline,
        }
    }

    /// Ends an event. Notes whether the pool does all that it is allowed to do: only then does its rate say something.
    pub(super) fn end_event(&mut self, now: Nanos) {
        self.now = now;
        let waiting = self.queues.total() > 0 && !self.maintenance && self.servers.iter().any(|s| s.down.is_none());
        let full = self.passes_all() && self.servers.iter().all(|server| server.load() >= server.limit);
        self.rate.saturated(now, waiting || full);
    }

    /// Counters and gauges.
    pub fn snapshot(&self, now: Nanos) -> Snapshot {
        let held = |index: u32| self.calls.get(index).map(|call| call.arrived);
        let oldest = self.queues.iter().filter_map(held).min();
        let (sessions_unsettled, sessions_settled) = self.sessions.counts();
        Snapshot {
            now,
            counters: self.counters.clone(),
            held: std::array::from_fn(|class| self.queues.count(Class::ALL[class])),
            pending: self.pending,
            oldest: oldest.map_or(Span::ZERO, |arrived| now.since(arrived)),
            rate_milli: self.rate.per_second().unwrap_or(0.0) as u64,
            all_in: self.all_in(),
            sessions_unsettled,
            sessions_settled,
            servers: self.servers.iter().map(|server| server.snapshot(self.maintenance, self.draining)).collect(),
            maintenance: self.maintenance,
            bypass: self.bypass,
            draining: self.draining,
        }
    }

    /// The phase word of a server that is down now, for tests and `explain`.
    pub fn retry_at(&self, server: ServerId) -> Option<Nanos> {
        self.servers.get(usize::from(server.0))?.down.map(|Retry { at, .. }| at)
    }

    /// The client of a live call.
    pub fn client_of(&self, call: CallId) -> Option<ClientKey> {
        self.calls.find(call).and_then(|index| self.calls.get(index)).map(|call| call.place.client)
    }
}
