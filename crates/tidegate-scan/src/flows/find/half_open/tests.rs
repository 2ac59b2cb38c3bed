//! Floods of either side, and what is none.
use super::*;
use crate::flows::find::script::{Pair, Script};
use crate::flows::found::{Confidence, Severity};
use proptest::prelude::*;
use serde_json::json;
use std::net::IpAddr;

const FINDING: &str = "half-open";
const SYN: u8 = flag::SYN;
const SYN_ACK: u8 = flag::SYN | flag::ACK;

/// How far a connection comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comes {
    /// Not even an answer.
    Syn,
    /// An answer, and no more.
    SynAck,
    /// All the way.
    Through,
    /// All the way, as far as the client is concerned; the server is not heard.
    Astray,
    /// All the way, after 5 s.
    Slowly,
}

/// Connections, 10 ms apart, each of a port of its own, and seen for a minute.
fn script(all: &[Comes]) -> Script {
    script_of(all, 250)
}

/// Those of so many clients.
fn script_of(all: &[Comes], clients: usize) -> Script {
    let mut script = Script::default();
    for (place, comes) in all.iter().enumerate() {
        let mut pair = Pair::new((place % clients) as u8, 30_000 + place as u16);
        script.ms = place as u64 * 10;
        script.say(&mut pair, 0, SYN, &[]);
        match comes {
            Comes::Syn => script.again().at += 1_000_000_000,
            Comes::SynAck => _ = script.say(&mut pair, 1, SYN_ACK, &[]),
            Comes::Through => {
                script.say(&mut pair, 1, SYN_ACK, &[]);
                script.say(&mut pair, 0, flag::ACK, &[]);
            }
            Comes::Astray => {
                script.say(&mut pair, 1, SYN_ACK, &[]);
                script.said.pop();
                script.say(&mut pair, 0, flag::ACK, b"hello");
            }
            Comes::Slowly => {
                script.say(&mut pair, 1, SYN_ACK, &[]).at += 2_000_000_000;
                script.say(&mut pair, 0, flag::ACK, &[]).at += 5_000_000_000;
            }
        }
    }
    // Somebody else is answered, at the beginning and at the end.
    for at in [0, 60_000] {
        script.ms = at;
        let mut other = Pair::new(9, 20_000 + at as u16 / 10_000);
        other.ends[1].1 = 22;
        script.open(&mut other);
    }
    script.said.sort_by_key(|said| said.at);
    script
}

#[test]
fn a_server_that_answers_nobody() {
    let (found, outcome) = script(&[Comes::Syn; 200]).only(FINDING);
    assert_eq!((found.severity, outcome.as_str()), (Severity::Critical, "server silent"));
    assert_eq!((found.count, found.confidence, found.frames.len()), (200, Confidence::Medium, 20));
    assert_eq!(found.facts["at_fault"], json!("server"));
    assert_eq!(found.facts["most_half_open"], json!(200));
    assert_eq!(found.groups[0].who, "10.0.1.1:443");
    assert_eq!(found.groups[0].facts["repeated_syns"], json!(200));
    assert_eq!(found.timeline.iter().map(|[_, hang]| hang).sum::<u64>(), 200);
}

#[test]
fn a_server_that_drops_half_of_them() {
    let mut all = [Comes::Through; 100];
    all.iter_mut().step_by(2).for_each(|comes| *comes = Comes::Syn);
    let (found, outcome) = script(&all).only(FINDING);
    assert_eq!((found.severity, outcome.as_str()), (Severity::Warning, "server drops SYNs"));
    assert_eq!((found.count, found.confidence), (50, Confidence::High));
}

#[test]
fn clients_that_do_not_exist() {
    let (found, outcome) = script(&[Comes::SynAck; 200]).only(FINDING);
    assert_eq!((found.severity, outcome.as_str()), (Severity::Critical, "clients invented"));
    assert_eq!(
        (found.facts["at_fault"].clone(), found.facts["unacknowledged"].clone()),
        (json!("clients"), json!(200))
    );
}

#[test]
fn thousands_of_clients_are_as_invented_as_hundreds() {
    for from in (0..20u8).map(|tens| tens * 10) {
        let mut script = Script::default();
        for place in 0..2000u16 {
            let [high, low] = place.to_be_bytes();
            let mut pair = Pair::new(1, 40_000);
            pair.ends[0].0 = IpAddr::from([20, from, high, low]);
            script.ms = u64::from(place) * 5;
            script.say(&mut pair, 0, SYN, &[]);
            script.say(&mut pair, 1, SYN_ACK, &[]);
        }
        script.ms = 60_000;
        script.say(&mut Pair::new(9, 20_000), 0, flag::ACK, b"hello");
        let (found, outcome) = script.only(FINDING);
        assert_eq!(outcome, "clients invented", "{:?}", found.facts);
        assert_eq!(found.facts["clients_estimated"], json!(true));
    }
}

