//! VXLAN and Geneve: a packet inside UDP, with the number of the virtual network that it belongs to.

use super::bytes::{be16, be32, from};
use super::link::{IPV4, IPV6, Inside, ethernet};
use super::skip::Skip;

/// The registered port of VXLAN, and the one that Linux used before.
const VXLAN: [u16; 2] = [4789, 8472];
/// The registered port of Geneve, which ESXi's overlays use.
const GENEVE: u16 = 6081;
/// Ethernet inside Geneve.
const ETHERNET: u16 = 0x6558;
/// Bytes of the header of UDP; VXLAN's, and Geneve's without options, are as long.
const HEADER: usize = 8;

/// The network, and where IP begins; `before` counts from the header of UDP.
pub(super) fn open(datagram: &[u8]) -> Result<(u32, Inside<'_>), Skip> {
    let port = be16(datagram, 2).ok_or(Skip::NotTcp)?;
    let message = from(datagram, HEADER);
    if VXLAN.contains(&port) {
        vxlan(message)
    } else if port == GENEVE {
        geneve(message)
    } else {
        Err(Skip::NotTcp)
    }
}

/// The number of the network is in bytes 4 to 6 of both headers.
fn network(message: &[u8]) -> Result<u32, Skip> {
    be32(message, 4).map(|word| word >> 8).ok_or(Skip::LinkCut)
}

fn vxlan(message: &[u8]) -> Result<(u32, Inside<'_>), Skip> {
    // Without this bit there is no network, and it is something else.
    if message.first().is_none_or(|flags| flags & 8 == 0) {
        return Err(Skip::NotTcp);
    }
    Ok((network(message)?, behind(HEADER, ethernet(from(message, HEADER))?)))
}

fn geneve(message: &[u8]) -> Result<(u32, Inside<'_>), Skip> {
    let [first, flags, ..] = *message else { return Err(Skip::LinkCut) };
    // Version 0 is the only one; the highest bit of the flags marks a message of the tunnel's own.
    if first >> 6 != 0 || flags & 0x80 != 0 {
        return Err(Skip::NotTcp);
    }
    let header = usize::from(first & 0x3f).saturating_mul(4).saturating_add(HEADER);
    let (kind, bytes) = (be16(message, 2).ok_or(Skip::LinkCut)?, from(message, header));
    let inside = match kind {
        ETHERNET => ethernet(bytes)?,
        IPV4 | IPV6 => Inside { vlans: 0, bytes, before: 0 },
        _ => return Err(Skip::NotTcp),
    };
    Ok((network(message)?, behind(header, inside)))
}

/// The same, counted from the header of UDP, which is followed by a header so long.
fn behind(header: usize, inside: Inside<'_>) -> Inside<'_> {
    Inside { before: inside.before.saturating_add(header).saturating_add(HEADER), ..inside }
}
