//! What is kept of each flow beside its state: 40 bytes, of its current incarnation.

use tidegate_core::flow::Side;

/// Bits of [`Cold`]. Those of a side are shifted to the left by one for the higher side.
pub(crate) mod bit {
    /// The side sent data.
    pub const DATA: u16 = 1;
    /// The side's first TLS record was looked at.
    pub const TLS: u16 = 1 << 2;
    /// The side sent a SYN.
    pub const SYN: u16 = 1 << 4;
    /// The side sent a FIN.
    pub const FIN: u16 = 1 << 6;
    /// The side sent a RST.
    pub const RST: u16 = 1 << 8;
    /// The side sent anything: its `ttl` is known.
    pub const HEARD: u16 = 1 << 10;
    /// The handshake came to its end.
    pub const ESTABLISHED: u16 = 1 << 12;
    /// All frames of it are shown to the ladders. Lasts longer than the incarnation.
    pub const WATCHED: u16 = 1 << 13;
    /// The initiator sent an ACK without SYN.
    pub const ACKED: u16 = 1 << 14;
    /// More than its first packets were seen by findings that want all of it (free for `find/tls.rs`).
    pub const TLS_DONE: u16 = 1 << 15;
}

/// What is kept of a flow. Times are milliseconds since the first packet of all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cold {
    /// When its first packet came.
    pub first: u32,
    /// When the handshake was over, with [`bit::ESTABLISHED`].
    pub established: u32,
    /// When data came last, or its first packet.
    pub data: u32,
    /// The longest time without any packet.
    pub silence: u32,
    /// Packets.
    pub packets: u32,
    /// The frame of the first packet; the highest number if it does not fit.
    pub frame: u32,
    /// The frame of the last one.
    pub frame_last: u32,
    /// The file of the first one.
    pub file: u16,
    /// Keepalives from either side.
    pub keepalives: u16,
    /// SYNs of the initiator: 1 without a retry.
    pub tries: u8,
    /// Hops left in the last packet of the lower and the higher side.
    pub ttl: [u8; 2],
    /// Spare, so that it is known to be zero.
    pub free: u8,
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

    /// Hops left in the last packet of a side, if there was one.
    pub fn ttl_of(&self, side: Side) -> Option<u8> {
        let [low, high] = self.ttl;
        self.has(bit::HEARD, side).then_some(if side == Side::Low { low } else { high })
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
        assert!(size_of::<Cold>() <= 40);
        assert!(size_of::<Record<Cold>>() <= 140);
    }
}