#[test]
fn a_few_are_a_notice() {
    assert_eq!(script(&[Comes::Syn; 5]).only(FINDING).0.severity, Severity::Notice);
    assert_eq!(script(&[Comes::Syn; 19]).only(FINDING).0.severity, Severity::Notice);
    assert_eq!(script(&[Comes::Syn; 20]).only(FINDING).0.severity, Severity::Warning);
}

#[test]
fn who_never_repeats_a_syn_does_not_exist() {
    let mut script = script(&[Comes::Syn; 200]);
    let mut once = std::collections::BTreeSet::new();
    script.said.retain(|said| said.flags != SYN || once.insert(said.ends));
    let (found, outcome) = script.only(FINDING);
    assert_eq!((found.severity, outcome.as_str()), (Severity::Critical, "clients invented"));
    assert_eq!((found.facts["at_fault"].clone(), found.facts["unanswered"].clone()), (json!("clients"), json!(200)));
    assert!(found.facts["clients"].as_u64().unwrap() <= 200, "an estimate is no more than there can be");
}

#[test]
fn a_flood_among_those_who_come_through() {
    let mut all = [Comes::Through; 600];
    all.iter_mut().step_by(3).for_each(|comes| *comes = Comes::SynAck);
    let (found, outcome) = script(&all).only(FINDING);
    assert_eq!((found.count, found.severity, outcome.as_str()), (200, Severity::Critical, "clients invented"));
}

#[test]
fn what_is_no_flood() {
    let none = |all: &[Comes]| assert_eq!(script(all).found(FINDING), [], "{:?}", all.first());
    none(&[Comes::Syn; 4]);
    none(&[Comes::Through; 300]);
    none(&[Comes::Slowly; 50]);
    none(&[Comes::Astray; 50]);
    let mut few = [Comes::Through; 100];
    few.iter_mut().step_by(3).for_each(|comes| *comes = Comes::SynAck);
    none(&few);
}

#[test]
fn who_may_still_be_answered_does_not_hang() {
    let mut script = script(&[Comes::Syn; 50]);
    script.said.retain(|said| said.at < crate::flows::find::script::START + 2_000_000_000);
    assert_eq!(script.found(FINDING), []);
}

#[test]
fn a_filter_may_have_left_out_what_is_missing() {
    let judged = |all: &[Comes], clients, keep: fn(u8) -> bool| {
        let mut script = script_of(all, clients);
        script.said.retain(|said| keep(said.flags));
        let (found, outcome) = script.only(FINDING);
        (found.severity, found.confidence, outcome)
    };
    let syns = |flags| flags & SYN != 0;
    let low = (Severity::Notice, Confidence::Low, "clients silent".to_owned());
    assert_eq!(judged(&[Comes::Through; 300], 20, syns), low, "tcpdump 'tcp[13] & 2 != 0'");
    let (severity, confidence, outcome) = judged(&[Comes::SynAck; 200], 250, syns);
    assert_eq!((severity, confidence, outcome.as_str()), (Severity::Critical, Confidence::Medium, "clients invented"));
    let (severity, _, outcome) = judged(&[Comes::Syn; 200], 250, |flags| flags == SYN);
    assert_eq!((severity, outcome.as_str()), (Severity::Critical, "server silent"), "they are repeated");
}

#[test]
fn one_direction_tells_nothing() {
    let mut script = script(&[Comes::Through; 100]);
    script.said.retain(|said| said.ends[1].1 == 443);
    let report = script.report(1);
    assert!(report.found.iter().all(|found| found.finding != FINDING), "{:#?}", report.found);
    assert!(report.withheld.iter().any(|withheld| withheld.finding == FINDING));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn it_counts_what_hangs(all in prop::collection::vec(
        prop::sample::select(vec![Comes::Syn, Comes::SynAck, Comes::Through, Comes::Slowly]), 1..80,
    )) {
        let of = |one| all.iter().filter(|comes| **comes == one).count();
        let hang = of(Comes::Syn) + of(Comes::SynAck);
        let found = script(&all).found(FINDING);
        let counts: Vec<u64> = found.iter().map(|found| found.count).collect();
        let told = hang >= 5 && hang * 2 >= all.len();
        prop_assert_eq!(counts, if told { vec![hang as u64] } else { vec![] });
    }
}
