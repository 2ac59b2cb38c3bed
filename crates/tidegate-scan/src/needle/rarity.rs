//! Which part of a literal is rare in logs.
//!
//! Measured on `sample.txt`: lines of ESXi, vCenter, NSX, Linux, Envoy, nginx and HAProxy (most are lnav's samples,
//! BSD-2-Clause; see `tests/data`). Blocks of four bytes are counted in it, in the cells that the search uses. Blocks that
//! are not in it are told apart by rough shares of single bytes. Only the order of costs matters.

use super::many::{BLOCK, CELLS, cell, load};
use std::sync::LazyLock;

const SAMPLE: &[u8] = include_bytes!("sample.txt");

/// What one block in a MiB of sample costs, beside the products of shares of bytes below.
const SEEN: u64 = 1 << 14;
/// The last block of a window stops the search when it is met; the others only make its steps shorter.
const LAST: u64 = 5;

static COUNTS: LazyLock<Vec<u16>> = LazyLock::new(|| {
    let mut counts = vec![0_u16; CELLS];
    for block in SAMPLE.windows(BLOCK) {
        if let Some(count) = counts.get_mut(cell(load(block, 0))) {
            *count = count.saturating_add(1);
        }
    }
    counts
});

/// The share of a byte in logs, in thousandths, by class.
fn share(byte: u8) -> u64 {
    match byte {
        b' ' | b'e' => 70,
        b'a' | b'i' | b'n' | b'o' | b'r' | b's' | b't' => 40,
        b'0'..=b'9' => 35,
        b'c' | b'd' | b'l' | b'm' | b'p' | b'u' => 25,
        b'-' | b'.' | b':' | b'=' | b'[' | b']' | b'b' | b'f' | b'g' | b'h' | b'v' => 15,
        b'A'..=b'Z' | b'k' | b'w' | b'x' | b'y' | b'(' | b')' | b',' | b'\'' | b'/' => 6,
        _ => 2,
    }
}

fn cost(block: &[u8]) -> u64 {
    let seen = COUNTS.get(cell(load(block, 0))).copied().unwrap_or_default();
    let pairs: u64 = block.windows(2).map(|pair| pair.iter().map(|byte| share(*byte)).product::<u64>()).sum();
    u64::from(seen) * SEEN * 1024 / (SAMPLE.len() as u64 + 1) + pairs / 16
}

/// Where the rarest window of `length` bytes begins; the first of equals.
pub fn rarest(literal: &[u8], length: usize) -> usize {
    let whole = |window: &[u8]| {
        let blocks = window.windows(BLOCK).map(cost);
        let last = window.last_chunk::<BLOCK>().map_or(0, |last| cost(last));
        blocks.sum::<u64>() + (LAST - 1) * last
    };
    let costs = literal.windows(length.max(BLOCK)).map(whole).enumerate();
    costs.min_by_key(|(at, cost)| (*cost, *at)).map_or(0, |(at, _)| at)
}
