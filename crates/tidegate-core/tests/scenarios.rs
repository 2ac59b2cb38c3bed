//! The life of single calls, told step by step: what each rule does when it is the only one at work.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests may panic")]

mod world;

use tidegate_core::admission::*;
use tidegate_core::reason::Reason;
use tidegate_core::time::{Nanos, Span};
use world::{Fate, World, arrival, plan, server};

const ANSWERED: Outcome = Outcome::Answered { opened: None, closed: false };

fn open(client: u64) -> Arrival {
    arrival(client, Role::Open)
}

fn in_session(client: u64, session: u64, role: Role) -> Arrival {
    Arrival { session: Some(SessionKey(session)), ..arrival(client, role) }
}

/// Opens a session through the gate, from arrival to answer.
fn login(world: &mut World, client: u64, session: u64) {
    let call = world.arrive(open(client));
    world.event(Event::Done(call, Outcome::Answered { opened: Some(SessionKey(session)), closed: false }));
}

#[test]
fn a_poll_that_has_waited_long_goes_before_new_sessions() {
    let mut world = World::new(plan(1));
    let first = world.arrive(open(1));
    world.event(Event::Done(first, Outcome::Answered { opened: Some(SessionKey(1)), closed: false }));
    let settles = world.arrive(in_session(1, 1, Role::Poll));
    let busy = world.arrive(open(2));
    world.event(Event::Done(settles, ANSWERED));
    let polls = world.arrive(Arrival { cost_milli: 10, ..in_session(1, 1, Role::Poll) });
    let newer: Vec<CallId> = (3..6).map(|client| world.arrive(open(client))).collect();
    world.advance(Span::secs(2));
    world.event(Event::Done(busy, ANSWERED));
    assert!(matches!(world.fates[&newer[0]], Fate::InFlight(_)), "by rank, while the poll is young");
    world.advance(Span::secs(6));
    world.event(Event::Done(newer[0], ANSWERED));
    assert!(matches!(world.fates[&polls], Fate::InFlight(_)), "it has waited for a quarter of its 30 s");
}

#[test]
fn a_newer_call_takes_the_place_of_its_twin() {
    let mut world = World::new(plan(1));
    let busy = world.arrive(open(1));
    let (old, other) = (world.arrive(open(2)), world.arrive(open(3)));
    let new = world.arrive(open(2));
    assert_eq!(world.fates[&old], Fate::TurnedAway(Reason::Superseded));
    world.event(Event::Done(busy, ANSWERED));
    assert_eq!(
        (world.fates[&new], world.fates[&other]),
        (Fate::InFlight(ServerId(0)), Fate::Held),
        "it kept its place"
    );
}

#[test]
fn a_newer_call_that_may_not_wait_leaves_its_twin_where_it_is() {
    let mut world = World::new(plan(1));
    let _busy = world.arrive(open(1));
    let old = world.arrive(open(2));
    let hasty = world.arrive(Arrival { deadline: Some(world.now + Span::secs(1)), ..open(2) });
    assert_eq!((world.fates[&hasty], world.fates[&old]), (Fate::TurnedAway(Reason::TooLate), Fate::Held));
}

#[test]
fn a_call_that_comes_back_from_a_failed_connect_gives_way_to_its_newer_twin() {
    let mut world = World::new(plan(1));
    let old = world.arrive(open(1));
    let new = world.arrive(open(1));
    world.event(Event::Done(old, Outcome::ConnectFailed));
    assert_eq!(world.fates[&old], Fate::TurnedAway(Reason::Superseded));
    world.advance(Span::millis(1200));
    assert_eq!(world.fates[&new], Fate::InFlight(ServerId(0)), "one opening call per client is held");
}

#[test]
fn what_is_already_too_late_takes_no_slot() {
    let mut world = World::new(plan(1));
    world.now = Nanos(0) + Span::secs(100);
    let past = Some(world.now);
    let dead = world.arrive(Arrival { token_expiry: past, ..arrival(1, Role::Call) });
    let late = world.arrive(Arrival { deadline: past, ..arrival(2, Role::Call) });
    assert_eq!(world.fates[&dead], Fate::TurnedAway(Reason::TokenDead));
    assert_eq!(world.fates[&late], Fate::TurnedAway(Reason::TooLate));
}

