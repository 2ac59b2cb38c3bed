//! The machine: what it knows, and what it does with each event.

use super::bound::{Bound, Hosts};
use super::event::{Action, Ask, Datastores, Event, HostKey, How, PrincipalIx, TaskKey, VmKey, Why, Work};
use super::feedback::Begun;
use super::hours::Hours;
use super::line::Line;
use super::settings::{PrincipalPlan, Settings};
use super::storage::Storage;
use super::view::Totals;
use super::vms::Vms;
use crate::rng::Rng;
use crate::time::{Nanos, Span};
use std::collections::{BTreeMap, BTreeSet};

/// Who is not in the settings.
static STRANGER: PrincipalPlan = PrincipalPlan { bulk: false, vms_max: u32::MAX, windows: Vec::new() };
/// Longest time after which a client is to come back.
const RETRY_MAX: Span = Span::secs(3600);

/// Where a call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// In the line.
    Waits,
    /// It may be sent, or is.
    Sent,
    /// vCenter has begun this.
    Runs(TaskKey),
    /// Nobody knows.
    Lost,
}

/// One call that is known.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    pub principal: PrincipalIx,
    pub work: Work,
    pub host: Option<HostKey>,
    pub datastores: Datastores,
    pub vm: Option<VmKey>,
    pub state: State,
    /// Its place among all arrivals.
    pub order: u64,
    /// When it was let go, and with how many under way.
    pub begun: Begun,
    /// The same, of its host.
    pub rank_there: u32,
    /// When something must be done about it: turned away while it waits, forgotten later.
    pub timer: Nanos,
}

/// How a call that was let go is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Over {
    /// Nothing was begun.
    Unbegun,
    /// The work is done.
    Fine,
    /// The work has failed.
    Failed,
    /// Nothing is heard of the work any more.
    Silent,
}

/// Task slots of one vCenter: `(event, now) -> actions`.
#[derive(Clone)]
pub struct TaskSlots {
    pub(super) settings: Settings,
    pub(super) asks: BTreeMap<Ask, Known>,
    pub(super) tasks: BTreeMap<TaskKey, Ask>,
    timers: BTreeSet<(Nanos, Ask)>,
    pub(super) line: Line,
    pub(super) bound: Bound,
    pub(super) hosts: Hosts,
    pub(super) storage: Storage,
    pub(super) hours: Hours,
    pub(super) vms: Vms,
    /// Slots that are taken, those of bulk principals among them.
    pub(super) running: u32,
    pub(super) bulk: u32,
    /// Leases that are open, and by host.
    pub(super) leases: u32,
    pub(super) leases_on: BTreeMap<HostKey, u32>,
    orders: u64,
    rng: Rng,
    draining: bool,
    /// Somebody waits for a slot, and for nothing else.
    pub(super) wanted: bool,
    pub(super) totals: Totals,
}

impl TaskSlots {
    /// Nothing is in vCenter, as far as is known.
    pub fn new(settings: Settings) -> TaskSlots {
        TaskSlots {
            rng: Rng::new(settings.seed),
            settings,
            asks: BTreeMap::new(),
            tasks: BTreeMap::new(),
            timers: BTreeSet::new(),
            line: Line::default(),
            bound: Bound::default(),
            hosts: Hosts::default(),
            storage: Storage::default(),
            hours: Hours::default(),
            vms: Vms::default(),
            running: 0,
            bulk: 0,
            leases: 0,
            leases_on: BTreeMap::new(),
            orders: 0,
            draining: false,
            wanted: false,
            totals: Totals::default(),
        }
    }

    /// Something happened. What must be done is added to `actions`.
    pub fn on_event(&mut self, now: Nanos, event: Event, actions: &mut Vec<Action>) {
        self.bound.advance(now, self.settings.token_life, self.settings.start);
        // These free nothing: whoever waited goes on waiting.
        let frees = !matches!(event, Event::Arrive { .. } | Event::Progress { .. });
        match event {
            Event::Arrive { ask, principal, work, host, datastores, vm } => {
                let (state, begun) = (State::Waits, Begun::default());
                let timer = Nanos::NEVER;
                let known =
                    Known { principal, work, host, datastores, vm, state, order: 0, begun, rank_there: 0, timer };
                self.arrive(now, ask, known, actions);
            }
            Event::Started { ask, task } => self.started(now, ask, task),
            Event::Lost { ask } => self.lost(now, ask),
            Event::Progress { task } => self.progress(now, task),
            Event::Ended { task, how, vm } => self.ended(now, task, how, vm),
            Event::Left { ask } => self.left(now, ask),
            Event::Latency { datastore, micros } => self.storage.looked(&self.settings, datastore, micros),
            Event::Time { unix_s } => self.hours.told(now, unix_s),
            Event::Wake => {}
            Event::Drain => {
                self.draining = true;
                self.turn_away_all(now, actions);
            }
        }
        if self.expire(now, actions) || frees {
            self.dispatch(now, actions);
        }
    }

