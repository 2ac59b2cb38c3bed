//! From a record to a packet: through link, IP and tunnels to TCP, or to the reason why not.

use super::fragments::Fragments;
use super::frames::Record;
use super::ip::{Ip, ip, protocol};
use super::packet::{Body, Net, Packet};
use super::skip::Skip;
use super::tcp::{HEADER, tcp, unreachable};
use super::tunnel;

/// Tunnels in one another, at most.
const TUNNELS: usize = 3;

/// Decodes the records of one file, in their order.
#[derive(Clone, Debug, Default)]
pub(super) struct Decoder {
    fragments: Fragments,
}

impl Decoder {
    /// The packet in a record. Its number and its file are the caller's to fill in.
    ///
    /// It is written where it stays, field by field: a packet takes longer to move than to decode.
    #[inline]
    pub(super) fn packet<'b>(&mut self, record: &Record<'b>, into: &mut Packet<'b>) -> Result<(), Skip> {
        let mut inside = record.link.ok_or(Skip::LinkUnknown)?.strip(record.bytes)?;
        let mut wire = record.length.saturating_sub(inside.before as u32);
        let mut tunnel = None;
        for _ in 0..=TUNNELS {
            let packet = ip(inside.bytes, wire)?;
            let first = packet.part.is_none_or(|part| part.offset == 0);
            if packet.protocol == protocol::UDP && first {
                let (number, deeper) = tunnel::open(packet.inside)?;
                wire = packet.length.saturating_sub(deeper.before as u32);
                (tunnel, inside) = (Some(number), deeper);
                continue;
            }
            into.body = match (packet.protocol, packet.part) {
                (protocol::TCP, None) => Body::Tcp(tcp(packet.inside, packet.length)?),
                _ => self.body(record.at, &packet)?,
            };
            into.at = record.at;
            into.net = Net { vlans: inside.vlans, tunnel };
            packet.ends.tell(&mut into.source, &mut into.target);
            (into.ttl, into.id) = (packet.ttl, packet.id);
            into.trailer = if tunnel.is_none() { packet.after } else { &[] };
            return Ok(());
        }
        Err(Skip::TooDeep)
    }

    /// What is in a packet that is not just a segment.
    fn body<'b>(&mut self, at: u64, packet: &Ip<'b>) -> Result<Body<'b>, Skip> {
        match (packet.protocol, packet.part) {
            (_, Some(part)) if part.offset > 0 => self.fragments.later(at, packet, part).map(Body::Tcp),
            // A header that begins in one fragment and ends in another is one that nobody honest sends.
            (protocol::TCP, Some(part)) if part.more && packet.length < HEADER => Err(Skip::Fragment),
            (protocol::TCP, Some(part)) => {
                let tcp = tcp(packet.inside, packet.length)?;
                Ok(Body::Tcp(self.fragments.first(at, packet, part, tcp)))
            }
            (kind @ (protocol::ICMP | protocol::ICMP6), _) => {
                unreachable(packet.inside, packet.length, kind == protocol::ICMP6).map(Body::Unreachable)
            }
            _ => Err(Skip::NotTcp),
        }
    }
}
