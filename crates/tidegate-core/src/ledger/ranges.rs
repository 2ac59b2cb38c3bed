//! Ranges of ports, and the order in which a bucket walks over them.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::RangeInclusive;

/// Ports from `first` to `last`, both of them included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PortRange {
    /// The lowest, 1..=65 535.
    pub first: u16,
    /// The highest, not below `first`.
    pub last: u16,
}

impl PortRange {
    /// How many ports there are in it; none when it is upside down.
    pub fn count(self) -> u32 {
        (u32::from(self.last) + 1).saturating_sub(u32::from(self.first))
    }

    /// Whether a port belongs to both.
    pub fn meets(self, other: PortRange) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

impl From<RangeInclusive<u16>> for PortRange {
    fn from(range: RangeInclusive<u16>) -> PortRange {
        PortRange { first: *range.start(), last: *range.end() }
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.first, self.last)
    }
}

/// Ports in ascending ranges, walked over from any of them on. Index `i` is the `i`-th port of the walk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ports {
    ranges: Vec<PortRange>,
    count: u32,
    offset: u32,
}

impl Ports {
    /// The ports of `ranges`, which must not meet, from the `offset`-th on.
    pub fn new(mut ranges: Vec<PortRange>, offset: u64) -> Ports {
        ranges.sort_unstable();
        let count: u32 = ranges.iter().map(|range| range.count()).sum();
        Ports { ranges, count, offset: offset.checked_rem(u64::from(count)).unwrap_or(0) as u32 }
    }

    /// How many there are.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// The port at an index below [`count`](Ports::count); 0 beyond.
    pub fn port(&self, index: u16) -> u16 {
        let mut place = (u32::from(index) + self.offset) % self.count.max(1);
        for range in &self.ranges {
            if place < range.count() {
                return range.first + place as u16;
            }
            place -= range.count();
        }
        0
    }

    /// Where a port is in the walk.
    pub fn index(&self, port: u16) -> Option<u16> {
        let mut before = 0;
        for range in &self.ranges {
            if (range.first..=range.last).contains(&port) {
                let place = before + u32::from(port - range.first);
                return Some(((place + self.count - self.offset) % self.count) as u16);
            }
            before += range.count();
        }
        None
    }

    /// The ranges, ascending.
    pub fn ranges(&self) -> &[PortRange] {
        &self.ranges
    }
}

/// Cuts `ranges` in two: all but the highest `last` ports, and these.
pub(super) fn split(ranges: &[PortRange], last: u32) -> [Vec<PortRange>; 2] {
    let mut low = ranges.to_vec();
    low.sort_unstable();
    let (mut high, mut wanted) = (Vec::new(), last);
    while wanted > 0 {
        let Some(range) = low.pop() else { break };
        let taken = wanted.min(range.count());
        wanted -= taken;
        let border = (u32::from(range.last) + 1 - taken) as u16;
        high.push(PortRange { first: border, last: range.last });
        if border > range.first {
            low.push(PortRange { first: range.first, last: border - 1 });
        }
    }
    high.reverse();
    [low, high]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranges() -> Vec<PortRange> {
        vec![(10..=14).into(), (20..=20).into(), (65_530..=65_535).into()]
    }

    #[test]
    fn every_index_is_a_port_and_back() {
        for offset in [0, 1, 7, 11, 1_000_003] {
            let ports = Ports::new(ranges(), offset);
            let mut walked: Vec<u16> = (0..12).map(|index| ports.port(index)).collect();
            assert!(walked.iter().enumerate().all(|(index, port)| ports.index(*port) == Some(index as u16)));
            walked.sort_unstable();
            assert_eq!(walked, [10, 11, 12, 13, 14, 20, 65_530, 65_531, 65_532, 65_533, 65_534, 65_535]);
            assert_eq!([ports.index(9), ports.index(15), ports.index(21)], [None; 3]);
        }
    }

    #[test]
    fn the_highest_ports_are_cut_off() {
        assert_eq!(
            split(&ranges(), 2),
            [vec![(10..=14).into(), (20..=20).into(), (65_530..=65_533).into()], vec![(65_534..=65_535).into()]]
        );
        assert_eq!(
            split(&ranges(), 8),
            [vec![(10..=13).into()], vec![(14..=14).into(), (20..=20).into(), (65_530..=65_535).into()]]
        );
        assert_eq!(split(&[(1..=65_535).into()], 65_534), [vec![(1..=1).into()], vec![(2..=65_535).into()]]);
    }
}
