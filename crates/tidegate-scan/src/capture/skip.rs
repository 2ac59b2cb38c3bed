//! Why records do not become packets, and how many for each reason.

/// Why a record did not become a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Skip {
    /// The file ends in the middle of it.
    RecordCut,
    /// It says that it is longer than any packet can be: what follows it cannot be found.
    RecordTooLong,
    /// A block of pcapng that contradicts itself.
    BlockBroken,
    /// It belongs to an interface that the file does not describe.
    InterfaceUnknown,
    /// Its link type is not one that is read.
    LinkUnknown,
    /// It has no bytes.
    Empty,
    /// Its bytes end within the header of the link.
    LinkCut,
    /// It is not IP: ARP, LLDP, spanning tree.
    NotIp,
    /// Its bytes end within an IP header.
    IpCut,
    /// An IP header that contradicts itself.
    IpBroken,
    /// More headers or tunnels in one another than are followed.
    TooDeep,
    /// A part of a packet whose TCP header was not seen before it, or is not in one piece.
    Fragment,
    /// It is IP, but neither TCP nor word of its fate: UDP, ping.
    NotTcp,
    /// Its bytes end within the TCP header.
    TcpCut,
    /// A TCP header that contradicts itself.
    TcpBroken,
}

impl Skip {
    /// All of them, in the order of their numbers.
    pub const ALL: [Skip; 15] = [
        Skip::RecordCut,
        Skip::RecordTooLong,
        Skip::BlockBroken,
        Skip::InterfaceUnknown,
        Skip::LinkUnknown,
        Skip::Empty,
        Skip::LinkCut,
        Skip::NotIp,
        Skip::IpCut,
        Skip::IpBroken,
        Skip::TooDeep,
        Skip::Fragment,
        Skip::NotTcp,
        Skip::TcpCut,
        Skip::TcpBroken,
    ];

    /// The word for programs; it does not change.
    pub fn word(self) -> &'static str {
        match self {
            Skip::RecordCut => "record-cut",
            Skip::RecordTooLong => "record-too-long",
            Skip::BlockBroken => "block-broken",
            Skip::InterfaceUnknown => "interface-unknown",
            Skip::LinkUnknown => "link-unknown",
            Skip::Empty => "empty",
            Skip::LinkCut => "link-cut",
            Skip::NotIp => "not-ip",
            Skip::IpCut => "ip-cut",
            Skip::IpBroken => "ip-broken",
            Skip::TooDeep => "too-deep",
            Skip::Fragment => "fragment",
            Skip::NotTcp => "not-tcp",
            Skip::TcpCut => "tcp-cut",
            Skip::TcpBroken => "tcp-broken",
        }
    }

    /// Nothing is wrong with such a record: it is of no interest.
    pub fn is_fine(self) -> bool {
        matches!(self, Skip::NotIp | Skip::NotTcp)
    }
}

/// How many records were skipped, by their reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Skipped([u64; Skip::ALL.len()]);

impl Skipped {
    /// One more.
    pub fn count(&mut self, skip: Skip) {
        if let Some(count) = self.0.get_mut(skip as usize) {
            *count = count.saturating_add(1);
        }
    }

    /// How many for this reason.
    pub fn of(&self, skip: Skip) -> u64 {
        self.0.get(skip as usize).copied().unwrap_or(0)
    }

    /// How many in all.
    pub fn all(&self) -> u64 {
        self.0.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// The reasons that were met, and how often.
    pub fn each(&self) -> impl Iterator<Item = (Skip, u64)> + '_ {
        Skip::ALL.into_iter().zip(self.0).filter(|(_, count)| *count > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::{Skip, Skipped};

    #[test]
    fn every_reason_has_its_place_and_its_word() {
        let mut skipped = Skipped::default();
        for (number, skip) in Skip::ALL.into_iter().enumerate() {
            assert_eq!(skip as usize, number);
            (0..=number).for_each(|_| skipped.count(skip));
        }
        let words: std::collections::BTreeSet<_> = Skip::ALL.iter().map(|skip| skip.word()).collect();
        assert_eq!(words.len(), Skip::ALL.len());
        assert!(skipped.each().enumerate().all(|(number, (_, count))| count == number as u64 + 1));
        assert_eq!(skipped.all(), (1..=15_u64).sum::<u64>());
    }
}
