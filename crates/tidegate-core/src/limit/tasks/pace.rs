//! How many tasks may be in vCenter at once, from how fast they come to an end.
//!
//! What waits in a queue of `n` that is worked off at `r` per second waits for `n / r` seconds. That must be less than half
//! the life of a token: `n <= 0.5 * life * r`. In other words: as many as came to an end within half a life.
//!
//! The rate is that of times in which somebody waited for a slot, and of what follows until little is left: at other times
//! few tasks end because few were begun. It is a running mean whose weights fall by e per half a life. It begins as if
//! `start` slots had been right for a short while, so that a few tasks that end together do not open the gate wide. When
//! nobody has waited for half a life it says nothing of vCenter as it is now, and the search begins again.

use crate::time::{Nanos, Span};

/// So many tasks must have come to an end before there is a rate.
const ENOUGH: u32 = 8;
/// How long `start` is thought to have been right, as a part of half a life (7.5 of 150 s).
const BEFORE: f64 = 0.05;
/// A time is over when no more than this part of the slots is taken, and nobody waits.
const LITTLE: u32 = 4;

/// Counts tasks that end.
#[derive(Clone, Debug, Default)]
pub(super) struct Pace {
    /// Since when time counts, if it does: what came before is in the sums.
    since: Option<Nanos>,
    /// When time last counted.
    counted: Nanos,
    /// Tasks that ended, and the time that was watched (1 would be for ever), by their weights.
    ended: f64,
    watched: f64,
    /// Tasks that ended, up to [`ENOUGH`].
    seen: u32,
}

/// How full vCenter is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    /// Slots that are taken.
    pub running: u32,
    /// Whether somebody waits for a slot, and for nothing else.
    pub wanted: bool,
}

impl Pace {
    /// Time goes on until `now`. Call it before anything changes. True when what was known is forgotten.
    pub fn advance(&mut self, now: Nanos, life: Span) -> bool {
        let half = half(life);
        if let Some(since) = self.since {
            let kept = (-now.since(since).as_secs_f64() / half).exp();
            self.ended *= kept;
            self.watched = 1.0 - (1.0 - self.watched) * kept;
            self.since = Some(now);
            self.counted = now;
        } else if now.since(self.counted).as_secs_f64() >= half {
            *self = Pace { counted: now, ..Pace::default() };
            return true;
        }
        false
    }

    /// How full it is from now on, after a change; `limit` is what [`Pace::limit`] says.
    pub fn load(&mut self, now: Nanos, load: Load, limit: u32) {
        let goes_on = self.since.is_some() && load.running > limit / LITTLE;
        self.since = (load.wanted || goes_on).then_some(now);
    }

    /// A task has come to an end.
    pub fn ended(&mut self) {
        if self.since.is_some() {
            self.ended += 1.0;
            self.seen = (self.seen + 1).min(ENOUGH);
        }
    }

    /// Tasks per second, once it is known.
    pub fn per_second(&self, life: Span, start: u32) -> Option<f64> {
        self.slots(start).map(|slots| slots / half(life))
    }

    /// Slots: `start` until the rate is known, at least 1 and at most `most`.
    pub fn limit(&self, start: u32, most: u32) -> u32 {
        let slots = self.slots(start).map_or(start, |slots| (slots + 1e-6) as u32); // saturates
        slots.clamp(1, most.max(1))
    }

    /// As many as end in half a life, once that is known.
    fn slots(&self, start: u32) -> Option<f64> {
        let before = BEFORE * (1.0 - self.watched);
        let slots = (self.ended + before * f64::from(start)) / (self.watched + before);
        (self.seen >= ENOUGH).then_some(slots)
    }
}

fn half(life: Span) -> f64 {
    (life.as_secs_f64() / 2.0).max(1e-9)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFE: Span = Span::secs(300);
    const FULL: Load = Load { running: 32, wanted: true };

    fn limit(pace: &Pace) -> u32 {
        pace.limit(32, 640)
    }

    /// `count` tasks end, one every `apart`.
    fn end(pace: &mut Pace, from: Nanos, count: u64, apart: Span) -> Nanos {
        let mut now = from;
        for _ in 0..count {
            now = now + apart;
            pace.advance(now, LIFE);
            pace.ended();
            pace.load(now, FULL, limit(pace));
        }
        now
    }

    fn full() -> Pace {
        let mut pace = Pace::default();
        pace.load(Nanos(0), FULL, 32);
        pace
    }

    #[test]
    fn half_a_life_of_work_is_let_in() {
        for (apart, expected) in [(500, 300), (1000, 150), (10_000, 15), (250, 600), (100, 640), (200_000, 1)] {
            let mut pace = full();
            let now = end(&mut pace, Nanos(0), 7, Span::millis(apart));
            assert_eq!(limit(&pace), 32, "seven are not enough");
            end(&mut pace, now, 1_500_000 / apart + 1, Span::millis(apart));
            assert!(limit(&pace).abs_diff(expected) <= 1, "one per {apart} ms: {}, not {expected}", limit(&pace));
        }
    }

    #[test]
    fn a_few_that_end_together_do_not_open_the_gate_wide() {
        let mut pace = full();
        end(&mut pace, Nanos(0), 8, Span::ZERO);
        assert_eq!(limit(&pace), 32 + 8 * 20);
    }

    #[test]
    fn the_limit_falls_while_nothing_ends() {
        let mut pace = full();
        let now = end(&mut pace, Nanos(0), 400, Span::millis(500));
        assert!((285..300).contains(&limit(&pace)), "nearly 300: {}", limit(&pace));
        pace.advance(now + Span::secs(150), LIFE);
        assert!((80..95).contains(&limit(&pace)), "of 350 seconds only 200 brought something: {}", limit(&pace));
        pace.advance(now + Span::secs(3000), LIFE);
        assert_eq!(limit(&pace), 1);
    }

    #[test]
    fn a_quiet_time_says_nothing() {
        let mut pace = full();
        let now = end(&mut pace, Nanos(0), 100, Span::secs(10));
        assert_eq!(limit(&pace), 15);
        let quiet = Load { running: 1, wanted: false };
        pace.load(now, quiet, limit(&pace));
        for second in 0..149 {
            pace.advance(now + Span::secs(second), LIFE);
            pace.load(now + Span::secs(second), quiet, limit(&pace));
            assert_eq!(limit(&pace), 15, "it is believed for half a life");
        }
        pace.advance(now + Span::secs(150), LIFE);
        assert_eq!(limit(&pace), 32);
    }

    #[test]
    fn time_counts_until_little_is_left() {
        let mut pace = full();
        let now = end(&mut pace, Nanos(0), 400, Span::millis(500));
        pace.load(now, Load { running: 200, wanted: false }, 300);
        pace.advance(now + Span::secs(60), LIFE);
        assert!(limit(&pace) < 220, "200 are in there, and none of them ends: {}", limit(&pace));
    }
}
