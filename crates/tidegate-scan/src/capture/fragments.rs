//! Later fragments of segments: told as segments of their own, with the ports of the first.
//!
//! Nothing is put together and nothing is kept but a few numbers of each first fragment. A fragment that comes before the
//! first of its packet is not known to be TCP's: it is skipped.

use std::net::IpAddr;

use super::ip::{Ip, Part, protocol};
use super::packet::{Tcp, flag};
use super::skip::Skip;

/// First fragments that are remembered: their places are found by their numbers, and a later one takes an earlier one's.
const PLACES: usize = LAST as usize + 1;
/// The last of their places.
const LAST: u32 = 511;
/// Nanoseconds after which a number may be used anew: Linux waits for 30 s.
const FORGET: u64 = 30_000_000_000;

/// A first fragment.
#[derive(Clone, Copy, Debug)]
struct First {
    at: u64,
    id: u32,
    source: IpAddr,
    target: IpAddr,
    /// What it said, without its data.
    tcp: Tcp<'static>,
    /// Bytes of its header.
    header: u32,
}

/// First fragments of packets whose others may come.
#[derive(Clone, Debug, Default)]
pub(super) struct Fragments(Vec<Option<First>>);

impl Fragments {
    /// The first fragment of a segment, which has read so. FIN is left to the last.
    pub(super) fn first<'b>(&mut self, at: u64, packet: &Ip<'b>, part: Part, tcp: Tcp<'b>) -> Tcp<'b> {
        if self.0.is_empty() {
            self.0 = vec![None; PLACES];
        }
        let header = packet.length.saturating_sub(tcp.length);
        let kept = Tcp { data: &[], ..tcp };
        let (id, source, target) = (part.id, packet.ends.source(), packet.ends.target());
        if let Some(place) = self.0.get_mut(place(id)) {
            *place = Some(First { at, id, source, target, tcp: kept, header });
        }
        Tcp { flags: tcp.flags & !flag::FIN, ..tcp }
    }

    /// A later one.
    pub(super) fn later<'b>(&mut self, at: u64, packet: &Ip<'b>, part: Part) -> Result<Tcp<'b>, Skip> {
        if packet.protocol != protocol::TCP {
            return Err(Skip::NotTcp);
        }
        let place = self.0.get_mut(place(part.id)).ok_or(Skip::Fragment)?;
        let first = (*place).filter(|first| {
            let (source, target) = (packet.ends.source(), packet.ends.target());
            let same = (first.id, first.source, first.target) == (part.id, source, target);
            same && at.saturating_sub(first.at) <= FORGET
        });
        let First { tcp, header, .. } = first.ok_or(Skip::Fragment)?;
        let offset = part.offset.checked_sub(header).ok_or(Skip::TcpBroken)?;
        let mut flags = tcp.flags & !(flag::SYN | flag::RST);
        if part.more {
            flags &= !flag::FIN;
        } else {
            *place = None;
        }
        let syn = u32::from(tcp.flags & flag::SYN != 0);
        let seq = tcp.seq.wrapping_add(syn).wrapping_add(offset);
        Ok(Tcp { seq, flags, wscale: None, length: packet.length, data: packet.inside, ..tcp })
    }
}

/// Packets that are sent one after the other have numbers one after the other.
fn place(id: u32) -> usize {
    (id & LAST) as usize
}
