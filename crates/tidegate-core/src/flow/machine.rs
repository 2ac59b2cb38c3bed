//! What is known of one flow: 72 bytes, and questions to it.

use super::profile::Profile;
use super::segment::{Event, Segment, Side};
use super::shadow::Shadow;
use super::state::{Role, State};
use super::window::Track;
use crate::time::{Nanos, Span};

/// Begun before anybody looked: its state is assumed.
const ASSUMED: u8 = 1;
/// Windows do not bind: scales are unknown, or the capture has a gap.
const LIBERAL: u8 = 2;
/// Both ends sent a SYN.
const CROSSED: u8 = 4;
/// The last occupant of the tuple was closed by a challenge.
const CHALLENGED: u8 = 8;

/// One flow. All segments of one tuple go through one of these, one incarnation after the other. What every segment needs lies
/// in its first 64 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    pub(super) low: Track,
    pub(super) high: Track,
    pub(super) shadow: Option<Shadow>,
    last: Nanos,
    generation: u16,
    pub(super) state: State,
    initiator: Side,
    bits: u8,
    pub(super) misses: u8,
}

impl Default for Flow {
    fn default() -> Flow {
        Flow {
            low: Track::default(),
            high: Track::default(),
            shadow: None,
            last: Nanos::default(),
            generation: 0,
            state: State::None,
            initiator: Side::Low,
            bits: 0,
            misses: 0,
        }
    }
}

impl Flow {
    /// What is known of it.
    pub fn state(&self) -> State {
        self.state
    }

    /// The side that sent the first SYN, or what was taken for it.
    pub fn initiator(&self) -> Side {
        self.initiator
    }

    /// Which incarnation of its tuple this is: 1 for the first one. Stops counting at 65535.
    pub fn generation(&self) -> u16 {
        self.generation
    }

    /// When the last segment came that was believed.
    pub fn last(&self) -> Nanos {
        self.last
    }

    /// Whether it was joined in its middle, so that its state is assumed.
    pub fn assumed(&self) -> bool {
        self.is(ASSUMED)
    }

    /// Whether a SYN waits in its shadow.
    pub fn contested(&self) -> bool {
        self.shadow.is_some()
    }

    /// Whether its packets may take the fast path: established beyond doubt, nobody contests the tuple, no RST is in doubt.
    pub fn plain(&self) -> bool {
        let doubt = self.low.reset_pending() || self.high.reset_pending();
        self.state == State::Established && !self.assumed() && !self.contested() && !doubt
    }

    /// Whether both ends were heard.
    pub fn both_heard(&self) -> bool {
        self.low.heard() && self.high.heard()
    }

    /// By how much it is longer silent than a profile keeps it, if it is, and if it is not over.
    pub fn overdue(&self, now: Nanos, profile: &Profile) -> Option<Span> {
        let (silent, kept) = (now.since(self.last), profile.idle(self.state));
        let late = Span(silent.0.saturating_sub(kept.0));
        (!self.state.over() && late > Span::ZERO).then_some(late)
    }

    /// Who the sender of a segment is.
    pub fn role(&self, segment: &Segment) -> Role {
        let initiates = match self.state {
            State::None => segment.event() != Event::SynAck,
            _ => segment.from == self.initiator,
        };
        if initiates { Role::Initiator } else { Role::Responder }
    }

    fn is(&self, bit: u8) -> bool {
        self.bits & bit != 0
    }

    pub(super) fn liberal(&self) -> bool {
        self.is(LIBERAL)
    }

    pub(super) fn crossed(&self) -> bool {
        self.is(CROSSED)
    }

    pub(super) fn set_crossed(&mut self) {
        self.bits |= CROSSED;
    }

    pub(super) fn set_liberal(&mut self) {
        self.bits |= LIBERAL;
    }

    pub(super) fn set_assumed(&mut self) {
        self.bits |= ASSUMED | LIBERAL;
    }

    pub(super) fn set_challenged(&mut self) {
        self.bits |= CHALLENGED;
    }

    /// Whether the last occupant was closed by a challenge; true only once.
    pub(super) fn take_challenged(&mut self) -> bool {
        let was = self.is(CHALLENGED);
        self.bits &= !CHALLENGED;
        was
    }

    /// A segment was believed at this time. Time never goes back.
    pub(super) fn touch(&mut self, at: Nanos) {
        self.last = self.last.max(at);
    }

    /// A new incarnation of the tuple, in a state yet to be told.
    pub(super) fn begin(&mut self, initiator: Side) {
        self.generation = self.generation.saturating_add(1);
        self.restart(initiator);
    }

    /// The same incarnation, told once more from its first SYN on.
    pub(super) fn restart(&mut self, initiator: Side) {
        let (generation, last, bits) = (self.generation, self.last, self.bits & CHALLENGED);
        *self = Flow { generation, initiator, last, bits, ..Flow::default() };
    }

    /// What is known of the sender of a segment, and of the other end.
    pub(super) fn ends(&self, sender: Side) -> (&Track, &Track) {
        match sender {
            Side::Low => (&self.low, &self.high),
            Side::High => (&self.high, &self.low),
        }
    }

    /// The same, to be changed.
    pub(super) fn ends_mut(&mut self, sender: Side) -> (&mut Track, &mut Track) {
        match sender {
            Side::Low => (&mut self.low, &mut self.high),
            Side::High => (&mut self.high, &mut self.low),
        }
    }

    pub(super) fn learn(&mut self, segment: &Segment) {
        let (sender, receiver) = self.ends_mut(segment.from);
        sender.learn(segment, receiver);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flow_is_small() {
        assert!(size_of::<Flow>() <= 72, "{}", size_of::<Flow>());
        assert_eq!(size_of::<Track>(), 16);
    }
}
