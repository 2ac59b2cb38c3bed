//! Who watches a storm: knows of every call where it is, from what the machine is told and asks for, and from nothing else.

use crate::rules;
use crate::storm::Storm;
use std::collections::{BTreeMap, BTreeSet};
use tidegate_core::admission::*;
use tidegate_core::time::{Nanos, Span};
use tidegate_sim::engine::World;
use tidegate_sim::policy::{Gate, Told};

/// A broken rule, and how.
pub type Broken = (String, String);

pub fn broken<T>(rule: &str, how: impl std::fmt::Display) -> Result<T, Broken> {
    Err((rule.to_string(), how.to_string()))
}

/// Where a call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// It has just arrived.
    Door,
    /// In the queue.
    Held,
    /// At a server.
    Server(ServerId),
}

/// A call that the machine knows.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    pub arrival: Arrival,
    pub class: Class,
    pub since: Nanos,
    pub at: At,
    pub gone: bool,
    pub expired: bool,
}

/// Everything that was seen.
pub struct Witness {
    pub plan: Plan,
    pub calls: BTreeMap<CallId, Known>,
    /// Clients in the order in which they first asked, until they were seen to be connected.
    pub seniority: BTreeMap<ClientKey, u64>,
    asked: u64,
    /// Clients of which nobody can tell from outside whether they are connected.
    doubtful: BTreeSet<ClientKey>,
    /// Their sessions' last use, by the machine's own books.
    pub used: BTreeMap<SessionKey, Nanos>,
    pub served: rules::Served,
    bases: Vec<Option<Span>>,
    gate_was_up: bool,
    /// Jobs at each server that the gate does not know of: left over by a gate before it, or given up.
    pub strays: Vec<u32>,
    /// The longest that any client waits.
    pub patience: Span,
    /// The machine as it was at some moment, written down and read back, and told the same since.
    twin: Option<Machine>,
    /// How many looks until then.
    until_twin: u64,
    /// Only ranks and guarantees say who goes next.
    plain: bool,
    /// The limits as they were seen last.
    pub limits: Vec<u32>,
}

impl Witness {
    pub fn new(storm: &Storm) -> Witness {
        let timeouts = storm.spec.populations.iter().filter_map(|each| each.as_hosts()).map(|hosts| hosts.timeout_s);
        let patience = Span::from_secs_f64(timeouts.fold(0.0, f64::max)).max(storm.plan.client_timeout);
        Witness {
            plan: storm.plan.clone(),
            calls: BTreeMap::new(),
            seniority: BTreeMap::new(),
            asked: 0,
            doubtful: BTreeSet::new(),
            used: BTreeMap::new(),
            served: rules::Served::default(),
            bases: vec![None; storm.spec.servers.len()],
            gate_was_up: true,
            strays: vec![0; storm.spec.servers.len()],
            patience,
            twin: None,
            until_twin: storm.twin_after,
            plain: false,
            limits: vec![0; storm.spec.servers.len()],
        }
    }

    /// Looks at what has happened since the last time.
    pub fn look(&mut self, world: &mut World<Gate>) -> Result<(), Broken> {
        let told = world.policy_mut().take_told();
        if world.gate_is_up() != self.gate_was_up {
            self.gate_was_up = world.gate_is_up();
            self.forget(world);
            return Ok(()); // what the machine was told in that moment is gone with it
        }
        for told in &told {
            self.hear(world, told)?;
            self.twin.as_mut().map_or(Ok(()), |twin| rules::same_as_told(twin, told))?;
        }
        self.until_twin = self.until_twin.saturating_sub(1);
        if self.until_twin == 0 && self.twin.is_none() {
            let written = serde_json::to_vec(world.policy().machine()).expect("it can be written down");
            self.twin = Some(serde_json::from_slice(&written).expect("it can be read back"));
        }
        // Guarantees can be told from outside where costs are as configured, and nobody is kept out for other reasons.
        let plain = matches!(self.plan.servers[..], [ServerPlan { limit: LimitPlan::Static(_), .. }]);
        self.plain = plain && world.policy().machine().snapshot(world.now()).servers[0].phase == Phase::Up;
        if !self.plain {
            self.served = rules::Served::default();
        }
        if told.is_empty() {
            return Ok(());
        }
        let machine = world.policy().machine();
        let snapshot = machine.snapshot(world.now());
        rules::conserved(self, &snapshot)?;
        rules::within_limits(self, &snapshot, world, &told)?;
        rules::nobody_waits_too_long(self, machine, world.now())?;
        rules::work_conserving(self, &snapshot, world.now(), machine)?;
        rules::limits_and_bases(&self.plan, &snapshot, &mut self.bases)?;
        Ok(())
    }

    fn forget(&mut self, world: &World<Gate>) {
        self.twin = None;
        self.calls.clear();
        self.seniority.clear();
        self.doubtful.clear();
        self.used.clear();
        self.served = rules::Served::default();
        self.bases.fill(None);
        self.limits.fill(0);
        for (index, strays) in self.strays.iter_mut().enumerate() {
            *strays = world.in_flight(index as u16) as u32;
        }
    }

