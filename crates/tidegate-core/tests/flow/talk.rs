//! Two ends that talk through one flow: short ways to write segments.

use tidegate_core::flow::flags::{ACK, FIN, RST, SYN};
use tidegate_core::flow::*;
use tidegate_core::time::{Nanos, Span};

/// The initiator of all scripts.
pub const O: Side = Side::Low;
/// Its peer.
pub const R: Side = Side::High;
/// First numbers of both, close to where numbers wrap around.
pub const ISS: u32 = 0xFFFF_FFF0;
pub const IRS: u32 = 0xFFFF_FF00;

pub struct Talk {
    pub flow: Flow,
    pub profile: Profile,
    pub now: Nanos,
}

pub fn segment(from: Side, flags: u8, seq: u32, ack: u32, len: u32) -> Segment {
    let (wscale, window) = if flags & SYN != 0 { (Some(7), 64_240) } else { (None, 500) };
    Segment { from, flags, seq, ack, len, window, wscale, at: Nanos::default() }
}

impl Talk {
    pub fn new() -> Talk {
        Talk { flow: Flow::default(), profile: profile::LINUX, now: Nanos(1_000_000_000) }
    }

    pub fn wait(&mut self, span: Span) {
        self.now = self.now + span;
    }

    pub fn say(&mut self, from: Side, flags: u8, seq: u32, ack: u32, len: u32) -> Step {
        self.wait(Span::millis(1));
        self.flow.step(&Segment { at: self.now, ..segment(from, flags, seq, ack, len) }, &self.profile)
    }

    /// The flow in one of its states, reached by a script; numbers of both ends are one after their SYN unless they sent FIN.
    pub fn in_state(state: State) -> Talk {
        let (o, r) = (ISS.wrapping_add(1), IRS.wrapping_add(1));
        let mut talk = Talk::new();
        let script: &[(Side, u8, u32, u32)] = match state {
            State::None => &[],
            State::SynSent => &[(O, SYN, ISS, 0)],
            State::Simultaneous => &[(O, SYN, ISS, 0), (R, SYN, IRS, 0)],
            State::SynReceived => &[(O, SYN, ISS, 0), (R, SYN | ACK, IRS, o)],
            State::Established => &[(O, SYN, ISS, 0), (R, SYN | ACK, IRS, o), (O, ACK, o, r)],
            State::FinWait => &[(O, SYN, ISS, 0), (R, SYN | ACK, IRS, o), (O, ACK, o, r), (O, FIN | ACK, o, r)],
            State::CloseWait => return Talk::in_state(State::FinWait).then(R, ACK, r, o.wrapping_add(1)),
            State::LastAck => return Talk::in_state(State::CloseWait).then(R, FIN | ACK, r, o.wrapping_add(1)),
            State::TimeWait => {
                return Talk::in_state(State::LastAck).then(O, ACK, o.wrapping_add(1), r.wrapping_add(1));
            }
            State::Closed => &[(O, SYN, ISS, 0), (R, RST | ACK, 0, o)],
            State::MidStream => &[(O, ACK, o, r)],
            State::OrphanSynAck => &[(R, SYN | ACK, IRS, o)],
        };
        for (from, flags, seq, ack) in script {
            talk.say(*from, *flags, *seq, *ack, 0);
        }
        assert_eq!(talk.flow.state(), state);
        assert_eq!(talk.flow.initiator(), O);
        talk
    }

    fn then(mut self, from: Side, flags: u8, seq: u32, ack: u32) -> Talk {
        self.say(from, flags, seq, ack, 0);
        self
    }
}