#[test]
fn a_retry_that_an_unrelated_event_overtakes_is_not_forgotten() {
    let mut world = World::new(plan(4));
    let (other, failed) = (world.arrive(open(1)), world.arrive(open(2)));
    world.event(Event::Connected(other));
    world.event(Event::Done(failed, Outcome::ConnectFailed));
    world.now = world.machine.next_wake().unwrap() + Span::millis(5); // the driver's timer is a little late
    world.event(Event::ClientGone(other));
    world.advance(Span::ZERO);
    assert_eq!(world.fates[&failed], Fate::InFlight(ServerId(0)));
}

#[test]
fn seniority_survives_being_turned_away() {
    let mut world = World::new(plan(1));
    let busy = world.arrive(open(1));
    let impatient = |world: &World, client| Arrival { deadline: Some(world.now + Span::secs(5)), ..open(client) };
    let first = world.arrive(impatient(&world, 2));
    world.advance(Span::secs(4));
    assert_eq!(world.fates[&first], Fate::TurnedAway(Reason::Deadline));
    let (junior, back) = (world.arrive(open(3)), world.arrive(open(2)));
    world.event(Event::Done(busy, ANSWERED));
    assert_eq!((world.fates[&back], world.fates[&junior]), (Fate::InFlight(ServerId(0)), Fate::Held));
}

#[test]
fn who_is_connected_starts_at_the_end_of_the_line_next_time() {
    let mut world = World::new(plan(1));
    login(&mut world, 1, 11);
    let poll = world.arrive(in_session(1, 11, Role::Poll));
    world.event(Event::Done(poll, ANSWERED));
    let busy = world.arrive(open(5));
    let (second, first_again) = (world.arrive(open(2)), world.arrive(open(1)));
    world.event(Event::Done(busy, ANSWERED));
    assert_eq!((world.fates[&second], world.fates[&first_again]), (Fate::InFlight(ServerId(0)), Fate::Held));
}

#[test]
fn calls_of_a_session_that_is_not_settled_go_before_new_sessions() {
    let mut world = World::new(plan(1));
    login(&mut world, 1, 11);
    let busy = world.arrive(open(9));
    let new = world.arrive(open(2));
    let follow_up = world.arrive(in_session(1, 11, Role::Call));
    assert_eq!(world.machine.class_of(follow_up), Some(Class::Continuation));
    world.event(Event::Done(busy, ANSWERED));
    assert_eq!((world.fates[&follow_up], world.fates[&new]), (Fate::InFlight(ServerId(0)), Fate::Held));
}

#[test]
fn a_session_settles_at_its_first_poll() {
    let mut world = World::new(plan(4));
    login(&mut world, 1, 11);
    let call = world.arrive(in_session(1, 11, Role::Call));
    assert_eq!(world.machine.class_of(call), Some(Class::Continuation));
    let poll = world.arrive(in_session(1, 11, Role::Poll));
    assert_eq!(world.machine.class_of(poll), Some(Class::Steady));
    let later = world.arrive(in_session(1, 11, Role::Call));
    assert_eq!(world.machine.class_of(later), Some(Class::Steady));
    assert_eq!(world.machine.snapshot(world.now).counters.sessions_settled, 1);
}

#[test]
fn a_session_that_is_over_is_no_longer_expected_to_settle() {
    let mut world = World::new(plan(4));
    login(&mut world, 1, 11);
    assert_eq!(world.machine.snapshot(world.now).sessions_unsettled, 1);
    world.event(Event::SessionOver(SessionKey(11)));
    world.event(Event::SessionOver(SessionKey(12)));
    assert_eq!(world.machine.snapshot(world.now).sessions_unsettled, 0);
    let call = world.arrive(in_session(1, 11, Role::Call));
    assert_eq!(world.machine.class_of(call), Some(Class::Steady));
}

