//! What is kept of each flow beside its state: 36 bytes, of its current incarnation. With them a record of the
//! table is two lines of memory; with one byte more it would be three.

use tidegate_core::flow::{Note, Outcome, Role, Side};

use super::found::Frame;
use crate::capture::{Packet, flag};

/// Bits of [`Cold`]. Those of a side are shifted to the left by one for the higher side.
pub(crate) mod bit {
    /// The side sent data.
    pub const DATA: u16 = 1;
    /// The hops left in packets of the side are not always the same.
    pub const TTL_VARIES: u16 = 1 << 2;
    /// The side sent a SYN.
    pub const SYN: u16 = 1 << 4;
    /// The side sent a FIN.
    pub const FIN: u16 = 1 << 6;
    /// The side sent a RST that counted, and no SYN after it.
    pub const RST: u16 = 1 << 8;
    /// The side sent anything but a RST: its `ttl` and `id` are known.
    pub const HEARD: u16 = 1 << 10;
    /// The handshake came to its end.
    pub const ESTABLISHED: u16 = 1 << 12;
    /// All frames of it are shown to the ladders. Lasts longer than the incarnation.
    pub const WATCHED: u16 = 1 << 13;
    /// An ACK without SYN was sent.
    pub const ACKED: u16 = 1 << 14;
    /// A keepalive was answered.
    pub const KEPT: u16 = 1 << 15;
}

/// Bits of [`Cold::eager`]: what a finding waits for in a flow. While one of them is set, no packet of the flow is quiet.
pub(crate) mod eager {
    /// A TLS handshake is under way.
    pub const TLS: u8 = 1;
    /// A RST was sent: its sender may go on.
    pub const RESET: u8 = 2;
    /// The lower side (shifted by one: the higher) sent a keepalive that is not answered yet.
    pub const ASKED: u8 = 1 << 3;
    /// The lower side (shifted by one: the higher) spoke after a long silence, and is not answered yet.
    pub const WOKE: u8 = 1 << 5;
}

/// What is kept of a flow. Times are milliseconds since the first packet of all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cold {
    /// When its first packet came.
    pub first: u32,
    /// When data came last, or its first packet.
    pub data: u32,
    /// Packets.
    pub packets: u32,
    /// The frame of the first packet; the highest number if it does not fit.
    pub frame: u32,
    /// The frame of the last one.
    pub frame_last: u32,
    /// Milliseconds from the first packet to the end of the handshake, with [`bit::ESTABLISHED`]; the highest number if it does
    /// not fit.
    pub established: u16,
    /// The file of the first one.
    pub file: u16,
    /// Keepalives from either side: 255 may be more.
    pub keepalives: u8,
    /// SYNs of the initiator: 1 without a retry.
    pub tries: u8,
    /// The number that IPv4 gave the last packet of the lower and the higher side, a RST aside.
    pub id: [u16; 2],
    /// Hops left in it.
    pub ttl: [u8; 2],
    /// The initiator sent the first FIN: it is the one that keeps the tuple in TIME-WAIT.
    pub client_first: bool,
    /// See [`eager`].
    pub eager: u8,
    /// See [`bit`].
    pub bits: u16,
}

impl Cold {
    /// Whether a bit is set.
    pub fn is(&self, bit: u16) -> bool {
        self.bits & bit != 0
    }

    /// Sets a bit.
    pub fn set(&mut self, bit: u16) {
        self.bits |= bit;
    }

    /// Whether a bit of a side is set.
    pub fn has(&self, bit: u16, side: Side) -> bool {
        self.is(of(bit, side))
    }

    /// Sets a bit of a side.
    pub fn mark(&mut self, bit: u16, side: Side) {
        self.set(of(bit, side));
    }

    /// Remembers what the IP header of a packet of a side says. Not of a RST: that is compared with what came before it.
    pub fn hear(&mut self, side: Side, ttl: u8, id: u16) {
        if self.ip(side).is_some_and(|(before, _)| before != ttl) {
            self.mark(bit::TTL_VARIES, side);
        }
        self.mark(bit::HEARD, side);
        let ([low_ttl, high_ttl], [low_id, high_id]) = (&mut self.ttl, &mut self.id);
        match side {
            Side::Low => (*low_ttl, *low_id) = (ttl, id),
            Side::High => (*high_ttl, *high_id) = (ttl, id),
        }
    }

