//! What a stream is, by its first bytes. Names lie: a `.gz` may be text, and a log may be packed under any name.

use tar::Header;

/// Bytes that have to be looked at: a tar header.
pub(super) const LOOK: usize = 512;

/// What a stream holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Text, or bytes that may hold some.
    Text,
    /// As Windows writes it: no literal is found in it.
    Utf16,
    Gzip,
    Tar,
    Zip,
    /// Packed in a way that is not read, which is named.
    Foreign(&'static str),
}

/// The kind of a stream that begins with these bytes.
pub(super) fn kind(head: &[u8]) -> Kind {
    match head {
        // Deflate is the only method there is, and the upper bits of the flags are reserved.
        [0x1f, 0x8b, 8, flags, ..] if flags & 0xe0 == 0 => Kind::Gzip,
        [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] => Kind::Zip,
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Kind::Foreign("xz"),
        [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, 0x59, 0x26, 0x53, 0x59, ..] => Kind::Foreign("bzip2"),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Kind::Foreign("zstd"),
        [0x04, 0x22, 0x4d, 0x18, ..] => Kind::Foreign("lz4"),
        [b'7', b'z', 0xbc, 0xaf, 0x27, 0x1c, ..] => Kind::Foreign("7-Zip"),
        [0xff, 0xfe, 1..=0xff, 0, ..] | [0xfe, 0xff, 0, 1..=0xff, ..] => Kind::Utf16,
        _ if is_header(head) => Kind::Tar,
        _ => Kind::Text,
    }
}

/// Whether this is a tar header: its sum is right, and it is not a block of zeros.
pub(super) fn is_header(head: &[u8]) -> bool {
    let Some(block) = head.get(..LOOK) else { return false };
    let told = Header::from_byte_slice(block).cksum();
    let sum: u32 =
        block.iter().enumerate().map(|(at, &byte)| if (148..156).contains(&at) { 32 } else { u32::from(byte) }).sum();
    // A block of zeros has a sum of 256 and says 0.
    block[0] != 0 && told.is_ok_and(|told| told == sum)
}
