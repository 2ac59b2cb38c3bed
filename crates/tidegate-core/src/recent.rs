//! A bounded map that forgets what was not used for the longest time.
//!
//! Second chance instead of an exact order: every use only stamps the entry; the queue of keys is put right when
//! something must go. So a use costs one look-up, and forgetting costs a constant on average.

use crate::time::{Nanos, Span};
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hash, Hasher};

/// Keys are hashes already (the driver derived them with a secret seed), so they are taken as they are.
#[derive(Default)]
pub struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }
    fn write_u64(&mut self, n: u64) {
        // Fibonacci hashing: even keys that were counted up (tests, the simulator) spread over the high bits.
        self.0 = n.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
}

/// A map whose keys are hashes. Its iteration order must decide nothing.
pub type KeyMap<K, V> = HashMap<K, V, BuildHasherDefault<KeyHasher>>;

/// How a [`KeyMap`] is written down: in the order of its keys, so that equal maps give equal bytes.
pub mod sorted {
    use super::KeyMap;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use std::hash::Hash;

    /// Writes the map as a list of pairs.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<K, V, S>(map: &KeyMap<K, V>, serializer: S) -> Result<S::Ok, S::Error>
    where
        K: Copy + Ord + Serialize,
        V: Serialize,
        S: Serializer,
    {
        #[allow(clippy::disallowed_methods, reason = "sorted before anybody sees them")]
        let mut pairs: Vec<(&K, &V)> = map.iter().collect();
        pairs.sort_unstable_by_key(|(key, _)| **key);
        serializer.collect_seq(pairs)
    }

    /// Reads it back.
    ///
    /// # Errors
    /// Those of the deserializer.
    pub fn deserialize<'de, K, V, D>(deserializer: D) -> Result<KeyMap<K, V>, D::Error>
    where
        K: Eq + Hash + Deserialize<'de>,
        V: Deserialize<'de>,
        D: Deserializer<'de>,
    {
        Ok(Vec::<(K, V)>::deserialize(deserializer)?.into_iter().collect())
    }
}

#[derive(Clone, Serialize, Deserialize)]
struct Entry<V> {
    value: V,
    used: Nanos,
    /// The number of this entry's place in the queue; places with another number are left-overs.
    place: u64,
    /// `used` when it got that place: used since then means a second chance.
    queued: Nanos,
}

/// At most `capacity` entries that are not pinned, each forgotten `ttl` after its last use.
#[derive(Clone, Serialize, Deserialize)]
#[serde(bound(serialize = "K: Copy + Ord + Serialize, V: Serialize"))]
#[serde(bound(deserialize = "K: Eq + Hash + Deserialize<'de>, V: Deserialize<'de>"))]
pub struct Recent<K, V> {
    #[serde(with = "sorted")]
    map: KeyMap<K, Entry<V>>,
    order: VecDeque<(K, u64)>,
    places: u64,
    capacity: usize,
    ttl: Span,
}

impl<K: Copy + Eq + Hash, V> Recent<K, V> {
    /// An empty map; `capacity` of 0 is taken as 1.
    pub fn new(capacity: usize, ttl: Span) -> Recent<K, V> {
        Recent { map: KeyMap::default(), order: VecDeque::new(), places: 0, capacity: capacity.max(1), ttl }
    }

    /// New bounds, from the next insertion on.
    pub fn resize(&mut self, capacity: usize, ttl: Span) {
        self.capacity = capacity.max(1);
        self.ttl = ttl;
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.map.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.map.is_empty()
    }

    /// The entry, stamped as used.
    pub fn touch(&mut self, now: Nanos, key: K) -> Option<&mut V> {
        let entry = self.map.get_mut(&key)?;
        entry.used = now;
        Some(&mut entry.value)
    }

    /// The entry, as it is.
    pub fn get(&self, key: K) -> Option<&V> {
        self.map.get(&key).map(|entry| &entry.value)
    }

    /// The entry, to change without counting as a use.
    pub fn get_mut(&mut self, key: K) -> Option<&mut V> {
        self.map.get_mut(&key).map(|entry| &mut entry.value)
    }

    /// When the entry was last used.
    pub fn last_used(&self, key: K) -> Option<Nanos> {
        self.map.get(&key).map(|entry| entry.used)
    }

    /// All keys, oldest place first.
    pub fn keys(&self) -> Vec<K> {
        let live = |(key, place): &&(K, u64)| self.map.get(key).is_some_and(|entry| entry.place == *place);
        self.order.iter().filter(live).map(|(key, _)| *key).collect()
    }

    /// Puts an entry in (replacing the key's old one) and returns the values that had to be forgotten for it.
    pub fn insert(&mut self, now: Nanos, key: K, value: V, pinned: impl Fn(&V) -> bool) -> Vec<V> {
        let mut gone = Vec::new();
        let place = self.next_place();
        if let Some(old) = self.map.insert(key, Entry { value, used: now, place, queued: now }) {
            gone.push(old.value);
        }
        self.order.push_back((key, place));
        self.forget(now, key, pinned, &mut gone);
        gone
    }

    /// Takes an entry out. Its place in the queue is skipped later.
    pub fn remove(&mut self, key: K) -> Option<V> {
        let value = self.map.remove(&key).map(|entry| entry.value);
        if self.order.len() > 2 * self.map.len() + 64 {
            let map = &self.map;
            self.order.retain(|(key, place)| map.get(key).is_some_and(|entry| entry.place == *place));
        }
        value
    }

    fn next_place(&mut self) -> u64 {
        self.places += 1;
        self.places
    }

    /// Forgets from the oldest place on: what is past its time, and what is too many. Each place is looked at once at
    /// the most, so a map full of pinned entries costs a walk, never a loop.
    fn forget(&mut self, now: Nanos, newest: K, pinned: impl Fn(&V) -> bool, gone: &mut Vec<V>) {
        for _ in 0..self.order.len() {
            let Some(&(key, place)) = self.order.front() else {
                return;
            };
            let Some(entry) = self.map.get_mut(&key).filter(|entry| entry.place == place) else {
                self.order.pop_front();
                continue;
            };
            let expired = now.since(entry.used) > self.ttl;
            if key == newest || pinned(&entry.value) || (entry.used > entry.queued && !expired) {
                entry.queued = entry.used;
            } else if expired || self.map.len() > self.capacity {
                self.order.pop_front();
                gone.extend(self.map.remove(&key).map(|entry| entry.value));
                continue;
            } else {
                return;
            }
            self.order.pop_front();
            self.order.push_back((key, place));
            if self.map.len() <= self.capacity {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forgets_the_longest_unused_and_never_a_pinned_one() {
        let mut recent = Recent::new(3, Span::secs(100));
        for key in 0..3u64 {
            recent.insert(Nanos(key), key, key, |_| false);
        }
        recent.touch(Nanos(10), 0);
        assert_eq!(recent.insert(Nanos(11), 3, 3, |_| false), vec![1]);
        assert_eq!(recent.insert(Nanos(12), 4, 4, |value| *value == 2), vec![3], "2 is pinned, 0 was used");
        assert_eq!(recent.len(), 3);
    }

    #[test]
    fn forgets_what_is_past_its_time_and_keeps_its_bound() {
        let mut recent = Recent::new(1000, Span::secs(1));
        for key in 0..5000u64 {
            recent.insert(Nanos(key * 10_000_000), key, (), |()| false);
            assert!(recent.len() <= 103, "one second holds 100 of them: {}", recent.len());
            if key % 3 == 0 {
                recent.remove(key);
            }
        }
        assert!(recent.order.len() <= 2 * recent.len() + 64);
    }
}
