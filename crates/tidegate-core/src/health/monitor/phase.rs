//! What verdicts make of the phase, and what is said of it.

use super::{Monitor, State};
use crate::admission::Phase;
use crate::health::fault::Weight;
use crate::health::peer_limit::PeerLimit;
use crate::health::standing::Standing;
use crate::time::{Nanos, Span};

/// Steps of a slow start.
const STEPS: u64 = 20;

impl Monitor {
    /// Whether traffic was answered so short a time ago that silence towards a probe says nothing.
    pub(super) fn traffic_lives(&self, now: Nanos) -> bool {
        self.answered.is_some_and(|last| now.since(last) <= self.settings.interval)
    }

    pub(super) fn turn(&mut self, now: Nanos, state: State) {
        if self.state != state {
            (self.state, self.since) = (state, now);
        }
    }

    /// A good probe.
    pub(super) fn well(&mut self, now: Nanos) {
        if self.state == State::Down && self.ejected.is_some_and(|until| now < until) {
            return;
        }
        self.limit = self.limit.and_then(|limit| limit.accepted(now));
        self.good = self.good.saturating_add(1);
        (self.weak, self.strong, self.refusals) = (0, 0, 0);
        let enough = self.good >= self.settings.rise;
        match self.state {
            State::Unknown | State::Suspect => self.turn(now, State::Up),
            State::Degraded if enough => self.turn(now, State::Up),
            State::Down if enough => {
                (self.ejected, self.gone, self.tries) = (None, false, 0);
                self.ramp = Some(now).filter(|_| self.settings.slow_start > Span::ZERO);
                self.turn(now, State::Up);
            }
            State::Up | State::Degraded | State::Down => {}
        }
    }

    /// A failure that counts.
    pub(super) fn ill(&mut self, now: Nanos, weight: Weight, refused: bool) {
        self.good = 0;
        match weight {
            Weight::Weak => self.weak = self.weak.saturating_add(1),
            Weight::Strong => self.strong = self.strong.saturating_add(1),
        }
        self.refusals = if refused { self.refusals.saturating_add(1) } else { 0 };
        let settings = &self.settings;
        let enough = self.strong >= settings.fall_strong() || self.weak + self.strong >= settings.fall;
        if self.state == State::Down || enough {
            self.gone |= self.refusals >= settings.fall_strong();
            self.turn(now, State::Down);
            (self.limit, self.ramp) = (None, None);
        } else {
            self.turn(now, State::Suspect);
        }
    }

    /// It lives, and takes no more connections than these.
    pub(super) fn at_limit(&mut self, now: Nanos, open: u32) {
        if self.ejected.is_some() {
            return;
        }
        if self.refusals == self.strong {
            self.strong = 0; // those were the limit too
        }
        (self.weak, self.refusals, self.good, self.gone) = (0, 0, 0, false);
        self.limit = Some(PeerLimit::refused(now, open, self.limit));
        self.turn(now, State::Degraded);
    }

    pub(super) fn eject(&mut self, now: Nanos, span: Span) {
        if self.state == State::Down {
            return;
        }
        self.turn(now, State::Down);
        (self.ejected, self.due) = (Some(now + span), now + span);
        (self.limit, self.ramp, self.tries) = (None, None, 0);
        self.good = self.settings.rise - 1; // one canary is enough
    }

    pub(super) fn restore(&mut self, now: Nanos) {
        if self.ejected.is_some_and(|until| now < until) {
            (self.ejected, self.due) = (Some(now), now);
        }
    }

    pub(super) fn take_back(&mut self, now: Nanos, span: Span) {
        if self.state == State::Down && self.ejected.is_none() && now.since(self.since) <= span {
            (self.weak, self.strong, self.refusals, self.tries, self.gone) = (0, 0, 0, 0, false);
            self.turn(now, State::Suspect);
        }
    }

    /// How it stands.
    pub fn standing(&self, now: Nanos) -> Standing {
        let step = self.ramp.map(|since| self.ramp_step(now.since(since)));
        let phase = match self.state {
            State::Unknown | State::Up if step.is_some() => Phase::Recovering,
            State::Unknown | State::Up => Phase::Up,
            State::Suspect => Phase::Suspect,
            State::Degraded => Phase::Degraded,
            State::Down => Phase::Down,
        };
        Standing {
            phase,
            cap: self.limit.map(|limit| limit.cap()),
            ramp_milli: step.map_or(1000, |step| Standing::RAMP_LEAST + (900 * step / STEPS) as u32),
            refused: self.gone,
        }
    }

    fn ramp_step(&self, after: Span) -> u64 {
        let slow = u128::from(self.settings.slow_start.0.max(1));
        (u128::from(after.0) * u128::from(STEPS) / slow).min(u128::from(STEPS)) as u64
    }

    /// The step of the slow start that was said last.
    pub(super) fn ramp_step_said(&self) -> u64 {
        let above = self.stands.ramp_milli.saturating_sub(Standing::RAMP_LEAST);
        u64::from(above) * STEPS / 900
    }

    /// After how long that step begins.
    pub(super) fn ramp_after(&self, step: u64) -> Span {
        let slow = u128::from(self.settings.slow_start.0);
        Span((slow * u128::from(step.min(STEPS))).div_ceil(u128::from(STEPS)) as u64)
    }
}
