//! Captures of one direction, of servers that are silent, and captures with gaps.

use super::*;
use crate::capture::flag;
use crate::flows::find::script::{Pair, START, Script};

const PUSH: u8 = flag::ACK | flag::PSH;

fn talks(count: u16) -> Script {
    let mut script = Script::default();
    for port in 0..count {
        script.talk(40_000 + port);
    }
    script
}

#[test]
fn both_directions_are_no_finding() {
    let report = talks(20).report(1);
    assert_eq!((report.found, report.withheld), (Vec::new(), Vec::new()));
}

#[test]
fn one_direction_withholds_what_needs_both() {
    for side in [[10, 0, 0, 1], [10, 0, 1, 1]] {
        let mut script = talks(3);
        script.said.retain(|said| said.ends[0].0 == std::net::IpAddr::from(side));
        let report = script.report(1);
        let found: Vec<_> = report.found.iter().map(|found| (found.finding, found.severity, found.count)).collect();
        assert_eq!(found, [("one-sided", Severity::Warning, 3)]);
        let withheld: Vec<_> = report.withheld.iter().map(|withheld| withheld.finding).collect();
        assert_eq!(withheld, NEEDS_BOTH);
    }
}

#[test]
fn a_silent_server_is_not_a_missing_direction() {
    let mut script = Script::default();
    for port in 0..20 {
        script.say(&mut Pair::new(1, 40_000 + port), 0, flag::SYN, &[]);
    }
    let (found, _) = script.only("one-sided");
    assert_eq!((found.severity, found.confidence), (Severity::Notice, Confidence::Low));
    // One of them was repeated: nobody answered.
    script.wait(1_000);
    script.again();
    let report = script.report(1);
    assert!(report.withheld.is_empty() && report.found.iter().all(|found| found.finding != "one-sided"));
}

#[test]
fn a_part_in_one_direction_withholds_nothing() {
    let mut script = talks(20);
    let client = |port: u16| (std::net::IpAddr::from([10, 0, 0, 1]), port);
    script.said.retain(|said| !(40_000..40_005).contains(&said.ends[1].1) || said.ends[0] == client(said.ends[0].1));
    let report = script.report(1);
    let found: Vec<_> = report.found.iter().map(|found| (found.finding, found.severity, found.count)).collect();
    assert_eq!((found, report.withheld.len()), (vec![("one-sided", Severity::Notice, 5)], 0));
}

#[test]
fn what_was_acknowledged_unseen_is_a_drop() {
    let mut script = talks(20);
    let mut pair = Pair::new(2, 41_000);
    script.open(&mut pair);
    script.say(&mut pair, 0, PUSH, b"lost");
    script.said.pop();
    script.say(&mut pair, 1, flag::ACK, &[]);
    let (found, _) = script.only("drops");
    assert_eq!((found.count, found.severity, found.frames.len()), (1, Severity::Warning, 1));
    assert_eq!(found.facts["packets_percent"], 1.0);
}

#[test]
fn times_that_leap_withhold_what_counts_by_time() {
    let storm = |leap: &[i64]| {
        let mut script = talks(300);
        for (place, said) in script.said.iter_mut().enumerate() {
            said.at += place as u64 * 3_000_000_000;
        }
        let mut stray = script.said[0].clone();
        for seconds in leap {
            stray.ends[0].1 = 9;
            stray.at = START.checked_add_signed(seconds * 1_000_000_000).unwrap();
            script.said.insert(0, stray.clone());
        }
        let report = script.report(2);
        (report.found.iter().map(|found| found.finding).collect::<Vec<_>>(), report.withheld.len())
    };
    assert_eq!(storm(&[]), (vec![], 0));
    assert_eq!(storm(&[-1_600_000_000]), (vec![], 4), "a clock that was not set yet");
    assert_eq!(storm(&[90]), (vec![], 4), "packets from before the first one");
    assert_eq!(storm(&[30]), (vec![], 0));
}
