//! What all findings may ask before they judge.

use super::census::Census;
use super::hosts::Hosts;
use super::ladder::Ladders;
use super::look::Live;
use super::sink::Flows;

/// The capture as a whole.
pub(crate) struct Summary<'a> {
    /// When the first packet came, in nanoseconds since 1970. [`Look::ms`](super::look::Look) counts from here.
    pub from: u64,
    /// When the last one came.
    pub to: u64,
    /// Packets of all kinds.
    pub packets: u64,
    /// Flows: incarnations that were seen.
    pub flows: u64,
    /// What became of all flows.
    pub census: &'a Census,
    /// No flow shows an answer: one direction was not captured. What needs both is withheld for all findings alike.
    pub one_sided: bool,
    /// Times lie further apart than findings can tell, or before the first packet: what counts by time is withheld.
    pub leaps: bool,
    /// How often bytes were acknowledged or passed by that nobody saw: the capture dropped packets.
    pub gaps: u64,
    /// Names of hosts.
    pub hosts: &'a Hosts,
    /// Cases that are shown frame by frame.
    pub ladders: &'a Ladders,
    /// All of it.
    pub all: &'a Flows,
}

impl<'a> Summary<'a> {
    /// The flows that stand, in no order that means anything: what is made of them must not depend on it.
    pub fn live(&self) -> impl Iterator<Item = Live<'a>> + use<'a> {
        self.all.live()
    }

    /// A window that begins so many milliseconds after the first packet, as a time line tells it: in seconds since 1970, down to
    /// a multiple of its width (milliseconds, a second or more). So a reader sees what one point stands for.
    pub fn window(&self, ms: u64, width: u64) -> u64 {
        let second = self.at(ms) / 1_000_000_000;
        second.saturating_sub(second.checked_rem(width / 1000).unwrap_or(0))
    }

    /// The time of so many milliseconds after the first packet, in nanoseconds since 1970.
    pub fn at(&self, ms: impl Into<u64>) -> u64 {
        self.from.saturating_add(ms.into().saturating_mul(1_000_000))
    }

    /// The reverse: milliseconds after the first packet, 0 for what lies before it.
    pub fn ms(&self, at: u64) -> u32 {
        u32::try_from(at.saturating_sub(self.from) / 1_000_000).unwrap_or(u32::MAX)
    }
}
