//! A driver for the machine that checks, after every event, what must always hold.
#![allow(dead_code, clippy::unwrap_used, clippy::panic, reason = "shared by several test binaries; tests may panic")]

use std::collections::{BTreeMap, BTreeSet};
use tidegate_core::admission::*;
use tidegate_core::reason::Reason;
use tidegate_core::time::{Nanos, Span};
use tidegate_core::trace::{Taped, Writer};

/// A plan with the documented defaults and one server called `a`.
pub fn plan(limit: u32) -> Plan {
    Plan { seed: 7, ..Plan::with_defaults(vec![server("a", limit)]) }
}

/// A server with a static limit.
pub fn server(name: &str, limit: u32) -> ServerPlan {
    ServerPlan { name: name.into(), limit: LimitPlan::Static(limit), standby: false }
}

pub fn arrival(client: u64, role: Role) -> Arrival {
    Arrival {
        client: ClientKey(client),
        kind: KindKey::default(),
        role,
        operation: OperationKey::default(),
        session: None,
        server: None,
        cost_milli: 1000,
        deadline: None,
        token_expiry: None,
        honours_retry_after: false,
        reserved: false,
    }
}

/// Whether nothing was sent, so that the call is held again.
fn unsent(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::ConnectFailed | Outcome::NotConnected(_))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Held,
    InFlight(ServerId),
    TurnedAway(Reason),
    Gone,
    Done,
}

/// The machine, the calls it knows of, and what became of them.
pub struct World {
    pub machine: Taped,
    pub now: Nanos,
    pub fates: BTreeMap<CallId, Fate>,
    /// The calls of `fates` that are held or in flight, so that checks walk over live calls only.
    pub live: BTreeSet<CallId>,
    pub arrivals: BTreeMap<CallId, (Nanos, Arrival)>,
    pub gone: BTreeSet<CallId>,
    /// Calls whose connection stands: they cannot fail to connect any more.
    pub connected: BTreeSet<CallId>,
    pub log: Vec<(Nanos, Action)>,
    pub limits: Vec<u32>,
    /// What may be in flight beyond the limits: left over from a bypass or a larger limit, never growing.
    pub left_over: Vec<u32>,
    pub mode: Mode,
    /// The lines of a trace, while one is recorded.
    pub trace: (Writer, Vec<u8>),
}

impl World {
    pub fn new(plan: Plan) -> World {
        let limits: Vec<u32> = plan.servers.iter().map(|server| server.limit.most()).collect();
        let mode = plan.mode;
        let machine = Taped::new(Machine::new(plan, None, Nanos(0)).unwrap());
        World {
            machine,
            now: Nanos(0),
            fates: BTreeMap::new(),
            live: BTreeSet::new(),
            arrivals: BTreeMap::new(),
            gone: BTreeSet::new(),
            connected: BTreeSet::new(),
            log: Vec::new(),
            left_over: vec![0; limits.len()],
            limits,
            mode,
            trace: Default::default(),
        }
    }

    /// Begins a trace with the machine as it is now.
    pub fn record(&mut self) {
        let begin = self.machine.record("test", self.now).unwrap();
        self.trace.0.begin(&begin, &mut self.trace.1).unwrap();
    }

    /// Ends the trace and gives it out.
    pub fn recorded(&mut self) -> Vec<u8> {
        let (mut writer, mut lines) = std::mem::take(&mut self.trace);
        let mut steps = Vec::new();
        let cut = self.machine.take(&mut steps);
        steps.into_iter().for_each(|step| writer.step(step, &mut lines).unwrap());
        writer.end(cut, &mut lines).unwrap();
        lines
    }

    /// A gate that has begun so long ago that it lets clients in without batches.
    pub fn warm(plan: Plan) -> World {
        let wait = plan.client_timeout + Span(1);
        let mut world = World::new(plan);
        world.advance(wait);
        world
    }

    /// Swaps in a plan, perhaps with other servers.
    pub fn apply(&mut self, plan: Plan) {
        let before = self.machine.snapshot(self.now).servers;
        let stays = |name: &str| before.iter().find(|server| server.name == name).map_or(0, |server| server.in_flight);
        self.left_over = plan.servers.iter().map(|server| stays(&server.name)).collect();
        self.limits = plan.servers.iter().map(|server| server.limit.most()).collect();
        self.mode = plan.mode;
        let mut out = Vec::new();
        self.machine.apply(self.now, plan, &mut out).unwrap();
        self.take(out);
    }

    pub fn arrive(&mut self, arrival: Arrival) -> CallId {
        let mut out = Vec::new();
        let id = self.machine.arrive(self.now, arrival, &mut out);
        assert_eq!(out[0].call(), id, "the first action is about the new call: {out:?}");
        assert!(!matches!(out[0], Action::Expire { .. } | Action::Observed { .. }));
        assert!(self.arrivals.insert(id, (self.now, arrival)).is_none(), "ids are never reused while live");
        self.take(out);
        id
    }

