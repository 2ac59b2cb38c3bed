//! What the IP header of a RST says of its sender, beside the headers of those who talk.

/// What the IP header of a packet says: hops left, and its number (IPv4; 0: none).
pub(super) type Ip = (u8, u16);

/// What speaks against the peer as the sender of a RST.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Evidence {
    /// It came over another number of hops, by one at least: packets of one connection take one path.
    pub hops: bool,
    /// Its number is that of the packet that it answers, and not of its sender's own: it was made of that packet.
    pub copied: bool,
    /// Its sender went on as if it had never sent it.
    pub went_on: bool,
}

impl Evidence {
    /// Compares a RST with a packet of the same side, and with the last one of the other side.
    pub fn of(reset: Ip, same: Option<Ip>, other: Option<Ip>) -> Evidence {
        let (hops, own) = match same {
            Some((ttl, id)) => (ttl != reset.0, id == reset.1),
            None => (false, false),
        };
        let copied = reset.1 != 0 && !own && other.is_some_and(|(_, id)| id == reset.1);
        Evidence { hops, copied, went_on: false }
    }

    /// Both.
    pub fn and(self, more: Evidence) -> Evidence {
        let (hops, copied) = (self.hops || more.hops, self.copied || more.copied);
        Evidence { hops, copied, went_on: self.went_on || more.went_on }
    }

    /// Whether it is enough to say so. A number may be the same by chance: once in 65,536 resets.
    pub fn enough(self) -> bool {
        self.hops || self.went_on
    }

    /// Whether two signs agree.
    pub fn sure(self) -> bool {
        [self.hops, self.copied, self.went_on].into_iter().filter(|sign| *sign).count() > 1
    }
}

/// Hops that a packet took, if its sender began with the next of the usual numbers.
pub(super) fn hops(ttl: u8) -> u8 {
    let began = [32, 64, 128].into_iter().find(|usual| ttl <= *usual).unwrap_or(255);
    u8::saturating_sub(began, ttl)
}

/// The words for a code of ICMP, and of ICMPv6. `None`: it does not end a connection (a packet was too big).
pub(super) fn unreachable(code: u8, v6: bool) -> Option<&'static str> {
    Some(match (v6, code) {
        (false, 4) => return None,
        (false, 0 | 6 | 11) => "network unreachable",
        (false, 1 | 7 | 12) => "host unreachable",
        (false, 2) => "protocol unreachable",
        (false, 3) | (true, 4) => "port unreachable",
        (false, 9 | 10 | 13) | (true, 1) => "administratively prohibited",
        (true, 0) => "no route",
        (true, 3) => "address unreachable",
        (true, 5 | 6) => "rejected by a policy",
        _ => "unreachable",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reset_of_the_peer_is_like_its_packets() {
        for same in [None, Some((64, 7)), Some((64, 9)), Some((64, 0))] {
            assert_eq!(Evidence::of((64, 7), same, Some((60, 1))), Evidence::default());
        }
        // Counters that stand still, or count alike.
        assert!(!Evidence::of((64, 1), Some((64, 1)), Some((64, 1))).copied);
        assert!(!Evidence::of((64, 0), Some((64, 5)), Some((64, 0))).copied);
    }

    #[test]
    fn two_signs_are_sure() {
        let hops = Evidence::of((64, 0), Some((63, 7)), Some((62, 5461)));
        assert!(hops.enough() && !hops.sure());
        let copied = Evidence::of((49, 5461), None, Some((62, 5461)));
        assert!(!copied.enough() && hops.and(copied).sure());
        assert!(copied.and(Evidence { went_on: true, ..Evidence::default() }).sure());
        assert_eq!([64, 46, 128, 240, 1].map(super::hops), [0, 18, 0, 15, 31]);
    }
}
