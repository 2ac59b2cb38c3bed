//! What stands before IP: Ethernet and its VLAN tags, Linux's cooked headers, loopback, nothing.

use super::bytes::{be16, be32, from};
use super::skip::Skip;

/// IPv4, as Ethernet names it.
pub(super) const IPV4: u16 = 0x0800;
/// IPv6, as Ethernet names it.
pub(super) const IPV6: u16 = 0x86dd;
/// Tags in one another, at most: two are common.
const TAGS: usize = 4;
/// Both VLAN ids that are kept.
const IDS: u32 = (1 << 24) - 1;

/// A link type that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Link {
    Ethernet,
    /// Linux, "any" interface, first version.
    Sll,
    /// Linux, "any" interface, second version.
    Sll2,
    /// A family in four bytes: BSD's loopback.
    Family,
    /// IP from the first byte on.
    Raw,
    /// What a packet socket tells beside the bytes: their type as Ethernet names it, and the VLAN tag that is not among
    /// them (0: none).
    Told {
        kind: u16,
        vlan: u16,
    },
}

/// Where IP begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Inside<'b> {
    /// See [`Net::vlans`](super::Net::vlans).
    pub(super) vlans: u32,
    /// From the first byte of the IP header to the end of what was kept.
    pub(super) bytes: &'b [u8],
    /// Bytes before it.
    pub(super) before: usize,
}

impl Link {
    /// The link type with this number (LINKTYPE_ of pcap).
    pub(super) fn of(number: u16) -> Option<Self> {
        match number {
            1 => Some(Self::Ethernet),
            113 => Some(Self::Sll),
            276 => Some(Self::Sll2),
            0 | 108 => Some(Self::Family),
            // 12 and 14 are what some systems wrote for 101; 228 and 229 are IPv4 and IPv6 alone.
            12 | 14 | 101 | 228 | 229 => Some(Self::Raw),
            _ => None,
        }
    }

    /// Finds IP.
    #[inline]
    pub(super) fn strip(self, bytes: &[u8]) -> Result<Inside<'_>, Skip> {
        if bytes.is_empty() {
            return Err(Skip::Empty);
        }
        match self {
            Self::Ethernet => ethernet(bytes),
            Self::Sll => tagged(be16(bytes, 14).ok_or(Skip::LinkCut)?, bytes, 16),
            Self::Sll2 => tagged(be16(bytes, 0).ok_or(Skip::LinkCut)?, bytes, 20),
            Self::Family => family(bytes),
            Self::Raw => Ok(Inside { vlans: 0, bytes, before: 0 }),
            Self::Told { kind, vlan } => {
                // Linux tells what is behind all tags, even if one stands among the bytes: of two, the inner one.
                let version = bytes.first().map(|first| first >> 4);
                let within = matches!(kind, IPV4 | IPV6) && !matches!(version, Some(4 | 6));
                let inside = tagged(if within { 0x8100 } else { kind }, bytes, 0)?;
                let outer = u32::from(vlan & 0xfff) << if inside.vlans == 0 { 0 } else { 12 };
                Ok(Inside { vlans: (outer | inside.vlans) & IDS, ..inside })
            }
        }
    }
}

/// What is inside an Ethernet frame.
#[inline]
pub(super) fn ethernet(bytes: &[u8]) -> Result<Inside<'_>, Skip> {
    tagged(be16(bytes, 12).ok_or(Skip::LinkCut)?, bytes, 14)
}

/// What is behind `before` bytes and any VLAN tags, the first of which is of this type.
#[inline]
fn tagged(mut kind: u16, bytes: &[u8], mut before: usize) -> Result<Inside<'_>, Skip> {
    let mut vlans = 0;
    for _ in 0..=TAGS {
        match kind {
            IPV4 | IPV6 => {
                let inside = from(bytes, before);
                let there = !inside.is_empty();
                return there.then_some(Inside { vlans, bytes: inside, before }).ok_or(Skip::LinkCut);
            }
            0x8100 | 0x88a8 | 0x9100 | 0x9200 => {
                let tag = be32(bytes, before).ok_or(Skip::LinkCut)?;
                vlans = (vlans << 12 | (tag >> 16) & 0xfff) & IDS;
                kind = (tag & 0xffff) as u16;
                before = before.saturating_add(4);
            }
            _ => return Err(Skip::NotIp),
        }
    }
    Err(Skip::TooDeep)
}

