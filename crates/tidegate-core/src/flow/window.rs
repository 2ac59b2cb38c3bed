//! What each end has said so far, and whether the next segment fits (van Rooij, "Real Stateful TCP Packet Filtering in IP
//! Filter", 2001: four bounds, in arithmetic that wraps around).

use super::segment::{Event, Segment, flags};

/// Acknowledgements may lag this far behind, in bytes (van Rooij; `MAXACKWINCONST` of nf_conntrack).
const ACK_LAG: u32 = 66_000;
/// The shift of a window whose scale option nobody saw: the largest there is (RFC 7323 §2.3).
const SCALE_MAX: u8 = 14;

/// This end was heard.
const HEARD: u8 = 1;
/// It acknowledged something.
const ACKED: u8 = 2;
/// Its SYN was seen.
const SYN: u8 = 4;
/// Its SYN had a window scale option.
const SCALED: u8 = 8;
/// Its FIN was seen: it sends nothing more.
const FIN: u8 = 16;
/// It sent data before the handshake was over.
const EARLY: u8 = 32;
/// Its RST was inexact, and nothing came from it since.
const RESET: u8 = 64;
/// It answered a SYN with an ACK of an old connection: `ack` is that number.
const OLD: u8 = 128;

/// What one end has said. 16 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Track {
    /// The sequence number after its last byte.
    pub end: u32,
    /// The highest number that it acknowledged.
    pub ack: u32,
    /// The largest window that it announced, scaled, in bytes.
    pub window: u32,
    /// Bytes of data in its SYN.
    syn_len: u16,
    scale: u8,
    bits: u8,
}

/// Whether a segment fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    /// It does.
    Inside,
    /// It would, had the other end sent what this one acknowledges. Nobody saw that.
    Unseen,
    /// It does not.
    Outside,
}

/// How far `to` lies after `from`; negative when before it. Numbers wrap around at 2^32.
pub(super) fn ahead(to: u32, from: u32) -> i64 {
    i64::from(to.wrapping_sub(from).cast_signed())
}

impl Track {
    fn is(&self, bit: u8) -> bool {
        self.bits & bit != 0
    }

    fn set(&mut self, bit: u8, on: bool) {
        self.bits = if on { self.bits | bit } else { self.bits & !bit };
    }

    /// Whether anything came from it.
    pub fn heard(&self) -> bool {
        self.is(HEARD)
    }

    /// Whether it acknowledged anything.
    pub fn acked(&self) -> bool {
        self.is(ACKED)
    }

    /// Whether it sent its FIN.
    pub fn fin(&self) -> bool {
        self.is(FIN)
    }

    /// Whether a RST of it is in doubt.
    pub fn reset_pending(&self) -> bool {
        self.is(RESET)
    }

    /// A RST of it is in doubt, or no longer.
    pub fn set_reset_pending(&mut self, pending: bool) {
        self.set(RESET, pending);
    }

    /// The number that an old peer expects.
    pub fn old_ack(&self) -> Option<u32> {
        self.is(OLD).then_some(self.ack)
    }

    /// An old peer told the number that it expects, or is gone.
    pub fn set_old_ack(&mut self, ack: Option<u32>) {
        self.set(OLD, ack.is_some());
        self.ack = ack.unwrap_or_default();
    }

    /// The number of its SYN, for as long as it sent nothing else.
    pub fn syn_number(&self) -> u32 {
        self.end.wrapping_sub(1).wrapping_sub(u32::from(self.syn_len))
    }

    /// Whether `ack` acknowledges its SYN, with or without the data in it, and nothing that it did not send.
    pub fn syn_acked_by(&self, ack: u32) -> bool {
        let slack = if self.is(EARLY) { ACK_LAG } else { u32::from(self.syn_len) };
        self.heard() && (0..=i64::from(slack)).contains(&ahead(self.end, ack))
    }

    /// Whether it sent its FIN and `other` acknowledged it.
    pub fn fin_acked_by(&self, other: &Track) -> bool {
        self.fin() && other.acked() && ahead(other.ack, self.end) >= 0
    }

