//! Packets with bytes of their own, which can be handed to another thread.

use super::packet::{Body, Packet, Tcp};

/// Packets in a chunk from which on it is full.
const PACKETS: usize = 512;
/// Bytes in a chunk from which on it is full.
const BYTES: usize = 256 << 10;

/// Packets that follow one another.
#[derive(Clone, Debug, Default)]
pub(super) struct Chunk {
    bytes: Vec<u8>,
    packets: Vec<Kept>,
}

/// A packet without its bytes, and where they are.
#[derive(Clone, Copy, Debug)]
struct Kept {
    packet: Packet<'static>,
    data: (usize, usize),
    trailer: (usize, usize),
}

impl Chunk {
    /// Adds a packet.
    pub(super) fn push(&mut self, packet: &Packet<'_>) {
        let (body, data) = match packet.body {
            Body::Tcp(tcp) => (Body::Tcp(Tcp { data: &[], ..tcp }), self.keep(tcp.data)),
            Body::Unreachable(told) => (Body::Unreachable(told), (0, 0)),
        };
        let trailer = self.keep(packet.trailer);
        self.packets.push(Kept { packet: Packet { body, trailer: &[], ..*packet }, data, trailer });
    }

    /// A packet of it, from 0 on.
    pub(super) fn get(&self, index: usize) -> Option<Packet<'_>> {
        let Kept { packet, data, trailer } = *self.packets.get(index)?;
        let bytes = |(from, to)| self.bytes.get(from..to).unwrap_or_default();
        let body = match packet.body {
            Body::Tcp(tcp) => Body::Tcp(Tcp { data: bytes(data), ..tcp }),
            told @ Body::Unreachable(_) => told,
        };
        Some(Packet { body, trailer: bytes(trailer), ..packet })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.packets.len() >= PACKETS || self.bytes.len() >= BYTES
    }

    fn keep(&mut self, bytes: &[u8]) -> (usize, usize) {
        let from = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        (from, self.bytes.len())
    }
}
