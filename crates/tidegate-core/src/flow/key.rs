//! Which flow a segment belongs to, the same from both sides.

use super::segment::Side;
use crate::rng::Rng;

/// A tuple: two hosts and their ports, the lower pair first. A host is a number: its IPv4 address, or what the caller gave an
/// IPv6 address, a VLAN or an overlay to be told apart by. 12 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    hosts: [u32; 2],
    ports: [u16; 2],
}

impl Key {
    /// The key of a segment, and the side that sent it.
    pub fn of(source: u32, source_port: u16, destination: u32, destination_port: u16) -> (Key, Side) {
        // Whoever is lower is a matter of chance: chosen without a branch, which would be mispredicted for every other packet.
        let pack = |host: u32, port: u16| u64::from(host) << 16 | u64::from(port);
        let (from, to) = (pack(source, source_port), pack(destination, destination_port));
        let (low, high) = (from.min(to), from.max(to));
        let key = Key { hosts: [low, high].map(|end| (end >> 16) as u32), ports: [low, high].map(|end| end as u16) };
        (key, if from <= to { Side::Low } else { Side::High })
    }

    /// Host and port of one side.
    pub fn at(&self, side: Side) -> (u32, u16) {
        let ([low, high], [low_port, high_port]) = (self.hosts, self.ports);
        match side {
            Side::Low => (low, low_port),
            Side::High => (high, high_port),
        }
    }

    /// A number that is equal for equal keys, and not to be foreseen without the seed.
    pub fn hash(&self, seed: u64) -> u64 {
        let ([low, high], [low_port, high_port]) = (self.hosts, self.ports);
        let hosts = u64::from(low) << 32 | u64::from(high);
        let ports = u64::from(low_port) << 16 | u64::from(high_port);
        Rng::new(Rng::new(seed ^ hosts).next_u64() ^ ports).next_u64()
    }
}
