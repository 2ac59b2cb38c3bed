//! Coarse timeouts for many connections: a hashed wheel with 50 ms ticks and lazy re-arming.
//!
//! A connection owns one slot for its whole life. Moving its deadline later is one store; the wheel notices when the old
//! place comes up. So a request that sets three timeouts in a row costs nothing, and an idle connection costs one slot.

use crate::clock;
use std::cell::{Cell, RefCell};
use std::task::{Context, Waker};
use tidegate_core::time::{Nanos, Span};

/// Length of a tick. Timeouts are seconds; being up to one tick late is part of the contract.
pub(crate) const TICK: Span = Span::millis(50);
const BUCKETS: u64 = 512;
/// For so long a tick that was late is remembered.
const RECENT: Span = Span::secs(1);

struct Slot {
    deadline: Nanos,
    armed: u64,
    generation: u32,
    waker: Option<Waker>,
}

struct Wheel {
    slots: Vec<Slot>,
    free: Vec<u32>,
    buckets: Vec<Vec<(u32, u32)>>,
    tick: u64,
}

/// The timeouts of one shard.
pub(crate) struct Timers {
    now: Cell<Nanos>,
    /// By how much a tick was late, and when, if that was not long ago.
    late: Cell<(Nanos, Span)>,
    wheel: RefCell<Wheel>,
}

impl Timers {
    pub(crate) fn new() -> Timers {
        let now = clock::now();
        Timers {
            now: Cell::new(now),
            late: Cell::new((now, Span::ZERO)),
            wheel: RefCell::new(Wheel {
                slots: Vec::new(),
                free: Vec::new(),
                buckets: (0..BUCKETS).map(|_| Vec::new()).collect(),
                tick: now.0 / TICK.0,
            }),
        }
    }

    /// The time of the last tick: at most a tick old, and free.
    pub(crate) fn now(&self) -> Nanos {
        self.now.get()
    }

    fn note_lag(&self, now: Nanos) {
        let (at, worst) = self.late.get();
        let lag = now.since(self.now.get()) - TICK;
        if lag >= worst || now.since(at) > RECENT {
            self.late.set((now, lag));
        }
    }

    /// By how much the loop was late within the last second, or is now: timers have fired that much too late.
    pub(crate) fn lag(&self) -> Span {
        let now = clock::now();
        let (at, worst) = self.late.get();
        let recent = if now.since(at) > RECENT { Span::ZERO } else { worst };
        recent.max(now.since(self.now.get()) - TICK)
    }

    /// A new slot without a deadline.
    pub(crate) fn add(&self) -> u32 {
        let mut wheel = self.wheel.borrow_mut();
        if let Some(slot) = wheel.free.pop() {
            return slot;
        }
        wheel.slots.push(Slot { deadline: Nanos::NEVER, armed: u64::MAX, generation: 0, waker: None });
        (wheel.slots.len() - 1) as u32
    }

    /// Gives a slot back. What is left of it in the wheel is skipped by its generation.
    pub(crate) fn remove(&self, slot: u32) {
        let mut wheel = self.wheel.borrow_mut();
        let entry = &mut wheel.slots[slot as usize];
        entry.generation = entry.generation.wrapping_add(1);
        entry.deadline = Nanos::NEVER;
        entry.armed = u64::MAX;
        entry.waker = None;
        wheel.free.push(slot);
    }

    /// Sets the deadline of `slot` to `after` from now, and who is woken then.
    pub(crate) fn set(&self, slot: u32, after: Span, cx: &Context<'_>) {
        self.set_at(slot, self.now() + after, cx);
    }

    /// As [`Timers::set`], at a point in time.
    pub(crate) fn set_at(&self, slot: u32, deadline: Nanos, cx: &Context<'_>) {
        let mut wheel = self.wheel.borrow_mut();
        let entry = &mut wheel.slots[slot as usize];
        entry.deadline = deadline;
        match &mut entry.waker {
            Some(waker) if waker.will_wake(cx.waker()) => {}
            waker => *waker = Some(cx.waker().clone()),
        }
        wheel.arm(slot);
    }

