//! pcap of any bytes: every record is counted, and a block's end means nothing. What is read of the beginning is what is read
//! of it in the whole.
#![no_main]

use tidegate_fuzz::{cut, told};

const MAGIC: [[u8; 4]; 4] =
    [[0xd4, 0xc3, 0xb2, 0xa1], [0xa1, 0xb2, 0xc3, 0xd4], [0x4d, 0x3c, 0xb2, 0xa1], [0xa1, 0xb2, 0x3c, 0x4d]];

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut bytes = data.to_vec();
    // Any other beginning is the business of other targets.
    if let Some(magic) = bytes.first_chunk_mut::<4>().filter(|magic| !MAGIC.contains(magic)) {
        *magic = MAGIC[usize::from(magic[0] % 4)];
    }
    let whole = told([bytes.as_slice()]);
    let (first, second) = cut(&bytes);
    assert_eq!(told([first, second]), whole);
    let (packets, _) = told([first]);
    assert_eq!(packets, whole.0[..packets.len()]);
});
