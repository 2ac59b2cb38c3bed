//! From a hash to the number of a record: open addressing in 4 bytes a place, 8 bits of hash and 24 of number. Half of the places
//! are empty, so that most records are at home: what is looked up is found without a guess.

/// The largest number of records.
pub(super) const NUMBERS_MAX: usize = (1 << NUMBER_BITS) - 1;

const NUMBER_BITS: u32 = 24;
const NUMBER: u32 = (1 << NUMBER_BITS) - 1;
const EMPTY: u32 = u32::MAX;
/// Places of the smallest index. A power of two, as all sizes are.
const FIRST: usize = 64;

/// The places. At most every other one is taken, so a search always ends.
pub(super) struct Index {
    places: Vec<u32>,
    taken: usize,
}

impl Index {
    pub fn new() -> Index {
        Index { places: vec![EMPTY; FIRST], taken: 0 }
    }

    /// Bytes of memory.
    pub fn bytes(&self) -> usize {
        self.places.capacity().saturating_mul(size_of::<u32>())
    }

    fn mask(&self) -> usize {
        self.places.len().wrapping_sub(1)
    }

    fn home(&self, hash: u64) -> usize {
        hash as usize & self.mask()
    }

    fn next(&self, place: usize) -> usize {
        place.wrapping_add(1) & self.mask()
    }

    fn at(&self, place: usize) -> u32 {
        self.places.get(place).copied().unwrap_or(EMPTY)
    }

    fn put(&mut self, place: usize, entry: u32) {
        if let Some(at) = self.places.get_mut(place) {
            *at = entry;
        }
    }

    fn entry(hash: u64, number: u32) -> u32 {
        ((hash >> 56) as u32) << NUMBER_BITS | (number & NUMBER)
    }

    /// What is in the first place of a hash.
    pub fn glance(&self, hash: u64) -> u32 {
        self.at(self.home(hash))
    }

    /// The number of the first record that may have this hash.
    pub fn guess(&self, hash: u64) -> Option<u32> {
        self.find(hash, |_| true)
    }

    /// The number of the record with this hash that `same` knows.
    pub fn find(&self, hash: u64, same: impl Fn(u32) -> bool) -> Option<u32> {
        let (tag, mut place) = (Index::entry(hash, 0), self.home(hash));
        loop {
            match self.at(place) {
                EMPTY => return None,
                entry if entry & !NUMBER == tag && same(entry & NUMBER) => return Some(entry & NUMBER),
                _ => place = self.next(place),
            }
        }
    }

    /// Adds a record. `hash_of` tells the hash of any record that is in the index.
    pub fn insert(&mut self, hash: u64, number: u32, hash_of: impl Fn(u32) -> u64) {
        if self.taken.saturating_mul(2) >= self.places.len() {
            let doubled = vec![EMPTY; self.places.len().saturating_mul(2)];
            for entry in std::mem::replace(&mut self.places, doubled) {
                if entry != EMPTY {
                    self.settle(hash_of(entry & NUMBER), entry);
                }
            }
        }
        self.taken = self.taken.saturating_add(1);
        self.settle(hash, Index::entry(hash, number));
    }

    fn settle(&mut self, hash: u64, entry: u32) {
        let mut place = self.home(hash);
        while self.at(place) != EMPTY {
            place = self.next(place);
        }
        self.put(place, entry);
    }

    /// Removes a record that is in the index. Those behind it that it kept from their home move up.
    pub fn remove(&mut self, hash: u64, number: u32, hash_of: impl Fn(u32) -> u64) {
        let mut hole = self.home(hash);
        loop {
            match self.at(hole) {
                EMPTY => return,
                entry if entry & NUMBER == number => break,
                _ => hole = self.next(hole),
            }
        }
        self.taken = self.taken.saturating_sub(1);
        let mut place = self.next(hole);
        while self.at(place) != EMPTY {
            let entry = self.at(place);
            let home = self.home(hash_of(entry & NUMBER));
            let (from_home, from_hole) =
                (place.wrapping_sub(home) & self.mask(), place.wrapping_sub(hole) & self.mask());
            if from_home >= from_hole {
                self.put(hole, entry);
                hole = place;
            }
            place = self.next(place);
        }
        self.put(hole, EMPTY);
    }
}
