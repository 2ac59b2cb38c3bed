//! Seeded random numbers: SplitMix64 (Steele, Lea, Flood 2014), small, fast and the same on every machine.

use tidegate_core::rng::Rng;
use tidegate_core::time::Span;

/// Spreads the stream numbers over all bits: 2^64 divided by the golden ratio.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// A stream of random numbers that its seed decides entirely: the core's generator, with what hosts need on top.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SplitMix64(Rng);

impl SplitMix64 {
    /// The stream of `seed`.
    pub fn new(seed: u64) -> SplitMix64 {
        SplitMix64(Rng::new(seed))
    }

    /// The stream number `index` of `seed`: one per host, so that hosts do not disturb one another's numbers.
    pub fn stream(seed: u64, index: u64) -> SplitMix64 {
        let mut root = SplitMix64::new(seed);
        let offset = root.next_u64();
        let mut own = SplitMix64::new(offset ^ index.wrapping_mul(GOLDEN));
        own.next_u64();
        own
    }

    /// The next 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number in [0, 1).
    pub fn unit(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A length in [`from`, `to`), or `from` when `to` is not longer.
    pub fn between(&mut self, from: Span, to: Span) -> Span {
        let width = to.0.saturating_sub(from.0);
        from + Span(width).mul_f64(self.unit())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_first_numbers_of_seed_zero() {
        // The published test vector of SplitMix64 for seed 0.
        let mut rng = SplitMix64::new(0);
        assert_eq!(rng.next_u64(), 0xe220_a839_7b1d_cdaf);
        assert_eq!(rng.next_u64(), 0x6e78_9e6a_a1b9_65f4);
    }

    #[test]
    fn streams_differ_and_repeat() {
        let draw = |index| SplitMix64::stream(7, index).next_u64();
        assert_eq!(draw(3), draw(3));
        assert_ne!(draw(3), draw(4));
    }
}
