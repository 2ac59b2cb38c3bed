//! Packets out of nothing, and reports of them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;
use tidegate_scan::capture::{Body, Capture, File, Net, Packet, Sink, Tcp, Unreachable};
use tidegate_scan::flows::{Flows, Options, Report};
use tidegate_scan::source::Ended;

/// 2023-11-14 22:13:20 UTC, in nanoseconds.
const START: u64 = 1_700_000_000_000_000_000;
const FLAGS: [u8; 9] = [0x02, 0x12, 0x10, 0x18, 0x11, 0x04, 0x14, 0x00, 0x3f];
/// How data may begin: a hello of TLS, an alert, HTTP.
const DATA: [&[u8]; 3] =
    [b"\x16\x03\x01\x00\x2d\x01\x00\x00\x29\x03\x03", b"\x15\x03\x03\x00\x02\x02\x28", b"GET / HTTP/1.1"];

/// A packet, in numbers.
#[derive(Clone, Debug)]
pub struct Play {
    /// Client and server, and whether the server sends.
    pub who: (u8, u8, bool),
    /// The client's port; odd ones are IPv6.
    pub port: u8,
    pub flags: u8,
    pub seq: u32,
    pub ack: u32,
    pub length: u32,
    pub data: &'static [u8],
    pub ttl: u8,
    /// Milliseconds since the one before; may be negative.
    pub later: i64,
    /// It is word that such a packet could not be delivered.
    pub undelivered: bool,
}

prop_compose! {
    /// Any packet of a few connections. Numbers are near one another, so that many fit.
    pub fn any_packet()(
        who in (0..3_u8, 0..2_u8, any::<bool>()),
        port in 0..4_u8,
        flags in 0..FLAGS.len(),
        seq in prop_oneof![0..4_u32, Just(u32::MAX), Just(1000)],
        ack in prop_oneof![0..4_u32, Just(1001)],
        length in prop_oneof![3 => Just(0), 1 => 1..3_u32],
        data in prop_oneof![4 => Just(&[][..]), 1 => prop::sample::select(&DATA[..])],
        ttl in prop_oneof![9 => Just(64), 1 => any::<u8>()],
        later in prop_oneof![8 => 0..500_i64, 2 => 500..400_000_i64, 1 => -5_000..0_i64],
        undelivered in prop::bool::weighted(0.02),
    ) -> Play {
        Play { who, port, flags: FLAGS[flags], seq, ack, length, data, ttl, later, undelivered }
    }
}

fn address(host: u8, six: bool) -> IpAddr {
    if six { Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, host.into()).into() } else { Ipv4Addr::new(10, 0, 0, host).into() }
}

/// The packets, one after the other.
pub fn packets(plays: &[Play]) -> Vec<Packet<'static>> {
    let mut at = START;
    let numbered = plays.iter().zip(1..);
    numbered
        .map(|(play, frame)| {
            at = at.saturating_add_signed(play.later * 1_000_000);
            packet(play, frame, at)
        })
        .collect()
}

fn packet(play: &Play, frame: u64, at: u64) -> Packet<'static> {
    let Play { who: (client, server, back), port, flags, seq, ack, data, ttl, undelivered, .. } = *play;
    let six = port % 2 == 1;
    let ends = [(address(client, six), 40_000 + u16::from(port)), (address(100 + server, six), 443)];
    let [(source, source_port), (target, target_port)] = if back { [ends[1], ends[0]] } else { ends };
    let body = if undelivered {
        Body::Unreachable(Unreachable {
            code: 3,
            source: target,
            target: source,
            source_port: target_port,
            target_port: source_port,
            seq,
        })
    } else {
        let (source, target) = (source_port, target_port);
        let length = play.length.max(data.len() as u32);
        Body::Tcp(Tcp { source, target, seq, ack, flags, window: 512, wscale: None, length, data })
    };
    let net = Net::default();
    Packet {
        file: 0,
        frame,
        at,
        net,
        source,
        target,
        ttl: ttl.saturating_sub(u8::from(back)),
        id: 7,
        body,
        trailer: &[],
    }
}

/// The file of all these packets.
pub fn file() -> File {
    // An empty capture in the format of pcap.
    let head = [0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0];
    let mut capture = Capture::new(0, "played".to_owned());
    capture.data(&head, |_| {});
    capture.end(Ended::Whole)
}

/// Tells packets to flows.
pub fn tell(flows: &mut Flows, packets: &[Packet<'_>]) {
    packets.chunks(32).for_each(|batch| flows.packets(batch));
    flows.end(file());
}

/// The report of packets, read in so many shards.
pub fn report(packets: &[Packet<'_>], options: &Options, shards: u32) -> Report {
    let read = |shard| {
        let mut flows = Flows::shard(options, shard, shards);
        tell(&mut flows, packets);
        flows
    };
    let mut first = read(0);
    // The last first: the order does not matter.
    (1..shards).rev().for_each(|shard| first.absorb(read(shard)));
    Report { bytes_per_flow: None, ..first.finish() }
}
