//! Hosts as numbers: tuples stay small whatever addresses and networks they are made of.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};

use super::mixed::Keyed;
use crate::capture::{Net, Packet};

/// The first number that is no IPv4 address in use: 240.0.0.0/4 is reserved.
const FIRST: u32 = 0xf000_0000;
/// Hosts with numbers of their own, at most. About 100 bytes each.
const HOSTS_MAX: usize = 1 << 20;

/// A host: its address, and the network that the address belongs to.
type Host = (IpAddr, Net);

/// The same in numbers: both halves of the address, and what tells its version and its network. To look for it is part of every
/// packet.
type Packed = (u64, u64, u64);

fn packed(address: &IpAddr, net: &Net) -> Packed {
    let (version, bits) = match address {
        IpAddr::V4(four) => (4, u128::from(four.to_bits())),
        IpAddr::V6(six) => (6, six.to_bits()),
    };
    // 3 bits of the version, 25 of the tunnel or none, 32 of the VLANs.
    let tunnel = net.tunnel.map_or(0, |vni| u64::from(vni).saturating_add(1));
    ((bits >> 64) as u64, bits as u64, version << 60 | tunnel << 32 | u64::from(net.vlans))
}

/// The numbers of hosts. An IPv4 address without a VLAN or a tunnel is its own number.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hosts {
    numbers: HashMap<Packed, u32, Keyed>,
    hosts: Vec<Host>,
}

impl Hosts {
    /// Brings the numbers of hosts close to the processor at once, instead of waiting for each. Changes nothing.
    pub fn touch(&self, batch: &[Packet<'_>]) {
        let plain = |packet: &&Packet<'_>| packet.source.is_ipv4() && packet.net == Net::default();
        let others = batch.iter().filter(|packet| !plain(packet));
        let hosts = others.flat_map(|packet| [&packet.source, &packet.target].map(|host| packed(host, &packet.net)));
        std::hint::black_box(hosts.filter(|host| self.numbers.contains_key(host)).count());
    }

    /// The number of a host; a new one if it has none. `None`: there are too many.
    #[inline]
    pub fn number(&mut self, address: &IpAddr, net: &Net) -> Option<u32> {
        match address {
            IpAddr::V4(plain) if *net == Net::default() && plain.to_bits() < FIRST => Some(plain.to_bits()),
            _ => self.other(address, net),
        }
    }

    fn other(&mut self, address: &IpAddr, net: &Net) -> Option<u32> {
        let host = packed(address, net);
        if let Some(number) = self.numbers.get(&host) {
            return Some(*number);
        }
        let place = u32::try_from(self.hosts.len()).ok().filter(|_| self.hosts.len() < HOSTS_MAX)?;
        let number = FIRST.saturating_add(place);
        self.numbers.insert(host, number);
        self.hosts.push((*address, *net));
        Some(number)
    }

    /// The host of a number: its address, and its network.
    pub fn host(&self, number: u32) -> Host {
        let other = number.checked_sub(FIRST).and_then(|place| self.hosts.get(place as usize));
        other.copied().unwrap_or_else(|| (IpAddr::V4(Ipv4Addr::from_bits(number)), Net::default()))
    }

    /// The name of a number for people: `10.0.0.1`, `fd00::1`, `10.0.0.1 (vlan 7)`, `10.0.0.1 (vni 5001)`.
    pub fn name(&self, number: u32) -> String {
        let (address, net) = self.host(number);
        let mut words = Vec::new();
        // The outer tag first, as it stands in the frame.
        let tags = [net.vlans >> 24, net.vlans >> 12, net.vlans].map(|tag| tag & 0xfff);
        let tags: Vec<String> = tags.iter().filter(|tag| **tag != 0).map(u32::to_string).collect();
        if !tags.is_empty() {
            words.push(format!("vlan {}", tags.join(".")));
        }
        words.extend(net.tunnel.map(|vni| format!("vni {vni}")));
        if words.is_empty() { address.to_string() } else { format!("{address} ({})", words.join(", ")) }
    }

    /// A host and its port: `10.0.0.1:443`, `[fd00::1]:443`, `10.0.0.1:443 (vlan 7)`.
    pub fn socket(&self, number: u32, port: u16) -> String {
        let (address, _) = self.host(number);
        let plain = address.to_string();
        let socket = if address.is_ipv6() { format!("[{plain}]:{port}") } else { format!("{plain}:{port}") };
        self.name(number).replacen(&plain, &socket, 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_come_back_by_their_numbers() {
        let mut hosts = Hosts::default();
        let vlan = Net { vlans: 7, tunnel: None };
        let both = Net { vlans: 2 << 12 | 3, tunnel: Some(5001) };
        let cases = [
            ("10.0.0.1", Net::default(), "10.0.0.1", "10.0.0.1:443"),
            ("10.0.0.1", vlan, "10.0.0.1 (vlan 7)", "10.0.0.1:443 (vlan 7)"),
            ("255.1.2.3", Net::default(), "255.1.2.3", "255.1.2.3:443"),
            ("fd00::1", both, "fd00::1 (vlan 2.3, vni 5001)", "[fd00::1]:443 (vlan 2.3, vni 5001)"),
        ];
        let numbers = cases.map(|(address, net, ..)| hosts.number(&address.parse().unwrap(), &net).unwrap());
        for ((address, net, name, socket), number) in cases.into_iter().zip(numbers) {
            assert_eq!(hosts.number(&address.parse().unwrap(), &net), Some(number));
            assert_eq!((hosts.name(number).as_str(), hosts.socket(number, 443).as_str()), (name, socket));
        }
        assert_eq!(numbers[1..], [FIRST, FIRST + 1, FIRST + 2]);
    }
}
