//! What the kernel's settings say about ports, and what follows for the range that the gate uses.

use std::path::Path;
use tidegate_core::ledger::PortRange;

/// Where Linux tells it, for IPv6 as well.
const SETTINGS: &str = "/proc/sys/net/ipv4";
/// The kernel's own default for `ip_local_port_range`.
const LOCAL: PortRange = PortRange { first: 32_768, last: 60_999 };
/// Ports below belong to services.
const LOWEST: u16 = 10_000;
/// A range of fewer ports is no range to run a gate on.
const FEWEST: u32 = 1_000;

/// Ports that the kernel uses by itself, and those that it leaves alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Host {
    /// `ip_local_port_range`: where the kernel takes ports for whoever does not choose.
    local: PortRange,
    /// `ip_local_reserved_ports`, ascending.
    reserved: Vec<PortRange>,
}

impl Host {
    /// As it is now; what cannot be read is taken as the kernel's default.
    pub(super) fn read() -> Host {
        let text = |name| std::fs::read_to_string(Path::new(SETTINGS).join(name)).unwrap_or_default();
        Host::parse(&text("ip_local_port_range"), &text("ip_local_reserved_ports"))
    }

    fn parse(local: &str, reserved: &str) -> Host {
        let numbers: Vec<u16> = local.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        let local = match numbers[..] {
            [first, last] if first <= last => PortRange { first, last },
            _ => LOCAL,
        };
        let range = |text: &str| {
            let (first, last) = text.trim().split_once('-').unwrap_or((text.trim(), text.trim()));
            Some(PortRange { first: first.parse().ok()?, last: last.parse().ok()? })
        };
        let mut reserved: Vec<PortRange> = reserved.split(',').filter_map(range).collect();
        reserved.sort_unstable();
        Host { local, reserved }
    }

    /// The larger part beside the kernel's range, without what is reserved, which is somebody's; where the kernel's range
    /// leaves too little, the upper half of all ports.
    pub(super) fn beside(&self) -> Vec<PortRange> {
        let below = PortRange { first: LOWEST, last: self.local.first.saturating_sub(1) };
        let above = PortRange { first: self.local.last.saturating_add(1).max(LOWEST), last: u16::MAX };
        let above = if self.local.last == u16::MAX { Vec::new() } else { self.unreserved(above) };
        let count = |ranges: &[PortRange]| ranges.iter().map(|range| range.count()).sum::<u32>();
        let larger = [self.unreserved(below), above].into_iter().max_by_key(|ranges| count(ranges)).unwrap_or_default();
        if count(&larger) >= FEWEST { larger } else { vec![PortRange { first: LOCAL.first, last: u16::MAX }] }
    }

    fn unreserved(&self, range: PortRange) -> Vec<PortRange> {
        let (mut left, mut first) = (Vec::new(), u32::from(range.first));
        for taken in self.reserved.iter().filter(|taken| taken.meets(range)) {
            if u32::from(taken.first) > first {
                left.push(PortRange { first: first as u16, last: taken.first - 1 });
            }
            first = first.max(u32::from(taken.last) + 1);
        }
        if first <= u32::from(range.last) {
            left.push(PortRange { first: first as u16, last: range.last });
        }
        left
    }

    /// What is to be said of using these.
    pub(super) fn warnings(&self, ranges: &[PortRange]) -> Vec<String> {
        let overlap = |range: &PortRange| {
            let first = range.first.max(self.local.first);
            let last = range.last.min(self.local.last);
            let common = PortRange { first, last };
            (common.count() > 0 && !self.unreserved(common).is_empty()).then_some(common)
        };
        let told = |common: PortRange| {
            format!(
                "ports {common} are also the kernel's to choose (net.ipv4.ip_local_port_range is {}), so that \
                 connections of other programs may fail: add {common} to net.ipv4.ip_local_reserved_ports, or \
                 give [gate.ports] a range beside it",
                self.local
            )
        };
        ranges.iter().filter_map(overlap).map(told).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beside(local: &str, reserved: &str) -> String {
        let ranges = Host::parse(local, reserved).beside();
        ranges.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
    }

    #[test]
    fn the_larger_range_beside_the_kernels_is_used() {
        assert_eq!(beside("32768\t60999\n", "\n"), "10000-32767");
        assert_eq!(beside("", ""), "10000-32767", "as the kernel has it when nobody changed it");
        assert_eq!(beside("15000 30000", ""), "30001-65535");
        assert_eq!(beside("32768 60999", "9000-10010,20000,30000-32767"), "10011-19999,20001-29999");
        assert_eq!(beside("1024 65535", ""), "32768-65535");
        assert_eq!(beside("1024 65000", ""), "32768-65535", "what is left above is too little");
    }

    #[test]
    fn ports_that_the_kernel_may_choose_are_warned_of() {
        let warned = |reserved: &str, range: (u16, u16)| {
            Host::parse("32768 60999", reserved).warnings(&[PortRange { first: range.0, last: range.1 }])
        };
        assert_eq!(warned("", (20_000, 32_767)), Vec::<String>::new());
        assert_eq!(warned("30000-35000", (30_000, 35_000)), Vec::<String>::new());
        let words = warned("30000-34999", (30_000, 35_000)).join("");
        assert!(words.starts_with("ports 32768-35000 are also the kernel's to choose"), "{words}");
    }
}