/// The family is in the order of the machine that captured it, or in that of networks.
fn family(bytes: &[u8]) -> Result<Inside<'_>, Skip> {
    let family = be32(bytes, 0).ok_or(Skip::LinkCut)?;
    match family.min(family.swap_bytes()) {
        // IPv4 everywhere; IPv6 on Linux, NetBSD, FreeBSD and macOS.
        2 | 10 | 24 | 28 | 30 if bytes.len() > 4 => Ok(Inside { vlans: 0, bytes: from(bytes, 4), before: 4 }),
        2 | 10 | 24 | 28 | 30 => Err(Skip::LinkCut),
        _ => Err(Skip::NotIp),
    }
}

#[cfg(test)]
mod tests {
    use super::{Inside, Link, be16};
    use crate::capture::Skip;

    fn frame(header: &[u8]) -> Vec<u8> {
        [header, b"E..."].concat()
    }

    fn ethernet(tags: &[u8]) -> Vec<u8> {
        frame(&[&[2; 12], tags].concat())
    }

    #[test]
    fn ip_is_found_behind_every_header() {
        let four = |vlans, before| Ok(Inside { vlans, bytes: b"E...".as_slice(), before });
        assert_eq!(Link::Ethernet.strip(&ethernet(&[8, 0])), four(0, 14));
        assert_eq!(Link::Ethernet.strip(&ethernet(&[0x86, 0xdd])), four(0, 14));
        assert_eq!(Link::Ethernet.strip(&ethernet(&[0x81, 0, 0xe0, 7, 8, 0])), four(7, 18));
        assert_eq!(Link::Ethernet.strip(&ethernet(&[0x88, 0xa8, 0, 1, 0x81, 0, 0, 2, 8, 0])), four(0x1002, 22));
        assert_eq!(Link::Sll.strip(&frame(&[&[0; 14][..], &[8, 0]].concat())), four(0, 16));
        assert_eq!(Link::Sll2.strip(&frame(&[&[8, 0][..], &[0; 18]].concat())), four(0, 20));
        assert_eq!(Link::Family.strip(&frame(&[0, 0, 0, 2])), four(0, 4));
        assert_eq!(Link::Family.strip(&frame(&[30, 0, 0, 0])), four(0, 4));
        assert_eq!(Link::Raw.strip(b"E..."), four(0, 0));
        let told = |vlan, bytes| Link::Told { kind: be16(bytes, 0).unwrap(), vlan }.strip(&bytes[2..]);
        assert_eq!(told(0, b"\x08\x00E..."), four(0, 0));
        assert_eq!(told(0xe007, b"\x86\xddE..."), four(7, 0));
        assert_eq!(told(1, b"\x81\x00\x00\x02\x08\x00E..."), four(0x1002, 4));
        assert_eq!(told(1, b"\x08\x00\x00\x02\x08\x00E..."), four(0x1002, 4));
        assert_eq!(told(1, b"\x08\x06E..."), Err(Skip::NotIp));
    }

    #[test]
    fn what_is_not_there_has_a_reason() {
        assert_eq!(Link::Raw.strip(b""), Err(Skip::Empty));
        assert_eq!(Link::Ethernet.strip(&[0; 13]), Err(Skip::LinkCut));
        assert_eq!(Link::Ethernet.strip(&ethernet(&[8, 0])[..14]), Err(Skip::LinkCut));
        assert_eq!(Link::Ethernet.strip(&ethernet(&[8, 6])), Err(Skip::NotIp));
        assert_eq!(Link::Ethernet.strip(&ethernet(&[0x81, 0, 0])[..15]), Err(Skip::LinkCut));
        assert_eq!(Link::Ethernet.strip(&ethernet(&[0x81, 0, 0, 1].repeat(9))), Err(Skip::TooDeep));
        assert_eq!(Link::Family.strip(&frame(&[0, 0, 0, 7])), Err(Skip::NotIp));
    }

    #[test]
    fn link_types_that_nobody_reads_are_none() {
        assert_eq!((0..=u16::MAX).filter(|number| Link::of(*number).is_some()).count(), 10);
    }
}
