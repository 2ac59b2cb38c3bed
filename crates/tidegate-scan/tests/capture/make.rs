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

/// A block of pcapng, little endian, with this body, whose length is made a multiple of 4.
pub fn block(kind: u32, body: &[u8]) -> Vec<u8> {
    let padding = body.len().next_multiple_of(4) - body.len();
    let length = u32::try_from(body.len() + padding + 12).unwrap().to_le_bytes();
    [&kind.to_le_bytes(), &length, body, &[0; 3][..padding], &length].concat()
}

/// The block that begins a section.
pub fn section() -> Vec<u8> {
    block(0x0a0d_0d0a, &[&[0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0], &[255; 8][..]].concat())
}

/// An interface that keeps so many bytes of a packet, with these options.
pub fn interface(link: u32, kept: u32, options: &[u8]) -> Vec<u8> {
    block(1, &[&link.to_le_bytes(), &kept.to_le_bytes(), options].concat())
}

/// A packet of an interface, with its time in units.
pub fn enhanced(interface: u32, at: u64, packet: &[u8]) -> Vec<u8> {
    let (high, low) = (u32::try_from(at >> 32).unwrap(), u32::try_from(at & 0xffff_ffff).unwrap());
    let length = u32::try_from(packet.len()).unwrap();
    let head: Vec<u8> = [interface, high, low, length, length].into_iter().flat_map(u32::to_le_bytes).collect();
    // With an option: a comment.
    let option = [1, 0, 2, 0, b'o', b'k', 0, 0, 0, 0, 0, 0];
    let padding = packet.len().next_multiple_of(4) - packet.len();
    block(6, &[&head, packet, &[0; 3][..padding], &option].concat())
}

/// The same records as those of [`records`], in pcapng.
pub fn blocks(link: u32, records: &[Vec<u8>]) -> Vec<u8> {
    let packets = (1..).zip(records).flat_map(|(second, packet)| enhanced(0, second * 1_000_000, packet));
    [section(), interface(link, 0, &[])].concat().into_iter().chain(packets).collect()
}
