//! How long clients stay away that were turned away, learned from those that came back.
//!
//! A client that ignores Retry-After has a wait of its own, built into it. Whoever must be turned away is best turned away
//! early enough to be back when its turn comes: else, at the end of a storm, slots stand empty and wait for the last ones.

use crate::time::Span;
use serde::{Deserialize, Serialize};

/// The quantile that is followed: nine in ten are back by then.
const QUANTILE: f64 = 0.9;
/// One absence moves the estimate by so much of itself, up; down it is as much less as the quantile asks for.
const STEP: f64 = 0.03;
/// Until something is learned: this part of the clients' patience.
const FIRST: f64 = 0.4;

/// The quantile of all absences so far (a stochastic approximation: Robbins and Monro 1951).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Absence {
    learned: Option<f64>,
}

impl Absence {
    /// Nothing learned, or what an earlier machine has.
    pub fn new(learned: Option<Span>) -> Absence {
        Absence { learned: learned.filter(|span| *span > Span::ZERO).map(Span::as_secs_f64) }
    }

    /// A client that was turned away is back after `absence`. The first ones back are the greedy ones, so what is assumed at
    /// first falls slowly.
    pub fn back(&mut self, absence: Span, patience: Span) {
        let seconds = absence.as_secs_f64();
        let known = self.learned.unwrap_or_else(|| seconds.max(self.expected(patience).as_secs_f64()));
        let factor = if seconds > known { 1.0 + STEP * QUANTILE } else { 1.0 - STEP * (1.0 - QUANTILE) };
        // Never past what was seen: a fixed wait is met exactly.
        let moved = known * factor;
        self.learned = Some(if seconds > known { moved.min(seconds) } else { moved.max(seconds) });
    }

    /// How long most clients stay away.
    pub fn expected(&self, patience: Span) -> Span {
        self.learned.map_or(patience.mul_f64(FIRST), Span::from_secs_f64)
    }

    /// What was learned.
    pub fn learned(&self) -> Option<Span> {
        self.learned.map(Span::from_secs_f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_the_slowest_tenth() {
        let mut absence = Absence::new(None);
        assert_eq!(absence.expected(Span::secs(30)), Span::secs(12));
        let mut rng = crate::rng::Rng::new(1);
        for _ in 0..2000 {
            absence.back(Span::from_secs_f64(rng.uniform(10.0, 12.0)), Span::secs(30));
        }
        let seconds = absence.expected(Span::secs(30)).as_secs_f64();
        assert!((11.5..=12.0).contains(&seconds), "{seconds}");
    }

    #[test]
    fn greedy_ones_that_are_back_first_do_not_speak_for_the_others() {
        let mut absence = Absence::new(None);
        (0..30).for_each(|_| absence.back(Span::millis(500), Span::secs(30)));
        assert!(absence.expected(Span::secs(30)) >= Span::secs(10), "{absence:?}");
    }
}
