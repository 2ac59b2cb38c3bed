//! What is due when: in the order of time, and of scheduling within one moment.
//!
//! Most of it is scheduled in the order in which it is due anyway: hosts that go on at once, hosts that poll after the same
//! time. These stand in lines; the heap is for the others.

use std::cmp::{Ordering, Reverse};
use std::collections::{BinaryHeap, VecDeque};
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

/// Where something that is due most likely stands last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// Behind what goes on at once.
    Soon,
    /// Behind the polls.
    Polls,
    /// Nowhere.
    None,
}

/// All that is due.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    lines: [VecDeque<Entry>; 2],
    heap: BinaryHeap<Reverse<Entry>>,
    order: u64,
}

impl Agenda {
    /// Schedules; what is due at the end of time is not.
    pub fn push(&mut self, at: Nanos, due: Due) {
        self.push_behind(Line::None, at, due);
    }

    /// Schedules what is most likely due after all of that line.
    pub fn push_behind(&mut self, line: Line, at: Nanos, due: Due) {
        if at == Nanos::NEVER {
            return;
        }
        self.order += 1;
        let entry = Entry { at, order: self.order, due };
        match self.lines.get_mut(line as usize).filter(|line| line.back().is_none_or(|last| last.at <= at)) {
            Some(line) => line.push_back(entry),
            None => self.heap.push(Reverse(entry)),
        }
    }

    /// When the next one is due.
    pub fn next(&self) -> Option<Nanos> {
        let first = self.lines.iter().filter_map(VecDeque::front).chain(self.heap.peek().map(|entry| &entry.0)).min();
        first.map(|entry| entry.at)
    }

    /// Takes the next one.
    pub fn pop(&mut self) -> Option<Due> {
        let heap = self.heap.peek().map(|entry| entry.0);
        let line = self.lines.iter_mut().filter(|line| !line.is_empty()).min_by_key(|line| line.front().copied());
        match line {
            Some(line) if line.front().copied() < heap || heap.is_none() => line.pop_front().map(|entry| entry.due),
            _ => self.heap.pop().map(|entry| entry.0.due),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_due_comes_in_order_wherever_it_stands(entries in prop::collection::vec((0u64..20, 0usize..3), 0..100)) {
            let mut agenda = Agenda::default();
            for (turn, (at, line)) in entries.iter().enumerate() {
                let due = Due::Begin { host: turn as u32, turn: 0 };
                agenda.push_behind([Line::Soon, Line::Polls, Line::None][*line], Nanos(*at), due);
            }
            let mut expected: Vec<(u64, u32)> =
                entries.iter().enumerate().map(|(turn, entry)| (entry.0, turn as u32)).collect();
            expected.sort_unstable();
            for (at, host) in expected {
                prop_assert_eq!(agenda.next(), Some(Nanos(at)));
                prop_assert_eq!(agenda.pop(), Some(Due::Begin { host, turn: 0 }));
            }
            prop_assert_eq!((agenda.next(), agenda.pop()), (None, None));
        }
    }
}
