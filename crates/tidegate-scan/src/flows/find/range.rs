//! The ports that a client was seen to use, and the range that it seems to choose from.

/// Ports that a list keeps before a bitmap is cheaper.
const FEW: usize = 256;
/// Words of a bitmap of all ports: 8 KiB.
const WORDS: usize = 1024;

/// Ranges that systems choose source ports from, the smallest first: who has it, first and last port.
///
/// RFC 6335 §6 (Windows since Vista, macOS); Linux `net.ipv4.ip_local_port_range`; FreeBSD `net.inet.ip.portrange`; and whoever
/// takes all that need no privilege, as BIG-IP does.
const RANGES: [(&str, u16, u16); 4] =
    [("IANA", 49152, 65535), ("Linux", 32768, 60999), ("FreeBSD", 10000, 65535), ("unprivileged", 1024, 65535)];
/// A client that was seen to come back to its ports has no other ones, from so many ports on that each was used twice.
const AGAIN: u64 = 16;

/// A set of ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ports {
    /// In their order.
    Few(Vec<u16>),
    /// A bit for each.
    Many(Box<[u64; WORDS]>),
}

impl Default for Ports {
    fn default() -> Ports {
        Ports::Few(Vec::new())
    }
}

impl Ports {
    /// One more.
    pub fn add(&mut self, port: u16) {
        match self {
            Ports::Few(list) => {
                let Err(place) = list.binary_search(&port) else { return };
                list.insert(place, port);
                if list.len() > FEW {
                    let mut bits = Box::new([0; WORDS]);
                    list.iter().for_each(|port| set(&mut bits, *port));
                    *self = Ports::Many(bits);
                }
            }
            Ports::Many(bits) => set(bits, port),
        }
    }

    /// All of another set.
    pub fn absorb(&mut self, other: Self) {
        match (&mut *self, other) {
            (Ports::Many(mine), Ports::Many(bits)) => {
                mine.iter_mut().zip(bits.iter()).for_each(|(mine, word)| *mine |= word);
            }
            (_, Ports::Few(list)) => list.into_iter().for_each(|port| self.add(port)),
            (Ports::Few(_), many) => {
                let few = std::mem::replace(self, many);
                self.absorb(few);
            }
        }
    }

    /// How many.
    pub fn count(&self) -> u32 {
        match self {
            Ports::Few(list) => u32::try_from(list.len()).unwrap_or(u32::MAX),
            Ports::Many(bits) => bits.iter().fold(0, |all, word| all.saturating_add(word.count_ones())),
        }
    }

    /// The lowest and the highest one.
    pub fn ends(&self) -> Option<(u16, u16)> {
        match self {
            Ports::Few(list) => Some((*list.first()?, *list.last()?)),
            Ports::Many(bits) => {
                let low = bits.iter().position(|word| *word != 0)?;
                let high = bits.iter().rposition(|word| *word != 0)?;
                let low = (low as u32).saturating_mul(64).saturating_add(bits.get(low)?.trailing_zeros());
                let high =
                    (high as u32).saturating_mul(64).saturating_add(63).saturating_sub(bits.get(high)?.leading_zeros());
                Some((u16::try_from(low).ok()?, u16::try_from(high).ok()?))
            }
        }
    }
}

fn set(bits: &mut [u64; WORDS], port: u16) {
    if let Some(word) = bits.get_mut(usize::from(port >> 6)) {
        *word |= 1 << (port & 63);
    }
}

/// A range of ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    /// Whose it is, or `seen`: of these and no other ports.
    pub name: &'static str,
    /// The first port.
    pub low: u16,
    /// The last one.
    pub high: u16,
}

impl Range {
    /// The range behind the ports that were seen on so many connections: those ports alone if each was used twice and there are
    /// 16 or more, else the smallest known range that has them all. `None`: no port was seen.
    pub fn behind(ports: &Ports, opened: u64) -> Option<Range> {
        let ((low, high), count) = (ports.ends()?, u64::from(ports.count()));
        let known = RANGES.iter().find(|(_, first, last)| *first <= low && high <= *last);
        let (name, first, last) = known.copied().unwrap_or(("all", 1, u16::MAX));
        if count >= AGAIN && opened >= count.saturating_mul(2) {
            return Some(Range { name: "seen", low, high });
        }
        Some(Range { name, low: first.min(low), high: last })
    }

    /// How many ports it has.
    pub fn size(&self) -> u32 {
        u32::from(self.high.saturating_sub(self.low)).saturating_add(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn of(ports: impl IntoIterator<Item = u16>) -> Ports {
        ports.into_iter().fold(Ports::default(), |mut all, port| {
            all.add(port);
            all
        })
    }

    #[test]
    fn ranges() {
        let name = |ports, opened| Range::behind(&ports, opened).map(|range| (range.name, range.size()));
        assert_eq!(name(of([]), 0), None);
        assert_eq!(name(of([49152, 65535]), 2), Some(("IANA", 16_384)));
        assert_eq!(name(of([32768, 60999]), 2), Some(("Linux", 28_232)));
        assert_eq!(name(of([10_000, 65535]), 2), Some(("FreeBSD", 55_536)));
        assert_eq!(name(of([1024, 65535]), 2), Some(("unprivileged", 64_512)));
        assert_eq!(name(of([0, 700]), 2), Some(("all", 65_536)));
        assert_eq!(name(of(40_000..40_020), 40), Some(("seen", 20)));
        assert_eq!(name(of(40_000..40_020), 39), Some(("Linux", 28_232)));
        assert_eq!(name(of([40_000]), 1000), Some(("Linux", 28_232)), "one port, again and again");
    }

    proptest! {
        #[test]
        fn a_set_is_a_set(left in prop::collection::vec(any::<u16>(), 0..400), right in prop::collection::vec(any::<u16>(), 0..400)) {
            let set: BTreeSet<u16> = left.iter().chain(&right).copied().collect();
            let mut ports = of(left.clone());
            ports.absorb(of(right.clone()));
            let mut other = of(right.clone());
            other.absorb(of(left.clone()));
            prop_assert_eq!(&ports, &other);
            prop_assert_eq!(&ports, &of(left.into_iter().chain(right)));
            prop_assert_eq!(ports.count() as usize, set.len());
            prop_assert_eq!(ports.ends(), set.first().copied().zip(set.last().copied()));
        }
    }
}
