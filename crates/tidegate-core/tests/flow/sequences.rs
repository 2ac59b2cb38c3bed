//! Whole conversations: the recorded collision, its other outcomes, half-open peers, resets in doubt, gaps.

use crate::talk::{IRS, ISS, O, R, Talk};
use tidegate_core::flow::flags::{ACK, FIN, PSH, RST, SYN};
use tidegate_core::flow::*;
use tidegate_core::time::{Nanos, Span};

const OP: u32 = ISS.wrapping_add(1);
const RP: u32 = IRS.wrapping_add(1);

/// The capture `occupied-tuple.pcap`: the client forgot its connection, and comes again from the same port.
#[test]
fn a_challenge_frees_the_tuple_and_the_retry_succeeds() {
    let mut talk = Talk::new();
    let frames: [(Side, u8, u32, u32, u32, State, Note); 13] = [
        (O, SYN, 843436319, 0, 0, State::SynSent, Note::Opened),
        (R, SYN | ACK, 2025386227, 843436320, 0, State::SynReceived, Note::Answered),
        (O, ACK, 843436320, 2025386228, 0, State::Established, Note::Established),
        (O, PSH | ACK, 843436320, 2025386228, 100, State::Established, Note::Quiet),
        (R, ACK, 2025386228, 843436420, 0, State::Established, Note::Quiet),
        (O, SYN, 845010339, 0, 0, State::Established, Note::Collision),
        (R, ACK, 2025386228, 843436420, 0, State::Established, Note::Challenge),
        (O, RST, 843436420, 0, 0, State::Closed, Note::Settled(Outcome::Challenged)),
        (O, SYN, 845010339, 0, 0, State::SynSent, Note::Renewed),
        (R, SYN | ACK, 2027112565, 845010340, 0, State::SynReceived, Note::Answered),
        (O, ACK, 845010340, 2027112566, 0, State::Established, Note::RetrySucceeded),
        (O, FIN | ACK, 845010340, 2027112566, 0, State::FinWait, Note::Fin),
        (R, ACK, 2027112566, 845010341, 0, State::CloseWait, Note::FinAcked),
    ];
    for (number, (from, flags, seq, ack, len, state, note)) in frames.into_iter().enumerate() {
        let step = talk.say(from, flags, seq, ack, len);
        assert_eq!((step.after, step.note), (state, note), "frame {}", number + 1);
        assert_eq!((step.lapsed, step.overdue), (None, None));
    }
    assert_eq!(talk.flow.generation(), 2);
}

fn contested() -> Talk {
    let mut talk = Talk::in_state(State::Established);
    assert_eq!(talk.say(O, SYN, 5_000, 0, 0).note, Note::Collision);
    assert!(talk.flow.contested() && !talk.flow.plain());
    talk
}

#[test]
fn a_syn_ack_puts_the_new_connection_in_the_old_ones_place() {
    let mut talk = contested();
    let step = talk.say(R, SYN | ACK, 9_000, 5_001, 0);
    assert_eq!((step.after, step.note), (State::SynReceived, Note::Settled(Outcome::Superseded)));
    assert_eq!(talk.say(O, ACK, 5_001, 9_001, 0).note, Note::Established);
    assert_eq!(talk.flow.generation(), 2);
}

#[test]
fn a_reset_of_the_syn_leaves_the_old_connection_alone() {
    for (seq, ack) in [(0, 5_001), (77, 5_001), (0, 3)] {
        let mut talk = contested();
        let step = talk.say(R, RST | ACK, seq, ack, 0);
        assert_eq!((step.after, step.note), (State::Established, Note::Settled(Outcome::Rejected)));
        assert!(talk.flow.plain());
        assert_eq!(talk.say(O, ACK, OP, RP, 10).note, Note::Quiet);
    }
}

#[test]
fn a_syn_that_nobody_answers_lapses_after_three_seconds() {
    let mut talk = contested();
    talk.wait(Span::secs(1));
    assert_eq!(talk.say(O, SYN, 5_000, 0, 0).note, Note::Again, "its retransmission waits on");
    talk.wait(Span::millis(2_900));
    assert_eq!(talk.say(R, ACK, RP, OP, 10).lapsed, None);
    talk.wait(Span::millis(200));
    let step = talk.say(R, ACK, RP.wrapping_add(10), OP, 0);
    assert_eq!((step.lapsed, step.note), (Some(Outcome::Silent), Note::Quiet));
    assert!(talk.flow.plain());
}

