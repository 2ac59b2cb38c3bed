//! Storms, their clients and their retries, and what is only busy.
use super::*;
use crate::flows::find::script::{Pair, Said, Script};
use crate::flows::series::Series;
use proptest::prelude::*;
use std::net::IpAddr;

const FINDING: &str = "connection-storm";
const SYN: u8 = flag::SYN;

/// What becomes of a connection.
#[derive(Clone, Copy)]
enum Fate {
    Served,
    Refused,
    /// Its SYN is repeated after so many milliseconds each.
    Silent(&'static [u64]),
}

/// Connections between two times in milliseconds, `pause` ms apart, of so many clients in turn.
fn come(script: &mut Script, from: u64, to: u64, pause: usize, clients: usize, fate: Fate) {
    for (place, at) in (from..to).step_by(pause).enumerate() {
        let mut pair = Pair::new((place % clients) as u8, 10_000 + (at / 20) as u16);
        script.ms = at;
        script.say(&mut pair, 0, SYN, &[]);
        match fate {
            Fate::Served => {
                script.say(&mut pair, 1, SYN | flag::ACK, &[]);
                script.say(&mut pair, 0, flag::ACK, &[]);
            }
            Fate::Refused => _ = script.say(&mut pair, 1, flag::RST | flag::ACK, &[]),
            Fate::Silent(pauses) => {
                for pause in pauses {
                    script.wait(pause - 1).again();
                }
            }
        }
    }
    script.said.sort_by_key(|said| said.at);
}

/// One a second for a minute, then 50 a second for 10 s.
fn storm(fate: Fate) -> Script {
    let mut script = Script::default();
    come(&mut script, 0, 60_000, 1000, 10, Fate::Served);
    come(&mut script, 60_001, 70_000, 20, 50, fate);
    come(&mut script, 80_000, 120_000, 1000, 10, Fate::Served);
    script
}

#[test]
fn a_storm_that_is_served_is_a_warning() {
    let (found, outcome) = storm(Fate::Served).only(FINDING);
    assert_eq!((found.severity, found.confidence, outcome.as_str()), (Severity::Warning, Confidence::High, "answered"));
    assert_eq!(found.count, 500);
    assert_eq!(found.facts["server"], json!("10.0.1.1:443"));
    assert_eq!(found.facts["clients"], json!(50));
    assert_eq!((found.facts["before_per_s"].clone(), found.facts["most_per_s"].clone()), (json!(1.0), json!(50.0)));
    assert!(found.facts["z"].as_f64().unwrap() > 100.0);
    assert_eq!((found.groups[0].who.as_str(), found.groups[0].facts["clients"].clone()), ("10.0.0.0/24", json!(50)));
    assert_eq!(found.last - found.first, 10_000_000_000);
}

#[test]
fn a_storm_that_is_refused_is_critical() {
    let (found, outcome) = storm(Fate::Refused).only(FINDING);
    assert_eq!((found.severity, outcome.as_str()), (Severity::Critical, "server does not keep up"));
    assert_eq!(found.facts["failed_percent"], json!(100.0));
}

#[test]
fn networks_whose_hosts_made_room_do_not_say_how_many() {
    let mut script = Script::default();
    for place in 0..3000u16 {
        let [high, low] = place.to_be_bytes();
        let mut pair = Pair::new(1, 40_000);
        // One network of many hosts among thousands of one each.
        pair.ends[0].0 =
            IpAddr::from(if place < 1000 && place % 20 == 0 { [1, 9, 9, low] } else { [20, high, low, 1] });
        script.ms = u64::from(place) * 3;
        script.say(&mut pair, 0, SYN, &[]);
        script.say(&mut pair, 1, flag::RST | flag::ACK, &[]);
    }
    // Which groups made room depends on the number of shards.
    let report = script.report(1);
    let found = report.found.iter().find(|found| found.finding == FINDING).unwrap();
    assert_eq!(found.groups[0].who, "1.9.9.0/24");
    assert!(found.groups.iter().all(|group| group.facts.get("clients") != Some(&json!(0))), "{:?}", found.groups);
}

#[test]
fn frames_are_of_the_storm() {
    // Nothing fails in the minute before it, so the first that fails is in the storm; the first that came is not.
    let (refused, _) = storm(Fate::Refused).only(FINDING);
    assert!(refused.frames[0].frame > 60 * 3);
    let (served, _) = storm(Fate::Served).only(FINDING);
    assert_eq!(served.frames, []);
}

#[test]
fn a_point_of_the_time_line_is_told_to_be_a_window() {
    // The capture begins at no whole window.
    let mut script = Script::default();
    come(&mut script, 3000, 13_000, 20, 50, Fate::Served);
    come(&mut script, 73_001, 83_000, 10, 50, Fate::Served);
    let (found, _) = script.only(FINDING);
    assert!(found.timeline.iter().all(|[at, _]| at % 10 == 0), "{:?}", found.timeline);
    assert_eq!(found.timeline.iter().map(|[_, came]| *came).max(), Some(1000));
}

#[test]
fn kernels_are_known_by_their_retries() {
    let shape = |pauses| {
        let mut script = Script::default();
        come(&mut script, 0, 5_000, 20, 50, Fate::Silent(pauses));
        let (found, _) = script.only(FINDING);
        assert_eq!((found.severity, found.count), (Severity::Critical, 250));
        assert_eq!(found.facts["syn_retry_sampled"], json!(250));
        found.facts["syn_retry_shape"].as_str().unwrap().to_owned()
    };
    assert_eq!(shape(&[1000, 2000, 4000]), "doubling");
    assert_eq!(shape(&[1000, 1000, 1000, 1000, 1000, 2000, 4000]), "linear, then doubling");
}

#[test]
fn clients_that_come_back_every_two_seconds() {
    let mut script = Script::default();
    come(&mut script, 0, 20_000, 50, 40, Fate::Refused);
    let (found, _) = script.only(FINDING);
    assert_eq!(found.facts["client_retry_shape"], json!("steady"));
    assert_eq!(found.facts["client_retry_first_ms"], json!(2000));
    assert_eq!(found.facts["connections_per_client_median"], json!(10));
}

#[test]
fn one_client_is_named() {
    let mut script = Script::default();
    come(&mut script, 0, 60_000, 1000, 10, Fate::Served);
    come(&mut script, 60_001, 70_000, 20, 1, Fate::Served);
    let (found, _) = script.only(FINDING);
    assert_eq!(found.groups[0].facts["heaviest"], json!("10.0.0.0"));
}

#[test]
fn names_that_clients_ask_for_are_told() {
    let mut script = storm(Fate::Served);
    // A hello whose only extension names the server.
    let name = [&[0, 0, 0, 11, 0, 9, 0, 0, 6][..], b"vp.lab"].concat();
    let body = [&[3, 3][..], &[7; 32], &[0, 0, 2, 0x13, 1, 1, 0, 0, 15], &name].concat();
    let length = body.len() as u8;
    let hello = [&[22, 3, 1, 0, length + 4, 1, 0, 0, length][..], &body].concat();
    let opened: Vec<_> = script.said.iter().filter(|said| said.flags == SYN).cloned().collect();
    for syn in opened {
        let flags = flag::ACK | flag::PSH;
        let (seq, ack, length) = (syn.seq + 1, 9_001, hello.len() as u32);
        script.said.push(Said { at: syn.at + 5_000_000, flags, seq, ack, length, data: hello.clone(), ..syn });
    }
    script.said.sort_by_key(|said| said.at);
    let (found, _) = script.only(FINDING);
    assert_eq!(found.facts["clients_by_server_name"], json!({"vp.lab": 50}));
}

#[test]
fn a_busy_server_is_no_storm() {
    let mut script = Script::default();
    come(&mut script, 0, 60_000, 20, 50, Fate::Served);
    assert_eq!(script.found(FINDING), []);
    let mut few = Script::default();
    come(&mut few, 0, 60_000, 10_000, 5, Fate::Served);
    come(&mut few, 60_001, 70_000, 110, 5, Fate::Refused);
    assert_eq!(few.found(FINDING), [], "91 connections");
}

#[test]
fn in_one_direction_only_the_rate_is_judged() {
    let mut script = storm(Fate::Refused);
    script.said.retain(|said| said.ends[1].1 == 443);
    let (found, outcome) = script.only(FINDING);
    assert_eq!((found.severity, found.confidence), (Severity::Warning, Confidence::Low));
    assert_eq!(outcome, "answers not seen");
    assert!(!found.facts.contains_key("clients_by_server_name"));
}

proptest! {
    #[test]
    fn what_only_varies_is_no_storm(counts in prop::collection::vec(100i32..200, 1..100)) {
        let mut windows = Series::<2, WINDOW, 1024>::default();
        for (place, count) in counts.iter().enumerate() {
            windows.add(place as u64 * WINDOW, CAME, *count);
            windows.add(place as u64 * WINDOW, FAILED, *count / 3);
        }
        prop_assert_eq!(judge(&windows, counts.len() as u32 * WINDOW as u32, true), None);
    }

    #[test]
    fn what_comes_suddenly_is_one(before in 0i32..300, times in 7i32..50, calm in 1u64..20) {
        let mut windows = Series::<2, WINDOW, 1024>::default();
        (0..calm).for_each(|window| windows.add(window * WINDOW, CAME, before));
        let storm = (before * times).max(120);
        windows.add(calm * WINDOW, CAME, storm);
        let judged = judge(&windows, (calm + 3) as u32 * WINDOW as u32, true).unwrap();
        prop_assert_eq!((judged.begins, judged.ends, judged.came), (calm * WINDOW, (calm + 1) * WINDOW, storm as u64));
    }
}

#[test]
fn what_was_captured_twice_is_no_retry() {
    let mut script = Script::default();
    come(&mut script, 0, 10_000, 20, 50, Fate::Served);
    let copies: Vec<Said> = script.said.iter().map(|said| Said { at: said.at + 50_000, ..said.clone() }).collect();
    script.said.extend(copies);
    script.said.sort_by_key(|said| said.at);
    assert_eq!(script.report(1).found, []);
    let (found, outcome) = storm(Fate::Silent(&[1, 999, 1, 1_999, 1])).only(FINDING);
    assert_eq!(
        (found.facts["syn_retry_shape"].clone(), outcome.as_str()),
        (json!("doubling"), "server does not keep up")
    );
}
