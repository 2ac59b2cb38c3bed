//! The table, cell by cell, in the words of its specification: from a flow in each state, by a segment that meets the
//! conditions of the cell, and by one that does not.

use crate::talk::{IRS, ISS, O, R, Talk};
use tidegate_core::flow::flags::{ACK, FIN, RST, SYN};
use tidegate_core::flow::*;

/// Rows: event and sender. Columns: the state before. Cells: the state after a segment that fits.
#[rustfmt::skip]
const EXPECTED: &str = "
         NO SS S2 SR ES FW CW LA TW CL MS SA
SYN    o SS SS S2 SR ES FW CW LA SS SS MS SS
SYN    r SS S2 S2 SR ES FW CW LA SS SS MS SS
SYNACK o SA SS SR SR ES FW CW LA TW CL MS SA
SYNACK r SA SR SR SR ES FW CW LA TW CL MS SA
ACK    o MS SS S2 ES ES FW CW TW TW CL MS ES
ACK    r MS SS S2 SR ES CW CW LA TW CL ES SA
FIN    o FW SS S2 FW FW FW CW LA TW CL FW FW
FIN    r FW SS S2 FW FW LA LA LA TW CL FW FW
RST    o NO CL CL CL CL CL CL CL CL CL CL CL
RST    r NO CL CL CL CL CL CL CL CL CL CL CL
BAD    o NO SS S2 SR ES FW CW LA TW CL MS SA
BAD    r NO SS S2 SR ES FW CW LA TW CL MS SA
NONE   o NO SS S2 SR ES FW CW LA TW CL MS SA
NONE   r NO SS S2 SR ES FW CW LA TW CL MS SA
";

const SHORT: [&str; 12] = ["NO", "SS", "S2", "SR", "ES", "FW", "CW", "LA", "TW", "CL", "MS", "SA"];

fn flags_of(event: &str) -> u8 {
    match event {
        "SYN" => SYN,
        "SYNACK" => SYN | ACK,
        "ACK" => ACK,
        "FIN" => FIN | ACK,
        "RST" => RST | ACK,
        "BAD" => SYN | FIN,
        _ => 0,
    }
}

/// How many numbers an end used up by this state.
fn spent(side: Side, state: State) -> u32 {
    let fin = match state {
        State::FinWait | State::CloseWait => side == O,
        State::LastAck | State::TimeWait => true,
        _ => false,
    };
    1 + u32::from(fin)
}

fn number(side: Side, state: State) -> u32 {
    let first = if side == O { ISS } else { IRS };
    first.wrapping_add(spent(side, state))
}

/// The segment of that kind that fits the state: a SYN is a new one, everything else goes on where its sender stopped.
fn fitting(event: &str, from: Side, state: State) -> [u32; 2] {
    let (next, peer) = (number(from, state), number(from.other(), state));
    match event {
        "SYN" => [next.wrapping_add(70_000), 0],
        "SYNACK" => [next.wrapping_sub(1), peer],
        _ => [next, peer],
    }
}

#[test]
fn every_cell_is_as_specified() {
    let mut cells = 0;
    for line in EXPECTED.trim().lines().skip(1) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let from = if words[1] == "o" { O } else { R };
        for (state, expected) in State::ALL.into_iter().zip(&words[2..]) {
            let mut talk = Talk::in_state(state);
            let [seq, ack] = fitting(words[0], from, state);
            let step = talk.say(from, flags_of(words[0]), seq, ack, 0);
            assert_eq!(step.before, state);
            assert_eq!(SHORT[step.after as usize], *expected, "{line}: {state:?}: {step:?}");
            assert_eq!(step.after, talk.flow.state());
            cells += 1;
        }
    }
    assert_eq!(cells, 2 * 7 * 12);
}

#[test]
fn roles_swap_where_the_other_end_begins_anew() {
    for state in [State::TimeWait, State::Closed, State::OrphanSynAck] {
        let mut talk = Talk::in_state(state);
        let generation = talk.flow.generation();
        let step = talk.say(R, SYN, 77, 0, 0);
        assert_eq!((step.after, step.note), (State::SynSent, Note::Renewed));
        assert_eq!((talk.flow.initiator(), talk.flow.generation()), (R, generation + 1));
    }
}

#[test]
fn what_acknowledges_another_syn_is_invalid() {
    for (state, from, flags) in [
        (State::SynSent, R, SYN | ACK),
        (State::SynSent, R, RST | ACK),
        (State::SynReceived, O, ACK),
        (State::SynReceived, O, FIN | ACK),
        (State::SynReceived, R, SYN | ACK),
    ] {
        let mut talk = Talk::in_state(state);
        let before = talk.flow;
        let step = talk.say(from, flags, 5, 99_999_999, 0);
        assert_eq!((step.after, step.note), (state, Note::Invalid(Invalid::Ack)), "{flags:#x}");
        assert_eq!(talk.flow, before, "nothing is learned");
    }
}

#[test]
fn what_cannot_come_from_this_end_is_invalid_and_bad_flags_are() {
    let mut talk = Talk::in_state(State::SynSent);
    assert_eq!(talk.say(O, ACK, 1, 1, 0).note, Note::Invalid(Invalid::Unexpected));
    assert_eq!(talk.say(R, FIN | ACK, 1, 1, 0).note, Note::Invalid(Invalid::Unexpected));
    assert_eq!(talk.say(R, SYN | RST, 1, 1, 0).note, Note::Invalid(Invalid::Flags));
    assert_eq!(talk.say(R, 0, 1, 1, 9).note, Note::Invalid(Invalid::Flags));
    let mut talk = Talk::new();
    assert_eq!(talk.say(R, RST, 1, 1, 0).note, Note::Orphan);
    assert_eq!(talk.flow, Flow::default(), "no flow is made of it");
}
