//! One packet of any bytes behind every link type that is read: its numbers are possible ones, and when less of it was kept,
//! the same is told of it or nothing.
#![no_main]

use std::net::IpAddr;

use tidegate_fuzz::cut;
use tidegate_scan::capture::{Body, Capture, Net, Packet, Unreachable, f5, flag};

const LINKS: [u16; 6] = [1, 113, 0, 101, 276, 108];

/// What does not depend on how much was kept.
#[derive(Debug, PartialEq)]
struct Told {
    net: Net,
    hosts: (IpAddr, IpAddr),
    segment: Option<(u16, u16, u32, u32, u8, u32)>,
    unreachable: Option<Unreachable>,
}

fn look(packet: &Packet<'_>) -> Told {
    assert!(packet.net.vlans < 1 << 24 && packet.net.tunnel.is_none_or(|network| network < 1 << 24));
    if let Some(cause) = f5::cause(packet.trailer) {
        assert!(!cause.words.is_empty() && cause.words.len() < 256);
    }
    let (segment, unreachable) = match packet.body {
        Body::Tcp(tcp) => {
            assert!(tcp.data.len() <= tcp.length as usize);
            assert!(tcp.wscale.is_none_or(|shift| shift <= 14 && tcp.flags & flag::SYN != 0));
            (Some((tcp.source, tcp.target, tcp.seq, tcp.ack, tcp.flags, tcp.length)), None)
        }
        Body::Unreachable(told) => (None, Some(told)),
    };
    Told { net: packet.net, hosts: (packet.source, packet.target), segment, unreachable }
}

/// Reads a record of which so many bytes were on the wire.
fn read(link: u16, length: usize, bytes: &[u8]) -> Option<Told> {
    let mut file = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0];
    file.extend(u32::from(link).to_le_bytes());
    [1, 1, bytes.len(), length].iter().for_each(|number| file.extend((*number as u32).to_le_bytes()));
    file.extend(bytes);
    let (mut capture, mut found) = (Capture::new(0, "x".to_owned()), None);
    capture.data(&file, |batch| found = batch.first().map(look));
    found
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((link, bytes)) = data.split_first() else { return };
    let link = LINKS[usize::from(*link) % LINKS.len()];
    let whole = read(link, bytes.len(), bytes);
    if let Some(less) = read(link, bytes.len(), cut(bytes).0) {
        assert_eq!(Some(less), whole);
    }
});
