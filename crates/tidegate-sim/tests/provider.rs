//! Properties of the server model over random traces of offers, leavings and crashes.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use proptest::prelude::*;
use tidegate_core::time::{Nanos, Span};
use tidegate_sim::law::{Law, LawKind};
use tidegate_sim::provider::{Done, JobId, Offer, Provider, ProviderModel};

#[derive(Clone, Debug)]
enum Act {
    Offer(f64),
    Leave(usize),
    Crash,
    Wait(u64),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        6 => (0.001f64..2.0).prop_map(Act::Offer),
        2 => (0usize..100).prop_map(Act::Leave),
        1 => Just(Act::Crash),
        6 => (0u64..400).prop_map(Act::Wait),
    ];
    prop::collection::vec(act, 0..200)
}

fn kinds() -> impl Strategy<Value = LawKind> {
    prop::sample::select(vec![LawKind::Usl, LawKind::Cliff, LawKind::Convoy])
}

/// Rounded: the ends of jobs are rounded up to a nanosecond.
fn millis(at: Nanos) -> u64 {
    (at.0 + 500_000) / 1_000_000
}

fn server(kind: LawKind, knee: u32) -> Provider {
    let law = Law::new(kind, knee, Span::millis(500)).unwrap();
    Provider::new(ProviderModel { law, threads: 12, backlog: 6, crash_at: None }, Nanos(0))
}

/// What a trace led to: all ends in order, and the sum of the units taken.
#[derive(Debug, PartialEq)]
struct Played {
    done: Vec<Done>,
    offered: u64,
    taken_units: f64,
    crashed_jobs: usize,
    now: Nanos,
}

fn play(server: &mut Provider, acts: &[Act]) -> Played {
    let mut now = Nanos(0);
    let (mut done, mut ids) = (Vec::new(), Vec::<JobId>::new());
    let (mut offered, mut taken_units, mut crashed_jobs) = (0, 0.0, 0);
    for act in acts {
        match *act {
            Act::Offer(units) => {
                offered += 1;
                if let Offer::Taken(id) = server.offer(now, units, &mut done) {
                    taken_units += units;
                    ids.push(id);
                }
            }
            Act::Leave(which) if !ids.is_empty() => server.leave(now, ids[which % ids.len()], &mut done),
            Act::Leave(_) => {}
            Act::Crash => {
                server.advance(now, &mut done);
                crashed_jobs += server.in_flight();
                server.crash(now, &mut done);
            }
            Act::Wait(ms) => now = now + Span::millis(ms),
        }
        assert!(server.running() <= 12 && server.queued() <= 6, "bounded");
    }
    Played { done, offered, taken_units, crashed_jobs, now }
}

proptest! {
    #[test]
    fn every_job_ends_once_and_in_order(kind in kinds(), knee in 1u32..16, acts in acts()) {
        let mut server = server(kind, knee);
        let mut played = play(&mut server, &acts);
        server.advance(played.now + Span::secs(100_000), &mut played.done);
        prop_assert_eq!(server.in_flight(), 0, "all work is done in the end");
        let tally = server.tally();
        prop_assert_eq!(played.offered, tally.taken + tally.refused);
        prop_assert_eq!(played.done.len() + played.crashed_jobs, tally.taken as usize);
        prop_assert!(played.done.windows(2).all(|pair| pair[0].at <= pair[1].at), "ends are in order");
        let mut ids: Vec<_> = played.done.iter().map(|done| done.job).collect();
        ids.sort();
        prop_assert!(ids.windows(2).all(|pair| pair[0] != pair[1]), "no job ends twice");
    }

    #[test]
    fn work_is_conserved(kind in kinds(), knee in 1u32..16, acts in acts()) {
        let acts: Vec<_> = acts.into_iter().filter(|act| !matches!(act, Act::Crash)).collect();
        let mut server = server(kind, knee);
        let mut played = play(&mut server, &acts);
        server.advance(played.now + Span::secs(100_000), &mut played.done);
        let tally = server.tally();
        let worked = tally.useful_units + tally.wasted_units;
        prop_assert!((worked - played.taken_units).abs() < 1e-5, "{} of {}", worked, played.taken_units);
        prop_assert_eq!(tally.lost_units, 0.0);
    }

    #[test]
    fn never_faster_than_the_best_rate(kind in kinds(), knee in 1u32..16, acts in acts()) {
        let mut server = server(kind, knee);
        let played = play(&mut server, &acts);
        let best = Law::new(kind, knee, Span::millis(500)).unwrap().best_rate();
        let tally = server.tally();
        let worked = tally.useful_units + tally.wasted_units + tally.lost_units;
        prop_assert!(worked <= best * Span(played.now.0).as_secs_f64() + 1e-5);
    }

    #[test]
    fn the_same_trace_gives_the_same_ends(kind in kinds(), knee in 1u32..16, acts in acts()) {
        let once = play(&mut server(kind, knee), &acts);
        prop_assert_eq!(&once, &play(&mut server(kind, knee), &acts));
    }
}

#[test]
fn jobs_share_the_capacity() {
    let mut server = server(LawKind::Cliff, 4);
    let mut done = Vec::new();
    for units in [1.0, 1.0, 0.5] {
        server.offer(Nanos(0), units, &mut done);
    }
    server.advance(Nanos(0) + Span::millis(249), &mut done);
    assert_eq!(done.len(), 0);
    server.advance(Nanos(0) + Span::millis(501), &mut done);
    let ends: Vec<_> = done.iter().map(|done| millis(done.at)).collect();
    assert_eq!(ends, [250, 500, 500]);
}

#[test]
fn in_a_convoy_the_served_see_a_constant_latency_and_the_others_none() {
    let mut server = server(LawKind::Convoy, 8);
    let mut done = Vec::new();
    for _ in 0..9 {
        server.offer(Nanos(0), 1.0, &mut done);
    }
    server.advance(Nanos(0) + Span::millis(501), &mut done);
    assert_eq!(done.len(), 4, "one past a knee of 8: half of the places are gone");
    assert!(done.iter().all(|done| millis(done.at) == 500));
    server.advance(Nanos(0) + Span::secs(2), &mut done);
    assert_eq!(done.len(), 9, "with fewer jobs the convoy dissolves");
}

#[test]
fn work_for_those_who_left_is_done_and_wasted() {
    let mut server = server(LawKind::Usl, 8);
    let mut done = Vec::new();
    let Offer::Taken(job) = server.offer(Nanos(0), 1.0, &mut done) else { panic!("an idle server takes a job") };
    server.leave(Nanos(0) + Span::millis(100), job, &mut done);
    assert!((server.tally().wasted_units - 0.2).abs() < 1e-9);
    server.advance(Nanos(0) + Span::secs(1), &mut done);
    assert!(!done[0].useful);
    assert!((server.tally().wasted_units - 1.0).abs() < 1e-6);
    assert_eq!(server.tally().wasted_share(), 1.0);
}

#[test]
fn breaks_down_at_its_ceiling() {
    let law = Law::new(LawKind::Usl, 8, Span::millis(500)).unwrap();
    let mut server = Provider::new(ProviderModel { law, threads: 12, backlog: 6, crash_at: Some(3) }, Nanos(0));
    let mut done = Vec::new();
    let offers: Vec<_> = (0..3).map(|_| server.offer(Nanos(0), 1.0, &mut done)).collect();
    assert_eq!(offers[2], Offer::Crashed);
    server.crash(Nanos(0) + Span::millis(100), &mut done);
    assert_eq!(server.in_flight(), 0);
    assert!(server.tally().lost_units > 0.3);
}
