//! What the limit learns from how long tasks take, and from those whose token died.
//!
//! The rate alone is right when all that waits stands in one queue. Where hosts are not equal and it is not known which task
//! goes to which, one host's queue may be much longer than the mean. So no more are let in than was *shown* to do no harm:
//!
//! - It begins with `start`. Every task that ends in time adds a little: much while the slowest ones of late take a small part
//!   of a life, so that workers are found soon; hardly anything when they take longer, because what is let in then waits.
//! - A task that ends *late*, after more than three fifths of a life, leaves 0.7 of the limit, one whose token died, half.
//!   Only tasks that were let go after the last such step count: the others say what is known already.
//! - One that ended well after one and a half lives has worked for long. Had it waited for so long, its token would be dead.
//!
//! Work that takes more than half a life by itself makes the rate allow fewer and fewer at once, down to one, though nothing
//! waits. From there it is *tried* how many may be under way: one more whenever those that are did not take longer than one
//! alone does, and fewer again as soon as they do. It is tried only while that is all that would be let in, and not for a
//! while after a token has died: when it is not known whether tasks work or wait, a dead token is the worse mistake.

use crate::time::{Nanos, Span};
use std::f64::consts::LN_2;

/// A task is late after this part of a token's life …
const LATE: f64 = 0.6;
/// … and has worked for long after so many lives.
const LONG: f64 = 1.5;
/// What is left after a late task …
const SHRINK: f64 = 0.7;
/// … and after a dead token.
const HARD: f64 = 0.5;
/// What a task in time adds, while the slowest ones take less than so much of a life …
const GROW: [(f64, f64); 2] = [(0.15, 0.5), (0.3, 0.1)];
/// … and when they take more.
const GROW_LEAST: f64 = 0.03;
/// It does not double within this part of a life: a queue is seen only when what has waited in it ends.
const DOUBLE: f64 = 0.6;
/// Tasks take no longer than one alone if it is less than this part of a life more …
const SAME: f64 = 0.1;
/// … and too many were tried when it is this part.
const LONGER: f64 = 0.25;
/// So many lives after a dead token nothing is tried.
const WARY: f64 = 16.0;
/// What is not used of that is kept, up to this part: one look may tell of many tasks that ended.
const ROOM: f64 = 0.25;
/// The weight of the newest time in the mean ones.
const NEWEST: f64 = 0.25;

/// A task that was let go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Begun {
    /// When.
    pub at: Nanos,
    /// When it was seen alive for the last time: what came then is between two looks, and not known.
    pub alive: Nanos,
    /// How many were under way then, with it.
    pub rank: u32,
}

impl Begun {
    /// How long it took at the least.
    fn lives(self, life: Span) -> f64 {
        self.alive.since(self.at).as_secs_f64() / life.as_secs_f64().max(1e-9)
    }
}

/// What was learned.
#[derive(Clone, Debug)]
pub(super) struct Feedback {
    /// So many were shown to do no harm; `None`: as at the beginning.
    shown: Option<f64>,
    /// How long the slowest ones took of late, in lives, as of then.
    slowest: f64,
    /// By how much it may grow at once.
    room: f64,
    /// When the last task ended.
    ended_at: Nanos,
    /// When the last step down was, of each kind.
    late_at: Nanos,
    dead_at: Nanos,
    tried: f64,
    fewer_at: Nanos,
    /// How long one takes alone, and with as many as are tried.
    alone: Option<f64>,
    together: Option<f64>,
    wary_until: Nanos,
}

impl Default for Feedback {
    fn default() -> Feedback {
        Feedback {
            shown: None,
            slowest: 0.0,
            room: 0.0,
            ended_at: Nanos(0),
            late_at: Nanos(0),
            dead_at: Nanos(0),
            tried: 1.0,
            fewer_at: Nanos(0),
            alone: None,
            together: None,
            wary_until: Nanos(0),
        }
    }
}

