//! Groups by a key, in bounded memory: when there are too many, the lighter half goes.

use std::collections::HashMap;
use std::hash::Hash;

use crate::flows::mixed::Keyed;

/// What a group counts for when room must be made.
pub(crate) trait Weight {
    /// The heavier stay.
    fn weight(&self) -> u64;
}

impl Weight for u32 {
    fn weight(&self) -> u64 {
        u64::from(*self)
    }
}

/// At most `MOST` groups. As long as that is enough, the same whatever the order and the parts in which they were made; else the
/// heavy ones stay, and may lack what they were before room was made.
#[derive(Clone, Debug)]
pub(crate) struct Groups<K, V, const MOST: usize> {
    map: HashMap<K, V, Keyed>,
    dropped: u64,
}

impl<K, V, const MOST: usize> Default for Groups<K, V, MOST> {
    fn default() -> Self {
        Groups { map: HashMap::default(), dropped: 0 }
    }
}

impl<K: Copy + Ord + Hash, V: Default + Weight, const MOST: usize> Groups<K, V, MOST> {
    /// The group of a key; a new one if there is none.
    pub fn of(&mut self, key: K) -> &mut V {
        if self.map.len() >= MOST && !self.map.contains_key(&key) {
            self.make_room();
        }
        self.map.entry(key).or_default()
    }

    /// The group of a key, if there is one.
    pub fn get(&self, key: K) -> Option<&V> {
        self.map.get(&key)
    }

    /// The same, to be changed.
    pub fn get_mut(&mut self, key: K) -> Option<&mut V> {
        self.map.get_mut(&key)
    }

    /// Brings the groups of many keys close to the processor at once, instead of waiting for each. Changes nothing.
    pub fn touch(&self, keys: impl Iterator<Item = K>) {
        std::hint::black_box(keys.filter(|key| self.map.contains_key(key)).count());
    }

    /// Takes over another's groups. `merge` puts two of one key together.
    pub fn absorb(&mut self, other: Self, merge: impl Fn(&mut V, V)) {
        self.dropped = self.dropped.saturating_add(other.dropped);
        let mut all: Vec<(K, V)> = other.map.into_iter().collect();
        all.sort_unstable_by_key(|(key, _)| *key);
        all.into_iter().for_each(|(key, value)| merge(self.of(key), value));
    }

    /// All groups, the heaviest first, and of equal ones the lower key.
    pub fn heaviest(&self) -> Vec<(K, &V)> {
        let mut all: Vec<(K, &V)> = self.map.iter().map(|(key, value)| (*key, value)).collect();
        all.sort_unstable_by_key(|(key, value)| (std::cmp::Reverse(value.weight()), *key));
        all
    }

    /// Groups that were dropped to make room.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    fn make_room(&mut self) {
        let mut weights: Vec<(u64, K)> = self.map.iter().map(|(key, value)| (value.weight(), *key)).collect();
        let half = weights.len() / 2;
        if half >= weights.len() {
            return;
        }
        let (_, median, _) = weights.select_nth_unstable(half);
        let median = *median;
        let before = self.map.len();
        self.map.retain(|key, value| (value.weight(), *key) > median);
        let gone = before.saturating_sub(self.map.len());
        self.dropped = self.dropped.saturating_add(gone as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_heavy_stay() {
        let mut groups = Groups::<u32, u32, 8>::default();
        *groups.of(1000) = 50;
        for key in 0..200 {
            *groups.of(key) += 1;
            *groups.of(1000) += 1;
        }
        assert_eq!(groups.heaviest().first(), Some(&(1000, &250)));
        assert!(groups.heaviest().len() <= 8);
        assert_eq!(groups.dropped() as usize + groups.heaviest().len(), 201);
    }

    #[test]
    fn parts_come_together() {
        let (mut left, mut right) = (Groups::<u32, u32, 8>::default(), Groups::<u32, u32, 8>::default());
        *left.of(1) += 2;
        *right.of(1) += 3;
        *right.of(2) += 9;
        left.absorb(right, |mine, other| *mine += other);
        assert_eq!(left.heaviest(), [(2, &9), (1, &5)]);
        assert_eq!((left.get(1), left.get(3)), (Some(&5), None));
    }
}
