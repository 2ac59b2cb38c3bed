//! pcap of any bytes: every record is counted, and a block's end means nothing. What is read of the beginning is what is read
//! of it in the whole.
#![no_main]

use tidegate_fuzz::{MAGIC, cut, told};

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
