//! What health says of servers, and what the machine makes of it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests may panic")]

mod world;

use tidegate_core::admission::*;
use tidegate_core::health::{Cause, Standing};
use tidegate_core::reason::Reason;
use tidegate_core::time::Span;
use world::{Fate, World, arrival, plan};

const DOWN: Standing = Standing { phase: Phase::Down, ..Standing::UP };
const A: ServerId = ServerId(0);
const B: ServerId = ServerId(1);

/// Two servers, each with this limit; the second may be a standby.
fn pair(limit: u32, standby: bool) -> World {
    let server = |name: &str, standby| ServerPlan { name: name.into(), limit: LimitPlan::Static(limit), standby };
    World::warm(Plan { servers: vec![server("a", false), server("b", standby)], ..plan(limit) })
}

impl World {
    fn health(&mut self, server: ServerId, standing: Standing) {
        self.event(Event::Health(server, standing));
    }

    fn phase(&self, server: ServerId) -> Phase {
        self.machine.snapshot(self.now).servers[usize::from(server.0)].phase
    }

    fn answer(&mut self, call: CallId, opened: Option<u64>) {
        self.event(Event::Done(call, Outcome::Answered { opened: opened.map(SessionKey), closed: false }));
    }

    fn call(&mut self, client: u64, session: Option<u64>) -> CallId {
        self.arrive(Arrival { session: session.map(SessionKey), ..arrival(client, Role::Call) })
    }
}

#[test]
fn a_server_that_is_down_gets_nothing_until_its_monitor_says_so() {
    let mut world = World::warm(plan(2));
    world.health(A, DOWN);
    let call = world.call(1, None);
    world.advance(Span::secs(20));
    assert_eq!(world.fates[&call], Fate::Held, "no call tries it");
    world.health(A, Standing::UP);
    assert_eq!(world.fates[&call], Fate::InFlight(A));
    world.health(A, DOWN);
    let late = world.call(2, None);
    world.advance(Span::secs(31));
    assert_eq!(world.fates[&late], Fate::TurnedAway(Reason::ServerDown));
    world.answer(call, None);
    assert_eq!(world.phase(A), Phase::Down, "an answer to an old call does not overrule the monitor");
}

#[test]
fn held_calls_go_to_the_other_server_and_so_do_those_of_its_sessions() {
    let mut world = pair(1, false);
    let open = world.arrive(arrival(1, Role::Open));
    assert_eq!(world.fates[&open], Fate::InFlight(A));
    world.answer(open, Some(5));
    let (first, second) = (world.call(1, Some(5)), world.call(2, None));
    assert_eq!((world.fates[&first], world.fates[&second]), (Fate::InFlight(A), Fate::InFlight(B)));
    let bound = world.call(1, Some(5));
    world.answer(second, None);
    assert_eq!(world.fates[&bound], Fate::Held);
    world.health(A, DOWN);
    assert_eq!(world.fates[&bound], Fate::InFlight(B));
}

#[test]
fn one_that_is_back_has_begun_anew_and_its_sessions_are_dead_if_it_refused() {
    for refused in [true, false] {
        let mut world = World::warm(plan(4));
        let open = world.arrive(arrival(1, Role::Open));
        world.answer(open, Some(5));
        world.health(A, Standing { refused, ..DOWN });
        let held = world.call(1, Some(5));
        world.health(A, Standing { phase: Phase::Recovering, ramp_milli: 500, ..Standing::UP });
        let fate = if refused { Fate::TurnedAway(Reason::TokenDead) } else { Fate::InFlight(A) };
        assert_eq!(world.fates[&held], fate);
        let logins: Vec<CallId> = (10..20).map(|client| world.arrive(arrival(client, Role::Open))).collect();
        let view = world.machine.snapshot(world.now).servers[0].recovery.clone();
        assert!(view.is_some(), "clients come in by batches");
        assert!(logins.iter().any(|call| world.fates[call] == Fate::Held));
    }
}

#[test]
fn a_ramp_and_a_cap_bound_what_is_in_flight() {
    let mut world = World::warm(plan(20));
    world.health(A, Standing { phase: Phase::Recovering, ramp_milli: 100, ..Standing::UP });
    for client in 0..30 {
        world.call(client, None);
    }
    assert_eq!((world.in_flight().len(), world.phase(A)), (2, Phase::Recovering));
    world.health(A, Standing { phase: Phase::Degraded, cap: Some(7), ..Standing::UP });
    assert_eq!((world.in_flight().len(), world.phase(A)), (7, Phase::Degraded));
    world.health(A, Standing { cap: Some(7), ..Standing::UP });
    assert_eq!((world.in_flight().len(), world.phase(A)), (7, Phase::Up));
    world.health(A, Standing::UP);
    assert_eq!(world.in_flight().len(), 20);
}

