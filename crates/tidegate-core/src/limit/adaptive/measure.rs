//! When enough was seen at a limit, and what it says.

use super::{Adaptive, Mode, Terms};
use crate::limit::level::{Level, samples_for};
use crate::limit::window::Reading;
use crate::time::Nanos;

/// Above this multiple of the base a server counts as loaded.
pub(super) const LOADED: f64 = 1.6;
/// Less than this of its own earlier rate, at the same limit and beyond error: the server has changed.
pub(super) const FELL: f64 = 0.2;
/// Samples, of calls as scattered as exponential ones, after which a base is known.
const BASE_SAMPLES: f64 = 100.0;
/// Calls in flight that are hardly any.
const FEW: u32 = 4;
/// From window to window a round gets shorter by no more than this: a burst of polls says nothing of the other calls.
pub(super) const FORGET: f64 = 0.8;

impl Adaptive {
    /// What was seen at this limit, once it is enough.
    pub(super) fn ripe(&self, now: Nanos, terms: Terms) -> Option<Reading> {
        let reading = self.window.read(now, &self.in_flight, self.scatter)?;
        let loaded = self.loaded(&reading);
        let (rounds, window, least) = match self.mode {
            Mode::Steady { .. } => (3.0, 1.0, samples_for(reading.scatter, 2.5).max(20)),
            Mode::Probe { .. } | Mode::Search { doubt: true } => {
                (1.5, 0.1, samples_for(reading.scatter, 6.0).max(self.limit).max(8))
            }
            Mode::Search { doubt: false } => {
                // From one to two is so large a step that a few calls tell; later ones are smaller.
                let step = if loaded { 5.0 } else { (0.2 + 0.4 * f64::from(self.limit)).min(1.6) };
                let least = (self.limit / 2).max((self.limit + 1).min(4));
                // On the way back it is only asked whether the server is like before.
                let rounds = if self.earlier.is_some() { 1.0 } else { 1.5 };
                (rounds, 0.1, samples_for(reading.scatter, step).max(least))
            }
        };
        let age = self.window.age(now).as_secs_f64();
        let round = reading.round.max(FORGET * self.round);
        let enough = reading.samples >= least
            && age >= rounds * round
            && age >= window * terms.window.as_secs_f64()
            && self.window.seconds() >= 0.4 * f64::from(self.limit) * round;
        // What cannot be explained by scatter need not be waited for.
        let collapsed = reading.samples >= 8 && self.fell(self.level(now, &reading, terms), 4.0);
        (enough || collapsed).then_some(reading)
    }

    pub(super) fn loaded(&self, reading: &Reading) -> bool {
        self.base.is_some_and(|base| reading.unit > LOADED * base)
    }

    pub(super) fn level(&self, now: Nanos, reading: &Reading, terms: Terms) -> Level {
        let working = self.limit.saturating_sub(self.overdue(now, terms, 1.0)).max(1);
        Level { limit: self.limit, rate: f64::from(working) / reading.unit, error: reading.error }
    }

    /// Whether the limit that is settled on gets clearly less done than it did.
    pub(super) fn fell(&self, level: Level, errors: f64) -> bool {
        let Some(proven) = self.proven.filter(|proven| proven.limit == level.limit) else { return false };
        let steady = matches!(self.mode, Mode::Steady { .. });
        steady && (proven.rate / level.rate).ln() > FELL.max(errors * proven.error.hypot(level.error))
    }

    /// A base is put together from the first windows of all, with hardly anything in flight, since each of them alone is a
    /// guess; then it is known. From there on a window may lower it, if it is clear, but none may raise it: see
    /// [`Adaptive::forget_when_idle`] for the only way up.
    pub(super) fn rebase(&mut self, reading: &Reading) {
        let samples = f64::from(reading.samples);
        let known =
            self.base_known || self.limit > FEW || self.base_samples >= BASE_SAMPLES * reading.scatter.min(1.0).powi(2);
        match self.base {
            Some(base) if !known && !self.loaded(reading) => {
                self.base = Some(base + samples / (samples + self.base_samples) * (reading.unit - base));
            }
            Some(base) if reading.unit * (1.0 + 3.0 * reading.error) < base => self.base = Some(reading.unit),
            Some(_) => {}
            None => self.base = Some(reading.unit),
        }
        self.base_samples += samples;
        self.base_known = known;
    }
}
