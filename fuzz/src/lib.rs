//! What the targets that read captures share.

use tidegate_scan::capture::{BATCH, Capture, File};
use tidegate_scan::source::Ended;

/// How pcap begins: either order of bytes, microseconds or nanoseconds.
pub const MAGIC: [[u8; 4]; 4] =
    [[0xd4, 0xc3, 0xb2, 0xa1], [0xa1, 0xb2, 0xc3, 0xd4], [0x4d, 0x3c, 0xb2, 0xa1], [0xa1, 0xb2, 0x3c, 0x4d]];

/// What is read of a file that comes in such blocks: each packet in words, and the file. Every record is counted.
pub fn told<'b>(blocks: impl IntoIterator<Item = &'b [u8]>) -> (Vec<String>, File) {
    let mut capture = Capture::new(0, "x".to_owned());
    let mut packets = Vec::new();
    for block in blocks {
        capture.data(block, |batch| {
            assert!(!batch.is_empty() && batch.len() <= BATCH);
            packets.extend(batch.iter().map(|packet| format!("{packet:?}")));
        });
    }
    let file = capture.end(Ended::Whole);
    assert_eq!(file.packets, packets.len() as u64);
    assert_eq!(file.records, file.packets + file.skipped.all());
    (packets, file)
}

/// Where the last two bytes of some bytes say that they are to be cut.
pub fn cut(bytes: &[u8]) -> (&[u8], &[u8]) {
    let place = bytes.last_chunk().map_or(0, |last| usize::from(u16::from_le_bytes(*last)));
    bytes.split_at(place % (bytes.len() + 1))
}
