//! A packet, as far as flows and findings need to know it.

use std::net::{IpAddr, Ipv4Addr};

/// Flags of a TCP header, as they stand in its byte 13.
pub mod flag {
    /// No more data will come.
    pub const FIN: u8 = 0x01;
    /// The numbers begin here.
    pub const SYN: u8 = 0x02;
    /// There is no such connection, or no longer.
    pub const RST: u8 = 0x04;
    /// Hand it on now.
    pub const PSH: u8 = 0x08;
    /// The acknowledgement number counts.
    pub const ACK: u8 = 0x10;
    /// The urgent pointer counts.
    pub const URG: u8 = 0x20;
}

/// The network that addresses belong to: the same address in another one is another host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Net {
    /// VLAN ids, 12 bits each, the inner one in the lowest; 0 without a tag. Of a tunnelled packet: those inside.
    pub vlans: u32,
    /// The virtual network (24 bits) of VXLAN or Geneve.
    pub tunnel: Option<u32>,
}

/// One packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// The file: [`File::index`](super::File::index).
    pub file: u32,
    /// The number of its record in that file, from 1, as other tools count frames.
    pub frame: u64,
    /// Nanoseconds since 1970.
    pub at: u64,
    /// Where the addresses belong to.
    pub net: Net,
    /// Who sent it: of the innermost IP header.
    pub source: IpAddr,
    /// For whom.
    pub target: IpAddr,
    /// Hops that it may still take.
    pub ttl: u8,
    /// The number that IPv4 gave it; 0 with IPv6.
    pub id: u16,
    /// What it says.
    pub body: Body<'a>,
    /// Bytes after the IP packet: padding, or what F5 writes there. Empty inside a tunnel.
    pub trailer: &'a [u8],
}

impl Packet<'_> {
    /// None yet: something to decode into.
    pub(super) const NONE: Self = Self {
        file: 0,
        frame: 0,
        at: 0,
        net: Net { vlans: 0, tunnel: None },
        source: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        target: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        ttl: 0,
        id: 0,
        body: Body::Tcp(Tcp {
            source: 0,
            target: 0,
            seq: 0,
            ack: 0,
            flags: 0,
            window: 0,
            wscale: None,
            length: 0,
            data: &[],
        }),
        trailer: &[],
    };
}

/// What a packet says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body<'a> {
    /// A segment of TCP.
    Tcp(Tcp<'a>),
    /// A segment of TCP could not be delivered, says ICMP.
    Unreachable(Unreachable),
}

/// A segment of TCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tcp<'a> {
    /// Port of the sender.
    pub source: u16,
    /// Port of the receiver.
    pub target: u16,
    /// Number of the first byte, or of SYN.
    pub seq: u32,
    /// Number of the byte that is waited for; without [`flag::ACK`] it means nothing.
    pub ack: u32,
    /// See [`flag`].
    pub flags: u8,
    /// As it is written, not scaled.
    pub window: u16,
    /// The shift of the windows that the sender will tell, 0 to 14; of a segment with SYN only.
    pub wscale: Option<u8>,
    /// Bytes of data in the packet, whether they were captured or not.
    pub length: u32,
    /// As much of the data as was captured.
    pub data: &'a [u8],
}

/// What an ICMP message says of a segment that could not be delivered. [`Packet::source`] is who says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreachable {
    /// The code as ICMP writes it (IPv4: 0 net, 1 host, 3 port, 4 too big, 13 forbidden; IPv6: 0 no route, 1 forbidden,
    /// 3 address, 4 port).
    pub code: u8,
    /// Who had sent the segment.
    pub source: IpAddr,
    /// For whom it was.
    pub target: IpAddr,
    /// Its port of the sender.
    pub source_port: u16,
    /// Its port of the receiver.
    pub target_port: u16,
    /// Its sequence number.
    pub seq: u32,
}
