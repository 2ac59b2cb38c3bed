//! IP headers: who, for whom, what is inside, and how much of it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::bytes::{be16, be32, from, up_to};
use super::skip::Skip;

/// Protocols, as both versions number them.
pub(super) mod protocol {
    pub(crate) const ICMP: u8 = 1;
    pub(crate) const TCP: u8 = 6;
    pub(crate) const UDP: u8 = 17;
    pub(crate) const ICMP6: u8 = 58;
}

/// Extension headers in a packet, at most: each kind occurs once or twice.
const EXTENSIONS: usize = 10;

/// Where a fragment belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// The number that all fragments of the packet share.
    pub(super) id: u32,
    /// Bytes of the packet before it.
    pub(super) offset: u32,
    /// Others follow.
    pub(super) more: bool,
}

/// Sender and receiver, as they stand in the header: an [`IpAddr`] is an odd number of bytes, and slow to hand around.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ends<'b> {
    Four(&'b [u8; 8]),
    Six(&'b [u8; 32]),
}

impl Ends<'_> {
    /// Writes down who sent it and for whom.
    #[inline]
    pub(super) fn tell(self, source: &mut IpAddr, target: &mut IpAddr) {
        match self {
            Self::Four(&[a, b, c, d, e, f, g, h]) => {
                *source = IpAddr::V4(Ipv4Addr::new(a, b, c, d));
                *target = IpAddr::V4(Ipv4Addr::new(e, f, g, h));
            }
            Self::Six(_) => (*source, *target) = (self.source(), self.target()),
        }
    }

    /// Who sent it.
    pub(super) fn source(self) -> IpAddr {
        match self {
            Self::Four(&[a, b, c, d, ..]) => IpAddr::V4(Ipv4Addr::new(a, b, c, d)),
            Self::Six(all) => six(all.first_chunk()),
        }
    }

    /// For whom.
    pub(super) fn target(self) -> IpAddr {
        match self {
            Self::Four(&[.., a, b, c, d]) => IpAddr::V4(Ipv4Addr::new(a, b, c, d)),
            Self::Six(all) => six(all.last_chunk()),
        }
    }
}

fn six(bytes: Option<&[u8; 16]>) -> IpAddr {
    // Half of 32 bytes are always there.
    IpAddr::V6(bytes.map_or(Ipv6Addr::UNSPECIFIED, |bytes| Ipv6Addr::from(*bytes)))
}

/// A packet of IP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ip<'b> {
    pub(super) ends: Ends<'b>,
    pub(super) ttl: u8,
    /// 0 with IPv6.
    pub(super) id: u16,
    pub(super) protocol: u8,
    /// It is a fragment.
    pub(super) part: Option<Part>,
    /// What is inside, as much as was kept.
    pub(super) inside: &'b [u8],
    /// Bytes that are inside, kept or not.
    pub(super) length: u32,
    /// What follows the packet.
    pub(super) after: &'b [u8],
}

/// Reads the header that `bytes` begin with; so many bytes were on the wire from there on.
#[inline]
pub(super) fn ip(bytes: &[u8], wire: u32) -> Result<Ip<'_>, Skip> {
    match bytes.first().map(|first| first >> 4) {
        Some(4) => v4(bytes, wire),
        Some(6) => v6(bytes, wire),
        Some(_) => Err(Skip::IpBroken),
        None => Err(Skip::IpCut),
    }
}

#[inline]
fn v4(bytes: &[u8], wire: u32) -> Result<Ip<'_>, Skip> {
    let head: &[u8; 20] = bytes.first_chunk().ok_or(Skip::IpCut)?;
    let ends = Ends::Four(head.last_chunk().ok_or(Skip::IpCut)?);
    let before = u32::from(head[0] & 15).saturating_mul(4);
    let told = u32::from(u16::from_be_bytes([head[2], head[3]]));
    // A card that cuts segments itself is given packets longer than this field can say: they say 0.
    let all = if told == 0 { wire } else { told };
    if before < 20 || all < before {
        return Err(Skip::IpBroken);
    }
    if bytes.len() < before as usize {
        return Err(Skip::IpCut);
    }
    let id = u16::from_be_bytes([head[4], head[5]]);
    let fragment = u16::from_be_bytes([head[6], head[7]]);
    let (offset, more) = (u32::from(fragment & 0x1fff) << 3, fragment & 0x2000 != 0);
    Ok(Ip {
        ends,
        ttl: head[8],
        id,
        protocol: head[9],
        part: (offset > 0 || more).then_some(Part { id: u32::from(id), offset, more }),
        inside: from(up_to(bytes, all as usize), before as usize),
        length: all.saturating_sub(before),
        after: from(bytes, all as usize),
    })
}

fn v6(bytes: &[u8], wire: u32) -> Result<Ip<'_>, Skip> {
    let head: &[u8; 40] = bytes.first_chunk().ok_or(Skip::IpCut)?;
    let [_, _, _, _, high, low, protocol, ttl, ..] = *head;
    let told = u32::from(u16::from_be_bytes([high, low]));
    // 0: a jumbogram, or as with IPv4.
    let all = if told == 0 { wire } else { told.saturating_add(40) };
    let ends = Ends::Six(head.last_chunk().ok_or(Skip::IpCut)?);
    let length = all.checked_sub(40).ok_or(Skip::IpBroken)?;
    let inside = from(up_to(bytes, all as usize), 40);
    let packet = Ip { ends, ttl, id: 0, protocol, part: None, inside, length, after: from(bytes, all as usize) };
    if protocol == protocol::TCP { Ok(packet) } else { extensions(packet) }
}

/// Passes over the extension headers.
fn extensions(mut packet: Ip<'_>) -> Result<Ip<'_>, Skip> {
    for _ in 0..EXTENSIONS {
        // A later fragment begins with data, whatever its header says that the first one begins with.
        if packet.part.is_some_and(|part| part.offset > 0) {
            return Ok(packet);
        }
        let unit = match packet.protocol {
            // Hop by hop, routing, destination, mobility, HIP, shim6.
            0 | 43 | 60 | 135 | 139 | 140 => 8,
            // Authentication.
            51 => 4,
            44 => {
                packet.part = part(packet.inside)?;
                0
            }
            _ => return Ok(packet),
        };
        let [next, size] = *packet.inside.first_chunk::<2>().ok_or(Skip::IpCut)?;
        let bytes = u32::from(size).saturating_mul(unit).saturating_add(8);
        packet.protocol = next;
        packet.length = packet.length.checked_sub(bytes).ok_or(Skip::IpBroken)?;
        packet.inside = from(packet.inside, bytes as usize);
    }
    Err(Skip::TooDeep)
}

/// The fragment header; one that says that there is but one fragment means nothing.
fn part(bytes: &[u8]) -> Result<Option<Part>, Skip> {
    let (place, id) = (be16(bytes, 2).ok_or(Skip::IpCut)?, be32(bytes, 4).ok_or(Skip::IpCut)?);
    let (offset, more) = (u32::from(place & !7), place & 1 != 0);
    Ok((offset > 0 || more).then_some(Part { id, offset, more }))
}
