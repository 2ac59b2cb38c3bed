//! One TCP segment as the machine sees it: who sent it, its flags and numbers, and when.

use crate::time::Nanos;

/// A side of a flow's key, whatever its role: the lower of the two addresses, or the higher one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// The lower address and port.
    Low,
    /// The higher one.
    High,
}

impl Side {
    /// The other one.
    pub fn other(self) -> Side {
        match self {
            Side::Low => Side::High,
            Side::High => Side::Low,
        }
    }
}

/// Bits of the flags byte of a TCP header (RFC 9293 §3.1). URG, PSH, ECE and CWR decide nothing here.
pub mod flags {
    /// No more data from the sender.
    pub const FIN: u8 = 0x01;
    /// Begins the sequence numbers.
    pub const SYN: u8 = 0x02;
    /// Resets the connection.
    pub const RST: u8 = 0x04;
    /// Push.
    pub const PSH: u8 = 0x08;
    /// The acknowledgement number counts.
    pub const ACK: u8 = 0x10;
}

/// What a segment is, told by its flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Event {
    /// SYN without ACK.
    Syn,
    /// SYN with ACK.
    SynAck,
    /// ACK, with or without data.
    Ack,
    /// FIN with ACK.
    Fin,
    /// RST, with or without ACK.
    Rst,
    /// Flags that no stack sends together: SYN with FIN or RST, FIN with RST, FIN without ACK.
    Bad,
    /// None of SYN, ACK, FIN and RST.
    Nothing,
}

impl Event {
    /// All of them, in the order of the table.
    pub const ALL: [Event; 7] =
        [Event::Syn, Event::SynAck, Event::Ack, Event::Fin, Event::Rst, Event::Bad, Event::Nothing];
}

/// One TCP segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Who sent it.
    pub from: Side,
    /// The flags byte of the header.
    pub flags: u8,
    /// Sequence number of the first byte (of the SYN, if it is one).
    pub seq: u32,
    /// Acknowledgement number; counts only with ACK.
    pub ack: u32,
    /// Bytes of payload, by the IP header's length and not by what the capture kept of them.
    pub len: u32,
    /// The window field, not scaled.
    pub window: u16,
    /// The shift of the window scale option (RFC 7323: 0 to 14, more counts as 14); only a SYN has one.
    pub wscale: Option<u8>,
    /// When it was seen. May lie before the one seen last: clocks are set, captures are merged.
    pub at: Nanos,
}

impl Segment {
    /// Whether any of these flags is set.
    pub fn has(&self, bits: u8) -> bool {
        self.flags & bits != 0
    }

    /// What it is.
    pub fn event(&self) -> Event {
        use flags::{ACK, FIN, RST, SYN};
        match self.flags & (SYN | ACK | FIN | RST) {
            SYN => Event::Syn,
            bits if bits == SYN | ACK => Event::SynAck,
            ACK => Event::Ack,
            bits if bits == FIN | ACK => Event::Fin,
            bits if bits & !ACK == RST => Event::Rst,
            0 => Event::Nothing,
            _ => Event::Bad,
        }
    }

    /// The sequence number after its last byte: SYN and FIN count as one each.
    pub fn end(&self) -> u32 {
        let marks = u32::from(self.has(flags::SYN)).wrapping_add(u32::from(self.has(flags::FIN)));
        self.seq.wrapping_add(self.len).wrapping_add(marks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::indexing_slicing, reason = "a test may panic")]
    fn every_flags_byte_is_one_event() {
        let plain = Segment {
            from: Side::Low,
            flags: 0,
            seq: u32::MAX,
            ack: 0,
            len: 1,
            window: 0,
            wscale: None,
            at: Nanos::default(),
        };
        let mut seen = [0u32; 7];
        for bits in 0..=u8::MAX {
            seen[Segment { flags: bits, ..plain }.event() as usize] += 1;
        }
        // 16 of each combination of the four bits that count; RST with and without ACK is one event.
        assert_eq!(seen, [16, 16, 16, 16, 32, 144, 16]);
        assert_eq!(Segment { flags: flags::SYN, ..plain }.end(), 1, "wraps around");
    }
}
