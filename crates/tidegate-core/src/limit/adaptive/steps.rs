//! The steps: up while they pay, back when they do not, one to try now and then.

use super::guard::LOWER;
use super::measure::FORGET;
use super::{Adaptive, Mode, Terms};
use crate::limit::level::{Level, Verdict, compare};
use crate::limit::view::LimitCause;
use crate::limit::window::{Reading, Window};
use crate::time::Nanos;

/// Windows before the next probe …
pub(super) const PROBE_AFTER: u32 = 4;
/// … and after one that cost work: so many times the time that was lost, so that probing costs an eighth at the most.
pub(super) const PRICE: f64 = 8.0;
/// From step to step of a search back to a limit that was good before the server began anew.
const BACK: u32 = 2;
/// Loaded calls may take this part of their clients' patience.
pub(super) const PATIENCE: f64 = 0.3;

impl Adaptive {
    pub(super) fn decide(&mut self, now: Nanos, reading: &Reading, terms: Terms) {
        self.round = reading.round.max(FORGET * self.round);
        (self.scatter, self.unit) = (reading.scatter, Some(reading.unit));
        self.rebase(reading);
        let level = self.level(now, reading, terms);
        let loaded = self.loaded(reading);
        if loaded && self.limit > 1 && reading.round > PATIENCE * terms.patience.as_secs_f64() {
            return self.lower(now, self.scaled(0.9).min(self.limit - 1), LimitCause::Slow, terms);
        }
        match self.mode {
            Mode::Search { doubt } => self.searched(now, level, loaded, doubt),
            Mode::Steady { left } => self.stayed(now, level, left, terms),
            Mode::Probe { from } => self.probed(now, level, loaded, from),
        }
    }

    pub(super) fn searched(&mut self, now: Nanos, level: Level, loaded: bool, doubt: bool) {
        let Some(proven) = self.proven.filter(|proven| proven.limit < level.limit) else {
            return self.step_up(now, level, Verdict::Fast);
        };
        match compare(proven, level, loaded) {
            Verdict::Loss => {
                self.bad = Some(level.limit);
                self.fail(now, proven, 1.0 - level.rate / proven.rate, LimitCause::NoGain);
            }
            Verdict::Flat if !doubt => self.mode = Mode::Search { doubt: true },
            Verdict::Flat => {
                let better = if level.rate > 1.01 * proven.rate { level } else { proven };
                self.settle(now, better, LimitCause::NoGain);
            }
            gain => self.step_up(now, level, gain),
        }
    }

    /// The level is proven: the next step up.
    pub(super) fn step_up(&mut self, now: Nanos, level: Level, gain: Verdict) {
        self.proven = Some(level);
        self.best_at(level);
        let factor = if gain == Verdict::Fast { 1.2 } else { 1.1 };
        let next = match self.bad.filter(|bad| *bad > level.limit) {
            Some(bad) => level.limit.midpoint(bad),
            None => {
                let step = ((f64::from(level.limit) * factor) as u32).max(level.limit + 1);
                self.back_step(level).unwrap_or(step).max(step).min(self.most)
            }
        };
        if next <= level.limit {
            return self.settle(now, level, LimitCause::Gained);
        }
        self.mode = Mode::Search { doubt: false };
        self.set(now, next, LimitCause::Gained);
    }

    /// The level is the best that is known.
    fn best_at(&mut self, level: Level) {
        (self.best, self.best_unit) = (Some(level.limit), Some(level.unit()));
    }

    /// A long step back to the limit that was best before the server began anew, as long as it is like before.
    ///
    /// Where response times rise with the load they rise ever faster, so those of the same server lie below the straight line
    /// from an unloaded one to its best limit, and those of one with a third of its capacity do not.
    fn back_step(&mut self, level: Level) -> Option<u32> {
        let ((limit, unit), base) = self.earlier.take().zip(self.base)?;
        let line = base + (unit - base) * f64::from(level.limit) / f64::from(limit);
        if level.limit >= limit || level.unit() * (1.0 + level.error) > line {
            return None;
        }
        self.earlier = Some((limit, unit));
        Some((level.limit * BACK).min(limit))
    }

    pub(super) fn settle(&mut self, now: Nanos, level: Level, cause: LimitCause) {
        self.proven = Some(level);
        self.best_at(level);
        self.earlier = None;
        self.mode = Mode::Steady { left: PROBE_AFTER };
        self.set(now, level.limit, cause);
    }

    /// A step did not pay, and cost a share of the work: back to `level`; a search goes on between it and the step.
    pub(super) fn fail(&mut self, now: Nanos, level: Level, share: f64, cause: LimitCause) {
        self.loss = Some((self.changed, share.max(0.0)));
        self.earlier = None;
        if matches!(self.mode, Mode::Search { .. })
            && let Some(bad) = self.bad
            && bad > level.limit + 1
        {
            self.mode = Mode::Search { doubt: false };
            self.proven = Some(level);
            return self.set(now, level.limit.midpoint(bad), cause);
        }
        self.settle(now, level, cause);
    }

    pub(super) fn stayed(&mut self, now: Nanos, level: Level, left: u32, terms: Terms) {
        let proven = self.proven.filter(|proven| proven.limit == level.limit).unwrap_or(level);
        if self.fell(level, 3.0) {
            return self.search_from(now, self.scaled(LOWER), LimitCause::Fell);
        }
        let proven = proven.and(level);
        self.proven = Some(proven);
        self.best_at(proven);
        let left = left.max(self.wait_for_loss(now, terms));
        self.window = Window::default();
        let next = self.probe();
        if left > 1 || next == self.limit {
            self.mode = Mode::Steady { left: left.saturating_sub(1).max(1) };
            return;
        }
        self.went_up = next > self.limit;
        self.mode = Mode::Probe { from: proven };
        let cause = self.cause;
        self.set(now, next, cause);
    }

    /// The first window after a step that did not pay: windows to wait until its price is paid.
    pub(super) fn wait_for_loss(&mut self, now: Nanos, terms: Terms) -> u32 {
        let Some((since, share)) = self.loss.take() else { return 0 };
        let window = self.window.age(now).max(terms.window).as_secs_f64();
        (PRICE * share * now.since(since).as_secs_f64() / window) as u32
    }

    /// The limit that a probe would try: one step up and one step down in turn.
    pub(super) fn probe(&self) -> u32 {
        // The step that the most samples anybody would wait for can tell from none.
        let step = (f64::from(self.limit) * (0.16 * self.scatter).clamp(0.0625, 0.2)) as u32;
        let step = step.max(1);
        if self.went_up && self.limit > 1 { self.limit - step } else { (self.limit + step).min(self.most) }
    }

    pub(super) fn probed(&mut self, now: Nanos, level: Level, loaded: bool, from: Level) {
        if level.limit > from.limit {
            match compare(from, level, loaded) {
                Verdict::Flat | Verdict::Loss => {
                    self.fail(now, from, 1.0 - level.rate / from.rate, LimitCause::NoGain);
                }
                gain => {
                    (self.bad, self.loss) = (None, None);
                    self.step_up(now, level, gain);
                }
            }
        } else if loaded && compare(level, from, true) == Verdict::Flat || level.rate >= from.rate {
            self.settle(now, level, LimitCause::NoGain); // as much done with less in flight
        } else {
            self.settle(now, from, LimitCause::Gained);
        }
    }
}
