//! What a finding is shown: a segment and what it did to its flow, a flow that is gone, a flow that stands.

use tidegate_core::flow::{Flow, Key, Note, Outcome, Profile, Role, Side, State, Step};
use tidegate_core::time::{Nanos, Span};

use super::cold::Cold;
use super::found::Frame;
use super::ladder::Ladders;
use crate::capture::{Packet, Tcp, Unreachable};

/// A segment, after the machine has taken it.
pub(crate) struct Look<'a, 'p> {
    /// The packet.
    pub packet: &'a Packet<'p>,
    /// Its segment.
    pub tcp: &'a Tcp<'p>,
    /// Where it stands: for [`Firsts`](super::found::Firsts).
    pub frame: Frame,
    /// When it came.
    pub at: Nanos,
    /// The same in milliseconds since the first packet of all; 0 for what lies before it.
    pub ms: u32,
    /// The tuple.
    pub key: Key,
    /// Who sent it.
    pub side: Side,
    /// Who the sender was in the flow before this segment; in a flow that began with it, who it is.
    pub role: Role,
    /// What it did.
    pub step: Step,
    /// The flow before it.
    pub before: Before,
    /// The flow after it; `None`: there is none, or no room for it.
    pub flow: Option<&'a Flow>,
    /// What is kept of it; of no flow if there is none. The segment is counted in it already.
    pub cold: &'a mut Cold,
    /// Those who talk.
    pub bucket: Bucket,
    /// Cases that are shown frame by frame.
    pub ladders: &'a mut Ladders,
}

/// A flow before a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Before {
    /// Its state.
    pub state: State,
    /// When the last segment came that was believed.
    pub last: Nanos,
    /// Which incarnation of its tuple it was; 0: there was none.
    pub generation: u16,
    /// The side that had begun it.
    pub initiator: Side,
}

impl Default for Before {
    fn default() -> Before {
        Before::of(&Flow::default())
    }
}

impl Before {
    /// What a flow is before a segment.
    pub fn of(flow: &Flow) -> Before {
        let (state, last) = (flow.state(), flow.last());
        Before { state, last, generation: flow.generation(), initiator: flow.initiator() }
    }

    /// Whether a segment of this meaning began another incarnation, which is this one.
    pub fn begins(&self, flow: &Flow, note: Note) -> bool {
        // The generation stops counting at its highest.
        let told = matches!(note, Note::Renewed | Note::Settled(Outcome::Superseded));
        flow.generation() != self.generation || (told && self.generation == u16::MAX)
    }

    /// How long it had been silent.
    pub fn silent(&self, now: Nanos) -> Span {
        if self.state == State::None { Span::ZERO } else { now.since(self.last) }
    }

    /// Whether a segment is a copy of one that was just seen, and not its sender's next try: a mirrored port shows both ways
    /// through it, and captures of both ends are read together. No timer of SYNs is as short (RFC 6298 §2.1: 1 s).
    pub fn copied(&self, note: Note, now: Nanos) -> bool {
        const COPY: Span = Span::millis(100);
        note == Note::Again && self.silent(now) < COPY
    }

    /// By how much that is longer than a profile keeps such a flow, if it is: [`Flow::overdue`] for any number of profiles.
    pub fn overdue(&self, now: Nanos, profile: &Profile) -> Option<Span> {
        let late = Span(self.silent(now).0.saturating_sub(profile.idle(self.state).0));
        (!self.state.over() && late > Span::ZERO).then_some(late)
    }
}

/// All connections of one client host to one server port: they share the client's source ports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Bucket {
    /// The initiator's host.
    pub client: u32,
    /// The responder's host.
    pub server: u32,
    /// The responder's port.
    pub port: u16,
}

impl Bucket {
    /// That of a flow.
    pub fn of(key: Key, initiator: Side) -> Bucket {
        let (server, port) = key.at(initiator.other());
        Bucket { client: key.at(initiator).0, server, port }
    }
}

/// An incarnation that is no longer in the table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ended {
    /// The tuple.
    pub key: Key,
    /// Those who talked.
    pub bucket: Bucket,
    /// What was known of it at last.
    pub flow: Flow,
    /// What was kept of it.
    pub cold: Cold,
    /// Why it is gone.
    pub how: Leaving,
    /// When: the segment that made it go.
    pub at: Nanos,
    /// The same in milliseconds since the first packet of all.
    pub ms: u32,
}

/// Why an incarnation is no longer in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leaving {
    /// The next incarnation of its tuple began.
    Renewed,
    /// It was given up for another flow.
    Evicted,
}

/// An incarnation that stands in the table when a report is made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Live<'a> {
    /// The tuple.
    pub key: Key,
    /// Those who talk.
    pub bucket: Bucket,
    /// What is known of it.
    pub flow: &'a Flow,
    /// What is kept of it.
    pub cold: &'a Cold,
}

/// Word of ICMP that a segment could not be delivered.
pub(crate) struct Undelivered<'a, 'p> {
    /// The packet: its source is who says so.
    pub packet: &'a Packet<'p>,
    /// What it says.
    pub unreachable: &'a Unreachable,
    /// Where it stands.
    pub frame: Frame,
    /// When it came.
    pub at: Nanos,
    /// The same in milliseconds since the first packet of all.
    pub ms: u32,
    /// The tuple of the segment.
    pub key: Key,
    /// Who had sent the segment.
    pub side: Side,
    /// Its flow, if there is one.
    pub flow: Option<&'a Flow>,
}