#[test]
fn a_standby_helps_only_while_no_other_can_be_reached_and_keeps_its_sessions() {
    let mut world = pair(1, true);
    let first = world.call(1, None);
    let second = world.call(2, None);
    assert_eq!((world.fates[&first], world.fates[&second]), (Fate::InFlight(A), Fate::Held));
    world.health(A, DOWN);
    assert_eq!(world.fates[&second], Fate::InFlight(B));
    world.answer(second, None);
    let open = world.arrive(arrival(3, Role::Open));
    assert_eq!(world.fates[&open], Fate::InFlight(B));
    world.answer(open, Some(7));
    world.answer(first, None);
    world.health(A, Standing::UP);
    let (bound, free) = (world.call(3, Some(7)), world.call(4, None));
    assert_eq!((world.fates[&bound], world.fates[&free]), (Fate::InFlight(B), Fate::InFlight(A)));
    let (bound_too, free_too) = (world.call(3, Some(7)), world.call(5, None));
    world.answer(bound, None);
    assert_eq!((world.fates[&bound_too], world.fates[&free_too]), (Fate::InFlight(B), Fate::Held));
    world.answer(bound_too, None);
    assert_eq!(world.fates[&free_too], Fate::Held, "it waits for the one that is no standby");
    world.answer(free, None);
    assert_eq!(world.fates[&free_too], Fate::InFlight(A));
}

#[test]
fn without_a_monitor_a_standby_helps_after_three_tries_in_vain() {
    let mut world = pair(1, true);
    let call = world.call(1, None);
    for _ in 0..2 {
        world.event(Event::Done(call, Outcome::ConnectFailed));
        world.advance(Span::secs(2));
        assert_eq!(world.fates[&call], Fate::InFlight(A));
    }
    world.event(Event::Done(call, Outcome::ConnectFailed));
    assert_eq!(world.fates[&call], Fate::InFlight(B));
}

#[test]
fn a_pool_of_standbys_is_refused() {
    let server = ServerPlan { name: "a".into(), limit: LimitPlan::Static(1), standby: true };
    assert_eq!(Plan::with_defaults(vec![server]).check(), Err(PlanError::Standbys));
}

#[test]
fn a_call_that_our_side_could_not_connect_is_held_in_its_old_place_and_nobody_is_blamed() {
    let mut world = World::warm(plan(2));
    let (stays, first) = (world.call(1, None), world.call(2, None));
    world.event(Event::Connected(stays));
    let second = world.call(3, None);
    world.event(Event::Done(first, Outcome::NotConnected(Cause::NoPort)));
    assert_eq!((world.fates[&first], world.phase(A)), (Fate::Held, Phase::Up));
    assert_eq!(world.fates[&second], Fate::Held, "not tried at once with another call");
    world.answer(stays, None);
    assert_eq!(world.fates[&first], Fate::InFlight(A), "the connection that is free now carries it");
    assert_eq!(world.fates[&second], Fate::Held);
    world.advance(Span::millis(51));
    assert_eq!(world.fates[&second], Fate::InFlight(A));
    let counters = world.machine.snapshot(world.now).counters;
    assert_eq!((counters.not_connected, counters.connect_failed, counters.held_again), (1, 0, 1));
}

#[test]
fn a_want_that_lasts_turns_calls_away_for_it_and_never_spins() {
    for (cause, reason) in [
        (Cause::NoPort, Reason::NoPort),
        (Cause::NoDescriptor, Reason::NoPort),
        (Cause::NoMemory, Reason::Memory),
        (Cause::PeerLimit, Reason::ServerDown),
    ] {
        let mut world = World::warm(plan(64));
        let calls: Vec<CallId> = (0..50).map(|client| world.call(client, None)).collect();
        let probe = world.arrive(arrival(99, Role::Probe));
        let mut tries = 0;
        for _ in 0..31_000 {
            while let Some(call) = world.in_flight().first().copied() {
                tries += 1;
                world.event(Event::Done(call, Outcome::NotConnected(cause)));
            }
            world.advance(Span::millis(1));
        }
        assert!(calls.iter().chain([&probe]).all(|call| world.fates[call] == Fate::TurnedAway(reason)));
        assert!(tries < 50 + 31 * 21 * 2, "{tries} tries in 31 s");
    }
}

#[test]
fn a_want_does_not_spin_beside_a_process_that_keeps_the_only_slot() {
    let mut world = World::warm(plan(1));
    world.event(Event::Slots(A, Slots::AllBut(1)));
    let call = world.call(1, None);
    assert_eq!(world.fates[&call], Fate::InFlight(A), "a limit of 1 does not wait for the other process");
    world.event(Event::Done(call, Outcome::NotConnected(Cause::NoPort)));
    assert_eq!(world.fates[&call], Fate::Held, "not tried again in the same moment");
    world.advance(Span::millis(51));
    assert_eq!(world.fates[&call], Fate::InFlight(A));
}

#[test]
fn without_its_monitor_a_server_that_was_down_is_tried_again() {
    let mut world = World::warm(plan(2));
    world.health(A, DOWN);
    let call = world.call(1, None);
    let mut out = Vec::new();
    world.machine.unwatch(world.now, &mut out);
    assert!(!out.is_empty(), "it is tried at once: nobody tells of that server any more");
    assert_eq!(world.machine.snapshot(world.now).servers[0].in_flight, 1);
    world.fates.insert(call, Fate::InFlight(A));
    world.event(Event::Connected(call));
    assert_eq!(world.machine.snapshot(world.now).servers[0].standing, None);
    assert_ne!(world.phase(A), Phase::Down);
}