#[test]
fn renewals_go_by_expiry_before_new_sessions() {
    let mut world = World::new(plan(1));
    let busy = world.arrive(open(9));
    let new = world.arrive(open(2));
    let renew = |world: &mut World, client, secs| {
        let expiry = Some(world.now + Span::secs(secs));
        world.arrive(Arrival { token_expiry: expiry, ..arrival(client, Role::Renew) })
    };
    let (late, soon) = (renew(&mut world, 3, 25), renew(&mut world, 4, 20));
    world.event(Event::Done(busy, ANSWERED));
    assert_eq!(world.fates[&soon], Fate::InFlight(ServerId(0)));
    world.event(Event::Done(soon, ANSWERED));
    assert_eq!((world.fates[&late], world.fates[&new]), (Fate::InFlight(ServerId(0)), Fate::Held));
}

#[test]
fn a_token_that_expires_while_its_call_is_held_is_not_forwarded() {
    let mut world = World::new(plan(1));
    let busy = world.arrive(open(9));
    let expiry = Some(world.now + Span::secs(3));
    let renewal = world.arrive(Arrival { token_expiry: expiry, ..arrival(3, Role::Renew) });
    world.advance(Span::secs(4));
    world.event(Event::Done(busy, ANSWERED));
    assert_eq!(world.fates[&renewal], Fate::TurnedAway(Reason::TokenDead));
}

#[test]
fn a_session_idle_for_longer_than_the_server_keeps_it_is_dead() {
    let mut world = World::new(Plan { session_idle: Some(Span::secs(300)), ..plan(2) });
    login(&mut world, 1, 11);
    world.advance(Span::secs(299));
    let alive = world.arrive(in_session(1, 11, Role::Poll));
    assert_eq!(world.fates[&alive], Fate::InFlight(ServerId(0)));
    world.advance(Span::secs(301));
    let dead = world.arrive(in_session(1, 11, Role::Poll));
    assert_eq!(world.fates[&dead], Fate::TurnedAway(Reason::TokenDead));
}

#[test]
fn a_session_is_not_idle_while_the_server_works_for_it() {
    let mut world = World::new(Plan { session_idle: Some(Span::secs(40)), ..plan(2) });
    login(&mut world, 1, 11);
    let slow = world.arrive(in_session(1, 11, Role::Call));
    world.advance(Span::secs(35));
    world.event(Event::Done(slow, ANSWERED));
    world.advance(Span::secs(10));
    let next = world.arrive(in_session(1, 11, Role::Call));
    assert_eq!(world.fates[&next], Fate::InFlight(ServerId(0)), "the server has used it ten seconds ago");
}

#[test]
fn the_slot_is_kept_until_the_server_is_done() {
    let mut world = World::new(plan(1));
    let left = world.arrive(open(1));
    let next = world.arrive(open(2));
    world.event(Event::ClientGone(left));
    assert_eq!(world.fates[&next], Fate::Held, "the server still works for the one who left");
    assert_eq!(world.machine.snapshot(world.now).servers[0].orphans, 1);
    world.event(Event::Done(left, ANSWERED));
    assert_eq!(world.fates[&next], Fate::InFlight(ServerId(0)));
}

#[test]
fn a_server_that_never_answers_gets_its_slot_back_after_the_quarantine() {
    let mut world = World::new(plan(1));
    let stuck = world.arrive(open(1));
    world.advance(Span::secs(59));
    let next = world.arrive(open(2));
    world.advance(Span::secs(2));
    assert!(world.log.iter().any(|(_, action)| *action == Action::Expire { call: stuck }));
    assert_eq!(world.fates[&next], Fate::Held);
    world.advance(Span::secs(10));
    assert_eq!(world.fates[&next], Fate::InFlight(ServerId(0)));
}

