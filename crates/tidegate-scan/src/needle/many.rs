//! Many literals: Wu–Manber over blocks of four bytes, with several cursors at a time.
//!
//! A window of `m` bytes can only stand where its last block stands. A table tells for each block how far the nearest
//! end of a window may be at least, so most of the text is skipped. One cursor alone waits for memory most of the time;
//! several cursors on stripes of the same text wait together. The table is small enough for the first cache: blocks share
//! cells by a hash, and a cell keeps the least of their distances.

use super::{Found, Window};

/// The longest window, in bytes. Longer ones skip more, and leave less choice of rare parts.
pub const WINDOW: usize = 16;
/// Cells of the table: 32 KiB.
pub const CELLS: usize = 1 << 15;
/// Cursors at a time.
const CURSORS: usize = 8;
/// Bytes of a block.
pub const BLOCK: usize = 4;
/// Makes capitals and small letters alike (and a few signs, which the comparison sorts out).
const FOLD: u32 = 0x2020_2020;

/// A window whose last block falls into a cell.
#[derive(Clone, Copy)]
struct Last {
    block: u32,
    window: u32,
    /// The next one of the cell, plus one; 0: none.
    next: u32,
}

/// A class of many literals.
pub struct Many {
    /// For each cell, how far the end of a window is at least; 0: a window may end here.
    shifts: Box<[u8; CELLS]>,
    /// The same, without the windows that end here.
    after: Vec<u8>,
    /// For each cell the first of its `lasts`, plus one; 0: none.
    heads: Vec<u32>,
    lasts: Vec<Last>,
    windows: Vec<Window>,
    /// From the begin of a window to its last block.
    last: usize,
    fold: u32,
}

impl std::fmt::Debug for Many {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Many").field("windows", &self.windows.len()).finish_non_exhaustive()
    }
}

/// The cell of a block.
#[inline(always)]
pub fn cell(block: u32) -> usize {
    // Fibonacci hashing: the high bits of the product depend on all bytes of the block.
    (block.wrapping_mul(0x9E37_79B1) >> 17) as usize & (CELLS - 1)
}

/// The four bytes at `at`; past the end, zero.
#[inline(always)]
pub fn load(text: &[u8], at: usize) -> u32 {
    match text.get(at..at + BLOCK).and_then(|block| block.try_into().ok()) {
        Some(block) => u32::from_le_bytes(block),
        None => 0,
    }
}

impl Many {
    /// All windows have the same length, at least four bytes.
    pub fn new(windows: Vec<Window>) -> Many {
        let length = windows.first().map_or(BLOCK, |window| window.length).max(BLOCK);
        let last = length - BLOCK;
        let fold = if windows.iter().any(|window| window.fold) { FOLD } else { 0 };
        let mut many = Many {
            shifts: Box::new([last as u8 + 1; CELLS]),
            after: vec![last as u8 + 1; CELLS],
            heads: vec![0; CELLS],
            lasts: Vec::with_capacity(windows.len()),
            windows: Vec::new(),
            last,
            fold,
        };
        for (number, window) in windows.iter().enumerate() {
            for (from, block) in window.part().windows(BLOCK).enumerate() {
                many.enter(load(block, 0) | fold, (last - from) as u8, number as u32);
            }
        }
        many.windows = windows;
        many
    }

    /// Notes a block of a window, so many bytes before its last one.
    fn enter(&mut self, block: u32, distance: u8, window: u32) {
        let cell = cell(block);
        let (Some(shift), Some(after), Some(head)) =
            (self.shifts.get_mut(cell), self.after.get_mut(cell), self.heads.get_mut(cell))
        else {
            return;
        };
        *shift = distance.min(*shift);
        if distance > 0 {
            *after = distance.min(*after);
        } else {
            self.lasts.push(Last { block, window, next: *head });
            *head = self.lasts.len() as u32;
        }
    }

    /// All windows.
    #[cfg(test)]
    pub fn windows(&self) -> std::slice::Iter<'_, Window> {
        self.windows.iter()
    }

    /// Adds every literal whose window begins in `from..to`.
    pub fn find(&self, text: &[u8], from: usize, to: usize, found: &mut Vec<Found>) {
        // Places of last blocks: where a window begins, plus `last`.
        let end = (to + self.last).min((text.len() + 1).saturating_sub(BLOCK));
        let begin = from + self.last;
        let stripe = end.saturating_sub(begin) / CURSORS;
        let mut cursors: [usize; CURSORS] = std::array::from_fn(|n| begin + n * stripe);
        let ends: [usize; CURSORS] =
            std::array::from_fn(|n| if n + 1 == CURSORS { end } else { begin + (n + 1) * stripe });
        loop {
            // So many steps cannot lead any cursor out of its stripe.
            let left = cursors.iter().zip(&ends).map(|(cursor, end)| end.saturating_sub(*cursor)).min();
            let steps = left.unwrap_or_default() / (self.last + 1);
            if steps == 0 {
                break;
            }
            for _ in 0..steps {
                for cursor in &mut cursors {
                    *cursor += self.step(text, *cursor, found);
                }
            }
        }
        for (cursor, end) in cursors.iter_mut().zip(ends) {
            while *cursor < end {
                *cursor += self.step(text, *cursor, found);
            }
        }
    }

    /// Looks at one block; returns how far to go on.
    #[inline(always)]
    fn step(&self, text: &[u8], at: usize, found: &mut Vec<Found>) -> usize {
        let block = load(text, at) | self.fold;
        let cell = cell(block);
        match usize::from(self.shifts[cell]) {
            0 => self.compare(text, at, block, cell, found),
            shift => shift,
        }
    }

    #[inline(never)]
    fn compare(&self, text: &[u8], at: usize, block: u32, cell: usize, found: &mut Vec<Found>) -> usize {
        let mut next = self.heads.get(cell).copied().unwrap_or_default();
        while let Some(last) = (next as usize).checked_sub(1).and_then(|place| self.lasts.get(place)) {
            if last.block == block
                && let (Some(window), Some(place)) = (self.windows.get(last.window as usize), at.checked_sub(self.last))
                && window.stands(text, place)
            {
                found.push(Found { at: place, needle: window.needle });
            }
            next = last.next;
        }
        self.after.get(cell).copied().map_or(1, usize::from)
    }
}
