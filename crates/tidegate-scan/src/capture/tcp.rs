//! TCP headers, and those that ICMP quotes.

use super::bytes::{be16, be32, from};
use super::ip::{Ip, Part, ip, protocol};
use super::packet::{Tcp, Unreachable, flag};
use super::skip::Skip;

/// Bytes of a header without options.
pub(super) const HEADER: u32 = 20;
/// RFC 7323: a larger shift counts as this.
const SHIFT: u8 = 14;

/// A segment: `bytes` of it were kept, and `length` were there.
#[inline]
pub(super) fn tcp(bytes: &[u8], length: u32) -> Result<Tcp<'_>, Skip> {
    if length < HEADER {
        return Err(Skip::TcpBroken);
    }
    let head: &[u8; 20] = bytes.first_chunk().ok_or(Skip::TcpCut)?;
    let before = u32::from(head[12] >> 4).saturating_mul(4);
    if before < HEADER || before > length {
        return Err(Skip::TcpBroken);
    }
    let flags = head[13];
    let options = bytes.get(HEADER as usize..bytes.len().min(before as usize)).unwrap_or_default();
    Ok(Tcp {
        source: u16::from_be_bytes([head[0], head[1]]),
        target: u16::from_be_bytes([head[2], head[3]]),
        seq: u32::from_be_bytes([head[4], head[5], head[6], head[7]]),
        ack: u32::from_be_bytes([head[8], head[9], head[10], head[11]]),
        flags,
        window: u16::from_be_bytes([head[14], head[15]]),
        wscale: if flags & flag::SYN == 0 { None } else { wscale(options) },
        length: length.saturating_sub(before),
        data: from(bytes, before as usize),
    })
}

/// The window's shift among the options, each of which is a kind, its length and the rest.
fn wscale(mut options: &[u8]) -> Option<u8> {
    loop {
        options = match *options {
            [1, ref rest @ ..] => rest,
            [3, 3, shift, ..] => return Some(shift.min(SHIFT)),
            [0, ..] | [] | [_] | [_, 0 | 1, ..] => return None,
            [_, length, ..] => from(options, usize::from(length)),
        };
    }
}

/// What an ICMP message (IPv4, or IPv6 with `six`) says of a segment: nothing, unless that could not be delivered.
pub(super) fn unreachable(message: &[u8], length: u32, six: bool) -> Result<Unreachable, Skip> {
    let [kind, code, ..] = *message else { return Err(Skip::IpCut) };
    if kind != if six { 1 } else { 3 } {
        return Err(Skip::NotTcp);
    }
    let Ip { ends, protocol, part, inside, .. } = ip(from(message, 8), length.saturating_sub(8))?;
    if protocol != protocol::TCP {
        return Err(Skip::NotTcp);
    }
    if part.is_some_and(|Part { offset, .. }| offset > 0) {
        return Err(Skip::Fragment);
    }
    let port = |at| be16(inside, at).ok_or(Skip::TcpCut);
    let (source_port, target_port) = (port(0)?, port(2)?);
    let seq = be32(inside, 4).ok_or(Skip::TcpCut)?;
    Ok(Unreachable { code, source: ends.source(), target: ends.target(), source_port, target_port, seq })
}

#[cfg(test)]
mod tests {
    use super::wscale;

    #[test]
    fn the_shift_is_found_among_options() {
        assert_eq!(wscale(&[2, 4, 5, 0xb4, 1, 3, 3, 7]), Some(7));
        assert_eq!(wscale(&[3, 3, 99]), Some(14));
        assert_eq!(wscale(&[1, 1, 8, 10, 0, 0, 0, 0, 0, 0, 0, 0, 3, 3, 0]), Some(0));
    }

    #[test]
    fn options_that_contradict_themselves_end_there() {
        for odd in [&[][..], &[0, 3, 3, 7], &[8], &[8, 0, 3, 3, 7], &[8, 1], &[3, 3], &[8, 200, 3, 3, 7], &[3, 4, 1]] {
            assert_eq!(wscale(odd), None, "{odd:?}");
        }
    }
}
