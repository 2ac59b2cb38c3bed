//! When a monitor probes.

use super::{Monitor, State};
use crate::time::{Nanos, Span};

/// Part of an interval by which it varies to either side, so that probes of many servers do not march in step.
const JITTER: f64 = 0.1;
/// Probes of a server that is down before they get rarer.
const PATIENT: u32 = 5;
/// Intervals between two probes of a server that is down, at the most, jitter aside.
const RARE: u64 = 4;

impl Monitor {
    /// When the driver must send [`Event::Wake`](super::Event::Wake), if nothing else happens before.
    pub fn next_wake(&self) -> Nanos {
        let probe = self.probing.map_or(self.due, |since| self.lost(since));
        let ramp = self.ramp.map(|since| since + self.ramp_after(self.ramp_step_said() + 1));
        ramp.map_or(probe, |ramp| ramp.min(probe))
    }

    /// When a probe that began at `since` and never ended is taken for lost: an inquiry makes three attempts.
    pub(super) fn lost(&self, since: Nanos) -> Nanos {
        since + Span(self.settings.timeout.0.saturating_mul(4)) + self.settings.interval
    }

    /// When the next probe is due after one that began then. Counted from its beginning, as HAProxy does: a probe that took its
    /// whole time is followed at once.
    pub(super) fn due_after(&mut self, began: Nanos) -> Nanos {
        let settings = &self.settings;
        let base = match self.state {
            State::Up => settings.interval,
            State::Unknown | State::Suspect | State::Degraded => settings.fast,
            State::Down if self.good > 0 || self.tries == 0 => settings.fast,
            State::Down => {
                let rarer = self.tries.saturating_sub(PATIENT).min(8);
                Span(settings.interval.0.saturating_mul((1_u64 << rarer).min(RARE)))
            }
        };
        let pause = base.mul_f64(self.rng.uniform(1.0 - JITTER, 1.0 + JITTER));
        self.ejected.map_or(began + pause, |until| until.max(began + pause))
    }
}
