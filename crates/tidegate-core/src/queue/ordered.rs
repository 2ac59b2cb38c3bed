//! A queue in the order of a key: seniority for new sessions, expiry for renewals.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Calls in the order of (key, arrival). Knows how much work stands before a key without walking the queue.
#[derive(Clone, Default, Serialize, Deserialize)]
pub struct Ordered {
    calls: BTreeSet<(u64, u64, u32)>,
    /// Work per block of 256 neighbouring keys, so that [`Ordered::ahead`] adds up blocks, not calls.
    blocks: BTreeMap<u64, (u32, u64)>,
}

const BLOCK_BITS: u32 = 8;

impl Ordered {
    /// Puts a call in.
    pub fn push(&mut self, key: u64, order: u64, call: u32, work: u64) {
        self.calls.insert((key, order, call));
        let block = self.blocks.entry(key >> BLOCK_BITS).or_default();
        block.0 += 1;
        block.1 += work;
    }

    /// Takes a call out; false when it is not in.
    pub fn remove(&mut self, key: u64, order: u64, call: u32, work: u64) -> bool {
        let was_in = self.calls.remove(&(key, order, call));
        if was_in && let Some(block) = self.blocks.get_mut(&(key >> BLOCK_BITS)) {
            block.0 -= 1;
            block.1 -= work;
            if block.0 == 0 {
                self.blocks.remove(&(key >> BLOCK_BITS));
            }
        }
        was_in
    }

    /// The call that is first: its (key, order) and itself.
    pub fn first(&self) -> Option<((u64, u64), u32)> {
        self.calls.first().map(|&(key, order, call)| ((key, order), call))
    }

    /// The call that is last.
    pub fn last(&self) -> Option<u32> {
        self.calls.last().map(|&(_, _, call)| call)
    }

    /// How many calls, and how much work, stand before `key`, to within one block of 256 keys (taken as before).
    pub fn ahead(&self, key: u64) -> (u32, u64) {
        let blocks = self.blocks.range(..=(key >> BLOCK_BITS));
        blocks.fold((0, 0), |sum, (_, block)| (sum.0 + block.0, sum.1 + block.1))
    }

    /// All calls, first to last.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.calls.iter().map(|&(_, _, call)| call)
    }
}
