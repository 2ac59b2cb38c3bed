//! pcapng of any bytes: every record is counted, and a block's end means nothing. Whatever a section holds, the packets of a
//! section before it stay what they are.
#![no_main]

use tidegate_fuzz::{cut, told};

/// The beginning of a section, in either order.
const SECTION: [[u8; 28]; 2] = [
    *b"\x0a\x0d\x0d\x0a\x1c\0\0\0\x4d\x3c\x2b\x1a\x01\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff\x1c\0\0\0",
    *b"\x0a\x0d\x0d\x0a\0\0\0\x1c\x1a\x2b\x3c\x4d\0\x01\0\0\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\x1c",
];

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((order, blocks)) = data.split_first() else { return };
    let section = SECTION[usize::from(order % 2)].as_slice();
    let whole = told([section, blocks]);
    let (first, second) = cut(blocks);
    assert_eq!(told([section, first, second]), whole);
    let (packets, _) = told([section, first]);
    assert_eq!(packets, whole.0[..packets.len()]);
    let (twice, _) = told([section, blocks, section, blocks]);
    assert_eq!(whole.0, twice[..whole.0.len()]);
});