    fn hear(&mut self, world: &World<Gate>, told: &Told) -> Result<(), Broken> {
        let machine = world.policy().machine();
        match told.event {
            Event::Arrive(arrival) => self.arrives(machine, told, arrival)?,
            Event::ClientGone(call) => self.leaves(call),
            Event::Done(call, outcome) => self.ends(told, call, outcome)?,
            _ => {}
        }
        // What becomes of a call that arrives is said first, though others may have been admitted before it.
        let admitted = matches!((told.event, told.actions.first()), (Event::Arrive(_), Some(Action::Admit { .. })));
        let (first, others) = told.actions.split_at(usize::from(admitted));
        others.iter().chain(first).try_for_each(|action| self.acts(action))
    }

    fn arrives(&mut self, machine: &Machine, told: &Told, arrival: Arrival) -> Result<(), Broken> {
        let Some(call) = told.actions.first().map(Action::call) else {
            return broken("every call is answered", format!("{arrival:?} got nothing"));
        };
        let known_class = machine.class_of(call); // of a call that was turned away at once nobody knows any more
        let class = known_class.unwrap_or(match arrival.role {
            Role::Open => Class::NewSession,
            Role::Bulk => Class::Bulk,
            Role::Probe => Class::Probe,
            _ => Class::Steady,
        });
        let in_session = arrival.session.is_some_and(|session| self.used.contains_key(&session));
        if class == Class::NewSession {
            self.asked += 1;
            if !self.doubtful.contains(&arrival.client) {
                self.seniority.entry(arrival.client).or_insert(self.asked);
            }
        } else if class == Class::Steady && in_session {
            // Its session has settled: it is connected, and begins at the end of the line the next time.
            self.seniority.remove(&arrival.client);
            if known_class.is_some() {
                self.doubtful.remove(&arrival.client);
            } else {
                self.doubtful.insert(arrival.client);
            }
        }
        rules::dead_token(self, told, arrival, call)?;
        let known = Known { arrival, class, since: told.now, at: At::Door, gone: false, expired: false };
        if let Some(other) = self.calls.insert(call, known) {
            return broken("a number stands for one call", format!("{call:?} is {other:?} and {known:?}"));
        }
        Ok(())
    }

    fn leaves(&mut self, call: CallId) {
        match self.calls.get_mut(&call) {
            Some(known) if known.at == At::Held => drop(self.calls.remove(&call)),
            Some(known) => known.gone = true,
            None => {}
        }
    }

    fn ends(&mut self, told: &Told, call: CallId, outcome: Outcome) -> Result<(), Broken> {
        let Some(known) = self.calls.get(&call).copied() else { return Ok(()) };
        if let (Outcome::Answered { opened, .. }, false) = (outcome, known.gone) {
            self.used.extend(opened.map(|session| (session, told.now)));
        }
        if let (Outcome::Answered { closed, .. }, Some(session)) = (outcome, known.arrival.session) {
            if closed {
                self.used.remove(&session);
            } else if let Some(used) = self.used.get_mut(&session) {
                *used = told.now;
            }
        }
        if outcome == Outcome::ConnectFailed && told.actions.iter().any(|action| action.call() == call) {
            return Ok(());
        }
        if outcome == Outcome::ConnectFailed && !known.gone && !known.expired {
            return broken(
                "every held call leaves once",
                format!("{call:?}, {known:?}: its connect failed, and nothing was said"),
            );
        }
        self.calls.remove(&call);
        Ok(())
    }

    fn acts(&mut self, action: &Action) -> Result<(), Broken> {
        let call = action.call();
        let Some(known) = self.calls.get(&call).copied() else {
            return broken("every held call leaves once", format!("{action:?} about a call that has ended"));
        };
        match *action {
            Action::Admit { server, .. } => {
                if known.gone {
                    return broken("nobody is admitted who is gone", format!("{call:?}, {known:?}"));
                }
                if matches!(known.at, At::Server(_)) {
                    return broken("every held call leaves once", format!("{call:?} is admitted twice"));
                }
                rules::seniority(self, call, &known)?;
                if self.plain {
                    let waiting = self.could_be_admitted();
                    self.served.admitted(&self.plan, &known, &waiting)?;
                }
                self.put(call, At::Server(server));
            }
            Action::Hold { .. } => {
                if known.at == At::Held {
                    return broken("every held call leaves once", format!("{call:?} is held twice"));
                }
                self.put(call, At::Held);
            }
            Action::TurnAway { reason, .. } => {
                let _ = reason;
                self.calls.remove(&call);
            }
            Action::Expire { .. } => {
                if let Some(known) = self.calls.get_mut(&call) {
                    known.expired = true;
                }
            }
            Action::Observed { .. } => {}
        }
        Ok(())
    }

    /// Who waits and could be admitted, if it were their turn: bulk clients have a cap.
    fn could_be_admitted(&self) -> BTreeSet<(Class, ClientKey)> {
        let limit = self.plan.servers[0].limit.most();
        let cap = self.plan.bulk_per_client_min.max(limit / 8) as usize;
        let busy = |client: ClientKey| {
            let theirs = |known: &&Known| known.class == Class::Bulk && known.arrival.client == client;
            self.calls.values().filter(theirs).filter(|known| matches!(known.at, At::Server(_))).count() >= cap
        };
        let held = self.held().map(|(_, known)| (known.class, known.arrival.client));
        held.filter(|(class, client)| *class != Class::Bulk || !busy(*client)).collect()
    }

    fn put(&mut self, call: CallId, at: At) {
        if let Some(known) = self.calls.get_mut(&call) {
            known.at = at;
        }
    }

    pub fn held(&self) -> impl Iterator<Item = (&CallId, &Known)> {
        self.calls.iter().filter(|(_, known)| known.at == At::Held)
    }
}
