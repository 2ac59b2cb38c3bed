//! Steps in memory: noted in a moment, under the service's lock, and taken out by whoever writes them down.

use super::digest::digest;
use super::lines::Told;
use crate::admission::Action;
use crate::time::Nanos;

/// One thing that the machine was told, and the digest of what it said.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    pub(super) now: Nanos,
    pub(super) told: Told,
    pub(super) said: u64,
}

impl Step {
    /// The machine was told something at `now` and gave these actions.
    pub fn new(now: Nanos, told: Told, actions: &[Action]) -> Step {
        Step { now, told, said: digest(actions) }
    }
}

/// Memory for a tape's steps, in bytes.
const TAPE_BYTES: usize = 8 << 20;
/// Steps that fit: some ten seconds of the busiest service.
const STEPS_MAX: usize = TAPE_BYTES / size_of::<Step>();

/// A bounded buffer of steps. When it is full it stays as it is: a trace with a hole proves nothing.
#[derive(Default)]
pub struct Tape {
    steps: Vec<Step>,
    cut: bool,
}

impl Tape {
    /// Notes a step, or that there was no room for it.
    pub fn note(&mut self, now: Nanos, told: Told, actions: &[Action]) {
        if self.cut || self.steps.len() >= STEPS_MAX {
            self.cut = true;
            return;
        }
        self.steps.push(Step::new(now, told, actions));
    }

    /// Exchanges the steps noted so far for an empty buffer; true when some are missing after them.
    pub fn take(&mut self, empty: &mut Vec<Step>) -> bool {
        empty.clear();
        std::mem::swap(&mut self.steps, empty);
        self.cut
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admission::Event;

    #[test]
    fn a_full_tape_is_cut_for_good() {
        let mut tape = Tape::default();
        for n in 0..=STEPS_MAX as u64 {
            tape.note(Nanos(n), Told::Event(Event::Wake), &[]);
        }
        let mut steps = Vec::new();
        assert!(tape.take(&mut steps));
        assert_eq!(steps.len(), STEPS_MAX);
        tape.note(Nanos(0), Told::Event(Event::Wake), &[]);
        assert!(tape.take(&mut steps) && steps.is_empty(), "what follows a hole is not noted");
    }
}
