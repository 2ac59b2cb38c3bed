//! How long clients wait is learned from those that leave, and decides how long others of their kind are held.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests may panic")]

mod world;

use tidegate_core::admission::*;
use tidegate_core::reason::Reason;
use tidegate_core::time::{Nanos, Span};
use tidegate_core::trace::Taped;
use world::{Fate, World, arrival, plan};

const KIND: KindKey = KindKey(9);
const ANSWERED: Outcome = Outcome::Answered { opened: None, closed: false };

fn call(client: u64) -> Arrival {
    Arrival { kind: KIND, ..arrival(client, Role::Call) }
}

/// A server that is busy while clients come one after the other and leave after so many seconds.
fn left_after(world: &mut World, seconds: u64) {
    let busy = world.arrive(arrival(1, Role::Call));
    for client in 100..120 {
        let left = world.arrive(call(client));
        world.advance(Span::secs(seconds));
        world.event(Event::ClientGone(left));
        if client % 2 == 0 {
            world.event(Event::Done(world.in_flight()[0], ANSWERED));
            world.arrive(arrival(1, Role::Call));
        }
    }
    world.event(Event::ClientGone(busy));
}

#[test]
fn clients_are_answered_before_they_would_leave() {
    let mut world = World::new(plan(1));
    left_after(&mut world, 10);
    assert_eq!(world.machine.learned().patience, [(KIND, Span::secs(10))]);
    let (held, other) = (world.arrive(call(1)), world.arrive(arrival(2, Role::Call)));
    world.advance(Span::millis(7_900));
    assert_eq!([world.fates[&held], world.fates[&other]], [Fate::TurnedAway(Reason::Deadline), Fate::Held]);
}

#[test]
fn a_machine_begins_with_the_patience_that_was_learned() {
    let mut world = World::new(plan(1));
    left_after(&mut world, 10);
    let learned = world.machine.learned();
    let mut world = World::new(plan(1));
    world.machine = Taped::new(Machine::new(plan(1), Some(&learned), world.now).unwrap());
    let (_busy, held) = (world.arrive(arrival(1, Role::Call)), world.arrive(call(2)));
    world.advance(Span::secs(8));
    assert_eq!(world.fates[&held], Fate::TurnedAway(Reason::Deadline));
}

#[test]
fn nobody_is_given_less_than_the_margin_and_a_second() {
    let mut world = World::new(plan(1));
    left_after(&mut world, 1);
    assert_eq!(world.machine.learned().patience, [(KIND, Span::secs(1))]);
    let held = world.arrive(call(1));
    assert_eq!(world.fates[&held], Fate::Held);
    world.event(Event::Done(world.in_flight()[0], ANSWERED));
    assert_eq!(world.fates[&held], Fate::InFlight(ServerId(0)));
}

#[test]
fn a_deadline_that_the_client_names_is_its_own() {
    let mut world = World::new(plan(1));
    left_after(&mut world, 10);
    let sooner = world.arrive(Arrival { deadline: Some(world.now + Span::secs(5)), ..call(1) });
    world.advance(Span::secs(3));
    assert_eq!(world.fates[&sooner], Fate::TurnedAway(Reason::Deadline));
}

#[test]
fn a_cut_cable_teaches_nothing() {
    let mut world = World::new(plan(1));
    let calls: Vec<CallId> = (1..=200)
        .map(|client| {
            world.advance(Span::millis(10));
            world.arrive(call(client))
        })
        .collect();
    world.advance(Span::secs(5));
    calls.into_iter().for_each(|call| world.event(Event::ClientGone(call)));
    assert_eq!(world.machine.learned().patience, []);
    assert_eq!(world.now, Nanos(0) + Span::secs(7));
}
