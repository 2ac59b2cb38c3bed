//! Traces that are whole replay; whatever is wrong with one is said, and never taken for a difference.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests may panic")]

mod world;

use proptest::prelude::*;
use tidegate_core::admission::*;
use tidegate_core::time::{Nanos, Span};
use tidegate_core::trace::{Report, Taped, TraceError, Writer, replay};
use world::{World, arrival, plan};

/// A short storm, recorded from its second call on.
fn storm() -> Vec<u8> {
    let mut world = World::new(plan(1));
    world.arrive(arrival(0, Role::Open));
    world.record();
    for client in 1..5 {
        world.arrive(arrival(client, Role::Open));
    }
    for n in 0..3 {
        world.advance(Span::millis(700));
        let first = world.in_flight()[0];
        world.event(Event::Done(first, Outcome::Answered { opened: Some(SessionKey(n)), closed: false }));
    }
    world.apply(Plan { seed: 8, ..plan(2) });
    world.advance(Span::secs(40));
    world.recorded()
}

fn played(trace: &[u8]) -> Result<Report, TraceError> {
    replay(|| Ok(trace))
}

/// Line by line, newlines included.
fn lines(trace: &[u8]) -> Vec<&str> {
    std::str::from_utf8(trace).unwrap().split_inclusive('\n').collect()
}

#[test]
fn a_whole_trace_replays() {
    let trace = storm();
    let report = played(&trace).unwrap();
    assert!(report.identical, "{report:?}");
    assert_eq!((report.events, report.first_difference), (lines(&trace).len() as u64 - 2, None));
    assert!(report.decisions >= 8);
}

#[test]
fn another_machine_is_found_at_the_event_where_it_differs() {
    let machine = |limit| Taped::new(Machine::new(plan(limit), None, Nanos(0)).unwrap());
    let (mut one, mut two) = (machine(1), machine(2));
    let begin = one.record("s", Nanos(0)).unwrap();
    two.record("s", Nanos(0)).unwrap();
    for client in 0..3 {
        two.arrive(Nanos(client), arrival(client, Role::Open), &mut Vec::new());
    }
    // As if the machine with one slot had said what the one with two slots did.
    let (mut writer, mut trace, mut steps) = (Writer::default(), Vec::new(), Vec::new());
    two.take(&mut steps);
    writer.begin(&begin, &mut trace).unwrap();
    steps.into_iter().for_each(|step| writer.step(step, &mut trace).unwrap());
    writer.end(false, &mut trace).unwrap();
    let report = played(&trace).unwrap();
    let difference = report.first_difference.unwrap();
    assert_eq!((report.identical, report.events, difference.event), (false, 2, 2));
    assert!(matches!(difference.said[0], Action::Hold { .. }), "{difference:?}");
}

#[test]
fn one_records_at_a_time() {
    let mut machine = Taped::new(Machine::new(plan(1), None, Nanos(0)).unwrap());
    assert!(machine.record("s", Nanos(0)).is_some() && machine.record("s", Nanos(0)).is_none());
    machine.stop();
    assert!(machine.record("s", Nanos(0)).is_some());
}

#[test]
fn what_is_wrong_is_said() {
    let trace = storm();
    let text = lines(&trace);
    let last = text[text.len() - 1];
    let body = &trace[..trace.len() - last.len()];
    let change = |from: &str, to: &str| String::from_utf8(trace.clone()).unwrap().replacen(from, to, 1).into_bytes();
    assert!(matches!(played(b""), Err(TraceError::NotATrace)));
    assert!(matches!(played(b"hello\n"), Err(TraceError::NotATrace)));
    assert!(matches!(played(&trace[..20]), Err(TraceError::NotATrace)));
    assert!(matches!(played(&change("\"format\":1", "\"format\":2")), Err(TraceError::Format(2))));
    assert!(matches!(played(body), Err(TraceError::Short { steps }) if steps as usize == text.len() - 2));
    assert!(matches!(played(&trace[..body.len() - 10]), Err(TraceError::Short { .. })));
    assert!(matches!(played(&[&trace[..], b"{}\n"].concat()), Err(TraceError::Corrupt { .. })));
    assert!(matches!(played(&change("\"client\":3", "\"client\":4")), Err(TraceError::Corrupt { .. })));
    assert!(matches!(played(&change("{\"end\"", "{\"cut\"")), Err(TraceError::Cut { .. })));
    let holes = text.iter().enumerate().filter(|(n, _)| *n != 3).map(|(_, line)| *line).collect::<String>();
    assert!(matches!(played(holes.as_bytes()), Err(TraceError::Corrupt { .. })));
    for error in [TraceError::NotATrace, TraceError::Format(2), TraceError::Cut { steps: 0 }] {
        assert!(!error.hint().is_empty() && !error.to_string().is_empty());
    }
}

proptest! {
    /// No change of a byte goes unnoticed, and none is taken for a difference.
    #[test]
    fn every_byte_counts(place in any::<prop::sample::Index>(), flip in 1..=255u8) {
        let mut trace = storm();
        let place = place.index(trace.len());
        trace[place] ^= flip;
        prop_assert!(played(&trace).is_err());
    }
}
