//! Silences that somebody would have ended, and silences that somebody did end.
use super::*;
use crate::flows::find::script::{Pair, Script};

const FINDING: &str = "idle-timeout";
const PUSH: u8 = flag::ACK | flag::PSH;
const MINUTE: u64 = 60_000;

fn outcomes(found: &[Found]) -> Vec<&str> {
    found.iter().filter_map(|found| found.outcome.as_deref()).collect()
}

#[test]
fn a_profile_would_have_expired_it() {
    let mut script = Script::default();
    let mut pair = script.talk(40_000);
    script.wait(7_200_000 + 1_812_000).say(&mut pair, 0, PUSH, b"again");
    script.say(&mut pair, 1, PUSH, b"hello");
    let found = script.found(FINDING);
    assert_eq!(outcomes(&found), ["nsx-gateway would have expired it", "avi would have expired it"]);
    assert_eq!(found[0].facts["late_s"], json!(1812));
    assert_eq!((found[0].severity, found[0].count), (Severity::Notice, 1));
    assert_eq!(found[0].groups[0].who, "10.0.0.1 -> 10.0.1.1:443");
    assert_eq!(found[1].facts["late_s"], json!(7_200 + 1_812 - 300));
}

#[test]
fn short_silences_and_new_connections_are_fine() {
    let mut script = Script::default();
    let mut pair = script.talk(40_000);
    script.wait(4 * MINUTE).say(&mut pair, 0, PUSH, b"again");
    script.say(&mut pair, 1, PUSH, b"hello");
    // A close after it, and the same tuple much later.
    script.say(&mut pair, 0, flag::FIN | flag::ACK, &[]);
    script.say(&mut pair, 1, flag::FIN | flag::ACK, &[]);
    script.say(&mut pair, 0, flag::ACK, &[]);
    script.wait(600 * MINUTE);
    script.talk(40_000);
    // A SYN that is sent again and again.
    let mut nobody = Pair::new(2, 40_000);
    script.say(&mut nobody, 0, flag::SYN, &[]);
    for wait in [1, 2, 4, 8, 16, 32, 64] {
        script.wait(wait * 1000).again();
    }
    assert_eq!(script.found(FINDING), []);
}

#[test]
fn resets_after_silences_show_where_the_limit_is() {
    let mut script = Script::default();
    let mut pairs: Vec<Pair> = (0..5).map(|port| script.talk(40_000 + port)).collect();
    // Four minutes are lived through; five are not.
    for pair in &mut pairs {
        script.wait(4 * MINUTE).say(pair, 0, PUSH, b"again");
        script.say(pair, 1, PUSH, b"hello");
    }
    let found = script.found(FINDING);
    let all = ["avi would have expired it"];
    assert!(outcomes(&found).iter().all(|outcome| all.contains(outcome)), "{found:#?}");
    for pair in pairs.iter_mut().take(3) {
        script.wait(30 * MINUTE).say(pair, 0, PUSH, b"again");
        script.say(pair, 1, flag::RST, &[]);
    }
    let found = script.found(FINDING);
    assert_eq!(outcomes(&found)[0], "reset after a silence");
    assert_eq!((found[0].severity, found[0].confidence, found[0].count), (Severity::Warning, Confidence::High, 3));
    let facts = &found[0].groups[0].facts;
    assert_eq!(facts["lived_through"], json!(5));
    assert!(facts["lived_longest_s"].as_u64() < facts["killed_shortest_s"].as_u64());
    assert_eq!(found[0].frames.len(), 6, "what was said, and the reset");
}

#[test]
fn silence_in_answer_to_what_follows_a_silence() {
    let mut script = Script::default();
    let mut pair = script.talk(40_000);
    script.wait(10 * MINUTE).say(&mut pair, 0, PUSH, b"again");
    script.wait(300).again();
    assert!(!outcomes(&script.found(FINDING)).contains(&"not answered after a silence"), "not yet");
    script.wait(600).again();
    script.wait(12_000).again();
    let found = script.found(FINDING);
    let one = found.iter().find(|found| found.outcome.as_deref() == Some("not answered after a silence")).unwrap();
    assert_eq!((one.severity, one.confidence, one.count), (Severity::Notice, Confidence::Medium, 1));
}

#[test]
fn keepalives_without_an_answer_count_as_tries() {
    let mut script = Script::default();
    let mut pair = script.talk(40_000);
    // As Linux does it: after two hours, each 75 s later than the one before, then a RST. None of them has data.
    for wait in [7_200, 75, 75] {
        script.wait(wait * 1000).say(&mut pair, 0, flag::ACK, &[]).seq -= 1;
    }
    script.wait(75_000).say(&mut pair, 0, flag::RST | flag::ACK, &[]);
    let found = script.found(FINDING);
    assert!(outcomes(&found).contains(&"not answered after a silence"), "{found:#?}");
}