#[test]
fn a_challenge_that_nobody_answers_and_a_second_syn() {
    let mut talk = contested();
    assert_eq!(talk.say(R, ACK, RP, OP, 0).note, Note::Challenge);
    let step = talk.say(O, SYN, 6_000, 0, 0);
    assert_eq!((step.note, step.lapsed), (Note::Collision, Some(Outcome::Unanswered)));
    assert_eq!(talk.flow.lapse(talk.now + Span::secs(4)), Some(Outcome::Silent));
    assert_eq!(talk.flow.lapse(talk.now + Span::secs(4)), None);
}

#[test]
fn the_challenge_may_be_missing_in_the_capture() {
    let mut talk = contested();
    assert_eq!(talk.say(O, RST, OP, 0, 0).note, Note::Settled(Outcome::Challenged));
    assert_eq!(talk.flow.state(), State::Closed);
}

#[test]
fn a_challenge_is_not_the_last_acknowledgement() {
    let mut talk = Talk::in_state(State::LastAck);
    assert_eq!(talk.say(R, SYN, 5_000, 0, 0).note, Note::Collision);
    let step = talk.say(O, ACK, OP.wrapping_add(1), RP.wrapping_add(1), 0);
    assert_eq!((step.after, step.note), (State::LastAck, Note::Challenge));
}

#[test]
fn an_old_peer_is_reset_and_the_syn_comes_again() {
    let mut talk = Talk::in_state(State::SynSent);
    assert_eq!(talk.say(R, ACK, 100, 31_337, 0).note, Note::OldPeer);
    assert_eq!(talk.say(O, RST, 31_337, 0, 0).note, Note::OldPeerReset);
    assert_eq!(talk.say(O, SYN, ISS, 0, 0).note, Note::Again);
    assert_eq!(talk.say(R, SYN | ACK, IRS, OP, 0).note, Note::Answered);
    assert_eq!(talk.say(O, ACK, OP, RP, 0).note, Note::Established);
}

#[test]
fn both_may_begin_and_both_may_end_at_once() {
    let mut talk = Talk::in_state(State::Simultaneous);
    assert_eq!(talk.say(R, SYN | ACK, IRS, OP, 0).after, State::SynReceived);
    assert_eq!(talk.say(O, SYN | ACK, ISS, RP, 0).note, Note::Again);
    assert_eq!(talk.say(R, ACK, RP, OP, 0).note, Note::Established);
    assert_eq!(talk.say(O, FIN | ACK, OP, RP, 0).after, State::FinWait);
    assert_eq!(talk.say(R, FIN | ACK, RP, OP, 0).after, State::LastAck);
    assert_eq!(talk.say(R, ACK, RP.wrapping_add(1), OP.wrapping_add(1), 0).after, State::LastAck, "one is still open");
    assert_eq!(talk.say(O, ACK, OP.wrapping_add(1), RP.wrapping_add(1), 0).note, Note::Ended);
}

#[test]
fn a_reset_within_the_window_is_in_doubt_until_its_sender_speaks() {
    let mut talk = Talk::in_state(State::Established);
    assert_eq!(talk.say(O, RST, OP.wrapping_add(1_000), 0, 0).note, Note::ResetPending);
    assert!(!talk.flow.plain());
    assert_eq!(talk.say(R, ACK, RP, OP, 10).note, Note::Quiet);
    assert!(!talk.flow.plain(), "the other end cannot know");
    assert_eq!(talk.say(O, ACK, OP, RP.wrapping_add(10), 5).note, Note::Quiet);
    assert!(talk.flow.plain());
    assert_eq!(talk.say(O, RST, OP.wrapping_sub(200_000), 0, 0).note, Note::Invalid(Invalid::Window));
    assert_eq!(talk.say(O, RST, OP.wrapping_add(5), 0, 0).note, Note::Reset);
}

#[test]
fn a_gap_in_the_capture_is_told_once_and_in_the_path_it_is_invalid() {
    let mut talk = Talk::in_state(State::Established);
    assert_eq!(talk.say(R, ACK, RP, OP.wrapping_add(1_000), 0).note, Note::Gap);
    assert_eq!(talk.say(R, ACK, RP, OP.wrapping_add(2_000), 0).note, Note::Quiet);
    let mut talk = Talk::in_state(State::Established);
    talk.profile = profile::NSX_DFW.in_path();
    for _ in 0..9 {
        assert_eq!(talk.say(R, ACK, RP, OP.wrapping_add(1_000), 0).note, Note::Invalid(Invalid::Window));
    }
}

#[test]
fn a_hole_is_told_and_may_be_filled() {
    let mut talk = Talk::in_state(State::Established);
    assert_eq!(talk.say(O, ACK, OP.wrapping_add(100), RP, 50).note, Note::Hole);
    assert_eq!(talk.say(R, ACK, RP, OP, 0).note, Note::Quiet);
    assert_eq!(talk.say(O, ACK, OP, RP, 100).note, Note::Quiet);
    assert_eq!(talk.say(R, ACK, RP, OP.wrapping_add(150), 0).note, Note::Quiet);
    assert!(talk.flow.plain(), "holes are everyday");
}

