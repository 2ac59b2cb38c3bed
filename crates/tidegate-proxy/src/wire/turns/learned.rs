//! What the connections to one server have taught about it: how many tickets it sends, how soon it answers.

use tidegate_core::time::Span;

/// Answer times that are kept.
const TIMES: usize = 64;
/// Observations before a count of tickets is relied on, and that are kept.
const COUNTS: usize = 3;
/// After so many connections that relied on a count one observes again: servers are reconfigured.
const RELY: u32 = 64;

/// What is known of one server. Bounded: a few hundred bytes.
#[derive(Clone, Debug, Default)]
pub struct Learned {
    cells: [Cell; 4],
    times: Vec<Span>,
    next: usize,
}

/// The circumstances that the number of tickets depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kind {
    pub(super) resumed: bool,
    pub(super) takes_tickets: bool,
}

impl Kind {
    fn index(self) -> usize {
        usize::from(self.resumed) * 2 + usize::from(self.takes_tickets)
    }
}

#[derive(Clone, Debug, Default)]
struct Cell {
    counts: Vec<u32>,
    next: usize,
    relied: u32,
}

impl Learned {
    /// How many tickets to expect; `None`: not known (or not lately): observe.
    pub(super) fn tickets(&mut self, kind: Kind) -> Option<u32> {
        let cell = &mut self.cells[kind.index()];
        if cell.counts.len() < COUNTS {
            return None;
        }
        cell.relied += 1;
        if cell.relied.is_multiple_of(RELY) { None } else { cell.counts.iter().max().copied() }
    }

    /// So many tickets were seen, for certain.
    pub(super) fn saw_tickets(&mut self, kind: Kind, count: u32) {
        let cell = &mut self.cells[kind.index()];
        if cell.counts.len() < COUNTS {
            cell.counts.push(count);
        } else {
            cell.counts[cell.next % COUNTS] = count;
            cell.next = (cell.next + 1) % COUNTS;
        }
    }

    /// What was expected did not fit: observe again before relying on anything.
    pub(super) fn doubt_tickets(&mut self, kind: Kind) {
        self.cells[kind.index()] = Cell::default();
    }

    /// An answer came so long after the client's last byte.
    pub(super) fn saw_answer(&mut self, after: Span) {
        if self.times.len() < TIMES {
            self.times.push(after);
        } else {
            self.times[self.next % TIMES] = after;
            self.next = (self.next + 1) % TIMES;
        }
    }

    /// 95 of 100 answers came within this; `None` before the first one.
    pub fn answer_p95(&self) -> Option<Span> {
        let mut sorted = self.times.clone();
        sorted.sort_unstable();
        let last = sorted.len().checked_sub(1)?;
        sorted.get(last * 95 / 100).copied()
    }
}