impl Feedback {
    /// The limit, where the rate allows `law`: at least 1 and at most `most`.
    pub fn limit(&self, law: u32, start: u32, most: u32) -> u32 {
        let shown = self.shown.map_or(start, |shown| (shown + 1e-6) as u32); // saturates
        law.min(shown).max(self.tried as u32).min(most).max(1)
    }

    /// It was quiet for so long that the search begins again.
    pub fn quiet(&mut self, start: u32) {
        self.shown = self.shown.filter(|shown| *shown < f64::from(start));
    }

    /// A task has ended well, or what has waited was begun; `start` and `limit`: slots at the
    /// beginning, and now. True when that was late.
    pub fn took(&mut self, now: Nanos, task: Begun, life: Span, (start, limit): (u32, u32)) -> bool {
        let lives = task.lives(life);
        let since = now.since(self.ended_at).as_secs_f64() / life.as_secs_f64().max(1e-9);
        (self.slowest, self.ended_at) = (self.slowest * (-since).exp(), now);
        let shown = self.shown.unwrap_or(f64::from(start));
        self.room = (self.room + shown * since * LN_2 / DOUBLE).min(shown * ROOM);
        if lives > LONG {
            return false;
        }
        self.slowest = self.slowest.max(lives);
        let late = lives > LATE;
        if !late {
            let grow = GROW.iter().find(|(below, _)| self.slowest < *below).map_or(GROW_LEAST, |(_, grow)| *grow);
            let grow = grow.min(self.room);
            self.room -= grow;
            // No more than twice what there is: what is not let in is not shown.
            self.shown = Some((shown + grow).min(shown.max(2.0 * f64::from(limit))));
        } else if task.at >= self.late_at {
            self.shrink(now, SHRINK, limit);
        }
        late
    }

    /// A task has ended well: may more be tried, or must it be fewer?
    pub fn tries(&mut self, now: Nanos, task: Begun, life: Span, limit: u32) {
        let tried = self.tried as u32;
        if task.rank != tried {
            return;
        }
        let lives = task.lives(life);
        if tried == 1 {
            self.alone = Some(mean(self.alone, lives));
        }
        let Some(alone) = self.alone.filter(|_| limit <= tried && now >= self.wary_until) else { return };
        let together = if tried == 1 { alone } else { mean(self.together, lives) };
        self.together = Some(together);
        if together <= alone + SAME {
            self.tried += 1.0 / self.tried;
        } else if together > alone + LONGER && task.at >= self.fewer_at {
            self.tried = (self.tried * SHRINK).max(1.0);
            self.fewer_at = now;
            self.together = None;
        }
    }

    /// The token of a task has died.
    pub fn expired(&mut self, now: Nanos, task: Begun, life: Span, limit: u32) {
        self.tried = 1.0;
        self.together = None;
        self.wary_until = now + life.mul_f64(WARY);
        if task.at >= self.dead_at {
            self.shrink(now, HARD, limit);
            self.dead_at = now;
        }
    }

    fn shrink(&mut self, now: Nanos, to: f64, limit: u32) {
        self.shown = Some((f64::from(limit) * to).max(1.0));
        self.late_at = now;
    }
}