    pub fn event(&mut self, event: Event) {
        if let Event::ClientGone(call) = event {
            self.gone.insert(call);
            if self.fates.get(&call) == Some(&Fate::Held) {
                self.fate(call, Fate::Gone);
            }
        }
        if let Event::Connected(call) = event {
            self.connected.insert(call);
        }
        if let Event::Done(call, outcome) = event
            && !unsent(outcome)
        {
            self.fate(call, Fate::Done);
        }
        let unknown = self.machine.snapshot(self.now).counters.unknown_call;
        let mut out = Vec::new();
        self.machine.on_event(self.now, event, &mut out);
        if let Event::Done(call, outcome) = event
            && unsent(outcome)
        {
            let again = out.iter().any(|action| action.call() == call);
            let late = self.machine.snapshot(self.now).counters.unknown_call > unknown;
            if late {
                self.fate(call, Fate::Done); // its quarantine was over: the machine had forgotten it
            } else if !again {
                assert!(self.gone.contains(&call), "a call whose connect failed is held again or answered");
                self.fate(call, Fate::Gone);
            }
        }
        self.take(out);
    }

    fn take(&mut self, out: Vec<Action>) {
        for action in out {
            let call = action.call();
            let before = self.fates.get(&call).copied();
            let ended = matches!(before, Some(Fate::TurnedAway(_) | Fate::Gone | Fate::Done));
            assert!(!ended, "{action:?} after {before:?}");
            match action {
                Action::Admit { server, .. } => {
                    assert!(!self.gone.contains(&call), "dispatched a call whose client is gone");
                    self.fate(call, Fate::InFlight(server));
                    let kept = self.machine.snapshot(self.now).servers[usize::from(server.0)].standing;
                    let down = kept.is_some_and(|standing| standing.phase == Phase::Down);
                    assert!(!down || self.all_pass(), "admitted to a server that its monitor says is down");
                }
                Action::Hold { .. } => self.fate(call, Fate::Held),
                Action::TurnAway { reason, .. } => {
                    let unsent =
                        matches!(reason, Reason::ServerDown | Reason::Superseded | Reason::NoPort | Reason::Memory);
                    assert!(unsent || !matches!(before, Some(Fate::InFlight(_))), "{reason} of a call in flight");
                    self.fate(call, Fate::TurnedAway(reason));
                }
                Action::Observed { .. } | Action::Expire { .. } => {}
            }
            self.log.push((self.now, action));
        }
        self.check();
    }

    fn all_pass(&self) -> bool {
        self.mode == Mode::Observe || self.machine.snapshot(self.now).bypass
    }

    /// Moves time on, waking the machine exactly when it asks for it.
    pub fn advance(&mut self, span: Span) {
        let end = self.now + span;
        while let Some(at) = self.machine.next_wake().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.event(Event::Wake);
            assert!(
                self.machine.next_wake() > Some(at) || self.machine.next_wake().is_none(),
                "a wake must make progress"
            );
        }
        self.now = end;
    }

    pub fn held(&self) -> Vec<CallId> {
        self.with(|fate| fate == Fate::Held)
    }

    pub fn in_flight(&self) -> Vec<CallId> {
        self.with(|fate| matches!(fate, Fate::InFlight(_)))
    }

    fn with(&self, which: impl Fn(Fate) -> bool) -> Vec<CallId> {
        self.live.iter().filter(|id| which(self.fates[id])).copied().collect()
    }

    /// Notes what became of a call.
    pub fn fate(&mut self, call: CallId, fate: Fate) {
        self.fates.insert(call, fate);
        match fate {
            Fate::Held | Fate::InFlight(_) => self.live.insert(call),
            _ => self.live.remove(&call),
        };
    }

    /// What must hold after every event.
    pub fn check(&mut self) {
        let snapshot = self.machine.snapshot(self.now);
        let counters = &snapshot.counters;
        let held: u32 = snapshot.held.iter().sum();
        assert_eq!(
            counters.arrived,
            counters.admitted
                + counters.turned_away_total()
                + counters.client_gone
                + u64::from(held)
                + u64::from(snapshot.pending),
            "conservation: {snapshot:?}"
        );
        assert_eq!(held as usize, self.held().len(), "held, by the driver's count");
        let all_pass = self.mode == Mode::Observe || snapshot.bypass;
        self.left_over.resize(snapshot.servers.len(), 0);
        for (index, server) in snapshot.servers.iter().enumerate() {
            let most = self.limits[index].max(self.left_over[index]) + 1; // the probes' slot
            assert!(all_pass || server.in_flight <= most, "{} in flight, at most {most}", server.in_flight);
            let left = if all_pass { u32::MAX } else { self.left_over[index] };
            self.left_over[index] = left.min(server.in_flight);
            assert!(server.orphans <= server.in_flight);
            let batch = server.recovery.as_ref();
            assert!(batch.is_none_or(|batch| batch.complete <= batch.begun), "{batch:?}");
        }
        for call in self.held() {
            let (arrived, arrival) = self.arrivals[&call];
            let deadline = arrival.deadline.unwrap_or(Nanos::NEVER).min(arrived + Span::secs(30));
            assert!(self.now <= deadline, "held past its deadline");
        }
    }
}