    /// New settings, and the new number of each principal. What runs and what waits goes on.
    pub fn apply(
        &mut self,
        now: Nanos,
        settings: Settings,
        number: impl Fn(PrincipalIx) -> PrincipalIx,
        actions: &mut Vec<Action>,
    ) {
        self.bound.advance(now, self.settings.token_life, self.settings.start);
        self.settings = settings;
        self.vms.renumber(&number);
        self.line = Line::default();
        let mut waiting: Vec<(u64, PrincipalIx, Ask)> = Vec::new();
        for (ask, known) in &mut self.asks {
            known.principal = number(known.principal);
            waiting.extend((known.state == State::Waits).then_some((known.order, known.principal, *ask)));
        }
        waiting.sort_unstable();
        waiting.into_iter().for_each(|(order, principal, ask)| self.line.push(principal, order, ask));
        let bulk = self.asks.values().filter(|known| known.slot() && self.plan(known.principal).bulk);
        self.bulk = bulk.count() as u32;
        self.dispatch(now, actions);
    }

    /// When it wants to be woken.
    pub fn next_wake(&self, now: Nanos) -> Option<Nanos> {
        let closed = self.line.principals().map(|principal| self.plan(principal));
        let opens = closed.filter(|plan| !self.hours.open(now, plan)).filter_map(|plan| self.hours.opens(now, plan));
        let timer = self.timers.first().map(|(at, _)| *at);
        opens.chain(timer).chain(self.vms.next()).min()
    }

    /// Whether this call waits or holds a slot.
    pub fn knows(&self, ask: Ask) -> bool {
        self.asks.contains_key(&ask)
    }

    /// Whether this task or lease holds a slot.
    pub fn runs(&self, task: TaskKey) -> bool {
        self.tasks.contains_key(&task)
    }

    /// How many slots there are now.
    pub(super) fn limit(&self) -> u32 {
        self.bound.limit(self.settings.start, self.settings.most)
    }

    pub(super) fn plan(&self, principal: PrincipalIx) -> &PrincipalPlan {
        self.settings.principals.get(usize::from(principal.0)).unwrap_or(&STRANGER)
    }

    fn arrive(&mut self, now: Nanos, ask: Ask, known: Known, actions: &mut Vec<Action>) {
        if self.asks.contains_key(&ask) {
            return;
        }
        self.totals.arrived += 1;
        self.orders += 1;
        let plan = self.plan(known.principal);
        let closed = self.closed(now, &known) && self.hours.turns_away(plan);
        if self.draining || closed {
            let why = if self.draining { Why::Draining } else { Why::Window };
            return self.refuse(now, ask, known.principal, why, actions);
        }
        let known = Known { order: self.orders, ..known };
        self.line.push(known.principal, known.order, ask);
        self.turn(now, ask, known);
        self.set_timer(ask, now + self.settings.wait_max);
        let Some(why) = self.blocked(now, &known) else {
            // Whoever waits could not go before, or it would have gone.
            self.go(now, ask);
            actions.push(Action::Go { ask });
            return self.dispatch(now, actions);
        };
        self.wanted |= why.slot();
        self.load(now);
        if self.line.count() > self.settings.waiting_max
            && let Some(last) = self.line.crowd()
        {
            self.turn_away(now, last, Why::QueueFull, actions);
            if last == ask {
                return;
            }
        }
        actions.push(Action::Hold { ask, why });
    }

    fn started(&mut self, now: Nanos, ask: Ask, task: Option<TaskKey>) {
        let Some(known) = self.asks.get(&ask).filter(|known| known.state == State::Sent).copied() else { return };
        let Some(task) = task.filter(|task| !self.tasks.contains_key(task)) else {
            return self.over(now, ask, Over::Unbegun, None);
        };
        self.tasks.insert(task, ask);
        if known.work == Work::Lease {
            self.granted(now, known);
        }
        self.turn(now, ask, Known { state: State::Runs(task), ..known });
        self.set_timer(ask, now + self.silence(known.work));
    }

    fn lost(&mut self, now: Nanos, ask: Ask) {
        if let Some(known) = self.asks.get(&ask).filter(|known| known.state == State::Sent).copied() {
            self.totals.lost += 1;
            self.turn(now, ask, Known { state: State::Lost, ..known });
            self.set_timer(ask, now + self.settings.token_life);
        }
    }

