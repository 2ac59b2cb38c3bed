//! Sums over time in bounded memory: the same whatever the order and however many the parts in which they were added.

/// Sums in several lanes, by windows of `WIDTH` units of time (milliseconds since the first packet, or seconds since 1970). When more than `MOST` windows have something in them, all windows
/// become twice as wide: how wide they are depends on what was added alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Series<const LANES: usize, const WIDTH: u64, const MOST: usize> {
    doublings: u32,
    /// Windows that were added to, by their numbers.
    windows: Vec<(u64, [i32; LANES])>,
}

impl<const LANES: usize, const WIDTH: u64, const MOST: usize> Series<LANES, WIDTH, MOST> {
    /// Adds to a lane at a time.
    pub fn add(&mut self, time: impl Into<u64>, lane: usize, amount: i32) {
        let mut lanes = [0; LANES];
        if let Some(sum) = lanes.get_mut(lane) {
            *sum = amount;
        }
        self.add_all(time, lanes);
    }

    /// Adds to all lanes at a time.
    pub fn add_all(&mut self, time: impl Into<u64>, lanes: [i32; LANES]) {
        self.put(self.number(time), lanes);
        self.fit();
    }

    /// Adds all that another one has.
    pub fn absorb(&mut self, mut other: Self) {
        while self.doublings < other.doublings {
            self.double();
        }
        while other.doublings < self.doublings {
            other.double();
        }
        other.windows.into_iter().for_each(|(number, lanes)| self.put(number, lanes));
        self.fit();
    }

    /// How wide a window is.
    pub fn width(&self) -> u64 {
        WIDTH.max(1).checked_shl(self.doublings).unwrap_or(u64::MAX)
    }

    /// How many times wider the windows are than they were meant to be.
    pub fn wider(&self) -> u64 {
        1u64.checked_shl(self.doublings).unwrap_or(u64::MAX)
    }

    /// The number of the window that a time falls into.
    pub fn number(&self, time: impl Into<u64>) -> u64 {
        time.into().checked_div(WIDTH).unwrap_or(0).checked_shr(self.doublings).unwrap_or(0)
    }

    /// When a window begins.
    pub fn begins(&self, number: u64) -> u64 {
        number.saturating_mul(self.width())
    }

    /// Windows that were added to: their numbers and sums, in the order of time.
    pub fn windows(&self) -> impl Iterator<Item = (u64, [i32; LANES])> {
        self.windows.iter().copied()
    }

    /// The sums of a window.
    pub fn at(&self, number: u64) -> [i32; LANES] {
        let place = self.windows.partition_point(|(other, _)| *other < number);
        self.windows.get(place).filter(|(other, _)| *other == number).map_or([0; LANES], |(_, lanes)| *lanes)
    }

    fn put(&mut self, number: u64, lanes: [i32; LANES]) {
        // Most is added where the last was.
        if let Some((last, sums)) = self.windows.last_mut()
            && *last == number
        {
            return add(sums, &lanes);
        }
        let later = self.windows.last().is_none_or(|(last, _)| *last < number);
        let place = if later { self.windows.len() } else { self.windows.partition_point(|(other, _)| *other < number) };
        match self.windows.get_mut(place) {
            Some((same, sums)) if *same == number => add(sums, &lanes),
            _ => self.windows.insert(place, (number, lanes)),
        }
    }

    fn fit(&mut self) {
        while self.windows.len() > MOST.max(1) {
            self.double();
        }
    }

    fn double(&mut self) {
        self.doublings = self.doublings.saturating_add(1);
        self.windows.iter_mut().for_each(|(number, _)| *number >>= 1);
        self.windows.dedup_by(|(number, lanes), (before, sums)| {
            let same = number == before;
            if same {
                add(sums, lanes);
            }
            same
        });
    }
}

fn add<const LANES: usize>(sums: &mut [i32; LANES], lanes: &[i32; LANES]) {
    sums.iter_mut().zip(lanes).for_each(|(sum, one)| *sum = sum.saturating_add(*one));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Small = Series<2, 10, 4>;

    fn of(events: &[(u32, usize, i32)]) -> Small {
        let mut series = Small::default();
        events.iter().for_each(|(ms, lane, amount)| series.add(*ms, *lane, *amount));
        series
    }

    #[test]
    fn windows_grow_when_there_are_too_many() {
        let series = of(&[(0, 0, 1), (10, 0, 1), (20, 1, 5), (30, 0, 1), (1000, 0, 7)]);
        assert_eq!((series.width(), series.wider()), (20, 2));
        assert_eq!(series.windows().collect::<Vec<_>>(), [(0, [2, 0]), (1, [1, 5]), (50, [7, 0])]);
        assert_eq!((series.at(50), series.at(49), series.begins(50)), ([7, 0], [0, 0], 1000));
        assert_eq!(of(&[(u32::MAX, 0, 1)]).begins(u64::MAX), u64::MAX);
    }

    proptest! {
        #[test]
        fn any_order_and_any_parts_give_the_same(
            events in prop::collection::vec((0u32..2000, 0usize..3, -3i32..4), 0..60),
            split in prop::collection::vec(0usize..3, 60),
        ) {
            let mut parts = [Small::default(), Small::default(), Small::default()];
            for ((ms, lane, amount), part) in events.iter().rev().zip(&split) {
                parts[*part].add(*ms, *lane, *amount);
            }
            let [mut left, middle, right] = parts;
            let mut other = middle.clone();
            other.absorb(right.clone());
            let mut whole = left.clone();
            whole.absorb(other);
            left.absorb(middle);
            left.absorb(right);
            prop_assert_eq!(&whole, &left);
            prop_assert_eq!(&whole, &of(&events));
            prop_assert!(whole.windows.len() <= 4);
        }
    }
}
