//! A sample of keys that does not depend on order or parts, and how many keys there were.

use std::collections::BTreeMap;
use std::hash::Hash;

use crate::flows::mixed::mixed;

/// The `MOST` keys whose mixed bits are the smallest, and something of each. Such a key is in the sample from its first time on,
/// so what is counted of it is complete. A bottom-k sketch (Cohen and Kaplan, "Summarizing data using bottom-k sketches", 2007):
/// the number of different keys is exact up to `MOST`, then within 1/√`MOST` in two cases of three.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sample<K, V, const MOST: usize>(BTreeMap<(u64, K), V>);

impl<K, V, const MOST: usize> Default for Sample<K, V, MOST> {
    fn default() -> Self {
        Sample(BTreeMap::new())
    }
}

impl<K: Copy + Ord + Hash, V: Default, const MOST: usize> Sample<K, V, MOST> {
    /// What is kept of a key, if it is in the sample.
    pub fn of(&mut self, key: K) -> Option<&mut V> {
        let place = (mixed(&key), key);
        if self.0.len() >= MOST && self.0.last_key_value().is_none_or(|(last, _)| *last < place) {
            return None;
        }
        self.0.entry(place).or_default();
        if self.0.len() > MOST {
            self.0.pop_last();
        }
        self.0.get_mut(&place)
    }

    /// The same of a key that is in the sample already.
    pub fn get_mut(&mut self, key: K) -> Option<&mut V> {
        self.0.get_mut(&(mixed(&key), key))
    }

    /// Takes over another's sample. `merge` puts two of one key together.
    pub fn absorb(&mut self, other: Self, merge: impl Fn(&mut V, V)) {
        for ((_, key), value) in other.0 {
            if let Some(mine) = self.of(key) {
                merge(mine, value);
            }
        }
    }

    /// All keys of the sample.
    pub fn each(&self) -> impl Iterator<Item = (K, &V)> {
        self.0.iter().map(|((_, key), value)| (*key, value))
    }

    /// Whether there were no more keys than the sample has.
    pub fn whole(&self) -> bool {
        self.0.len() < MOST
    }

    /// How many different keys there were.
    pub fn distinct(&self) -> u64 {
        let kept = self.0.len() as u64;
        match self.0.last_key_value() {
            Some(((last, _), _)) if !self.whole() => {
                let share = (*last as f64 / u64::MAX as f64).max(f64::MIN_POSITIVE);
                ((kept.saturating_sub(1) as f64 / share) as u64).max(kept)
            }
            _ => kept,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Small = Sample<u32, u32, 8>;

    fn count(sample: &mut Small, key: u32) {
        if let Some(times) = sample.of(key) {
            *times += 1;
        }
    }

    #[test]
    fn many_keys_are_estimated() {
        let mut sample = Sample::<u32, (), 256>::default();
        (0..255).for_each(|key| _ = sample.of(key));
        assert_eq!((sample.distinct(), sample.whole()), (255, true));
        (0..100_000).for_each(|key| _ = sample.of(key));
        assert!((85_000..115_000).contains(&sample.distinct()), "{}", sample.distinct());
    }

    proptest! {
        #[test]
        fn any_parts_give_the_same(keys in prop::collection::vec(0u32..30, 0..100), split in prop::collection::vec(any::<bool>(), 100)) {
            let (mut whole, mut left, mut right) = (Small::default(), Small::default(), Small::default());
            for (key, to_left) in keys.iter().zip(&split) {
                count(&mut whole, *key);
                count(if *to_left { &mut left } else { &mut right }, *key);
            }
            left.absorb(right, |mine, other| *mine += other);
            prop_assert_eq!(&left, &whole);
            for (key, times) in whole.each() {
                prop_assert_eq!(*times as usize, keys.iter().filter(|other| **other == key).count());
            }
        }
    }
}
