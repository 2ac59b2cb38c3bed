//! Resets of the peer, of somebody in its name, of a BIG-IP, and word that nobody is there.
use std::net::IpAddr;

use super::*;
use crate::flows::find::script::{Pair, Script};

const FINDING: &str = "reset-origin";
const PUSH: u8 = flag::ACK | flag::PSH;
const RESET: u8 = flag::RST | flag::ACK;

#[test]
fn resets_of_the_peer_are_not_told() {
    let mut script = Script::default();
    for port in 0..40 {
        let mut pair = script.talk(40_000 + port);
        let by = usize::from(port % 2);
        let reset = script.say(&mut pair, by, RESET, &[]);
        // A kernel without a socket numbers its packets otherwise.
        (reset.id, reset.window) = (0, 0);
        script.say(&mut pair, 1 - by, flag::ACK, &[]);
        script.say(&mut pair, by, flag::RST, &[]);
        // A port that nobody listens on.
        let mut closed = Pair::new(2, 41_000 + port);
        closed.ends[1].1 = 8443;
        script.say(&mut closed, 0, flag::SYN, &[]);
        script.say(&mut closed, 1, RESET, &[]);
    }
    assert_eq!(script.found(FINDING), []);
}

#[test]
fn a_reset_over_other_hops_is_not_of_the_peer() {
    let mut script = Script::default();
    for port in 0..3 {
        let mut pair = script.talk(40_000 + port);
        script.say(&mut pair, 1, RESET, &[]).ttl = 61;
    }
    let (found, outcome) = script.only(FINDING);
    assert_eq!(outcome, "not sent by the peer, it seems");
    assert_eq!((found.count, found.severity, found.confidence), (3, Severity::Warning, Confidence::Medium));
    let group = &found.groups[0];
    assert_eq!((group.who.as_str(), group.count), ("10.0.1.1", 3));
    assert_eq!(group.facts["reset_ttl"], json!(61));
    assert_eq!(group.facts["peer_ttl"], json!(60));
    assert_eq!((&group.facts["reset_hops"], &group.facts["peer_hops"]), (&json!(3), &json!(4)));
}

#[test]
fn a_peer_that_goes_on_did_not_reset() {
    let mut script = Script::default();
    let mut pair = script.talk(40_000);
    let copied = pair.id[0];
    let reset = script.say(&mut pair, 1, RESET, &[]);
    (reset.id, reset.ttl) = (copied, 60);
    script.wait(50).say(&mut pair, 1, PUSH, b"still here");
    let (found, _) = script.only(FINDING);
    assert_eq!((found.count, found.confidence), (1, Confidence::High));
    assert_eq!(found.groups[0].facts["peer_went_on"], json!(1));
    assert_eq!(found.groups[0].facts["copied_ip_number"], json!(1));
    assert_eq!(found.frames.len(), 2);
}

#[test]
fn a_refusal_is_compared_with_the_answers_of_the_same_port() {
    let mut script = Script::default();
    let mut refused = Pair::new(3, 40_000);
    script.say(&mut refused, 0, flag::SYN, &[]);
    script.say(&mut refused, 1, RESET, &[]).ttl = 63;
    assert_eq!(script.found(FINDING), [], "there is nothing to compare it with");
    script.talk(40_001);
    script.said[1].ttl = 61;
    assert_eq!(script.found(FINDING), [], "another path");
    script.said[1].ttl = 63;
    let (found, _) = script.only(FINDING);
    assert_eq!((found.count, found.groups[0].who.as_str()), (1, "10.0.1.1:443"));
}

#[test]
fn a_tuple_that_is_taken_again_is_no_forgery() {
    // The client is gone and comes again: challenge, reset, SYN, and it goes on.
    let mut script = Script::default();
    let mut old = script.talk(40_000);
    let mut new = Pair::new(1, 40_000);
    script.wait(1000).say(&mut new, 0, flag::SYN, &[]).seq = 70_000;
    let challenge = script.say(&mut old, 1, flag::ACK, &[]).ack;
    let reset = script.say(&mut old, 0, flag::RST, &[]);
    (reset.seq, reset.ack) = (challenge, 0);
    let mut again = Pair::new(1, 40_000);
    script.wait(10).open(&mut again);
    script.wait(20).say(&mut again, 0, PUSH, b"hello");
    assert_eq!(script.found(FINDING), []);
}

#[test]
fn a_big_ip_says_why() {
    let words = b"TCP retransmit timeout";
    let cause = [&[9 + words.len() as u8, 0, 0, 0, 0, 1, 0xfb, 0x0e, 4, 0x4f][..], words].concat();
    let mut part = vec![2, (29 + cause.len() - 2) as u8, 1];
    part.resize(29, 0);
    let mut script = Script::default();
    let mut pair = script.talk(40_000);
    script.say(&mut pair, 1, RESET, &[]).trailer = [part, cause].concat();
    let (found, outcome) = script.only(FINDING);
    assert_eq!((outcome.as_str(), found.confidence), ("sent by a BIG-IP, which says why", Confidence::High));
    assert_eq!((found.groups[0].who.as_str(), found.groups[0].count), ("TCP retransmit timeout", 1));
    assert_eq!(found.groups[0].facts["sent_as"], json!(["10.0.1.1:443"]));
}

#[test]
fn icmp_says_why_nothing_arrives() {
    let mut script = Script::default();
    let mut pair = Pair::new(1, 40_000);
    let router = IpAddr::from([10, 0, 9, 1]);
    script.say(&mut pair, 0, flag::SYN, &[]);
    script.again().undelivered = Some((13, router));
    let (found, outcome) = script.only(FINDING);
    assert_eq!((outcome.as_str(), found.confidence), ("not delivered, says ICMP", Confidence::High));
    assert_eq!(found.groups[0].who, "10.0.1.1:443: administratively prohibited");
    assert_eq!(found.groups[0].facts["says"], json!("10.0.9.1"));
    script.said[1].undelivered = Some((4, router));
    assert_eq!(script.found(FINDING), [], "too big");
}
