//! What is due when: a heap in the order of time, and of scheduling within one moment.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use tidegate_core::time::Nanos;

/// Something that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// A host begins its next call, unless it has had another turn since.
    Begin { host: u32, turn: u32 },
    /// A population sends its next bulk call.
    Bulk(u16),
    /// A change of a server.
    Change { server: u16, change: u16 },
    /// A server is there again, unless it fell once more.
    Up { server: u16, fall: u32 },
    /// A server is warm, unless it fell once more.
    Warm { server: u16, fall: u32 },
    /// The network is cut (true), or whole again.
    Cut(bool),
    /// The gate goes away (true), or is there again.
    GateDown(bool),
    /// A point of the curves.
    Sample,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    at: Nanos,
    order: u64,
    due: Due,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Entry) -> bool {
        (self.at, self.order) == (other.at, other.order)
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Entry) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Entry) -> Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

/// The heap.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    heap: BinaryHeap<Reverse<Entry>>,
    order: u64,
}

impl Agenda {
    /// Schedules; what is due at the end of time is not.
    pub fn push(&mut self, at: Nanos, due: Due) {
        if at < Nanos::NEVER {
            self.order += 1;
            self.heap.push(Reverse(Entry { at, order: self.order, due }));
        }
    }

    /// When the next one is due.
    pub fn next(&self) -> Option<Nanos> {
        self.heap.peek().map(|entry| entry.0.at)
    }

    /// Takes the next one.
    pub fn pop(&mut self) -> Option<Due> {
        self.heap.pop().map(|entry| entry.0.due)
    }
}
