//! tidegate itself: the machine of `tidegate-core`, told what the live gate would tell it and nothing else.

use super::{Arriving, End, Gauges, Policy, Verdict};
use crate::engine::CallNo;
use crate::spec::Spec;
use tidegate_core::admission::{
    Action, Arrival, CallId, Event, LimitPlan, Machine, Outcome, Plan, PlanError, Role, ServerPlan,
};
use tidegate_core::reason::Reason;
use tidegate_core::recent::KeyMap;
use tidegate_core::time::Nanos;

/// An event that the machine was told, and what it asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// When.
    pub now: Nanos,
    /// What happened.
    pub event: Event,
    /// What the machine asked for.
    pub actions: Vec<Action>,
}

/// The machine as a policy.
pub struct Gate {
    plan: Plan,
    machine: Machine,
    ids: KeyMap<CallNo, CallId>,
    calls: KeyMap<CallId, CallNo>,
    actions: Vec<Action>,
    decisions: u64,
    told: Option<Vec<Told>>,
}

/// The plan of a gate in front of a spec's servers: the documented defaults, with caps that follow `expected_hosts`.
pub fn plan(spec: &Spec, limit: LimitPlan) -> Plan {
    let servers =
        spec.servers.iter().map(|server| ServerPlan { name: server.name.clone(), limit, standby: false }).collect();
    let plan = Plan { seed: spec.seed, ..Plan::with_defaults(servers) };
    let expected = spec.gate.expected_hosts.unwrap_or(0);
    Plan {
        held_max: plan.held_max.max(expected),
        clients_max: plan.clients_max.max(expected.saturating_mul(2)),
        sessions_max: plan.sessions_max.max(expected.saturating_mul(2)),
        ..plan
    }
}

impl Gate {
    /// A gate that begins with what an earlier one has learned.
    ///
    /// # Errors
    /// The plan is not one.
    pub fn new(plan: Plan, learned: Option<&tidegate_core::admission::Learned>) -> Result<Gate, PlanError> {
        Ok(Gate {
            machine: Machine::new(plan.clone(), learned, Nanos(0))?,
            plan,
            ids: KeyMap::default(),
            calls: KeyMap::default(),
            actions: Vec::new(),
            decisions: 0,
            told: None,
        })
    }

    /// The machine.
    pub fn machine(&self) -> &Machine {
        &self.machine
    }

    /// The machine's plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Keeps what the machine is told from now on, for [`Gate::take_told`].
    pub fn listen(&mut self) {
        self.told.get_or_insert_default();
    }

    /// What the machine was told since the last time.
    pub fn take_told(&mut self) -> Vec<Told> {
        self.told.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// The machine's number of a call that it knows.
    pub fn id(&self, call: CallNo) -> Option<CallId> {
        self.ids.get(&call).copied()
    }

    fn tell(&mut self, now: Nanos, event: Event, out: &mut Vec<Verdict>) {
        self.machine.on_event(now, event, &mut self.actions);
        self.act(now, event, out);
    }

    /// Turns the machine's actions into verdicts.
    fn act(&mut self, now: Nanos, event: Event, out: &mut Vec<Verdict>) {
        if let Some(told) = &mut self.told {
            told.push(Told { now, event, actions: self.actions.clone() });
        }
        for action in std::mem::take(&mut self.actions) {
            let id = action.call();
            let Some(&call) = self.calls.get(&id) else { continue };
            match action {
                Action::Admit { server, .. } => out.push(Verdict::Send(call, server.0)),
                Action::TurnAway { retry_after, reason, .. } => {
                    self.forget(call);
                    out.push(match reason {
                        Reason::TokenDead => Verdict::NoSession(call), // as the server would say
                        _ => Verdict::TurnAway(call, Some(retry_after)),
                    });
                }
                Action::Expire { .. } => {
                    out.push(Verdict::Expire(call));
                    continue;
                }
                Action::Hold { .. } => {}
                Action::Observed { .. } => continue,
            }
            self.decisions += 1;
        }
    }

    fn forget(&mut self, call: CallNo) {
        if let Some(id) = self.ids.remove(&call) {
            self.calls.remove(&id);
        }
    }
}

/// What an operation costs as far as a gate knows that was told nothing: the starting values of the operation table.
fn cost_milli(role: Role) -> u32 {
    match role {
        Role::Open | Role::Bulk => 1000,
        Role::Call | Role::Renew => 330,
        Role::Poll | Role::Probe => 10,
    }
}

impl Policy for Gate {
    fn arrive(&mut self, now: Nanos, call: CallNo, arriving: &Arriving, out: &mut Vec<Verdict>) {
        let arrival = Arrival {
            client: arriving.client,
            kind: arriving.kind,
            role: arriving.role,
            operation: arriving.operation,
            session: arriving.session,
            server: None,
            cost_milli: cost_milli(arriving.role),
            deadline: None,
            token_expiry: None,
            honours_retry_after: arriving.honours_retry_after,
            reserved: false,
        };
        let id = self.machine.arrive(now, arrival, &mut self.actions);
        self.ids.insert(call, id);
        self.calls.insert(id, call);
        self.act(now, Event::Arrive(arrival), out);
    }

    fn client_gone(&mut self, now: Nanos, call: CallNo, sent: bool, out: &mut Vec<Verdict>) {
        let Some(&id) = self.ids.get(&call) else { return };
        if !sent {
            self.forget(call);
        }
        self.tell(now, Event::ClientGone(id), out);
    }

    fn connected(&mut self, now: Nanos, call: CallNo, out: &mut Vec<Verdict>) {
        if let Some(&id) = self.ids.get(&call) {
            self.tell(now, Event::Connected(id), out);
        }
    }

    fn done(&mut self, now: Nanos, call: CallNo, end: End, out: &mut Vec<Verdict>) {
        let Some(&id) = self.ids.get(&call) else { return };
        let outcome = match end {
            End::Answered { opened, closed } => Outcome::Answered { opened, closed },
            End::Overload => Outcome::Overload,
            End::Refused => Outcome::ConnectFailed,
            End::Broken => Outcome::Broken,
        };
        if end != End::Refused {
            self.forget(call); // the machine has no more to say about it
        }
        self.tell(now, Event::Done(id, outcome), out);
    }

    fn next_wake(&self) -> Option<Nanos> {
        self.machine.next_wake()
    }

    fn wake(&mut self, now: Nanos, out: &mut Vec<Verdict>) {
        self.tell(now, Event::Wake, out);
    }

    fn restart(&mut self, now: Nanos) {
        let learned = self.machine.learned();
        // The plan was good before, so it is now.
        if let Ok(machine) = Machine::new(self.plan.clone(), Some(&learned), now) {
            self.machine = machine;
        }
        self.ids.clear();
        self.calls.clear();
    }

    fn gauges(&self) -> Gauges {
        let (held, limit) = self.machine.held_and_limit();
        Gauges { held, limit }
    }

    fn decisions(&self) -> u64 {
        self.decisions
    }
}
