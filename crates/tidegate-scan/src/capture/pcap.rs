//! pcap: a header of 24 bytes, then records of 16 bytes and what was captured.

use super::bytes::{Order, from};
use super::frames::{LONGEST, Record, Step};
use super::link::Link;
use super::skip::Skip;

/// Bytes of the header of a file.
const FILE: usize = 24;
/// Bytes of the header of a record.
const RECORD: usize = 16;

/// A file, read up to some place.
#[derive(Clone, Debug)]
pub(super) struct Pcap {
    order: Order,
    /// Nanoseconds per unit of the fraction of a second.
    unit: u64,
    /// The link type, once the header was read.
    link: Option<u16>,
}

impl Pcap {
    /// A file that begins with these bytes, if it is one.
    pub(super) fn begins(head: [u8; 4]) -> Option<Self> {
        let (order, unit) = match head {
            [0xa1, 0xb2, 0xc3, 0xd4] => (Order::Big, 1000),
            [0xd4, 0xc3, 0xb2, 0xa1] => (Order::Little, 1000),
            [0xa1, 0xb2, 0x3c, 0x4d] => (Order::Big, 1),
            [0x4d, 0x3c, 0xb2, 0xa1] => (Order::Little, 1),
            _ => return None,
        };
        Some(Self { order, unit, link: None })
    }

    /// What the next bytes are.
    #[inline]
    pub(super) fn step<'b>(&mut self, bytes: &'b [u8]) -> Step<'b> {
        let Some(link) = self.link else {
            // The upper half says how long the checksum of a frame is, which the length of IP leaves out anyway.
            let Some(link) = self.order.u32(bytes, 20) else { return Step::More(FILE) };
            self.link = Some((link & 0xffff) as u16);
            return Step::Pass(FILE, None);
        };
        self.record(link, bytes).unwrap_or(Step::More(RECORD))
    }

    /// The record that begins here, when its header is there.
    #[inline]
    fn record<'b>(&self, link: u16, bytes: &'b [u8]) -> Option<Step<'b>> {
        let second = u64::from(self.order.u32(bytes, 0)?);
        let part = u64::from(self.order.u32(bytes, 4)?);
        let kept = usize::try_from(self.order.u32(bytes, 8)?).unwrap_or(usize::MAX);
        let length = self.order.u32(bytes, 12)?;
        if kept > LONGEST {
            return Some(Step::Lost(Skip::RecordTooLong));
        }
        let all = RECORD.saturating_add(kept);
        let Some(bytes) = from(bytes, RECORD).get(..kept) else { return Some(Step::More(all)) };
        // 2^32 seconds and 2^32 microseconds are less than 2^64 nanoseconds.
        let at = second.wrapping_mul(1_000_000_000).wrapping_add(part.wrapping_mul(self.unit));
        Some(Step::Record(all, Record { at, link: Link::of(link), length, bytes }))
    }
}
