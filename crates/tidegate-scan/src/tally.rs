//! Counts: per key, per minute, and per value of one group.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

const MINUTE: i64 = 60_000_000_000;
/// Values of the group that is counted by, in all keys together.
const VALUES: usize = 20_000;
/// Minutes, in all keys together: a fortnight of ten busy users.
const MINUTES: usize = 200_000;
/// Counts of members that are remembered, to know a copy.
const PARTS: usize = 100_000;

/// The counts of one key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Records.
    pub total: u64,
    /// The earliest, nanoseconds since 1970.
    pub first: Option<i64>,
    /// The latest.
    pub last: Option<i64>,
    /// Records per value.
    pub by: BTreeMap<String, u64>,
    /// Records per minute since 1970.
    pub minutes: BTreeMap<i64, u64>,
}

/// The counts of one tally.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tallied {
    /// By the values of the key's groups.
    pub keys: BTreeMap<Vec<String>, Count>,
    /// Values and minutes that there are.
    used: (usize, usize),
    /// Of every member's counts: the key, the first and the last time, and how many.
    parts: BTreeSet<Part>,
}

type Part = (Vec<String>, i64, i64, u64);

/// Counts where there is room, or where the key is known; `used` grows with every new one.
fn add<K: Ord>(counts: &mut BTreeMap<K, u64>, key: K, more: u64, used: &mut usize, most: usize) -> bool {
    match counts.entry(key) {
        Entry::Occupied(mut known) => *known.get_mut() += more,
        Entry::Vacant(_) if *used >= most => return false,
        Entry::Vacant(new) => {
            new.insert(more);
            *used += 1;
        }
    }
    true
}

fn earlier(a: Option<i64>, b: Option<i64>) -> Option<i64> {
    a.into_iter().chain(b).min()
}

impl Tallied {
    /// Counts a record; `false` when something about it could not be kept.
    pub fn count(&mut self, key: Vec<String>, by: Option<String>, time: Option<i64>, most: usize) -> bool {
        if self.keys.len() >= most && !self.keys.contains_key(&key) {
            return false;
        }
        let (values, minutes) = (&mut self.used.0, &mut self.used.1);
        let count = self.keys.entry(key).or_default();
        count.total += 1;
        count.first = earlier(count.first, time);
        count.last = count.last.max(time);
        let value = by.is_none_or(|value| add(&mut count.by, value, 1, values, VALUES));
        let minute = time.is_none_or(|time| add(&mut count.minutes, time.div_euclid(MINUTE), 1, minutes, MINUTES));
        value && minute
    }

    /// Whether another member has the same counts, from the first time to the last: it is a copy.
    fn copied(&mut self, key: &[String], count: &Count) -> bool {
        let (Some(first), Some(last)) = (count.first, count.last) else { return false };
        let part = (key.to_vec(), first, last, count.total);
        self.parts.contains(&part) || (self.parts.len() < PARTS && !self.parts.insert(part))
    }

    /// Adds the counts of a later member, unless it is a copy of one before; returns how many records could not be kept.
    pub fn merge(&mut self, other: Tallied, most: usize) -> u64 {
        let mut cut = 0;
        for (key, more) in other.keys {
            if self.copied(&key, &more) {
                continue;
            }
            if self.keys.len() >= most && !self.keys.contains_key(&key) {
                cut += more.total;
                continue;
            }
            let (values, minutes) = (&mut self.used.0, &mut self.used.1);
            let count = self.keys.entry(key).or_default();
            count.total += more.total;
            count.first = earlier(count.first, more.first);
            count.last = count.last.max(more.last);
            for (value, records) in more.by {
                cut += if add(&mut count.by, value, records, values, VALUES) { 0 } else { records };
            }
            for (minute, records) in more.minutes {
                cut += if add(&mut count.minutes, minute, records, minutes, MINUTES) { 0 } else { records };
            }
        }
        cut
    }
}