#[test]
fn while_the_server_is_down_one_call_at_a_time_tries() {
    let mut world = World::warm(plan(4));
    let calls: Vec<CallId> = (1..=4).map(|client| world.arrive(arrival(client, Role::Call))).collect();
    for call in &calls {
        world.event(Event::Done(*call, Outcome::ConnectFailed));
    }
    assert_eq!(world.held().len(), 4, "nothing was sent: all are held again");
    for _ in 0..3 {
        world.advance(Span::millis(1200));
        assert_eq!(world.in_flight(), vec![calls[0]], "the first in line tries");
        world.event(Event::Done(calls[0], Outcome::ConnectFailed));
    }
    world.advance(Span::millis(1200));
    world.event(Event::Connected(calls[0]));
    assert_eq!(world.in_flight().len(), 4, "it is up: the others follow at once");
}

#[test]
fn sessions_of_a_dead_server_go_to_another() {
    let servers = vec![server("a", 1), server("b", 1)];
    let mut world = World::new(Plan { servers, ..plan(1) });
    world.limits = vec![1, 1];
    login(&mut world, 1, 11); // at a
    let failed = world.arrive(in_session(1, 11, Role::Call));
    world.event(Event::Done(failed, Outcome::ConnectFailed));
    for _ in 0..2 {
        world.advance(Span::millis(1200));
        assert_eq!(world.fates[&failed], Fate::InFlight(ServerId(0)), "a blip: its session may be alive");
        world.event(Event::Done(failed, Outcome::ConnectFailed));
    }
    assert_eq!(world.fates[&failed], Fate::InFlight(ServerId(1)), "b tells the client to log in again");
    world.event(Event::Done(failed, ANSWERED));
    let next = world.arrive(in_session(1, 11, Role::Call));
    assert_eq!(world.fates[&next], Fate::InFlight(ServerId(1)));
}

#[test]
fn only_the_end_of_a_try_begins_the_next() {
    let mut world = World::warm(plan(4));
    let calls: Vec<CallId> = (1..=3).map(|client| world.arrive(open(client))).collect();
    world.event(Event::Connected(calls[0]));
    world.event(Event::Done(calls[1], Outcome::ConnectFailed));
    world.event(Event::Done(calls[2], Outcome::ConnectFailed));
    world.advance(Span::millis(1200));
    assert_eq!(world.in_flight(), vec![calls[0], calls[1]], "the second tries");
    world.event(Event::Done(calls[0], Outcome::Broken));
    world.advance(Span::millis(2000));
    assert_eq!(world.in_flight(), vec![calls[1]], "it still tries");
    world.event(Event::Done(calls[1], Outcome::ConnectFailed));
    world.advance(Span::millis(700));
    assert_eq!(world.in_flight(), vec![], "a retry interval lies between two tries");
}

#[test]
fn a_new_plan_does_not_forget_what_bulk_clients_have_in_flight() {
    let mut world = World::new(plan(10));
    (0..3).for_each(|_| _ = world.arrive(arrival(1, Role::Bulk)));
    let mut out = Vec::new();
    world.machine.apply(world.now, plan(11), &mut out).unwrap();
    assert_eq!(out, vec![], "two are in flight, and two is the cap");
}

#[test]
fn held_calls_get_an_answer_while_the_server_is_down() {
    let mut world = World::new(plan(1));
    let call = world.arrive(open(1));
    while world.fates[&call] == Fate::InFlight(ServerId(0)) {
        world.event(Event::Done(call, Outcome::ConnectFailed));
        world.advance(Span::millis(1300));
    }
    assert_eq!(world.fates[&call], Fate::TurnedAway(Reason::ServerDown));
    assert!(world.now <= Nanos(0) + Span::secs(30), "before its client gives up");
}

#[test]
fn a_probe_has_a_slot_of_its_own_and_only_one() {
    let mut world = World::new(plan(1));
    let busy = world.arrive(open(1));
    let (first, second) = (world.arrive(arrival(8, Role::Probe)), world.arrive(arrival(8, Role::Probe)));
    assert_eq!((world.fates[&first], world.fates[&second]), (Fate::InFlight(ServerId(0)), Fate::Held));
    let waiting = world.arrive(open(2));
    world.event(Event::Done(busy, ANSWERED));
    assert_eq!((world.fates[&second], world.fates[&waiting]), (Fate::InFlight(ServerId(0)), Fate::Held));
}

