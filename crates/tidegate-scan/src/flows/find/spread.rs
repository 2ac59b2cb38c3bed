//! How lengths of time spread: a histogram that parts can be added to.

use std::collections::BTreeMap;

/// Slots per doubling, as a power of two: a quantile is at most 1/16 too low.
const BITS: u32 = 4;
const SLOTS: u32 = 1 << BITS;

/// Lengths of time in milliseconds, by slots that grow with them: 464 at most.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Spread(BTreeMap<u32, u64>);

impl Spread {
    /// One more.
    pub fn add(&mut self, ms: u32) {
        let count = self.0.entry(slot(ms)).or_default();
        *count = count.saturating_add(1);
    }

    /// Those of another part.
    pub fn absorb(&mut self, other: Self) {
        for (slot, more) in other.0 {
            let count = self.0.entry(slot).or_default();
            *count = count.saturating_add(more);
        }
    }

    /// How many.
    pub fn count(&self) -> u64 {
        self.0.values().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// The length that a share (0 to 1) of all lie at or below, rounded down to its slot. `None`: there are none.
    pub fn quantile(&self, share: f64) -> Option<u32> {
        let wanted = ((self.count() as f64 * share).ceil() as u64).max(1);
        let mut so_far = 0u64;
        let reached = self.0.iter().find(|(_, count)| {
            so_far = so_far.saturating_add(**count);
            so_far >= wanted
        });
        reached.map(|(slot, _)| floor(*slot))
    }
}

fn slot(ms: u32) -> u32 {
    match ms.checked_ilog2() {
        Some(octave) if octave >= BITS => {
            let above = octave.saturating_sub(BITS);
            above.saturating_add(1).saturating_mul(SLOTS).saturating_add((ms >> above) & (SLOTS - 1))
        }
        _ => ms,
    }
}

fn floor(slot: u32) -> u32 {
    match (slot / SLOTS).checked_sub(1) {
        Some(above) => (SLOTS | (slot & (SLOTS - 1))).checked_shl(above).unwrap_or(u32::MAX),
        None => slot,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn quantiles() {
        let mut spread = Spread::default();
        assert_eq!(spread.quantile(0.1), None);
        (1..=100).for_each(|second| spread.add(second * 1000));
        let [tenth, half, all] = [0.1, 0.5, 1.0].map(|share| spread.quantile(share).unwrap());
        assert!(
            (9_300..=10_000).contains(&tenth) && (46_800..=50_000).contains(&half) && (93_000..=100_000).contains(&all)
        );
        assert_eq!(spread.count(), 100);
    }

    proptest! {
        #[test]
        fn a_slot_is_a_sixteenth_at_most(ms in any::<u32>()) {
            let low = floor(slot(ms));
            prop_assert!(low <= ms && ms - low <= low / 16);
            prop_assert!(slot(ms) < 464);
            prop_assert_eq!(slot(low), slot(ms));
        }
    }
}
