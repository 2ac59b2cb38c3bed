//! One number for many: tells apart, keeps no secrets.

use crate::admission::Action;
use std::hash::{Hash, Hasher};

/// FNV-1a over bytes; over words the same with a rotation, so that all bits of a word reach all bits of the sum. What it
/// gives is part of the trace's format.
pub(super) struct Digest(u64);

impl Default for Digest {
    fn default() -> Digest {
        Digest(0xCBF2_9CE4_8422_2325)
    }
}

impl Digest {
    fn word(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
}

/// Every width goes in as one word, so that the sum is the same on every machine.
impl Hasher for Digest {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01B3);
        }
    }
    fn write_u8(&mut self, n: u8) {
        self.word(u64::from(n));
    }
    fn write_u16(&mut self, n: u16) {
        self.word(u64::from(n));
    }
    fn write_u32(&mut self, n: u32) {
        self.word(u64::from(n));
    }
    fn write_u64(&mut self, n: u64) {
        self.word(n);
    }
    fn write_usize(&mut self, n: usize) {
        self.word(n as u64);
    }
    fn write_isize(&mut self, n: isize) {
        self.word(n as u64);
    }
}

/// The digest of what the machine said to one step.
pub(super) fn digest(actions: &[Action]) -> u64 {
    let mut digest = Digest::default();
    actions.iter().for_each(|action| action.hash(&mut digest));
    digest.finish()
}