#[test]
fn bulk_has_a_cap_per_client() {
    let mut world = World::new(plan(10));
    let calls: Vec<CallId> = (0..4).map(|_| world.arrive(arrival(1, Role::Bulk))).collect();
    assert_eq!(world.in_flight().len(), 2);
    let other = world.arrive(arrival(2, Role::Bulk));
    assert_eq!(world.fates[&other], Fate::InFlight(ServerId(0)));
    world.event(Event::Done(calls[0], ANSWERED));
    assert_eq!(world.in_flight().len(), 3);
}

#[test]
fn a_full_queue_turns_the_newest_away_unless_it_outranks_the_last() {
    let mut world = World::new(Plan { held_max: 2, ..plan(1) });
    login(&mut world, 1, 11);
    let _busy = world.arrive(open(9));
    let (steady, new) = (world.arrive(arrival(2, Role::Call)), world.arrive(open(3)));
    let outranked = world.arrive(arrival(4, Role::Call));
    assert_eq!(world.fates[&outranked], Fate::TurnedAway(Reason::QueueFull));
    let follow_up = world.arrive(in_session(1, 11, Role::Call));
    assert_eq!(world.fates[&follow_up], Fate::Held);
    assert_eq!((world.fates[&steady], world.fates[&new]), (Fate::TurnedAway(Reason::QueueFull), Fate::Held));
    let reserved = world.arrive(Arrival { reserved: true, ..open(5) });
    assert_eq!(world.fates[&reserved], Fate::Held, "its place is its own");
}

#[test]
fn a_reserved_client_goes_before_those_who_came_first() {
    let mut world = World::new(plan(1));
    let busy = world.arrive(open(9));
    let (first, reserved) = (world.arrive(open(1)), world.arrive(Arrival { reserved: true, ..open(2) }));
    world.event(Event::Done(busy, ANSWERED));
    assert_eq!((world.fates[&reserved], world.fates[&first]), (Fate::InFlight(ServerId(0)), Fate::Held));
}

#[test]
fn one_client_may_hold_only_so_many() {
    let mut world = World::new(plan(1));
    world.arrive(open(9));
    let calls: Vec<CallId> = (0..9).map(|_| world.arrive(arrival(1, Role::Call))).collect();
    assert_eq!(world.fates[&calls[7]], Fate::Held);
    assert_eq!(world.fates[&calls[8]], Fate::TurnedAway(Reason::ClientCap));
}

#[test]
fn a_full_queue_prefers_who_came_first() {
    let mut world = World::new(Plan { held_max: 2, ..plan(1) });
    world.arrive(open(9));
    let hasty = world.arrive(Arrival { deadline: Some(Nanos(0) + Span::secs(4)), ..open(1) });
    let (second, third) = (world.arrive(open(2)), world.arrive(open(3)));
    assert_eq!(world.fates[&third], Fate::TurnedAway(Reason::QueueFull));
    world.advance(Span::secs(3));
    assert_eq!(world.fates[&hasty], Fate::TurnedAway(Reason::Deadline));
    let third = world.arrive(open(3));
    let first = world.arrive(open(1));
    assert_eq!(
        [first, second, third].map(|call| world.fates[&call]),
        [Fate::Held, Fate::Held, Fate::TurnedAway(Reason::QueueFull)]
    );
}

#[test]
fn nobody_takes_a_reserved_place() {
    let mut world = World::new(Plan { held_max: 1, ..plan(1) });
    world.arrive(open(9));
    let reserved = world.arrive(Arrival { reserved: true, ..arrival(5, Role::Call) });
    let other = world.arrive(open(1));
    assert_eq!((world.fates[&reserved], world.fates[&other]), (Fate::Held, Fate::TurnedAway(Reason::QueueFull)));
}

#[test]
fn maintenance_holds_and_says_so_and_ends_in_order() {
    let mut world = World::new(plan(2));
    world.event(Event::Maintenance(true));
    let (first, second) = (world.arrive(open(1)), world.arrive(open(2)));
    assert_eq!(world.held().len(), 2);
    world.advance(Span::secs(29));
    assert_eq!(world.fates[&first], Fate::TurnedAway(Reason::Maintenance));
    assert_eq!(world.fates[&second], Fate::TurnedAway(Reason::Maintenance));
    let back = world.arrive(open(2));
    world.event(Event::Maintenance(false));
    assert_eq!(world.fates[&back], Fate::InFlight(ServerId(0)));
}