#[test]
fn nothing_lies_behind_a_fin() {
    let mut talk = Talk::in_state(State::FinWait);
    assert_eq!(talk.say(R, ACK, RP, OP.wrapping_add(1_000), 0).note, Note::Invalid(Invalid::Window));
    assert_eq!(talk.say(R, ACK, RP, OP.wrapping_add(1), 0).note, Note::FinAcked);
}

#[test]
fn three_segments_beyond_the_windows_are_a_gap_and_one_is_not() {
    let mut talk = Talk::in_state(State::Established);
    let far = OP.wrapping_add(10_000_000);
    assert_eq!(talk.say(O, ACK, far, RP, 10).note, Note::Invalid(Invalid::Window));
    assert_eq!(talk.say(O, ACK, OP, RP, 10).note, Note::Quiet);
    for _ in 0..2 {
        assert_eq!(talk.say(O, ACK, far, RP, 10).note, Note::Invalid(Invalid::Window));
    }
    assert_eq!(talk.say(O, ACK, far, RP, 10).note, Note::Gap);
}

#[test]
fn a_flow_joined_in_its_middle_is_established_when_both_ends_agree() {
    let mut talk = Talk::in_state(State::MidStream);
    assert_eq!(talk.say(R, ACK, RP.wrapping_add(50_000_000), OP, 10).note, Note::Quiet, "from elsewhere");
    let mut talk = Talk::in_state(State::MidStream);
    assert_eq!(talk.say(R, ACK, RP, OP, 10).note, Note::Assumed);
    assert!(talk.flow.assumed() && !talk.flow.plain());
}

#[test]
fn a_syn_and_its_answer_may_change_places() {
    let mut talk = Talk::in_state(State::OrphanSynAck);
    assert_eq!(talk.say(O, SYN, ISS, 0, 0).after, State::SynReceived);
    assert_eq!(talk.say(O, ACK, OP, RP, 0).note, Note::Established);
    assert!(talk.flow.plain() && talk.flow.generation() == 1);
}

#[test]
fn data_in_the_handshake_is_part_of_it() {
    let mut talk = Talk::new();
    talk.say(O, SYN, ISS, 0, 40);
    assert_eq!(talk.say(R, SYN | ACK, IRS, OP.wrapping_add(40), 0).note, Note::Answered);
    assert_eq!(talk.say(R, ACK, RP, OP.wrapping_add(40), 100).note, Note::Quiet);
    assert_eq!(talk.say(O, ACK, OP.wrapping_add(40), RP.wrapping_add(100), 0).note, Note::Established);
    let mut talk = Talk::new();
    talk.say(O, SYN, ISS, 0, 40);
    assert_eq!(talk.say(R, SYN | ACK, IRS, OP, 0).note, Note::Answered, "the data was not taken");
}

#[test]
fn a_keepalive_fits_and_a_silent_flow_is_overdue_by_profile() {
    let mut talk = Talk::in_state(State::Established);
    talk.profile = profile::NSX_GATEWAY;
    talk.wait(Span::secs(7_199));
    assert_eq!(talk.say(O, ACK, OP.wrapping_sub(1), RP, 1).note, Note::Keepalive);
    talk.wait(Span::secs(7_200 + 1_812));
    let step = talk.say(R, ACK, RP, OP, 0);
    assert_eq!(step.overdue, Some(Span::millis(1_812_001)));
}

#[test]
fn a_keepalive_is_one_though_nobody_saw_the_byte_before_it() {
    for len in [0, 1] {
        let mut talk = Talk::new();
        assert_eq!(talk.say(O, ACK, OP.wrapping_sub(1), RP, len).note, Note::Joined);
        assert_eq!(talk.say(R, ACK, RP, OP, 0).note, Note::Assumed);
        assert_eq!(talk.say(O, ACK, OP.wrapping_sub(1), RP, len).note, Note::Keepalive);
        assert_eq!(talk.say(R, ACK, RP, OP, 0).note, Note::Quiet);
        assert_eq!(talk.say(R, ACK, RP.wrapping_sub(1), OP, len).note, Note::Keepalive);
    }
}

#[test]
fn time_never_goes_back() {
    let mut talk = Talk::in_state(State::Established);
    let last = talk.flow.last();
    talk.now = Nanos(5);
    talk.say(O, ACK, OP, RP, 1);
    assert_eq!(talk.flow.last(), last);
}