    /// Whether this end only asks whether `other` is there: the last byte again, or none, before where it stopped. What `other`
    /// acknowledged was sent, even if nobody saw it.
    pub fn asks(&self, other: &Track, segment: &Segment) -> bool {
        let unseen = other.acked() && ahead(other.ack, self.end) > 0;
        let stopped = if unseen { other.ack } else { self.end };
        let plain = segment.len <= 1 && segment.event() == Event::Ack;
        self.heard() && plain && ahead(segment.seq, stopped) == -1
    }

    /// Learns from a segment that this end sent. `other` is the other end: windows are scaled only if both SYNs said so.
    pub fn learn(&mut self, segment: &Segment, other: &Track) {
        if segment.has(flags::SYN) {
            let scaled = if segment.wscale.is_some() { SCALED } else { 0 };
            self.bits = HEARD | SYN | scaled | (self.bits & ACKED);
            self.scale = segment.wscale.unwrap_or_default().min(SCALE_MAX);
            self.syn_len = u16::try_from(segment.len).unwrap_or(u16::MAX);
            self.end = segment.end();
        } else if !self.heard() || (!self.fin() && ahead(segment.end(), self.end) > 0) {
            self.end = segment.end();
        }
        self.set(HEARD, true);
        if segment.has(flags::FIN) {
            self.set(FIN, true);
        }
        if segment.has(flags::ACK) && (!self.acked() || ahead(segment.ack, self.ack) > 0) {
            self.ack = segment.ack;
            self.set(ACKED, true);
            self.set(OLD, false);
        }
        let shift = if segment.has(flags::SYN) { 0 } else { self.shift_towards(other) };
        self.window = self.window.max(u32::from(segment.window).wrapping_shl(u32::from(shift)));
    }

    fn shift_towards(&self, other: &Track) -> u8 {
        match (self.is(SYN), other.is(SYN)) {
            (true, true) if self.is(SCALED) && other.is(SCALED) => self.scale,
            (true, true) => 0,
            _ => SCALE_MAX,
        }
    }

    /// It sent data before the handshake was over.
    pub fn set_early(&mut self) {
        self.set(EARLY, true);
    }

    /// Skips what nobody saw: this end must have sent everything up to `end`.
    pub fn skip_to(&mut self, end: u32) {
        if ahead(end, self.end) > 0 {
            self.end = end;
        }
    }

    /// Forgets its numbers and takes those of this segment.
    pub fn follow(&mut self, segment: &Segment, other: &Track) {
        self.end = segment.end();
        self.set(ACKED, false);
        self.learn(segment, other);
    }
}

/// Whether a segment of `sender` fits what both ends said before.
///
/// 1. It begins where `receiver` lets it: `seq <= receiver.ack + receiver.window`.
/// 2. It is not older than a window: `end >= sender.end - receiver.window`.
/// 3. It acknowledges what was sent: `ack <= receiver.end`.
/// 4. And that not too late: `ack >= receiver.end - max(sender.window, 66000)`.
///
/// A bound whose numbers nobody saw yet does not bind.
pub(super) fn fit(sender: &Track, receiver: &Track, segment: &Segment) -> Fit {
    let window = i64::from(receiver.window.max(1));
    if receiver.acked() && ahead(segment.seq, receiver.ack) > window {
        return Fit::Outside;
    }
    // What was acknowledged was sent, even if nobody saw it.
    let old = |known: bool, sent: u32| known && ahead(segment.end(), sent) < window.wrapping_neg();
    if receiver.heard() && (old(sender.heard(), sender.end) || old(receiver.acked(), receiver.ack)) {
        return Fit::Outside;
    }
    if !receiver.heard() || !segment.has(flags::ACK) {
        return Fit::Inside;
    }
    let lead = ahead(segment.ack, receiver.end);
    let most = if receiver.fin() { 0 } else { i64::from(sender.window) };
    if lead < i64::from(sender.window.max(ACK_LAG)).wrapping_neg() || lead > most {
        return Fit::Outside;
    }
    if lead > 0 { Fit::Unseen } else { Fit::Inside }
}

/// What a RST of `sender` is worth (RFC 5961 §3.2): exact where `receiver` waits for it, or where `sender` stopped.
pub(super) fn exact(sender: &Track, receiver: &Track, segment: &Segment) -> bool {
    (receiver.acked() && segment.seq == receiver.ack) || (sender.heard() && segment.seq == sender.end)
}
