//! Each way in which a collision can come out.

use super::*;
use crate::capture::flag;
use crate::flows::find::script::{Pair, Script};
use crate::flows::found::{Confidence, Severity};

const FINDING: &str = "tuple-collision";
const PUSH: u8 = flag::ACK | flag::PSH;
/// The number of the SYN that collides; the numbers that the occupant's ends would use next.
const NEW: u32 = 500_000;
const CLIENT: u32 = 1_006;
const SERVER: u32 = 9_006;

/// A connection that talked; a minute later its client begins another one from the same port.
fn collide(script: &mut Script, port: u16) -> Pair {
    let mut pair = script.talk(port);
    script.say(&mut pair, 0, flag::ACK, &[]);
    script.wait(60_000);
    script.say(&mut pair, 0, flag::SYN, &[]).seq = NEW;
    pair
}

fn challenge(script: &mut Script, pair: &mut Pair) {
    let said = script.say(pair, 1, flag::ACK, &[]);
    (said.seq, said.ack) = (SERVER, CLIENT);
}

/// Somebody else's packet lets the time of the capture go on.
fn later(script: &mut Script, ms: u64) {
    script.wait(ms);
    script.open(&mut Pair::new(9, 9));
}

#[test]
fn a_challenge_that_is_answered_waits_for_a_retry() {
    let mut script = Script::default();
    let mut pair = collide(&mut script, 40_000);
    challenge(&mut script, &mut pair);
    script.say(&mut pair, 0, flag::RST, &[]).seq = CLIENT;
    later(&mut script, 10_000);
    let (found, outcome) = script.only(FINDING);
    assert_eq!((outcome.as_str(), found.severity), ("challenge, reset, no retry", Severity::Critical));
    let frames = |found: &Found| found.frames.iter().map(|frame| frame.frame).collect::<Vec<_>>();
    assert_eq!(frames(&found), [7, 8, 9]);

    script.wait(1_000);
    script.say(&mut pair, 0, flag::SYN, &[]).seq = NEW + 7;
    let said = script.say(&mut pair, 1, flag::SYN | flag::ACK, &[]);
    (said.seq, said.ack) = (700_000, NEW + 8);
    let said = script.say(&mut pair, 0, flag::ACK, &[]);
    (said.seq, said.ack) = (NEW + 8, 700_001);
    let (found, outcome) = script.only(FINDING);
    assert_eq!((outcome.as_str(), found.severity), ("challenge, reset, retry succeeded", Severity::Warning));
    assert_eq!((frames(&found), found.confidence), (vec![7, 8, 9, 13, 14, 15], Confidence::High));
    let facts = ["occupant_idle_least_s", "occupant_idle_most_s", "port_reused_least_s"].map(|name| &found.facts[name]);
    assert_eq!(facts, [60.001, 60.001, 60.006]);
    assert_eq!(found.ladder.map(|ladder| ladder.before).as_deref(), Some("established, silent for 60.0 s"));
}

#[test]
fn a_challenge_may_get_no_answer() {
    let mut script = Script::default();
    let mut pair = collide(&mut script, 40_000);
    challenge(&mut script, &mut pair);
    later(&mut script, 10_000);
    assert_eq!(script.only(FINDING).1, "challenge unanswered");
    // The occupant lives on, and the SYN comes again: it is one collision.
    let said = script.say(&mut pair, 1, PUSH, b"more");
    (said.seq, said.ack) = (SERVER, CLIENT);
    script.say(&mut pair, 0, flag::SYN, &[]).seq = NEW;
    later(&mut script, 10_000);
    let found = script.found(FINDING);
    assert_eq!(found.iter().map(|found| found.count).collect::<Vec<_>>(), [1]);
}

#[test]
fn a_syn_may_be_dropped() {
    let mut script = Script::default();
    let mut pair = collide(&mut script, 40_000);
    for wait in [1_000, 2_000, 4_000] {
        script.wait(wait);
        script.say(&mut pair, 0, flag::SYN, &[]).seq = NEW;
    }
    assert_eq!(script.only(FINDING).1, "silently dropped");
    later(&mut script, 10_000);
    let (found, outcome) = script.only(FINDING);
    assert_eq!((outcome.as_str(), found.count, found.frames.len()), ("silently dropped", 1, 4));
}

#[test]
fn a_syn_may_be_refused_or_taken_at_once() {
    let mut script = Script::default();
    let mut pair = collide(&mut script, 40_000);
    let said = script.say(&mut pair, 1, flag::RST | flag::ACK, &[]);
    (said.seq, said.ack) = (0, NEW + 1);
    let mut other = collide(&mut script, 40_001);
    let said = script.say(&mut other, 1, flag::SYN | flag::ACK, &[]);
    (said.seq, said.ack) = (700_000, NEW + 1);
    let found = script.found(FINDING);
    let told: Vec<_> = found.iter().map(|found| (found.outcome.as_deref(), found.severity)).collect();
    assert_eq!(told, [(Some("rejected"), Severity::Critical), (Some("superseded"), Severity::Notice)]);
}

#[test]
fn a_capture_may_end_before() {
    let mut script = Script::default();
    collide(&mut script, 40_000);
    assert_eq!(script.only(FINDING).1, "undecided");
}

#[test]
fn the_first_examples_stay_and_groups_are_counted() {
    let mut script = Script::default();
    for port in 0..30 {
        let mut pair = collide(&mut script, 40_000 + port);
        let said = script.say(&mut pair, 1, flag::RST | flag::ACK, &[]);
        (said.seq, said.ack) = (0, NEW + 1);
    }
    let (found, _) = script.only(FINDING);
    assert_eq!((found.count, found.frames.len(), found.groups.len()), (30, 20, 1));
    assert_eq!((found.groups[0].who.as_str(), found.groups[0].count), ("10.0.0.1 -> 10.0.1.1:443", 30));
    assert_eq!(found.frames.last().map(|frame| frame.frame), Some(80));
}
