//! A machine with a tape: steps are noted in a moment, under the service's lock, and taken by whoever writes them down.

use super::digest::digest;
use super::lines::{Begin, TRACE_FORMAT, Told};
use crate::admission::{Action, Arrival, CallId, Event, Machine, Plan, PlanError, ServerId, Slots};
use crate::session::Passed;
use crate::time::Nanos;
use std::ops::Deref;

/// One thing that the machine was told, and the digest of what it said.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    pub(super) now: Nanos,
    pub(super) told: Told,
    pub(super) said: u64,
}

/// Memory for the steps of one machine, in bytes.
const TAPE_BYTES: usize = 8 << 20;
/// Steps that fit: some ten seconds of the busiest service.
const STEPS_MAX: usize = TAPE_BYTES / size_of::<Step>();

/// A bounded buffer of steps. When it is full it stays as it is: a trace with a hole proves nothing.
#[derive(Default)]
struct Tape {
    steps: Vec<Step>,
    cut: bool,
}

impl Tape {
    fn note(&mut self, step: Step) {
        self.cut |= self.steps.len() >= STEPS_MAX;
        if !self.cut {
            self.steps.push(step);
        }
    }
}

/// A machine that can be told nothing without its being noted, while somebody records.
pub struct Taped {
    machine: Machine,
    tape: Option<Tape>,
}

impl Taped {
    /// Nobody records yet.
    pub fn new(machine: Machine) -> Taped {
        Taped { machine, tape: None }
    }

    /// Begins to record; `None` when somebody does already.
    pub fn record(&mut self, service: &str, now: Nanos) -> Option<Begin> {
        if self.tape.is_some() {
            return None;
        }
        self.tape = Some(Tape::default());
        let version = env!("CARGO_PKG_VERSION").into();
        Some(Begin { format: TRACE_FORMAT, version, service: service.into(), now, machine: self.machine.clone() })
    }

    /// Exchanges the steps noted so far for an empty buffer; true when some are missing after them.
    pub fn take(&mut self, steps: &mut Vec<Step>) -> bool {
        steps.clear();
        let Some(tape) = &mut self.tape else { return false };
        std::mem::swap(&mut tape.steps, steps);
        tape.cut
    }

    /// Records no more; what was not taken is lost.
    pub fn stop(&mut self) {
        self.tape = None;
    }

    /// [`Machine::arrive`].
    pub fn arrive(&mut self, now: Nanos, arrival: Arrival, out: &mut Vec<Action>) -> CallId {
        let begin = out.len();
        let id = self.machine.arrive(now, arrival, out);
        self.note(now, || Told::Event(Event::Arrive(arrival)), out, begin);
        id
    }

    /// [`Machine::on_event`].
    pub fn on_event(&mut self, now: Nanos, event: Event, out: &mut Vec<Action>) {
        let begin = out.len();
        self.machine.on_event(now, event, out);
        self.note(now, || Told::Event(event), out, begin);
    }

    /// [`Machine::apply`].
    ///
    /// # Errors
    /// The plan is not one; nothing was changed, or noted.
    pub fn apply(&mut self, now: Nanos, plan: Plan, out: &mut Vec<Action>) -> Result<(), PlanError> {
        let begin = out.len();
        let told = self.tape.is_some().then(|| Box::new(plan.clone()));
        self.machine.apply(now, plan, out)?;
        told.into_iter().for_each(|plan| self.note(now, || Told::Plan(plan), out, begin));
        Ok(())
    }

    /// [`Machine::shrink`]: noted as the events that it comes to.
    pub fn shrink(&mut self, now: Nanos, clients: bool) -> Vec<u32> {
        let used = self.machine.shrink(clients);
        for (id, most) in (0u16..).zip(&used) {
            let event = Event::Slots(ServerId(id), Slots::AtMost(*most));
            self.on_event(now, event, &mut Vec::new());
        }
        used
    }

    /// [`Machine::take_over`]. A recording that has begun is cut: it cannot tell of this.
    pub fn take_over(&mut self, now: Nanos, sessions: Vec<Passed>) {
        self.tape.iter_mut().for_each(|tape| tape.cut = true);
        self.machine.take_over(now, sessions);
    }

    /// [`Machine::unwatch`]. A recording that has begun is cut if that changes anything: it cannot tell of this.
    pub fn unwatch(&mut self, now: Nanos, out: &mut Vec<Action>) {
        if self.machine.snapshot(now).servers.iter().any(|server| server.standing.is_some()) {
            self.tape.iter_mut().for_each(|tape| tape.cut = true);
            self.machine.unwatch(now, out);
        }
    }

    fn note(&mut self, now: Nanos, told: impl FnOnce() -> Told, out: &[Action], begin: usize) {
        if let Some(tape) = &mut self.tape {
            let said = out.get(begin..).map_or(0, digest);
            tape.note(Step { now, told: told(), said });
        }
    }
}

impl Deref for Taped {
    type Target = Machine;
    fn deref(&self) -> &Machine {
        &self.machine
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_tape_is_cut_for_good() {
        let mut tape = Tape::default();
        let step = Step { now: Nanos(1), told: Told::Event(Event::Wake), said: 0 };
        for _ in 0..=STEPS_MAX {
            tape.note(step.clone());
        }
        assert!(tape.cut && tape.steps.len() == STEPS_MAX);
        tape.steps.clear();
        tape.note(step);
        assert!(tape.steps.is_empty(), "what follows a hole is not noted");
    }
}