#[test]
fn bypass_lets_everything_pass_and_ends_cleanly() {
    let mut world = World::new(plan(1));
    let calls: Vec<CallId> = (0..5).map(|client| world.arrive(open(client))).collect();
    world.event(Event::Bypass(true));
    assert_eq!(world.in_flight().len(), 5);
    world.event(Event::Bypass(false));
    let held = world.arrive(open(9));
    assert_eq!(world.fates[&held], Fate::Held);
    for call in calls {
        world.event(Event::Done(call, ANSWERED));
    }
    assert_eq!(world.fates[&held], Fate::InFlight(ServerId(0)));
}

#[test]
fn drain_turns_away_what_is_held_and_what_comes() {
    let mut world = World::new(plan(1));
    let (busy, held) = (world.arrive(open(1)), world.arrive(open(2)));
    world.event(Event::Drain);
    let late = world.arrive(open(3));
    assert_eq!(world.fates[&held], Fate::TurnedAway(Reason::Draining));
    assert_eq!(world.fates[&late], Fate::TurnedAway(Reason::Draining));
    assert_eq!(world.fates[&busy], Fate::InFlight(ServerId(0)));
}

#[test]
fn observe_tells_what_it_would_have_done() {
    let mut world = World::new(Plan { mode: Mode::Observe, ..plan(1) });
    world.arrive(open(1));
    let second = world.arrive(open(2));
    assert_eq!(world.fates[&second], Fate::InFlight(ServerId(0)));
    assert_eq!(world.machine.snapshot(world.now).counters.would_hold, 1);
    assert!(
        world
            .log
            .iter()
            .any(|(_, action)| matches!(action, Action::Observed { call, turn_away: None, .. } if *call == second))
    );
}

#[test]
fn a_new_plan_keeps_what_is_held_and_moves_servers_by_name() {
    let pool = |names: &[&str]| names.iter().map(|name| server(name, 1)).collect::<Vec<_>>();
    let mut world = World::new(Plan { servers: pool(&["a", "b"]), ..plan(1) });
    let at_a = world.arrive(open(1));
    let at_b = world.arrive(open(2));
    let held = world.arrive(open(3));
    let mut out = Vec::new();
    world.limits = vec![1, 1];
    world.machine.apply(world.now, Plan { servers: pool(&["b", "c"]), ..plan(1) }, &mut out).unwrap();
    assert_eq!(out, vec![Action::Admit { call: held, server: ServerId(1) }], "c is free");
    for call in [at_a, at_b, held] {
        world.machine.on_event(world.now, Event::Done(call, ANSWERED), &mut out);
    }
    let end = world.machine.snapshot(world.now);
    assert_eq!(end.servers.iter().map(|server| server.in_flight).collect::<Vec<_>>(), vec![0, 0]);
    assert_eq!(end.counters.admitted, 3);
}

#[test]
fn a_plan_that_is_none_is_refused_with_the_field_named() {
    let wrong = [
        Plan { servers: vec![], ..plan(1) },
        Plan { guarantees: Guarantees { continuation: 900, new_session: 200, steady: 0, bulk: 0 }, ..plan(1) },
        Plan { margin: Span::secs(40), ..plan(1) },
        plan(0),
        Plan { reserved_places: u32::MAX, ..plan(1) },
        Plan { bulk_per_client_min: 0, ..plan(1) },
        Plan { retry_after_min: Span::secs(31), ..plan(1) },
    ];
    let words = [
        "server",
        "guarantees",
        "client_timeout",
        "limit",
        "reserved_places",
        "bulk_per_client_min",
        "retry_after_min",
    ];
    for (plan, word) in wrong.into_iter().zip(words) {
        let error = Machine::new(plan, None, Nanos(0)).err().unwrap().to_string();
        assert!(error.contains(word), "{error}");
    }
}