    /// What [`Cold::hear`] heard last from a side: hops left, and the number of the packet.
    pub fn ip(&self, side: Side) -> Option<(u8, u16)> {
        let ([low_ttl, high_ttl], [low_id, high_id]) = (self.ttl, self.id);
        self.has(bit::HEARD, side).then_some(if side == Side::Low { (low_ttl, low_id) } else { (high_ttl, high_id) })
    }
}

/// What a segment was to its flow, as far as it is kept.
pub(crate) struct Passing {
    /// Who sent it.
    pub side: Side,
    /// Who that is.
    pub role: Role,
    /// When, in milliseconds since the first packet of all.
    pub ms: u32,
    /// What it meant.
    pub note: Note,
    /// It was seen just before.
    pub copied: bool,
    /// Its flags.
    pub flags: u8,
    /// There was data in it.
    pub data: bool,
}

impl Cold {
    /// A new incarnation; it is watched if the one before it was.
    pub fn begin(frame: &Frame, ms: u32, before: &Cold) -> Cold {
        Cold {
            first: ms,
            data: ms,
            frame: u32::try_from(frame.frame).unwrap_or(u32::MAX),
            file: u16::try_from(frame.file).unwrap_or(u16::MAX),
            bits: before.bits & bit::WATCHED,
            ..Cold::default()
        }
    }

    /// Whether no finding waits for the next packet, whatever it is.
    pub fn calm(&self) -> bool {
        self.eager == 0 && !self.is(bit::WATCHED)
    }

    /// One more segment.
    pub fn count(&mut self, passing: &Passing, packet: &Packet<'_>, frame: &Frame) {
        let Passing { side, ms, note, flags, .. } = *passing;
        self.packets = self.packets.saturating_add(1);
        self.frame_last = u32::try_from(frame.frame).unwrap_or(u32::MAX);
        if flags & flag::RST == 0 {
            self.hear(side, packet.ttl, packet.id);
        }
        if passing.data {
            // A keepalive may repeat a byte.
            self.data = if note == Note::Keepalive { self.data } else { ms };
            self.mark(bit::DATA, side);
        }
        if flags & (flag::SYN | flag::ACK) == flag::ACK {
            self.set(bit::ACKED);
        }
        // A FIN after a RST means nothing to the machine.
        if note != Note::Quiet || flags & flag::FIN != 0 {
            self.mean(passing);
        }
    }

    /// What it meant, if anything.
    fn mean(&mut self, passing: &Passing) {
        let Passing { side, role, ms, note, copied, flags, .. } = *passing;
        match note {
            Note::Invalid(_) | Note::Collision | Note::Orphan | Note::Challenge => return,
            Note::Keepalive => self.keepalives = self.keepalives.saturating_add(1),
            Note::Established | Note::RetrySucceeded | Note::Assumed => {
                self.established = u16::try_from(ms.saturating_sub(self.first)).unwrap_or(u16::MAX);
                self.set(bit::ESTABLISHED);
            }
            // Its SYN was in the shadow of the flow before it.
            Note::Settled(Outcome::Superseded) => {
                self.mark(bit::SYN, side.other());
                self.mark(bit::HEARD, side.other());
                self.tries = 1;
            }
            Note::Reset | Note::Refused | Note::Aborted | Note::OldPeerReset | Note::Settled(Outcome::Challenged) => {
                self.mark(bit::RST, side)
            }
            _ => {}
        }
        if flags & flag::SYN != 0 {
            self.mark(bit::SYN, side);
            self.bits &= !of(bit::RST, side);
            let tries = u8::from(role == Role::Initiator && !copied);
            self.tries = self.tries.saturating_add(tries);
        }
        if flags & flag::FIN != 0 {
            self.mark(bit::FIN, side);
        }
    }
}

fn of(bit: u16, side: Side) -> u16 {
    if side == Side::Low { bit } else { bit << 1 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_core::flow::Record;

    #[test]
    fn a_flow_is_small() {
        assert!(size_of::<Cold>() <= 36);
        assert_eq!(size_of::<Record<Cold>>(), 128);
    }

    #[test]
    fn each_side_has_its_own_numbers() {
        let mut cold = Cold::default();
        cold.hear(Side::Low, 64, 7);
        assert_eq!((cold.ip(Side::Low), cold.ip(Side::High)), (Some((64, 7)), None));
        cold.hear(Side::High, 128, 9);
        cold.hear(Side::Low, 63, 8);
        assert_eq!((cold.ip(Side::Low), cold.ip(Side::High)), (Some((63, 8)), Some((128, 9))));
        assert!(cold.has(bit::TTL_VARIES, Side::Low) && !cold.has(bit::TTL_VARIES, Side::High));
    }
}
