//! Ports that run out, and ports that only look like it.
use super::judge::forecast;
use super::*;
use crate::capture::flag;
use crate::flows::find::script::{Pair, Script};
use crate::flows::found::{Confidence, Severity};
use proptest::prelude::*;
use serde_json::json;

const FINDING: &str = "port-exhaustion";
const FIN: u8 = flag::FIN | flag::ACK;

/// A connection from this port, and its end: the one that closes first, or a RST of the client.
fn open(script: &mut Script, port: u16) -> Pair {
    let mut pair = Pair::new(1, port);
    script.open(&mut pair);
    pair
}

fn close(script: &mut Script, mut pair: Pair, first: usize) {
    script.say(&mut pair, first, FIN, &[]);
    script.say(&mut pair, 1 - first, FIN, &[]);
    script.say(&mut pair, first, flag::ACK, &[]);
}

/// A bucket with so many ports of a range, each used so often, of which all stand.
fn bucket(low: u16, count: u16, times: u64) -> Taken {
    let mut taken = Taken::default();
    for port in (low..).take(count.into()) {
        taken.ports.add(port);
        taken.level.add(u32::from(port), STAND, 1);
    }
    taken.opened = u64::from(count) * times;
    taken
}

#[test]
fn a_client_that_came_round_has_no_other_ports() {
    let mut script = Script::default();
    for _ in 0..2 {
        let pairs: Vec<Pair> = (40_000..40_020).map(|port| open(&mut script, port)).collect();
        script.wait(1000);
        for mut pair in pairs {
            script.say(&mut pair, 0, flag::RST, &[]);
        }
        script.wait(100_000);
    }
    (40_000..40_019).for_each(|port| _ = open(&mut script, port));
    let (found, _) = script.only(FINDING);
    assert_eq!((found.severity, found.confidence), (Severity::Notice, Confidence::Medium), "workers with a port each?");
    assert_eq!((found.facts["range"].clone(), found.facts["range_of"].clone()), (json!("40000-40019"), json!("seen")));
    assert_eq!((found.facts["taken_percent"].clone(), found.facts["live"].clone()), (json!(100.0), json!(20)));
    assert_eq!(found.groups[0].who, "10.0.0.1 -> 10.0.1.1:443");
    assert_eq!(found.facts["ceiling_per_s"], json!(0.3), "20 ports, each for 60 s");
    assert!(found.facts["reuse_p10_s"].as_f64().unwrap() > 90.0);
    let line = &script.report(1).buckets[0];
    assert_eq!((line.live, line.time_wait, line.ports_seen, line.range), (20, 0, 20, [40_000, 40_019]));
}

#[test]
fn time_wait_is_with_who_closes_first() {
    let taken = |first| {
        let mut script = Script::default();
        for port in 40_000..40_010 {
            let pair = open(&mut script, port);
            close(&mut script, pair, first);
        }
        script.wait(30_000);
        open(&mut script, 40_011);
        let report = script.report(1);
        let line = &report.buckets[0];
        (line.live + line.time_wait, line.ports_seen)
    };
    assert_eq!(taken(0), (11, 11));
    assert!(taken(1).0 <= 10, "at most those that stand at once");
}

#[test]
fn who_takes_ports_out_of_time_wait_does_not_wait() {
    let mut script = Script::default();
    for _ in 0..5 {
        for port in 40_000..40_020 {
            let pair = open(&mut script, port);
            script.wait(10);
            close(&mut script, pair, 0);
        }
        script.wait(2000);
    }
    assert_eq!(script.found(FINDING), []);
    assert_eq!(script.report(1).buckets[0].ports_seen, 20);
}

#[test]
fn watermarks_and_collisions() {
    let severity = |count, collisions| {
        let taken = Taken { collisions, ..bucket(32_768, count, 1) };
        judge(&taken, 100_000).and_then(|judged| judged.severity)
    };
    assert_eq!(severity(14_000, 0), None);
    assert_eq!(severity(14_116, 0), Some(Severity::Notice), "50 % of 28,232, in more than half of the range of IANA");
    assert_eq!(severity(21_174, 0), Some(Severity::Warning));
    assert_eq!(severity(25_409, 0), Some(Severity::Critical));
    assert_eq!(severity(14_116, 1), Some(Severity::Critical));
    assert_eq!(severity(10, 1), None, "a collision alone is no exhaustion");
    let again = |count, collisions| {
        let taken = Taken { collisions, ..bucket(40_000, count, 2) };
        judge(&taken, 100_000).and_then(|judged| judged.severity)
    };
    assert_eq!(
        [again(255, 0), again(255, 1), again(256, 0)].map(Option::unwrap),
        [Severity::Notice, Severity::Critical, Severity::Critical]
    );
}

#[test]
fn the_last_minute_goes_on() {
    let line: Vec<(u64, u64)> = (0..=120).map(|second| (second * 1000, second * 10)).collect();
    assert_eq!(forecast(&line, 120_000, 2000).map(f64::round), Some(80.0));
    assert_eq!(forecast(&line, 120_000, 200_000), None, "not within the hour");
    assert_eq!(forecast(&line, 5_000, 2000), None, "too short a time");
    assert_eq!(forecast(&[(0, 7)], 120_000, 10), None, "nothing moves");
}

#[test]
fn who_joined_late_is_the_client_by_its_port() {
    let mut script = Script::default();
    for port in 40_000..40_003 {
        let mut pair = Pair::new(1, port);
        // The server speaks first.
        for by in [1, 0, 1, 0] {
            script.say(&mut pair, by, flag::ACK, b"x");
        }
    }
    let report = script.report(1);
    assert_eq!(report.buckets.len(), 1);
    assert_eq!((report.buckets[0].bucket.as_str(), report.buckets[0].live), ("10.0.0.1 -> 10.0.1.1:443", 3));
}

#[test]
fn a_flood_of_syns_takes_no_port() {
    let mut script = Script::default();
    for port in 1024..4096 {
        script.say(&mut Pair::new(1, port), 0, flag::SYN, &[]);
    }
    assert_eq!((script.found(FINDING), script.report(1).buckets.len()), (Vec::new(), 0));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn shards_say_the_same(steps in prop::collection::vec((0u16..30, 0usize..4, 0u64..40_000), 1..120)) {
        let mut script = Script::default();
        for (port, end, pause) in steps {
            let mut pair = open(&mut script, 40_000 + port);
            match end {
                0 | 1 => close(&mut script, pair, end),
                2 => _ = script.say(&mut pair, 0, flag::RST, &[]),
                _ => {}
            }
            script.wait(pause);
        }
        script.found(FINDING);
        let lines = |shards| script.report(shards).buckets;
        prop_assert_eq!(lines(1), lines(4));
        let all = lines(1);
        prop_assert!(all.iter().all(|line| line.live + line.time_wait <= line.ports_seen + 1 && line.share <= 1.0), "{:?}", all);
    }
}
