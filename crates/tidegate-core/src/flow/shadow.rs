//! A SYN on a live tuple. It says nothing about the flow that holds the tuple: anybody can send one. It is believed only when
//! it is answered (RFC 5961 §4.2), so until then it waits in the flow's shadow.
//!
//! ```text
//!                      ACK of the peer, no data          RST of the sender with that ACK's number
//!  SYN ─► in the shadow ─────────────────────► challenged ─────────────────────► CHALLENGED: the old flow is closed
//!           │  │  │                                │
//!           │  │  └ 3 s: SILENT                    └ 3 s: UNANSWERED
//!           │  └ RST of the peer: REJECTED, the old flow lives on
//!           └ SYN-ACK of the peer: SUPERSEDED, a new incarnation begins
//! ```

use super::machine::Flow;
use super::note::{Note, Outcome};
use super::segment::{Event, Segment, Side, flags};
use super::state::State;
use super::window::ahead;
use crate::time::{Nanos, Span};

/// How long a SYN waits for its answer: a second retransmission after 1 and 3 s (RFC 6298) begins another wait.
pub const SHADOW: Span = Span::secs(3);

/// A SYN that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shadow {
    at: Nanos,
    seq: u32,
    /// What the challenge acknowledged.
    answer: u32,
    window: u16,
    len: u16,
    /// The window scale option; 255 for none.
    scale: u8,
    challenged: bool,
    from: Side,
}

const UNSCALED: u8 = u8::MAX;

impl Shadow {
    fn of(syn: &Segment) -> Shadow {
        Shadow {
            at: syn.at,
            seq: syn.seq,
            answer: 0,
            window: syn.window,
            len: u16::try_from(syn.len).unwrap_or(u16::MAX),
            scale: syn.wscale.unwrap_or(UNSCALED),
            challenged: false,
            from: syn.from,
        }
    }

    /// The SYN again, as far as it counts.
    fn syn(&self) -> Segment {
        Segment {
            from: self.from,
            flags: flags::SYN,
            seq: self.seq,
            ack: 0,
            len: u32::from(self.len),
            window: self.window,
            wscale: (self.scale != UNSCALED).then_some(self.scale),
            at: self.at,
        }
    }

    /// Whether a segment acknowledges it, with or without the data in it.
    fn acked_by(&self, segment: &Segment) -> bool {
        let first = self.seq.wrapping_add(1);
        segment.has(flags::ACK) && (0..=i64::from(self.len)).contains(&ahead(segment.ack, first))
    }

    fn lapsed(&self) -> Outcome {
        if self.challenged { Outcome::Unanswered } else { Outcome::Silent }
    }
}

impl Flow {
    /// Gives up a SYN that waited too long, and tells how it came out. To be asked once more when no segment will follow.
    pub fn lapse(&mut self, now: Nanos) -> Option<Outcome> {
        let late = self.shadow.take_if(|shadow| now.since(shadow.at) > SHADOW)?;
        Some(late.lapsed())
    }

    /// Gives up a SYN that waits, because another one comes.
    pub(super) fn give_up(&mut self) -> Option<Outcome> {
        self.shadow.take().map(|shadow| shadow.lapsed())
    }

    /// Puts a SYN into the shadow. Another one that waited there is given up: it is told as lapsed.
    pub(super) fn contest(&mut self, syn: &Segment) -> (Note, Option<Outcome>) {
        let replaced = self.give_up();
        self.shadow = Some(Shadow::of(syn));
        (Note::Collision, replaced)
    }

    /// Looks whether a segment has to do with the SYN in the shadow. `None`: it has not, the table is asked.
    pub(super) fn answer(&mut self, segment: &Segment) -> Option<Note> {
        let shadow = self.shadow?;
        if segment.from == shadow.from { self.sender_says(shadow, segment) } else { self.peer_says(shadow, segment) }
    }

    fn sender_says(&mut self, shadow: Shadow, segment: &Segment) -> Option<Note> {
        match segment.event() {
            Event::Syn if segment.seq == shadow.seq && !self.state.over() => {
                self.shadow = Some(Shadow { at: segment.at.max(shadow.at), ..shadow });
                Some(Note::Again)
            }
            Event::Rst if self.clears(&shadow, segment) => {
                self.shadow = None;
                self.state = State::Closed;
                self.set_challenged();
                Some(Note::Settled(Outcome::Challenged))
            }
            _ => None,
        }
    }

    /// Whether a RST of the SYN's sender is its word on a challenge. A challenge acknowledges what the peer waits for, so that
    /// number counts even if the capture missed the challenge.
    fn clears(&self, shadow: &Shadow, segment: &Segment) -> bool {
        let (_, peer) = self.ends(segment.from);
        let unseen = !shadow.challenged && peer.acked() && segment.seq == peer.ack;
        unseen || (shadow.challenged && segment.seq == shadow.answer)
    }

    fn peer_says(&mut self, shadow: Shadow, segment: &Segment) -> Option<Note> {
        let (peer, _) = self.ends(segment.from);
        match segment.event() {
            Event::SynAck if shadow.acked_by(segment) => {
                self.begin(shadow.from);
                self.learn(&shadow.syn());
                self.learn(segment);
                self.state = State::SynReceived;
                Some(Note::Settled(Outcome::Superseded))
            }
            Event::Rst if shadow.acked_by(segment) || segment.seq == 0 => {
                self.shadow = None;
                Some(Note::Settled(Outcome::Rejected))
            }
            Event::Ack if segment.len == 0 && (!peer.heard() || segment.seq == peer.end) => {
                self.shadow = Some(Shadow { challenged: true, answer: segment.ack, ..shadow });
                Some(Note::Challenge)
            }
            _ => None,
        }
    }
}
