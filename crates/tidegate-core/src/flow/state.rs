//! The twelve states of a flow, and the two roles of its ends.

/// What is known of a flow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// There is none.
    #[default]
    None,
    /// The initiator sent its SYN.
    SynSent,
    /// Both ends sent a SYN, neither was answered.
    Simultaneous,
    /// The SYN was answered.
    SynReceived,
    /// Both SYNs are acknowledged, or (marked *assumed*) data goes both ways and fits together.
    Established,
    /// One end sent its FIN.
    FinWait,
    /// That FIN is acknowledged; the other end may go on sending.
    CloseWait,
    /// Both ends sent a FIN, and one of them is not acknowledged yet.
    LastAck,
    /// Both FINs are acknowledged.
    TimeWait,
    /// Reset, refused or aborted.
    Closed,
    /// Begun before anybody looked, and only one end was heard so far.
    MidStream,
    /// A SYN-ACK whose SYN nobody saw.
    OrphanSynAck,
}

impl State {
    /// All of them, in the order of the table.
    pub const ALL: [State; 12] = [
        State::None,
        State::SynSent,
        State::Simultaneous,
        State::SynReceived,
        State::Established,
        State::FinWait,
        State::CloseWait,
        State::LastAck,
        State::TimeWait,
        State::Closed,
        State::MidStream,
        State::OrphanSynAck,
    ];

    /// The handshake is not over.
    pub fn half_open(self) -> bool {
        matches!(self, State::SynSent | State::Simultaneous | State::SynReceived | State::OrphanSynAck)
    }

    /// At least one end said that it sends no more, and it is not over.
    pub fn half_closed(self) -> bool {
        matches!(self, State::FinWait | State::CloseWait | State::LastAck)
    }

    /// It is over: the next SYN begins a new incarnation.
    pub fn over(self) -> bool {
        matches!(self, State::None | State::TimeWait | State::Closed)
    }

    /// The name in reports and metrics.
    pub fn name(self) -> &'static str {
        match self {
            State::None => "none",
            State::SynSent => "syn-sent",
            State::Simultaneous => "simultaneous",
            State::SynReceived => "syn-received",
            State::Established => "established",
            State::FinWait => "fin-wait",
            State::CloseWait => "close-wait",
            State::LastAck => "last-ack",
            State::TimeWait => "time-wait",
            State::Closed => "closed",
            State::MidStream => "mid-stream",
            State::OrphanSynAck => "orphan-syn-ack",
        }
    }
}

/// Who the sender of a segment is in its flow. Where there is no flow yet, the sender of a SYN-ACK is the responder, that of
/// anything else the initiator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// It sent the first SYN.
    Initiator,
    /// The other end.
    Responder,
}
