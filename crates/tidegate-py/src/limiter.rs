//! The machine of one service for a driver in Python: events in, decisions out, no sockets and no thread.

use crate::error::raised;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tidegate_core::admission::{
    Action, Arrival, CallId, ClientKey, Event, KindKey, Machine, OperationKey, Outcome, Plan, Role, SessionKey,
};
use tidegate_core::key;
use tidegate_core::time::{Nanos, Span};
use tidegate_proxy::GateError;

/// A call, why it is turned away (`None`: it is admitted), and the seconds after which to come back.
type Decision = (u64, Option<&'static str>, f64);

/// What has been decided, and when to call `wake`.
type Told = (Vec<Decision>, Option<f64>);

/// An admission machine. Time is passed in, in seconds since any origin.
#[pyclass(frozen, module = "tidegate._core")]
pub struct Limiter {
    seed: u64,
    core: Mutex<Core>,
}

struct Core {
    machine: Machine,
    actions: Vec<Action>,
    /// Calls of clients that nobody knows: each is a client of its own.
    strangers: u64,
}

impl Core {
    fn told(&mut self) -> Told {
        let decisions = self.actions.drain(..).filter_map(decision).collect();
        let wake = self.machine.next_wake().filter(|at| *at < Nanos::NEVER);
        (decisions, wake.map(|at| at.since(Nanos(0)).as_secs_f64()))
    }

    fn event(&mut self, now: f64, event: Event) -> Told {
        self.machine.on_event(at(now), event, &mut self.actions);
        self.told()
    }
}

fn at(seconds: f64) -> Nanos {
    Nanos(0) + Span::from_secs_f64(seconds)
}

fn decision(action: Action) -> Option<Decision> {
    match action {
        Action::Admit { call, .. } => Some((call.0, None, 0.0)),
        Action::TurnAway { call, reason, retry_after } => {
            Some((call.0, Some(reason.word()), retry_after.as_secs_f64()))
        }
        Action::Hold { .. } | Action::Observed { .. } | Action::Expire { .. } => None,
    }
}

impl Limiter {
    fn core(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn session(&self, token: &str) -> SessionKey {
        SessionKey(key::secret(self.seed, b's', token.as_bytes()))
    }
}

#[pymethods]
impl Limiter {
    /// Begin with nothing held and nothing in flight; GateError for a plan that is not one.
    #[new]
    #[pyo3(signature = (plan, now, /))]
    fn new(py: Python<'_>, plan: &[u8], now: f64) -> PyResult<Limiter> {
        let refused = |error: &dyn std::fmt::Display| raised(py, &GateError::plan("admission", error));
        let plan: Plan = serde_json::from_slice(plan).map_err(|error| refused(&error))?;
        let seed = plan.seed;
        let machine = Machine::new(plan, None, at(now)).map_err(|error| refused(&error))?;
        Ok(Limiter { seed, core: Mutex::new(Core { machine, actions: Vec::new(), strangers: 0 }) })
    }

    /// A call arrives; return its number, what has been decided, and when to wake.
    #[pyo3(signature = (now, client, role, operation, session, cost_milli, deadline, /))]
    #[expect(clippy::too_many_arguments, reason = "one plain value each, so that a call costs no object")]
    fn arrive(
        &self,
        now: f64,
        client: Option<&str>,
        role: &str,
        operation: Option<&str>,
        session: Option<&str>,
        cost_milli: u32,
        deadline: Option<f64>,
    ) -> PyResult<(u64, Vec<Decision>, Option<f64>)> {
        let role = Role::ALL.iter().copied().find(|known| known.word() == role);
        let mut core = self.core();
        let client = match client {
            Some(name) => key::secret(self.seed, b'c', name.as_bytes()),
            None => {
                core.strangers = core.strangers.wrapping_add(1);
                key::secret(self.seed, b'n', &core.strangers.to_le_bytes())
            }
        };
        let arrival = Arrival {
            client: ClientKey(client),
            kind: KindKey::default(),
            role: role.ok_or_else(|| PyValueError::new_err("no such role"))?,
            operation: operation.map_or_else(OperationKey::default, |name| OperationKey::listed(&[name.as_bytes()])),
            session: session.map(|token| self.session(token)),
            server: None,
            cost_milli,
            deadline: deadline.map(at),
            token_expiry: None,
            honours_retry_after: false,
            reserved: false,
        };
        let Core { machine, actions, .. } = &mut *core;
        let call = machine.arrive(at(now), arrival, actions);
        let (decisions, wake) = core.told();
        Ok((call.0, decisions, wake))
    }

    /// The client of a call has left.
    #[pyo3(signature = (now, call, /))]
    fn client_gone(&self, now: f64, call: u64) -> Told {
        self.core().event(now, Event::ClientGone(CallId(call)))
    }

    /// The work of an admitted call is over: answered, overload, broken or incomplete.
    #[pyo3(signature = (now, call, outcome, opened, /))]
    fn done(&self, now: f64, call: u64, outcome: &str, opened: Option<&str>) -> PyResult<Told> {
        let outcome = match outcome {
            "answered" => Outcome::Answered { opened: opened.map(|token| self.session(token)), closed: false },
            "overload" => Outcome::Overload,
            "broken" => Outcome::Broken,
            "incomplete" => Outcome::Incomplete,
            _ => return Err(PyValueError::new_err("no such outcome")),
        };
        Ok(self.core().event(now, Event::Done(CallId(call), outcome)))
    }

    /// The time that was named has come.
    #[pyo3(signature = (now, /))]
    fn wake(&self, now: f64) -> Told {
        self.core().event(now, Event::Wake)
    }

    /// Return counters and gauges as JSON.
    #[pyo3(signature = (now, /))]
    fn snapshot(&self, now: f64) -> PyResult<String> {
        let snapshot = self.core().machine.snapshot(at(now));
        serde_json::to_string(&snapshot).map_err(|error| PyValueError::new_err(error.to_string()))
    }
}
