//! Counts over time, in bounded memory: when there are too many points, two become one.

use std::collections::BTreeMap;

/// Points that are kept, at most.
const POINTS_MAX: usize = 4096;

/// `N` counts for each stretch of time. The same for the same counts, in whatever order and in however many parts they come.
#[derive(Clone, Debug)]
pub(crate) struct Series<const N: usize> {
    /// Seconds to a point: 1 shifted by this.
    shift: u32,
    points: BTreeMap<u64, [u64; N]>,
    /// The point that was counted last: most counts go where the one before them went.
    last: (u64, [u64; N]),
}

impl<const N: usize> Default for Series<N> {
    fn default() -> Self {
        Series { shift: 0, points: BTreeMap::new(), last: (0, [0; N]) }
    }
}

impl<const N: usize> Series<N> {
    /// Adds to the counts of a second.
    pub fn add(&mut self, second: u64, more: [u64; N]) {
        let point = second.checked_shr(self.shift).unwrap_or(0);
        if point != self.last.0 {
            self.flush();
            self.last.0 = second.checked_shr(self.shift).unwrap_or(0);
        }
        sum(&mut self.last.1, &more);
    }

    fn flush(&mut self) {
        let (point, counts) = std::mem::replace(&mut self.last, (0, [0; N]));
        if counts != [0; N] {
            sum(self.points.entry(point).or_insert([0; N]), &counts);
        }
        while self.points.len() > POINTS_MAX {
            self.coarsen();
        }
    }

    fn coarsen(&mut self) {
        self.shift = self.shift.saturating_add(1);
        for (point, counts) in std::mem::take(&mut self.points) {
            sum(self.points.entry(point >> 1).or_insert([0; N]), &counts);
        }
    }

    /// Takes over what another shard counted.
    pub fn absorb(&mut self, mut other: Self) {
        other.flush();
        self.flush();
        while self.shift < other.shift {
            self.coarsen();
        }
        for (point, counts) in other.points {
            let point = point.checked_shr(self.shift.saturating_sub(other.shift)).unwrap_or(0);
            sum(self.points.entry(point).or_insert([0; N]), &counts);
        }
        self.flush();
    }

    /// The first second of each point that counts anything, and its counts.
    pub fn points(&self) -> Vec<(u64, [u64; N])> {
        let mut whole = self.clone();
        whole.flush();
        let shift = whole.shift;
        whole.points.into_iter().map(|(point, counts)| (point.checked_shl(shift).unwrap_or(0), counts)).collect()
    }
}

fn sum<const N: usize>(counts: &mut [u64; N], more: &[u64; N]) {
    counts.iter_mut().zip(more).for_each(|(count, more)| *count = count.saturating_add(*more));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn too_many_points_become_half_as_many() {
        let mut series = Series::<1>::default();
        (0..5000).for_each(|second| series.add(1_000_000 + second, [1]));
        let points = series.points();
        assert_eq!((points.len(), points[0], points[1]), (2500, (1_000_000, [2]), (1_000_002, [2])));
    }

    proptest! {
        #[test]
        fn parts_are_the_same_as_the_whole(seconds in prop::collection::vec((0..20_000_u64, 0..3_usize), 0..9000)) {
            let mut whole = Series::<2>::default();
            let mut parts = [Series::<2>::default(), Series::default(), Series::default()];
            for (second, part) in seconds {
                whole.add(second, [1, 2]);
                parts[part].add(second, [1, 2]);
            }
            let [mut first, second, mut third] = parts;
            third.absorb(second);
            first.absorb(third);
            prop_assert_eq!(whole.points(), first.points());
        }
    }
}
