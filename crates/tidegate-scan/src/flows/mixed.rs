//! Hashes of small keys that are made of numbers.

use std::hash::{BuildHasher, Hash, Hasher, RandomState};

/// SplitMix64's mixing, one number after the other.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Mixed(u64);

impl Hasher for Mixed {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(u64::from(*byte)));
    }
    fn write_u8(&mut self, number: u8) {
        self.write_u64(u64::from(number));
    }
    fn write_u16(&mut self, number: u16) {
        self.write_u64(u64::from(number));
    }
    fn write_u32(&mut self, number: u32) {
        self.write_u64(u64::from(number));
    }
    fn write_u64(&mut self, number: u64) {
        self.0 = tidegate_core::rng::Rng::new(self.0 ^ number).next_u64();
    }
}

/// The mixed bits of a key: the same in every process.
pub(crate) fn mixed(key: &impl Hash) -> u64 {
    let mut mixed = Mixed::default();
    key.hash(&mut mixed);
    mixed.finish()
}

/// For maps whose keys strangers choose: begins with a number that nobody can foresee. The order of such a map decides nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keyed(u64);

impl Default for Keyed {
    fn default() -> Keyed {
        Keyed(RandomState::new().hash_one(0_u64))
    }
}

impl BuildHasher for Keyed {
    type Hasher = Mixed;

    fn build_hasher(&self) -> Mixed {
        Mixed(self.0)
    }
}
