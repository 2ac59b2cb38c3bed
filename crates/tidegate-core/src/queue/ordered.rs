//! A queue in the order of a key: seniority for new sessions, expiry for renewals.

use crate::sums::Sums;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Calls in the order of (key, arrival). Knows how much work stands before a key without walking the queue.
#[derive(Clone, Default, Serialize, Deserialize)]
pub struct Ordered {
    calls: BTreeSet<(u64, u64, u32)>,
    /// Work per block of 256 neighbouring keys, so that [`Ordered::ahead`] adds up blocks, not calls.
    blocks: Sums,
}

const BLOCK_BITS: u32 = 8;

impl Ordered {
    /// Puts a call in.
    pub fn push(&mut self, key: u64, order: u64, call: u32, work: u64) {
        self.calls.insert((key, order, call));
        self.blocks.add(key >> BLOCK_BITS, work);
    }

    /// Takes a call out; false when it is not in.
    pub fn remove(&mut self, key: u64, order: u64, call: u32, work: u64) -> bool {
        let was_in = self.calls.remove(&(key, order, call));
        if was_in {
            self.blocks.take(key >> BLOCK_BITS, work);
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
        self.blocks.before((key >> BLOCK_BITS) + 1)
    }

    /// All calls, first to last.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.calls.iter().map(|&(_, _, call)| call)
    }
}
