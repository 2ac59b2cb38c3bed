//! What a BIG-IP writes behind a packet that it captures (`tcpdump -i 0.0:nnn`): here, why it sent a reset.
//!
//! The details come in parts, which may stand behind padding. Older parts have a type, a length and a version, a byte each; newer
//! ones stand in an envelope with a magic number. The cause is in the part of medium detail. F5 publishes the layout in
//! Wireshark, whose dissector of these trailers is its own.

use super::bytes::{be16, be32, from};

/// Begins an envelope: then two bytes each of its length and its version.
const MAGIC: u32 = 0xf5de_b0f5;
/// The part of medium detail.
const MEDIUM: u8 = 2;
/// Bytes of a cause before its words: a version and a flag, and where in the program it was.
const WHERE: usize = 9;

/// Why a reset was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cause<'a> {
    /// In the words of the BIG-IP: "No flow found for ACK", "TCP retransmit timeout". Printable ASCII.
    pub words: &'a str,
    /// The connection on the other side of the BIG-IP was reset first.
    pub peer: bool,
}

/// The cause of a reset in what stands behind its packet ([`Packet::trailer`](super::Packet::trailer)), if it is told there.
pub fn cause(trailer: &[u8]) -> Option<Cause<'_>> {
    (0..trailer.len()).find_map(|at| {
        let bytes = from(trailer, at);
        envelope(bytes).or_else(|| older(bytes))
    })
}

/// A part that stands alone. Each version has its own place for the length of the cause, which is 0 without one.
fn older(bytes: &[u8]) -> Option<Cause<'_>> {
    let [MEDIUM, rest, version, ..] = *bytes else { return None };
    let before: usize = match version {
        1 => 29,
        2 => 30,
        3 => 34,
        _ => return None,
    };
    let all = usize::from(rest).saturating_add(2);
    read(bytes.get(..all)?, before).filter(|(_, end)| *end == all).map(|(cause, _)| cause)
}

/// An envelope: parts of a provider, a type, a length and a version, two bytes each.
fn envelope(bytes: &[u8]) -> Option<Cause<'_>> {
    if be32(bytes, 0)? != MAGIC || be16(bytes, 6)? != 1 {
        return None;
    }
    let mut parts = bytes.get(8..usize::from(be16(bytes, 4)?))?;
    loop {
        let length = usize::from(be16(parts, 4)?);
        let part = parts.get(..length)?;
        if (be16(part, 0)?, be16(part, 2)?, be16(part, 6)?) == (1, u16::from(MEDIUM), 4) {
            return read(part, 39).map(|(cause, _)| cause);
        }
        parts = from(parts, length);
    }
}

/// The cause whose length is at this place, and where it ends.
fn read(part: &[u8], at: usize) -> Option<(Cause<'_>, usize)> {
    let length = usize::from(*part.get(at)?);
    let cause = from(part, at.saturating_add(1)).get(..length)?;
    let version = *cause.first()?;
    let words = std::str::from_utf8(cause.get(WHERE..)?).ok()?.trim_end_matches('\0');
    let printable = !words.is_empty() && words.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    let end = at.saturating_add(1).saturating_add(length);
    (version >> 1 == 0 && printable).then_some((Cause { words, peer: version & 1 != 0 }, end))
}

#[cfg(test)]
mod tests {
    use super::{Cause, cause};

    const WORDS: &str = "No flow found for ACK";

    /// A cause with its length: 30 bytes and one.
    fn told(peer: u8) -> Vec<u8> {
        [&[30, peer, 0, 0, 0, 1, 0xfb, 0x0e, 4, 0x4f], WORDS.as_bytes()].concat()
    }

    fn older(version: u8, before: usize) -> Vec<u8> {
        let mut part = vec![2, u8::try_from(before + 31 - 2).unwrap(), version];
        part.resize(before, 0);
        [part, told(1)].concat()
    }

    fn newer() -> Vec<u8> {
        let low = [0, 1, 0, 1, 0, 12, 0, 2, 1, 0, 0, 0];
        let medium = [&[0, 1, 0, 2, 0, 70, 0, 4], [0; 31].as_slice(), &told(0)].concat();
        [&[0xf5, 0xde, 0xb0, 0xf5, 0, 90, 0, 1], low.as_slice(), &medium].concat()
    }

    #[test]
    fn the_cause_is_found_in_every_version() {
        for (version, before) in [(1, 29), (2, 30), (3, 34)] {
            let low = [1, 5, 1, 0, 0, 0, 0];
            let trailer = [&[0; 6], low.as_slice(), &older(version, before), &[3, 40, 0]].concat();
            assert_eq!(cause(&trailer), Some(Cause { words: WORDS, peer: true }), "{version}");
        }
        assert_eq!(cause(&[&[0; 6], newer().as_slice()].concat()), Some(Cause { words: WORDS, peer: false }));
    }

    #[test]
    fn what_is_cut_or_empty_has_no_cause() {
        for whole in [older(1, 29), older(3, 34), newer()] {
            assert!((0..whole.len()).all(|end| cause(&whole[..end]).is_none()));
        }
        assert_eq!(cause(&[2, 28, 1].into_iter().chain([0; 27]).collect::<Vec<_>>()), None);
        assert_eq!(cause(&[0; 18]), None);
    }
}
