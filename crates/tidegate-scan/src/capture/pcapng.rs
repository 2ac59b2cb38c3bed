//! pcapng: blocks, each with its length. A section has its own order of bytes, and its own interfaces.
//!
//! A block that contradicts itself is passed over as long as its length can be believed. What follows a packet in its block
//! (options, the length once more) is not looked at.

use super::bytes::{Order, from, up_to};
use super::frames::{LONGEST, Record, Step};
use super::link::Link;
use super::skip::Skip;
use super::units::Units;

/// The type of the block that begins a section: the same in both orders.
const SECTION: u32 = 0x0a0d_0d0a;
/// Bytes of a block without a body; less cannot be told of a section.
const BLOCK: u32 = 12;
/// Interfaces of a section, at most.
const INTERFACES: usize = 4096;
/// Bytes of the description of an interface that are looked at, at most.
const DESCRIPTION: usize = 64 << 10;

/// Where packets were captured.
#[derive(Clone, Copy, Debug)]
struct Interface {
    link: Option<Link>,
    /// Bytes of a packet that were kept, at most; 0: all.
    kept: u32,
    units: Units,
}

/// A file, read up to some place.
#[derive(Clone, Debug)]
pub(super) struct PcapNg {
    order: Order,
    interfaces: Vec<Interface>,
    /// When the last packet was captured: some do not say.
    last: u64,
}

impl PcapNg {
    /// A file that begins with these bytes, if it is one.
    pub(super) fn begins(head: &[u8; 12]) -> Option<Self> {
        let order = section(head)?;
        Some(Self { order, interfaces: Vec::new(), last: 0 })
    }

    /// What the next bytes are.
    pub(super) fn step<'b>(&mut self, bytes: &'b [u8]) -> Step<'b> {
        if bytes.len() < BLOCK as usize {
            return Step::More(BLOCK as usize);
        }
        let kind = self.order.u32(bytes, 0).unwrap_or_default();
        if kind == SECTION {
            let Some(order) = section(bytes) else { return Step::Lost(Skip::BlockBroken) };
            self.order = order;
            self.interfaces.clear();
        }
        let length = self.order.u32(bytes, 4).unwrap_or_default();
        if length < BLOCK {
            return Step::Lost(Skip::BlockBroken);
        }
        // A multiple of 4, and what is not was written by somebody who forgot to say so.
        let block = length.checked_next_multiple_of(4).unwrap_or(length) as usize;
        match kind {
            1 => self.interface(bytes, block),
            2 | 3 | 6 => self.packet(kind, bytes, block),
            _ => Step::Pass(block, None),
        }
    }

    /// The description of an interface: link type, bytes kept of a packet, options.
    fn interface<'b>(&mut self, bytes: &'b [u8], block: usize) -> Step<'b> {
        let wanted = block.min(DESCRIPTION);
        let Some(bytes) = bytes.get(..wanted) else { return Step::More(wanted) };
        let order = self.order;
        // Those after it would have the wrong number without it.
        let link = order.u16(bytes, 8).and_then(Link::of);
        let kept = order.u32(bytes, 12).unwrap_or(0);
        if self.interfaces.len() < INTERFACES {
            self.interfaces.push(Interface { link, kept, units: Units::of(from(bytes, 16), order) });
        }
        Step::Pass(block, None)
    }

    /// A packet: of the kind that says most (6), of its forerunner (2), or of the one that says least (3).
    fn packet<'b>(&mut self, kind: u32, bytes: &'b [u8], block: usize) -> Step<'b> {
        let header: usize = if kind == 3 { 12 } else { 28 };
        let Some(room) = block.checked_sub(header).and_then(|room| room.checked_sub(4)) else {
            return Step::Pass(block, Some(Skip::BlockBroken));
        };
        if bytes.len() < header {
            return Step::More(header);
        }
        let number = |at| self.order.u32(bytes, at).unwrap_or_default();
        let interface = match kind {
            2 => u32::from(self.order.u16(bytes, 8).unwrap_or_default()),
            3 => 0,
            _ => number(8),
        };
        let Some(interface) = self.interfaces.get(interface as usize) else {
            return Step::Pass(block, Some(Skip::InterfaceUnknown));
        };
        let (at, kept, length) = if kind == 3 {
            let length = number(8);
            let kept = if interface.kept == 0 { length } else { length.min(interface.kept) };
            // Some write fewer bytes than the interface keeps.
            (self.last, kept.min(u32::try_from(room).unwrap_or(u32::MAX)), length)
        } else {
            let units = u64::from(number(12)) << 32 | u64::from(number(16));
            (interface.units.nanoseconds(units), number(20), number(24))
        };
        let kept = kept as usize;
        if kept > room {
            return Step::Pass(block, Some(Skip::BlockBroken));
        }
        if kept > LONGEST {
            return Step::Pass(block, Some(Skip::RecordTooLong));
        }
        let wanted = header.saturating_add(kept);
        if bytes.len() < wanted {
            return Step::More(wanted);
        }
        self.last = at;
        Step::Record(block, Record { at, link: interface.link, length, bytes: up_to(from(bytes, header), kept) })
    }
}

/// The order of a section that begins here.
fn section(bytes: &[u8]) -> Option<Order> {
    if Order::Big.u32(bytes, 0)? != SECTION {
        return None;
    }
    match Order::Big.u32(bytes, 8)? {
        0x1a2b_3c4d => Some(Order::Big),
        0x4d3c_2b1a => Some(Order::Little),
        _ => None,
    }
}
