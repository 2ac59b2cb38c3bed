//! How many entries, and how much work, stand before a key, without walking over the entries.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Neighbouring blocks that are added up together, as a power of two.
const REGION_BITS: u32 = 5;

/// Entries and their work, added up by block of neighbouring keys and by region of 32 blocks.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Sums {
    blocks: BTreeMap<u64, (u32, u64)>,
    regions: BTreeMap<u64, (u32, u64)>,
}

impl Sums {
    /// Counts an entry in.
    pub fn add(&mut self, block: u64, work: u64) {
        for (sums, key) in [(&mut self.blocks, block), (&mut self.regions, block >> REGION_BITS)] {
            let sum = sums.entry(key).or_default();
            *sum = (sum.0 + 1, sum.1 + work);
        }
    }

    /// Counts an entry out that was counted in with the same work.
    pub fn take(&mut self, block: u64, work: u64) {
        for (sums, key) in [(&mut self.blocks, block), (&mut self.regions, block >> REGION_BITS)] {
            if let Some(sum) = sums.get_mut(&key) {
                *sum = (sum.0 - 1, sum.1 - work);
                if sum.0 == 0 {
                    sums.remove(&key);
                }
            }
        }
    }

    /// Entries, and their work, in all blocks before this one.
    pub fn before(&self, block: u64) -> (u32, u64) {
        let region = block >> REGION_BITS;
        let regions = self.regions.range(..region);
        let blocks = self.blocks.range(region << REGION_BITS..block);
        regions.chain(blocks).fold((0, 0), |sum, (_, each)| (sum.0 + each.0, sum.1 + each.1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn before_is_the_sum_of_all_blocks_before(
            entries in prop::collection::vec((0u64..300, 1u64..2000, any::<bool>()), 0..300), at in 0u64..300,
        ) {
            let (mut sums, mut left) = (Sums::default(), Vec::new());
            entries.iter().for_each(|(block, work, _)| sums.add(*block, *work));
            for (block, work, stays) in entries {
                if stays { left.push((block, work)) } else { sums.take(block, work) }
            }
            let before = left.iter().filter(|(block, _)| *block < at);
            let expected = before.fold((0, 0), |sum, (_, work)| (sum.0 + 1, sum.1 + work));
            prop_assert_eq!(sums.before(at), expected);
        }
    }
}
