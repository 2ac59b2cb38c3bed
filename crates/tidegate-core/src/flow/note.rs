//! What a step did, in words of a closed list.

use super::state::State;
use crate::time::Span;

/// Why a segment was not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Invalid {
    /// Flags that no stack sends together, or none that means anything.
    Flags,
    /// Nothing of this kind can come from this end in this state.
    Unexpected,
    /// Acknowledges what was not asked: no SYN, or another one.
    Ack,
    /// Outside the windows.
    Window,
}

/// How a SYN on a live tuple (a collision) came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// Challenged (RFC 5961 §4.2), and the sender's RST closed the old connection. Its next SYN is free to succeed.
    Challenged,
    /// Challenged, and the sender never said that the old connection is gone.
    Unanswered,
    /// Answered with a SYN-ACK: the new connection took the old one's place.
    Superseded,
    /// Answered with a RST; the old connection lives on.
    Rejected,
    /// Not answered at all.
    Silent,
}

impl Outcome {
    /// All of them.
    pub const ALL: [Outcome; 5] =
        [Outcome::Challenged, Outcome::Unanswered, Outcome::Superseded, Outcome::Rejected, Outcome::Silent];

    /// The name in reports and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Outcome::Challenged => "challenged",
            Outcome::Unanswered => "unanswered",
            Outcome::Superseded => "superseded",
            Outcome::Rejected => "rejected",
            Outcome::Silent => "silent",
        }
    }
}

/// What a segment meant. One note per segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Note {
    /// Data, acknowledgements, nothing to tell.
    Quiet,
    /// The last byte again, or none before where it stopped: a keepalive, or a probe of a closed window.
    Keepalive,
    /// Bytes before it did not pass: they come late, or were lost before this place.
    Hole,
    /// A SYN began a flow.
    Opened,
    /// A SYN began a new incarnation of a flow that was over.
    Renewed,
    /// A SYN or SYN-ACK came again.
    Again,
    /// The initiator's unanswered SYN came with another number: another attempt.
    NewAttempt,
    /// Both ends sent a SYN.
    Crossed,
    /// The SYN was answered.
    Answered,
    /// The handshake is over.
    Established,
    /// The handshake is over, on a tuple whose last occupant was closed by a challenge.
    RetrySucceeded,
    /// Taken for established: begun before anybody looked, but both ends fit together.
    Assumed,
    /// A flow was joined in its middle, or at its SYN-ACK.
    Joined,
    /// No flow, and none was made of it.
    Orphan,
    /// A SYN was answered by an ACK: its peer still has an old connection (half-open).
    OldPeer,
    /// The initiator reset that old connection; its SYN will come again.
    OldPeerReset,
    /// A SYN was answered by a RST.
    Refused,
    /// The initiator gave up before the handshake was over.
    Aborted,
    /// Reset.
    Reset,
    /// A RST within the window, but not at its edge: believed only if the sender falls silent.
    ResetPending,
    /// One end sends no more.
    Fin,
    /// That is acknowledged.
    FinAcked,
    /// Both ends are done.
    Ended,
    /// After the end, and of no meaning.
    Late,
    /// A SYN on a live flow: it waits in the shadow.
    Collision,
    /// The SYN in the shadow was challenged.
    Challenge,
    /// The SYN in the shadow came to an outcome with this segment.
    Settled(Outcome),
    /// Bytes were acknowledged, or passed by, that nobody saw: the capture has a gap. The windows are liberal from here on.
    Gap,
    /// Counted, and nothing learned of it.
    Invalid(Invalid),
}

/// What a segment did to its flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// The state before it.
    pub before: State,
    /// The state after it.
    pub after: State,
    /// What it meant.
    pub note: Note,
    /// A SYN in the shadow whose time was over before this segment came, and how it came out.
    pub lapsed: Option<Outcome>,
    /// The flow was silent for longer than the profile keeps it: by this much.
    pub overdue: Option<Span>,
}
