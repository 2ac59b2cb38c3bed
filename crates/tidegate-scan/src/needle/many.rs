//! Many literals: Wu–Manber over blocks of four bytes, with several cursors at a time.
//!
//! A window of `m` bytes can only stand where its last block stands. A table tells for each block how far the nearest
//! end of a window may be at least, so most of the text is skipped. One cursor alone waits for memory most of the time;
//! several cursors on stripes of the same text wait together. The table is small enough for the first cache: blocks share
//! cells by a hash, and a cell keeps the least of their distances.

use super::{Found, Window};

/// The longest window, in bytes. Longer ones skip more, and leave less choice of rare parts.
pub const WINDOW: usize = 10;
/// Cells of the table: 32 KiB.
const CELLS: usize = 1 << 15;
/// Cursors at a time.
const CURSORS: usize = 8;
/// Bytes of a block.
const BLOCK: usize = 4;
/// Makes capitals and small letters alike (and a few signs, which the comparison sorts out).
const FOLD: u32 = 0x2020_2020;

/// A class of many literals.
pub struct Many {
    shifts: Box<[u8; CELLS]>,
    /// For each cell the first of its windows in `chain`, plus one; 0: none.
    heads: Vec<u32>,
    windows: Vec<Window>,
    /// For each window the next one of its cell, plus one.
    chain: Vec<u32>,
    /// From the begin of a window to its last block.
    last: usize,
    fold: u32,
}

impl std::fmt::Debug for Many {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Many").field("windows", &self.windows.len()).finish_non_exhaustive()
    }
}

#[inline(always)]
fn cell(block: u32) -> usize {
    // Fibonacci hashing: the high bits of the product depend on all bytes of the block.
    (block.wrapping_mul(0x9E37_79B1) >> 17) as usize & (CELLS - 1)
}

impl Many {
    /// All windows have the same length, at least four bytes.
    pub fn new(windows: Vec<Window>) -> Many {
        let length = windows.first().map_or(BLOCK, |window| window.length).max(BLOCK);
        let last = length - BLOCK;
        let fold = if windows.iter().any(|window| window.fold) { FOLD } else { 0 };
        let mut many = Many {
            shifts: Box::new([last as u8 + 1; CELLS]),
            heads: vec![0; CELLS],
            chain: vec![0; windows.len()],
            windows: Vec::new(),
            last,
            fold,
        };
        for (number, window) in windows.iter().enumerate() {
            for (from, block) in window.part().windows(BLOCK).enumerate() {
                let cell = cell(load(block, 0) | fold);
                let distance = (last - from) as u8;
                if let Some(shift) = many.shifts.get_mut(cell) {
                    *shift = distance.min(*shift);
                }
                if distance == 0
                    && let (Some(head), Some(next)) = (many.heads.get_mut(cell), many.chain.get_mut(number))
                {
                    *next = std::mem::replace(head, number as u32 + 1);
                }
            }
        }
        many.windows = windows;
        many
    }

    pub fn find(&self, text: &[u8], from: usize, to: usize, found: &mut Vec<Found>) {
        // Places of last blocks: where a window begins, plus `last`.
        let end = (to + self.last).min((text.len() + 1).saturating_sub(BLOCK));
        let begin = from + self.last;
        let stripe = end.saturating_sub(begin) / CURSORS;
        let mut cursors: [usize; CURSORS] = std::array::from_fn(|n| begin + n * stripe);
        let ends: [usize; CURSORS] =
            std::array::from_fn(|n| if n + 1 == CURSORS { end } else { begin + (n + 1) * stripe });
        // All stripes but the last are equally long: they go in step until the first of them is through.
        while cursors.iter().zip(&ends).all(|(cursor, end)| cursor < end) {
            for cursor in &mut cursors {
                *cursor += self.step(text, *cursor, found);
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
        let cell = cell(load(text, at) | self.fold);
        let shift = usize::from(self.shifts[cell]);
        if shift > 0 {
            return shift;
        }
        self.compare(text, at, cell, found);
        1
    }

    #[inline(never)]
    fn compare(&self, text: &[u8], at: usize, cell: usize, found: &mut Vec<Found>) {
        let Some(place) = at.checked_sub(self.last) else { return };
        let mut next = self.heads.get(cell).copied().unwrap_or_default();
        while let Some(number) = (next as usize).checked_sub(1) {
            let Some(window) = self.windows.get(number) else { return };
            if window.stands(text, place) {
                found.push(Found { at: place, needle: window.needle });
            }
            next = self.chain.get(number).copied().unwrap_or_default();
        }
    }
}

/// The four bytes at `at`; past the end, zero.
#[inline(always)]
fn load(text: &[u8], at: usize) -> u32 {
    match text.get(at..at + BLOCK).and_then(|block| block.try_into().ok()) {
        Some(block) => u32::from_le_bytes(block),
        None => 0,
    }
}
