//! How the table of calls finds a call by its id.

use std::hash::Hasher;

/// Call ids count up, so they are their own hash; the multiplication spreads them over the table.
#[derive(Default)]
pub(super) struct CallHasher(u64);

impl Hasher for CallHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }
    fn write_u64(&mut self, n: u64) {
        self.0 = (self.0 ^ n).wrapping_mul(0x9E37_79B9_7F4A_7C15); // 2^64 / golden ratio (Knuth, TAOCP 6.4)
    }
}
