//! What takes a limit down at once: stalls, starved calls, overload, and that nobody needs it.

use super::steps::PROBE_AFTER;
use super::{Adaptive, Mode, Terms};
use crate::limit::view::LimitCause;
use crate::time::Nanos;

/// A server that is in trouble, or has changed, is given this part of what it was given.
pub(super) const LOWER: f64 = 0.7;
/// A call that is overdue so many times over makes no progress at all.
const STARVED: f64 = 2.0;
/// A server that takes so many times as long as an unloaded one is not loaded, it has collapsed.
const COLLAPSED: f64 = 8.0;
/// Windows without need after which a limit is forgotten.
const IDLE_WINDOWS: f64 = 60.0;
/// A base is left behind by so much per window in which the server was half idle; any window may lower it.
const BASE_RISE: f64 = 0.002;

impl Adaptive {
    /// Its outcome was an overload: refused, broken, timed out, busy.
    pub fn overload(&mut self, now: Nanos, terms: Terms) {
        self.outcomes = self.outcomes << 1 | 1;
        if (self.outcomes & 0x3ff).count_ones() < 2 || now < self.grace {
            return;
        }
        self.outcomes = 0;
        if !self.step_back(now, LimitCause::Overload) {
            self.lower(now, self.scaled(LOWER).min(self.limit.saturating_sub(1)), LimitCause::Overload, terms);
        }
    }

    /// Stays at a lower limit, of which nothing is proven.
    pub(super) fn lower(&mut self, now: Nanos, limit: u32, cause: LimitCause, terms: Terms) {
        self.mode = Mode::Steady { left: PROBE_AFTER };
        (self.proven, self.earlier) = (None, None);
        self.set(now, limit, cause);
        self.rest(now, terms);
    }

    /// The limit times a factor.
    pub(super) fn scaled(&self, factor: f64) -> u32 {
        (f64::from(self.limit) * factor) as u32
    }

    /// After a step down the next one waits for half a window at least, however short a round is.
    fn rest(&mut self, now: Nanos, terms: Terms) {
        self.grace = self.grace.max(now + terms.window.mul_f64(0.5));
    }

    /// Calls in flight that are overdue, so many times over.
    pub(super) fn overdue(&self, now: Nanos, terms: Terms, times: f64) -> u32 {
        let slack = terms.window.mul_f64(0.02);
        // In a collapse the calls that do end say that a unit takes for ever, and then nothing would be overdue.
        let unit = self.unit.map(|unit| self.base.map_or(unit, |base| unit.min(COLLAPSED * base)));
        unit.map_or(0, |unit| self.in_flight.overdue(now, unit, self.scatter, slack, times))
    }

    /// A quarter of what is in flight is overdue, and at least two calls: four where calls scatter, or all of them if there
    /// are fewer.
    pub(super) fn stalled(&self, now: Nanos, terms: Terms) -> bool {
        let overdue = self.overdue(now, terms, 1.0);
        let least = (2 + (2.0 * self.scatter.min(1.0)) as u32).min(self.in_flight.len().max(2));
        self.limit > 1 && overdue >= least && overdue * 4 >= self.in_flight.len()
    }

    /// Takes the last step up back or, if there was none, goes down and searches anew.
    pub(super) fn back(&mut self, now: Nanos, terms: Terms) {
        if !self.step_back(now, LimitCause::Stalled) {
            self.search_from(now, self.scaled(LOWER), LimitCause::Stalled);
        }
        self.rest(now, terms);
    }

    /// Takes the last step up back; false when there was none.
    fn step_back(&mut self, now: Nanos, cause: LimitCause) -> bool {
        let from = match self.mode {
            Mode::Probe { from } => Some(from),
            Mode::Search { .. } => self.proven,
            Mode::Steady { .. } => None,
        };
        let Some(level) = from.filter(|level| level.limit < self.limit) else { return false };
        self.bad = Some(self.limit);
        self.fail(now, level, 1.0, cause);
        true
    }

    /// How many calls make no progress at all, if that is more than one.
    pub(super) fn starved(&self, now: Nanos, terms: Terms) -> Option<u32> {
        Some(self.overdue(now, terms, STARVED)).filter(|starved| *starved >= 2 && self.limit > *starved)
    }

    /// A few calls make no progress while all others are answered: so many too many are in flight.
    pub(super) fn feed(&mut self, now: Nanos, starved: u32, terms: Terms) {
        self.bad = Some(self.limit);
        self.loss = Some((now, f64::from(starved) / f64::from(self.limit)));
        self.lower(now, self.limit - starved, LimitCause::Stalled, terms);
    }

    pub(super) fn forget_when_idle(&mut self, now: Nanos, terms: Terms) {
        let (since, peak) = self.peak;
        if now.since(since) < terms.window.mul_f64(IDLE_WINDOWS) {
            return;
        }
        self.peak = (now, self.in_flight.len());
        if self.full || peak * 2 >= self.limit {
            return;
        }
        if let Some(unit) = self.unit {
            self.base = self.base.map(|base| base.max(unit.min(base * (1.0 + BASE_RISE * IDLE_WINDOWS))));
        }
        if self.limit > self.first.max(2 * peak) {
            self.search_from(now, self.first.max(2 * peak), LimitCause::Idle);
        }
    }
}
