//! The one table of the machine: what each kind of segment of each end does in each state.

use super::segment::Event;
use super::state::{Role, State};

/// What the table says: a name for a rule. The rule itself, with all its conditions, is behind the arm of that name in
/// `step.rs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cell {
    /// Nothing changes; the numbers are learned.
    Stay,
    /// Cannot be: counted, nothing changes, nothing is learned.
    Invalid,
    /// No flow, and none is made of it.
    Orphan,
    /// A SYN where no flow is: SYN-SENT.
    Open,
    /// The initiator's SYN again: the same number is a retransmission, another one begins anew.
    Resend,
    /// The initiator's SYN after it was answered: the same number is a retransmission, another one goes to the shadow.
    Contend,
    /// A SYN-ACK again: the same number is a retransmission, another one that still acknowledges the SYN takes its place.
    AnswerAgain,
    /// Both ends sent a SYN.
    Cross,
    /// A SYN on a live flow: kept in the shadow, and believed only when it is answered.
    Shadow,
    /// A SYN on a flow that is over: a new incarnation, whoever sent it is its initiator.
    Renew,
    /// A SYN after its own SYN-ACK (packets changed places) is answered already; any other begins a new incarnation.
    Belated,
    /// A SYN-ACK where no flow is.
    Strange,
    /// The responder's SYN-ACK: SYN-RECEIVED if it acknowledges the SYN, else invalid.
    Answer,
    /// An ACK where no flow is: MID-STREAM.
    Join,
    /// The responder's ACK to a SYN: the peer still has an old connection, the number it expects is kept.
    OldAck,
    /// The ACK that ends a handshake: ESTABLISHED if it acknowledges the SYN-ACK, else invalid.
    Complete,
    /// An ACK of the responder during the handshake: ends it only if both sent a SYN and this acknowledges the other one.
    CompleteCrossed,
    /// An ACK with or without data: stays if it fits the windows, else invalid.
    Data,
    /// An ACK after one FIN: CLOSE-WAIT if it acknowledges it.
    FinAck,
    /// An ACK after both FINs: TIME-WAIT if no FIN is unacknowledged any more.
    LastAck,
    /// An ACK on a closed flow: late, and of no meaning.
    Late,
    /// An ACK on a flow joined in its middle: ESTABLISHED, assumed, when what both ends say fits together.
    Agree,
    /// A FIN where no flow is: FIN-WAIT, assumed.
    JoinFin,
    /// A FIN: FIN-WAIT if it fits the windows, else invalid.
    Fin,
    /// A FIN after a FIN: of the same end a retransmission, of the other LAST-ACK.
    FinAgain,
    /// A RST that is believed without looking at its number.
    Reset,
    /// The initiator's RST to an unanswered SYN: if its number is the one that the old peer expected, that peer is gone and the
    /// SYN will come again; else it gave up.
    AbortOrClear,
    /// The responder's RST to a SYN: refused if it acknowledges the SYN, else invalid.
    Refuse,
    /// A RST on an established flow: the exact number closes it, one within the window is only noted (RFC 5961 §3.2), any
    /// other is invalid.
    ResetChecked,
}

const COLUMNS: usize = State::ALL.len();
const ROWS: usize = Event::ALL.len();

/// The table: by role of the sender, kind of segment, and state.
///
/// Before it is asked, answers to a SYN in the shadow are looked for (`shadow.rs`): whatever that SYN's peer, or in the end its
/// sender, says about it is no word on the flow that holds the tuple.
#[rustfmt::skip]
const TABLE: [[[Cell; COLUMNS]; ROWS]; 2] = {
    use Cell::*;
    //   none     syn-sent      simult.  syn-rcvd         establ.       fin-wait  close-w.  last-ack time-w.  closed   mid-str. orphan
    [[ // from the initiator
        [Open,    Resend,       Stay,    Contend,         Shadow,       Shadow,   Shadow,   Shadow,  Renew,   Renew,   Shadow,  Belated], // SYN
        [Strange, Invalid,      Answer,  AnswerAgain,     Invalid,      Invalid,  Invalid,  Invalid, Invalid, Invalid, Invalid, Stay],    // SYN-ACK
        [Join,    Invalid,      Invalid, Complete,        Data,         FinAck,   Data,     LastAck, Stay,    Late,    Agree,   Agree],   // ACK
        [JoinFin, Invalid,      Invalid, Fin,             Fin,          FinAgain, FinAgain, Stay,    Stay,    Stay,    Fin,     Fin],     // FIN
        [Orphan,  AbortOrClear, Reset,   Reset,           ResetChecked, Reset,    Reset,    Reset,   Reset,   Stay,    Reset,   Reset],   // RST
        [Invalid; COLUMNS],                                                                                                               // bad flags
        [Invalid; COLUMNS],                                                                                                               // no flags
    ], [ // from the responder
        [Orphan,  Cross,        Stay,    Invalid,         Shadow,       Shadow,   Shadow,   Shadow,  Renew,   Renew,   Shadow,  Belated], // SYN
        [Strange, Answer,       Answer,  AnswerAgain,     Stay,         Stay,     Stay,     Stay,    Invalid, Invalid, Stay,    AnswerAgain], // SYN-ACK
        [Join,    OldAck,       Invalid, CompleteCrossed, Data,         FinAck,   Data,     LastAck, Stay,    Late,    Agree,   Stay],    // ACK
        [JoinFin, Invalid,      Invalid, Fin,             Fin,          FinAgain, FinAgain, Stay,    Stay,    Stay,    Fin,     Fin],     // FIN
        [Orphan,  Refuse,       Reset,   Reset,           ResetChecked, Reset,    Reset,    Reset,   Reset,   Stay,    Reset,   Reset],   // RST
        [Invalid; COLUMNS],                                                                                                               // bad flags
        [Invalid; COLUMNS],                                                                                                               // no flags
    ]]
};

/// What the table says. There is a cell for everything; should a cell ever be missing, the segment is invalid.
pub(super) fn cell(role: Role, event: Event, state: State) -> Cell {
    let row = TABLE.get(role as usize).and_then(|rows| rows.get(event as usize));
    row.and_then(|row| row.get(state as usize)).copied().unwrap_or(Cell::Invalid)
}
