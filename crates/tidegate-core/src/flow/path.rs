//! The fast path's whole decision: a packet is forwarded at once, or it is punted, and why. There is no third way and nothing to
//! assert: whatever the entry says, a packet that is not plainly one of an established flow goes to the slow path.

use super::machine::Flow;
use super::segment::{Event, Segment, Side};
use super::state::State;
use super::window::{Fit, Track, ahead, fit};
use crate::time::{Nanos, Span};

/// An entry whose flow was in doubt takes the fast path again at most once in this time.
pub const PROMOTE_AGAIN: Span = Span::secs(1);

/// What the fast path keeps of a flow. Its numbers go back to the slow path, which would else judge by stale windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    pub(super) low: Track,
    pub(super) high: Track,
    pub(super) initiator: Side,
    /// The state of the flow; only [`State::Established`] is forwarded.
    pub state: State,
    /// The epoch of the policy that let the flow pass.
    pub epoch: u32,
    /// Something came that the slow path has to settle first: everything is punted until it has.
    pub marked: bool,
    /// When it was made.
    pub since: Nanos,
    /// When a packet was forwarded last.
    pub last: Nanos,
}

/// Why a packet is punted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Punt {
    /// Not a whole TCP segment behind a plain IP header: a fragment, options, another protocol.
    Shape,
    /// No entry.
    Miss,
    /// The entry is of another epoch of the policy.
    Epoch,
    /// The entry is not of an established flow.
    State,
    /// The slow path has to settle something first.
    Marked,
    /// SYN, FIN, RST, or no ACK.
    Flags,
    /// Outside the windows.
    Window,
}

/// What the fast path does with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    /// Forwards it.
    Fast,
    /// Leaves it to the slow path.
    Punt(Punt),
}

/// Decides about one packet. `segment` is `None` for what is not plain TCP; `epoch` is the policy's.
///
/// What changes a flow (SYN, FIN, RST) marks the entry, so that nothing overtakes it.
pub fn decide(entry: Option<&mut Entry>, segment: Option<&Segment>, epoch: u32) -> Path {
    let Some(segment) = segment else { return Path::Punt(Punt::Shape) };
    let Some(entry) = entry else { return Path::Punt(Punt::Miss) };
    let reason = match segment.event() {
        _ if entry.epoch != epoch => Some(Punt::Epoch),
        _ if entry.state != State::Established => Some(Punt::State),
        _ if entry.marked => Some(Punt::Marked),
        Event::Ack => (!entry.fits(segment)).then_some(Punt::Window),
        Event::Syn | Event::SynAck | Event::Fin | Event::Rst => {
            entry.marked = true;
            Some(Punt::Flags)
        }
        Event::Bad | Event::Nothing => Some(Punt::Flags),
    };
    match reason {
        Some(reason) => Path::Punt(reason),
        None => {
            entry.carry(segment);
            Path::Fast
        }
    }
}

impl Entry {
    /// The entry of a flow that may take the fast path, if it may.
    pub(super) fn of(flow: &Flow, epoch: u32, now: Nanos) -> Option<Entry> {
        let (low, high, initiator) = (flow.low, flow.high, flow.initiator());
        let state = State::Established;
        flow.plain().then_some(Entry { low, high, initiator, state, epoch, marked: false, since: now, last: now })
    }

    fn ends(&self, sender: Side) -> (&Track, &Track) {
        match sender {
            Side::Low => (&self.low, &self.high),
            Side::High => (&self.high, &self.low),
        }
    }

    fn fits(&self, segment: &Segment) -> bool {
        let (sender, receiver) = self.ends(segment.from);
        fit(sender, receiver, segment) == Fit::Inside
    }

    fn carry(&mut self, segment: &Segment) {
        let (sender, receiver) = match segment.from {
            Side::Low => (&mut self.low, &self.high),
            Side::High => (&mut self.high, &self.low),
        };
        sender.learn(segment, receiver);
        self.last = self.last.max(segment.at);
    }
}

impl Flow {
    /// Takes over what went by on the fast path.
    pub(super) fn catch_up(&mut self, entry: &Entry) {
        self.low.advance(&entry.low);
        self.high.advance(&entry.high);
        self.touch(entry.last);
    }

    /// Told once more by what the fast path knows of it: established, nothing in doubt.
    pub(super) fn rebuild(&mut self, entry: &Entry, again: bool) {
        if again || self.generation() == 0 {
            self.begin(entry.initiator)
        } else {
            self.restart(entry.initiator)
        }
        (self.low, self.high, self.state) = (entry.low, entry.high, State::Established);
        self.touch(entry.last);
    }

    /// Whether state and numbers go together. They always do, unless something else wrote to the flow.
    pub(super) fn sound(&self) -> bool {
        let (low, high) = (&self.low, &self.high);
        let fins = usize::from(low.fin()).wrapping_add(usize::from(high.fin()));
        match self.state {
            State::None => self.shadow.is_none(),
            State::SynSent | State::OrphanSynAck | State::MidStream => (low.heard() || high.heard()) && fins == 0,
            State::Simultaneous | State::SynReceived | State::Established => self.both_heard() && fins == 0,
            State::FinWait | State::CloseWait => fins == 1,
            State::LastAck | State::TimeWait => fins == 2,
            State::Closed => true,
        }
    }
}

impl Track {
    fn advance(&mut self, seen: &Track) {
        for (mine, theirs) in [(&mut self.end, seen.end), (&mut self.ack, seen.ack)] {
            if ahead(theirs, *mine) > 0 {
                *mine = theirs;
            }
        }
        self.window = self.window.max(seen.window);
    }
}