    /// Whether the deadline of `slot` has passed.
    pub(crate) fn expired(&self, slot: u32) -> bool {
        self.wheel.borrow().slots[slot as usize].deadline <= self.now()
    }

    /// Moves time on to the clock's now and wakes whose deadline has passed.
    pub(crate) fn advance(&self) {
        let now = clock::now();
        self.note_lag(now);
        self.now.set(now);
        let mut due = Vec::new();
        let mut wheel = self.wheel.borrow_mut();
        let target = now.0 / TICK.0;
        while wheel.tick < target {
            wheel.tick += 1;
            wheel.turn(now, &mut due);
        }
        drop(wheel);
        due.into_iter().for_each(Waker::wake);
    }
}

impl Wheel {
    /// Puts `slot` into the wheel, unless it will come up early enough anyway.
    fn arm(&mut self, slot: u32) {
        let entry = &mut self.slots[slot as usize];
        if entry.deadline == Nanos::NEVER {
            return;
        }
        let wanted = entry.deadline.0.div_ceil(TICK.0).clamp(self.tick + 1, self.tick + BUCKETS - 1);
        if wanted < entry.armed {
            entry.armed = wanted;
            let generation = entry.generation;
            self.buckets[(wanted % BUCKETS) as usize].push((slot, generation));
        }
    }

    fn turn(&mut self, now: Nanos, due: &mut Vec<Waker>) {
        let bucket = (self.tick % BUCKETS) as usize;
        let mut entries = std::mem::take(&mut self.buckets[bucket]);
        for (slot, generation) in entries.drain(..) {
            let entry = &mut self.slots[slot as usize];
            if entry.generation != generation || entry.armed != self.tick {
                continue;
            }
            entry.armed = u64::MAX;
            if entry.deadline <= now {
                due.extend(entry.waker.clone());
            } else {
                self.arm(slot);
            }
        }
        if self.buckets[bucket].is_empty() {
            self.buckets[bucket] = entries;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::task::Wake;

    struct Count(AtomicU32);
    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn turn_to(timers: &Timers, now: Nanos) {
        timers.now.set(now);
        let mut due = Vec::new();
        let mut wheel = timers.wheel.borrow_mut();
        while wheel.tick < now.0 / TICK.0 {
            wheel.tick += 1;
            wheel.turn(now, &mut due);
        }
        drop(wheel);
        due.into_iter().for_each(Waker::wake);
    }

    #[test]
    fn a_deadline_that_moved_later_fires_once_and_late() {
        let timers = Timers::new();
        let start = timers.now();
        let count = Arc::new(Count(AtomicU32::new(0)));
        let waker = Waker::from(count.clone());
        let cx = Context::from_waker(&waker);
        let slot = timers.add();
        timers.set(slot, Span::secs(1), &cx);
        timers.set(slot, Span::secs(60), &cx);
        turn_to(&timers, start + Span::secs(30));
        assert_eq!(count.0.load(Ordering::SeqCst), 0);
        assert!(!timers.expired(slot));
        turn_to(&timers, start + Span::secs(61));
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
        assert!(timers.expired(slot));
    }

    #[test]
    fn a_deadline_that_moved_earlier_fires_in_time_and_a_removed_slot_never() {
        let timers = Timers::new();
        let start = timers.now();
        let count = Arc::new(Count(AtomicU32::new(0)));
        let waker = Waker::from(count.clone());
        let cx = Context::from_waker(&waker);
        let (slot, gone) = (timers.add(), timers.add());
        timers.set(slot, Span::secs(60), &cx);
        timers.set(slot, Span::secs(2), &cx);
        timers.set(gone, Span::secs(2), &cx);
        timers.remove(gone);
        turn_to(&timers, start + Span::secs(3));
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
    }
}