    fn progress(&mut self, now: Nanos, task: TaskKey) {
        let Some(&ask) = self.tasks.get(&task) else { return };
        let Some(known) = self.asks.get(&ask).copied() else { return };
        self.set_timer(ask, now + self.silence(known.work));
        if let Some(known) = self.asks.get_mut(&ask) {
            known.begun.alive = now;
        }
        if let Some(vm) = known.vm.filter(|_| known.works()) {
            self.vms.heard(vm, now + self.settings.work_max);
        }
    }

    fn ended(&mut self, now: Nanos, task: TaskKey, how: How, vm: Option<VmKey>) {
        let Some(&ask) = self.tasks.get(&task) else { return };
        if let Some(known) = self.asks.get(&ask).filter(|known| known.slot()).copied() {
            match how {
                How::Fine => self.learn(now, &known),
                How::Failed => {}
                How::Expired => self.expired(now, &known),
            }
        }
        self.over(now, ask, if how == How::Fine { Over::Fine } else { Over::Failed }, vm);
    }

    fn left(&mut self, now: Nanos, ask: Ask) {
        match self.asks.get(&ask).map(|known| known.state) {
            Some(State::Waits) => {
                self.totals.left += 1;
                self.forget_waiting(now, ask);
            }
            Some(State::Sent) => self.over(now, ask, Over::Unbegun, None),
            Some(State::Runs(_) | State::Lost) | None => {}
        }
    }

    /// What is due; false when nothing is.
    fn expire(&mut self, now: Nanos, actions: &mut Vec<Action>) -> bool {
        let due = self.timers.first().map(|(at, _)| *at).into_iter().chain(self.vms.next()).min();
        if due.is_none_or(|at| at > now) {
            return false;
        }
        while let Some(&(_, ask)) = self.timers.first().filter(|(at, _)| *at <= now) {
            match self.asks.get(&ask).copied() {
                Some(known) if known.state == State::Waits => {
                    let why = self.blocked(now, &known).unwrap_or(Why::Limit);
                    self.turn_away(now, ask, why, actions);
                }
                _ => {
                    self.totals.forgotten += 1;
                    self.over(now, ask, Over::Silent, None);
                }
            }
        }
        self.vms.forget(now, now + self.settings.work_max);
        true
    }

    fn turn_away_all(&mut self, now: Nanos, actions: &mut Vec<Action>) {
        let all: Vec<Ask> = self.line.iter().collect();
        all.into_iter().for_each(|ask| self.turn_away(now, ask, Why::Draining, actions));
    }

    fn turn_away(&mut self, now: Nanos, ask: Ask, why: Why, actions: &mut Vec<Action>) {
        if let Some(principal) = self.asks.get(&ask).map(|known| known.principal) {
            self.refuse(now, ask, principal, why, actions);
            self.forget_waiting(now, ask);
        }
    }

    fn refuse(&mut self, now: Nanos, ask: Ask, principal: PrincipalIx, why: Why, actions: &mut Vec<Action>) {
        self.totals.turned_away[why as usize] += 1;
        let opens = self.hours.opens(now, self.plan(principal)).filter(|_| why == Why::Window);
        let least = opens.map_or_else(|| self.backlog(), |at| at.since(now)).min(RETRY_MAX).max(Span::secs(1));
        let retry_after = least.mul_f64(self.rng.uniform(1.0, 1.25));
        actions.push(Action::TurnAway { ask, reason: why, retry_after });
    }

    /// How long those that wait now will take.
    fn backlog(&self) -> Span {
        let rate = self.bound.pace.per_second(self.settings.token_life, self.settings.start).filter(|rate| *rate > 0.0);
        let seconds = rate.map(|rate| f64::from(self.line.count() + 1) / rate);
        seconds.map_or(self.settings.wait_max, Span::from_secs_f64).min(self.settings.token_life)
    }

    fn forget_waiting(&mut self, now: Nanos, ask: Ask) {
        if let Some(known) = self.remove(ask) {
            self.count(now, &known, false);
            self.line.remove(known.principal, known.order, ask);
        }
    }

    /// Takes a call out of the table.
    pub(super) fn remove(&mut self, ask: Ask) -> Option<Known> {
        let known = self.asks.remove(&ask)?;
        self.timers.remove(&(known.timer, ask));
        Some(known)
    }

    pub(super) fn set_timer(&mut self, ask: Ask, at: Nanos) {
        if let Some(known) = self.asks.get_mut(&ask) {
            self.timers.remove(&(known.timer, ask));
            known.timer = at;
            self.timers.insert((at, ask));
        }
    }

    /// How long a running task or lease may be silent.
    fn silence(&self, work: Work) -> Span {
        if work == Work::Lease { self.settings.lease_timeout } else { self.settings.token_life }
    }
}
