//! Packets and files to read, written byte by byte.

use tidegate_scan::capture::{Body, Capture, File, Packet, Tcp};
use tidegate_scan::source::Ended;

/// Ethernet, as pcap numbers it.
pub const ETHERNET: u32 = 1;
/// IP alone.
pub const RAW: u32 = 101;

/// A segment from port 40001 to 443 with these options, whose length is a multiple of 4.
pub fn tcp(flags: u8, seq: u32, ack: u32, options: &[u8], data: &[u8]) -> Vec<u8> {
    let words = u8::try_from(5 + options.len() / 4).unwrap();
    let mut bytes = vec![0x9c, 0x41, 0x01, 0xbb];
    bytes.extend(seq.to_be_bytes());
    bytes.extend(ack.to_be_bytes());
    bytes.extend([words << 4, flags, 0xfa, 0xf0, 0, 0, 0, 0]);
    [&bytes, options, data].concat()
}

/// A datagram to this port.
pub fn udp(target: u16, data: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x80, 0];
    bytes.extend(target.to_be_bytes());
    bytes.extend(u16::try_from(data.len() + 8).unwrap().to_be_bytes());
    bytes.extend([0, 0]);
    [&bytes, data].concat()
}

/// A packet from 10.0.0.1 to 10.0.0.2, or a fragment of one: offset in 8 bytes, and the flag 0x2000 when more follow.
pub fn v4(protocol: u8, fragment: u16, inside: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x45, 0];
    bytes.extend(u16::try_from(inside.len() + 20).unwrap().to_be_bytes());
    bytes.extend([0x12, 0x34]);
    bytes.extend(fragment.to_be_bytes());
    bytes.extend([64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
    [&bytes, inside].concat()
}

/// A packet from fd00::1 to fd00::2.
pub fn v6(next: u8, inside: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x60, 0, 0, 0];
    bytes.extend(u16::try_from(inside.len()).unwrap().to_be_bytes());
    bytes.extend([next, 63]);
    for last in [1, 2] {
        bytes.extend([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]);
    }
    [&bytes, inside].concat()
}

/// A frame whose type, and tags before it, are these.
pub fn ethernet(kind: &[u8], inside: &[u8]) -> Vec<u8> {
    [&[2; 12], kind, inside].concat()
}

/// A pcap file with microseconds; records are a second, a microsecond and the bytes.
pub fn pcap(link: u32, records: &[(u32, u32, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0];
    bytes.extend(link.to_le_bytes());
    for (second, micro, record) in records {
        let length = u32::try_from(record.len()).unwrap();
        [*second, *micro, length, length].iter().for_each(|number| bytes.extend(number.to_le_bytes()));
        bytes.extend(record);
    }
    bytes
}

/// A pcap file with these records, a second apart.
pub fn records(link: u32, records: &[Vec<u8>]) -> Vec<u8> {
    let timed: Vec<_> = (1..).zip(records).map(|(second, bytes)| (second, 0, bytes.clone())).collect();
    pcap(link, &timed)
}

/// Reads a file that comes in such blocks; `keep` is told each packet.
pub fn read<'b>(blocks: impl IntoIterator<Item = &'b [u8]>, mut keep: impl FnMut(&Packet<'_>)) -> File {
    let mut capture = Capture::new(0, "made".to_owned());
    for block in blocks {
        capture.data(block, |batch| batch.iter().for_each(&mut keep));
    }
    capture.end(Ended::Whole)
}

/// What is read of a file: each packet in words, and the file.
pub fn told<'b>(blocks: impl IntoIterator<Item = &'b [u8]>) -> (Vec<String>, File) {
    let mut packets = Vec::new();
    let file = read(blocks, |packet| packets.push(format!("{packet:?}")));
    (packets, file)
}

/// What is kept of each segment: (flags, seq, length, bytes captured, shift).
pub fn segments(file: &[u8]) -> Vec<(u8, u32, u32, usize, Option<u8>)> {
    let mut found = Vec::new();
    read([file], |packet| {
        if let Body::Tcp(Tcp { flags, seq, length, data, wscale, .. }) = packet.body {
            found.push((flags, seq, length, data.len(), wscale));
        }
    });
    found
}

/// The words of the reasons why records were skipped, and how often.
pub fn skipped(file: &[u8]) -> Vec<(&'static str, u64)> {
    read([file], |_| {}).skipped.each().map(|(skip, count)| (skip.word(), count)).collect()
}