fn mean(before: Option<f64>, newest: f64) -> f64 {
    before.map_or(newest, |before| before + NEWEST * (newest - before))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFE: Span = Span::secs(100);

    fn at(second: u64) -> Nanos {
        Nanos(second * 1_000_000_000)
    }

    /// Let go in one second, and alive in another.
    fn begun(second: u64, alive: u64, rank: u32) -> Begun {
        Begun { at: at(second), alive: at(alive), rank }
    }

    fn limit(feedback: &Feedback) -> u32 {
        feedback.limit(100, 100, 640)
    }

    fn took(feedback: &mut Feedback, second: u64, since: u64) -> bool {
        feedback.took(at(second), begun(since, second, 9), LIFE, (100, limit(feedback)))
    }

    #[test]
    fn a_late_task_shrinks_it_once_per_such_a_time() {
        let mut feedback = Feedback::default();
        assert!(!took(&mut feedback, 60, 0));
        assert_eq!(limit(&feedback), 100);
        for second in 61..70 {
            assert!(took(&mut feedback, second, second - 61));
            assert_eq!(limit(&feedback), 70, "those that were let go before say nothing new");
        }
        assert!(took(&mut feedback, 125, 61));
        assert_eq!(limit(&feedback), 49);
        assert!(!took(&mut feedback, 400, 200), "it has worked for long");
        assert_eq!(limit(&feedback), 49);
    }

    #[test]
    fn tasks_in_time_give_it_back_the_sooner_the_faster() {
        let mut feedback = Feedback::default();
        took(&mut feedback, 61, 0);
        (62..162).for_each(|second| _ = took(&mut feedback, second, second - 2));
        assert_eq!(limit(&feedback), 75);
        (500..600).for_each(|second| _ = took(&mut feedback, second, second));
        assert_eq!(limit(&feedback), 100, "the rate allows no more");
        assert!(feedback.limit(640, 100, 640) >= 110);
    }

    #[test]
    fn no_more_is_shown_than_was_let_in_and_it_takes_time() {
        let mut feedback = Feedback::default();
        (0..1000).for_each(|_| _ = feedback.took(at(4), begun(4, 4, 9), LIFE, (32, 40)));
        assert_eq!(feedback.limit(640, 32, 640), 33);
        (5..1000).for_each(|second| _ = feedback.took(at(second), begun(second, second, 9), LIFE, (32, 40)));
        assert_eq!(feedback.limit(640, 32, 640), 80);
        feedback.quiet(32);
        assert_eq!(feedback.limit(640, 32, 640), 32, "the search begins again");
    }

    #[test]
    fn dead_tokens_halve_it_once_per_batch() {
        let mut feedback = Feedback::default();
        (0..9).for_each(|second| feedback.expired(at(101 + second), begun(second, second, 9), LIFE, 100));
        assert_eq!(limit(&feedback), 50);
        feedback.expired(at(203), begun(102, 102, 9), LIFE, 50);
        assert_eq!(limit(&feedback), 25);
        feedback.quiet(100);
        assert_eq!(limit(&feedback), 25, "that is not forgotten");
        (3..9).for_each(|n| feedback.expired(at(n * 101), begun(n * 101, n * 101, 9), LIFE, 1));
        assert_eq!(limit(&feedback), 1);
    }

    /// `rounds` times as many tasks as are let in, when so many work at once and the rate allows one.
    fn tried(feedback: &mut Feedback, from: u64, rounds: u64, workers: u32, takes: u64) -> (u64, u32, u32) {
        let (mut now, mut most) = (from, 0);
        for _ in 0..rounds {
            let limit = feedback.limit(1, 32, 640);
            most = most.max(limit);
            let took = takes * u64::from(limit.max(workers)) / u64::from(workers);
            now += took;
            (0..limit).for_each(|_| feedback.tries(at(now), begun(now - took, now, limit), LIFE, limit));
        }
        (now, most, feedback.limit(1, 32, 640))
    }

    #[test]
    fn slow_work_that_does_not_wait_is_not_done_one_by_one() {
        for takes in [60, 90, 400] {
            let mut feedback = Feedback::default();
            let (_, most, now) = tried(&mut feedback, 0, 60, 8, takes);
            assert!((8..=10).contains(&most) && now >= 5, "{most}, then {now} of 8 that take {takes} s each");
        }
    }

    #[test]
    fn after_a_dead_token_nothing_is_tried_for_a_while() {
        let mut feedback = Feedback::default();
        let (now, most, _) = tried(&mut feedback, 0, 5, 8, 60);
        assert!(most > 3);
        feedback.expired(at(now), begun(now, now, 9), LIFE, 4);
        let (now, most, _) = tried(&mut feedback, now, 26, 8, 60);
        assert_eq!(most, 1);
        assert!(tried(&mut feedback, now, 5, 8, 60).1 > 3);
    }

    #[test]
    fn one_worker_gets_one_at_a_time() {
        let mut feedback = Feedback::default();
        let (_, most, _) = tried(&mut feedback, 0, 100, 1, 60);
        assert_eq!(most, 2, "a second one takes longer");
    }
}
