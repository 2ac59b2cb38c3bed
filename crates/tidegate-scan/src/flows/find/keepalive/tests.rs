//! Connections that carry nothing, beside others that do.
use super::*;
use crate::flows::find::script::{Pair, Script};

const FINDING: &str = "keepalive-only";
const PUSH: u8 = flag::ACK | flag::PSH;

/// Flows that are kept alive every minute, of which the first `used` carry data.
fn kept(flows: u16, used: usize, minutes: u64) -> (Script, Vec<Pair>) {
    let mut script = Script::default();
    let mut pairs: Vec<Pair> = (0..flows).map(|port| script.talk(40_000 + port)).collect();
    for _ in 0..minutes {
        script.wait(60_000);
        for (place, pair) in pairs.iter_mut().enumerate() {
            if place < used {
                script.say(pair, 0, PUSH, b"x");
                script.say(pair, 1, flag::ACK, &[]);
            } else {
                script.keepalive(pair, place % 2);
            }
        }
    }
    (script, pairs)
}

#[test]
fn flows_that_carry_nothing_are_counted() {
    let (script, _) = kept(20, 4, 10);
    let (found, _) = script.only(FINDING);
    assert_eq!((found.count, found.severity, found.confidence), (16, Severity::Warning, Confidence::High));
    assert_eq!(found.facts["live"], json!(20));
    assert_eq!(found.facts["keepalive_only_percent"], json!(80.0));
    assert_eq!((found.groups[0].who.as_str(), found.groups[0].count), ("10.0.1.1:443", 16));
    assert_eq!(found.frames.len(), 20);
    let (few, _) = kept(20, 12, 10).0.only(FINDING);
    assert_eq!((few.count, few.severity), (8, Severity::Notice));
}

#[test]
fn only_what_is_kept_alive_without_data_for_long_counts() {
    assert_eq!(kept(20, 0, 4).0.found(FINDING), [], "five minutes are not over");
    let (mut script, mut pairs) = kept(3, 0, 10);
    for pair in &mut pairs {
        script.say(pair, 1, flag::FIN | flag::ACK, &[]);
        script.say(pair, 0, flag::FIN | flag::ACK, &[]);
        script.say(pair, 1, flag::ACK, &[]);
    }
    assert_eq!(script.found(FINDING), [], "they are over");
}

#[test]
fn keepalives_without_an_answer_and_probes_of_a_window_do_not_count() {
    let mut dead = Script::default();
    let mut pair = dead.talk(40_000);
    let mut shut = dead.talk(40_001);
    for _ in 0..10 {
        dead.wait(60_000).say(&mut pair, 0, flag::ACK, &[]).seq -= 1;
        dead.say(&mut shut, 0, flag::ACK, &[]).seq -= 1;
        dead.say(&mut shut, 1, flag::ACK, &[]).window = 0;
    }
    assert_eq!(dead.found(FINDING), []);
}

#[test]
fn keepalives_count_with_a_byte_or_none_and_without_the_beginning() {
    for (begins, byte) in [(true, true), (false, false), (false, true)] {
        let mut script = Script::default();
        let mut pairs: Vec<Pair> = (0..10).map(|port| Pair::new(1, 40_000 + port)).collect();
        for pair in pairs.iter_mut().filter(|_| begins) {
            script.open(pair);
        }
        for _ in 0..10 {
            script.wait(60_000);
            for pair in &mut pairs {
                script.keepalive(pair, 0);
                let asked = script.said.len() - 2;
                script.said[asked].length = u32::from(byte);
            }
        }
        let (found, _) = script.only(FINDING);
        assert_eq!((found.count, found.severity), (10, Severity::Warning), "{begins} {byte}");
    }
}
