//! A histogram of latencies with a bounded error, as HdrHistogram's: 128 steps per power of two, so within 0.8 %.

/// Steps per power of two, as a power of two.
const STEPS_LOG2: u32 = 7;
/// The longest time that is told apart: 2^32 µs, more than an hour.
const LONGEST: u64 = u32::MAX as u64;

/// Counts of times in microseconds.
#[derive(Clone, Debug)]
pub struct Histogram {
    counts: Vec<u64>,
    total: u64,
    max: u64,
}

impl Default for Histogram {
    fn default() -> Histogram {
        Histogram { counts: vec![0; bucket(LONGEST) + 1], total: 0, max: 0 }
    }
}

impl Histogram {
    /// Counts one time; what is longer than an hour counts as that.
    pub fn add(&mut self, micros: u64) {
        let micros = micros.min(LONGEST);
        self.counts[bucket(micros)] += 1;
        self.total += 1;
        self.max = self.max.max(micros);
    }

    /// How many were counted.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The time in ms that the share `share` (0 to 1) of all did not exceed; `None` when there is none.
    pub fn quantile_ms(&self, share: f64) -> Option<f64> {
        let rank = ((self.total as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        let found = self.counts.iter().position(|&count| {
            seen += count;
            seen >= rank
        });
        found.map(|index| highest(index).min(self.max) as f64 / 1000.0)
    }

    /// The longest, in ms.
    pub fn max_ms(&self) -> f64 {
        self.max as f64 / 1000.0
    }
}

fn bucket(micros: u64) -> usize {
    let shift = (u64::BITS - micros.leading_zeros()).saturating_sub(STEPS_LOG2 + 1);
    ((u64::from(shift) << STEPS_LOG2) + (micros >> shift)) as usize
}

/// The longest time of a bucket.
fn highest(index: usize) -> u64 {
    let steps = 1usize << STEPS_LOG2;
    let shift = (index / steps).saturating_sub(1);
    let step = (index - shift * steps) as u64;
    ((step + 1) << shift) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_is_in_its_bucket_within_one_percent() {
        for micros in (0..5000).chain([65_535, 65_536, 1_000_000, 123_456_789, LONGEST]) {
            let top = highest(bucket(micros));
            assert!(top >= micros && (top - micros) as f64 <= micros as f64 * 0.008, "{micros}: {top}");
            assert!(micros == 0 || bucket(micros - 1) <= bucket(micros));
        }
    }

    #[test]
    fn quantiles_of_a_thousand_milliseconds() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.quantile_ms(0.5), None);
        for ms in 1..=1000 {
            histogram.add(ms * 1000);
        }
        let near = |share: f64, ms: f64| (histogram.quantile_ms(share).unwrap_or(0.0) - ms).abs() <= ms * 0.008;
        assert!(near(0.5, 500.0) && near(0.99, 990.0));
        assert_eq!((histogram.quantile_ms(1.0), histogram.max_ms()), (Some(1000.0), 1000.0));
    }
}
