//! Packets written as a file.

use std::net::IpAddr;

use tidegate_scan::capture::{Body, Packet, Tcp};

/// Raw IP, in nanoseconds.
const HEAD: [u8; 24] = [0x4d, 0x3c, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 101, 0, 0, 0];

/// The segment of a packet.
pub fn segments<'a>(packet: &Packet<'a>) -> Tcp<'a> {
    let Body::Tcp(tcp) = packet.body else { panic!("no segment") };
    tcp
}

/// A capture of packets.
pub fn file(packets: &[Packet<'_>]) -> Vec<u8> {
    let mut file = HEAD.to_vec();
    for packet in packets {
        let bytes = bytes(packet);
        let (seconds, nanos) = (packet.at / 1_000_000_000, packet.at % 1_000_000_000);
        let length = bytes.len() as u32;
        for word in [seconds as u32, nanos as u32, length, length] {
            file.extend(word.to_le_bytes());
        }
        file.extend(bytes);
    }
    file
}

fn bytes(packet: &Packet<'_>) -> Vec<u8> {
    let tcp = tcp(&segments(packet));
    let length = tcp.len() as u16;
    let mut bytes = match (packet.source, packet.target) {
        (IpAddr::V4(source), IpAddr::V4(target)) => {
            let [id, all] = [packet.id, length + 20].map(u16::to_be_bytes);
            let head = [0x45, 0, all[0], all[1], id[0], id[1], 0, 0, packet.ttl, 6, 0, 0];
            [head.as_slice(), &source.octets(), &target.octets()].concat()
        }
        (IpAddr::V6(source), IpAddr::V6(target)) => {
            let all = length.to_be_bytes();
            let head = [0x60, 0, 0, 0, all[0], all[1], 6, packet.ttl];
            [head.as_slice(), &source.octets(), &target.octets()].concat()
        }
        _ => panic!("two kinds of addresses"),
    };
    bytes.extend(tcp);
    bytes
}

fn tcp(tcp: &Tcp<'_>) -> Vec<u8> {
    let mut bytes = [tcp.source, tcp.target].map(u16::to_be_bytes).concat();
    bytes.extend([tcp.seq, tcp.ack].map(u32::to_be_bytes).concat());
    bytes.extend([0x50, tcp.flags]);
    bytes.extend([tcp.window, 0, 0].map(u16::to_be_bytes).concat());
    bytes.resize(20 + tcp.length as usize, b'x');
    bytes
}
