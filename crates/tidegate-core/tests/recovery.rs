//! A server that has begun anew is let back to work batch by batch, told rule by rule.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests may panic")]

mod world;

use std::collections::BTreeMap;
use tidegate_core::admission::*;
use tidegate_core::reason::Reason;
use tidegate_core::time::{Nanos, Span};
use world::{Fate, World, arrival, plan, server};

const ANSWERED: Outcome = Outcome::Answered { opened: None, closed: false };
const SERVER: ServerId = ServerId(0);

fn open(client: u64) -> Arrival {
    arrival(client, Role::Open)
}

/// A call of the session that `client` has, named as itself.
fn follow_up(client: u64) -> Arrival {
    Arrival { session: Some(SessionKey(client)), ..arrival(client, Role::Call) }
}

/// A world in which so many clients want to log in.
fn storm(plan: Plan, clients: u64) -> (World, BTreeMap<u64, CallId>) {
    let mut world = World::new(plan);
    let calls = (1..=clients).map(|client| (client, world.arrive(open(client)))).collect();
    (world, calls)
}

/// Those of the storm that have been let in, and are not done with their first call.
fn let_in(world: &World, calls: &BTreeMap<u64, CallId>) -> Vec<u64> {
    calls.iter().filter(|(_, call)| matches!(world.fates[call], Fate::InFlight(_))).map(|(client, _)| *client).collect()
}

/// The server answers the opening call of a client: it has a session now.
fn opened(world: &mut World, client: u64, call: CallId) {
    world.event(Event::Done(call, Outcome::Answered { opened: Some(SessionKey(client)), closed: false }));
}

/// The client logs in and does all that clients do.
fn complete(world: &mut World, client: u64, call: CallId) {
    opened(world, client, call);
    let call = world.arrive(follow_up(client));
    assert_eq!(world.fates[&call], Fate::InFlight(SERVER), "who is in goes on");
    world.event(Event::Done(call, ANSWERED));
}

fn view(world: &World) -> Option<RecoveryView> {
    world.machine.snapshot(world.now).servers[0].recovery.clone()
}

fn phase(world: &World) -> Phase {
    world.machine.snapshot(world.now).servers[0].phase
}

/// A server that was up is found down, with one call held that tries it; a try fails `after` so long.
fn down(world: &mut World, tries: u32, after: Span) -> CallId {
    let call = world.arrive(arrival(1000, Role::Call));
    for _ in 0..tries {
        world.advance(after);
        world.event(Event::Done(call, Outcome::ConnectFailed));
        world.advance(Span::millis(1300));
        assert_eq!(world.fates[&call], Fate::InFlight(SERVER), "it tries again");
    }
    call
}

#[test]
fn a_gate_that_begins_lets_clients_in_by_batches() {
    let (mut world, calls) = storm(plan(20), 40);
    assert_eq!(let_in(&world, &calls), [1, 2, 3, 4, 5], "a quarter of the limit, in order");
    assert_eq!(phase(&world), Phase::Recovering);
    for client in 1..=3 {
        complete(&mut world, client, calls[&client]);
    }
    let now = view(&world).unwrap();
    assert_eq!((now.batch, now.size, now.begun, now.complete), (1, 5, 5, 3));
    assert_eq!(let_in(&world, &calls), [4, 5], "three of five are not enough");
    complete(&mut world, 4, calls[&4]);
    assert_eq!(let_in(&world, &calls), [5, 6, 7, 8, 9, 10, 11], "half as many again, the straggler counted");
    assert_eq!(view(&world).unwrap().batch, 2);
}

#[test]
fn it_is_over_when_nearly_as_many_come_in_as_the_server_serves_well() {
    let (mut world, calls) = storm(plan(8), 40);
    for batch in [vec![1, 2], vec![3, 4, 5], vec![6, 7, 8, 9]] {
        assert_eq!(let_in(&world, &calls), batch);
        batch.iter().for_each(|client| complete(&mut world, *client, calls[client]));
    }
    assert_eq!((let_in(&world, &calls).len(), phase(&world)), (8, Phase::Up), "6.75 is four fifths of 8");
}

#[test]
fn it_is_over_when_nobody_waits() {
    let (mut world, calls) = storm(plan(20), 3);
    for (client, call) in &calls {
        complete(&mut world, *client, *call);
    }
    assert_eq!(phase(&world), Phase::Recovering, "others may be a little slower");
    world.advance(Span::secs(2));
    assert_eq!((phase(&world), view(&world)), (Phase::Up, None));
}

#[test]
fn nobody_who_comes_long_after_the_beginning_was_cut_off() {
    let mut world = World::warm(plan(20));
    let calls: Vec<CallId> = (1..=20).map(|client| world.arrive(open(client))).collect();
    assert_eq!((world.in_flight(), phase(&world)), (calls, Phase::Up));
}

#[test]
fn a_client_that_sends_nothing_more_stops_nobody() {
    let (mut world, calls) = storm(plan(20), 40);
    (1..=5).for_each(|client| opened(&mut world, client, calls[&client]));
    world.advance(Span::millis(999));
    assert_eq!(let_in(&world, &calls), Vec::<u64>::new());
    world.advance(Span::millis(1));
    assert_eq!(let_in(&world, &calls).len(), 7);
}

#[test]
fn a_client_whose_next_call_is_at_the_server_or_held_is_not_silent() {
    let (mut world, calls) = storm(plan(20), 40);
    (1..=5).for_each(|client| opened(&mut world, client, calls[&client]));
    let small = |client| Arrival { cost_milli: 100, ..follow_up(client) };
    let slow: Vec<CallId> = (1..=2).map(|client| world.arrive(small(client))).collect();
    world.advance(Span::secs(4));
    assert_eq!(let_in(&world, &calls), Vec::<u64>::new(), "three are complete, two have work at the server");
    world.event(Event::Done(slow[0], ANSWERED));
    world.advance(Span::secs(1));
    assert_eq!(let_in(&world, &calls).len(), 6);
}

#[test]
fn an_overload_halves_the_next_batch_and_makes_it_wait() {
    let (mut world, calls) = storm(plan(32), 60);
    assert_eq!(let_in(&world, &calls).len(), 8);
    world.event(Event::Done(calls[&1], Outcome::Overload));
    world.event(Event::Done(calls[&2], Outcome::Broken));
    (3..=8).for_each(|client| complete(&mut world, client, calls[&client]));
    let now = view(&world).unwrap();
    assert_eq!((now.batch, now.size, now.begun), (2, 4, 0), "one batch fails once");
    world.advance(Span::millis(1999));
    assert_eq!(let_in(&world, &calls), Vec::<u64>::new());
    world.advance(Span::millis(1));
    assert_eq!(let_in(&world, &calls), [9, 10, 11, 12]);
}

#[test]
fn a_batch_that_is_not_in_by_the_time_that_clients_wait_has_failed() {
    let (mut world, calls) = storm(plan(20), 10);
    complete(&mut world, 1, calls[&1]);
    world.advance(Span::secs(29));
    assert_eq!(view(&world).unwrap().batch, 1);
    world.advance(Span::secs(1));
    let now = view(&world).unwrap();
    assert_eq!((now.batch, now.size), (2, 2));
}

#[test]
fn while_response_times_are_not_back_batches_do_not_grow() {
    let (mut world, calls) = storm(plan(64), 400);
    let batch = |world: &mut World, seconds: f64| {
        let batch = let_in(world, &calls);
        world.advance(Span::from_secs_f64(seconds));
        batch.iter().for_each(|client| opened(world, *client, calls[client]));
        let calls: Vec<CallId> = batch.iter().map(|client| world.arrive(follow_up(*client))).collect();
        world.advance(Span::from_secs_f64(seconds));
        calls.into_iter().for_each(|call| world.event(Event::Done(call, ANSWERED)));
        view(world).map(|view| view.size)
    };
    assert_eq!(batch(&mut world, 0.5), Some(24), "the first one is what others are compared with");
    assert_eq!(batch(&mut world, 0.7), Some(36));
    assert_eq!(batch(&mut world, 1.5), Some(36), "three times as slow");
    assert_eq!(batch(&mut world, 0.7), None, "fast again: 54 is more than four fifths of 64");
}

#[test]
fn a_server_that_gets_no_faster_by_waiting_is_not_waited_for() {
    let (mut world, calls) = storm(plan(64), 400);
    let mut sizes = Vec::new();
    for seconds in [0.5, 1.0, 1.0] {
        let batch = let_in(&world, &calls);
        world.advance(Span::from_secs_f64(seconds));
        for client in &batch {
            world.event(Event::Done(calls[client], ANSWERED)); // the login is refused: that is complete, too
        }
        sizes.extend(view(&world).map(|view| view.size));
    }
    assert_eq!(sizes, [24, 24, 36]);
}

#[test]
fn bulk_waits_until_the_clients_are_in() {
    let (mut world, calls) = storm(plan(20), 3);
    let bulk = world.arrive(arrival(50, Role::Bulk));
    assert_eq!(world.fates[&bulk], Fate::Held);
    for (client, call) in &calls {
        complete(&mut world, *client, *call);
    }
    assert_eq!(world.fates[&bulk], Fate::InFlight(SERVER));
}

#[test]
fn a_server_that_comes_back_is_let_in_by_batches_whoever_has_tried_first() {
    let mut world = World::warm(plan(20));
    let calls: BTreeMap<u64, CallId> = (1..=20).map(|client| (client, world.arrive(open(client)))).collect();
    for call in calls.values() {
        world.event(Event::Done(*call, Outcome::ConnectFailed));
    }
    assert_eq!(phase(&world), Phase::Down);
    world.advance(Span::millis(1300));
    assert_eq!(let_in(&world, &calls), [1]);
    world.event(Event::Connected(calls[&1]));
    assert_eq!((let_in(&world, &calls), phase(&world)), (vec![1, 2, 3, 4, 5], Phase::Recovering));
    (1..=5).for_each(|client| complete(&mut world, client, calls[&client]));
    assert_eq!(let_in(&world, &calls).len(), 7);
}

#[test]
fn a_server_that_fails_again_begins_again() {
    let (mut world, calls) = storm(plan(20), 40);
    (1..=4).for_each(|client| complete(&mut world, client, calls[&client]));
    assert_eq!(view(&world).unwrap().size, 7);
    for client in 5..=11 {
        world.event(Event::Done(calls[&client], Outcome::ConnectFailed));
    }
    world.advance(Span::millis(1300));
    let trial = world.in_flight()[0];
    world.event(Event::Connected(trial));
    let now = view(&world).unwrap();
    assert_eq!((now.batch, now.size, now.begun), (1, 5, 5));
}

#[test]
fn a_server_that_answers_what_it_had_before_has_not_begun_anew() {
    let mut world = World::warm(plan(20));
    let calls: Vec<CallId> = (1..=20).map(|client| world.arrive(open(client))).collect();
    world.advance(Span::millis(1));
    for call in &calls[..4] {
        world.event(Event::Done(*call, Outcome::ConnectFailed)); // its backlog was full for a moment
    }
    assert_eq!(phase(&world), Phase::Down);
    opened(&mut world, 5, calls[4]);
    assert_eq!((world.in_flight().len(), phase(&world)), (19, Phase::Up), "those who failed are back");
}

#[test]
fn a_planned_restart_that_is_over_begins_batches() {
    let mut world = World::warm(plan(20));
    world.event(Event::Maintenance(true));
    (1..=40).for_each(|client| _ = world.arrive(open(client)));
    world.event(Event::Maintenance(false));
    assert_eq!((world.in_flight().len(), phase(&world)), (5, Phase::Recovering));
}

#[test]
fn sessions_of_a_server_that_refused_and_came_back_are_dead() {
    let mut world = World::warm(plan(20));
    for client in 1..=2 {
        let call = world.arrive(open(client));
        opened(&mut world, client, call);
    }
    let trial = down(&mut world, 3, Span::millis(1));
    let held = world.arrive(follow_up(1));
    assert_eq!(world.fates[&held], Fate::Held);
    world.event(Event::Connected(trial));
    assert_eq!(world.fates[&held], Fate::TurnedAway(Reason::TokenDead));
    for _ in 0..2 {
        let call = world.arrive(follow_up(2));
        assert_eq!(world.fates[&call], Fate::TurnedAway(Reason::TokenDead), "as often as it asks");
    }
    let again = world.arrive(open(2));
    opened(&mut world, 3, again);
    let call = world.arrive(Arrival { session: Some(SessionKey(3)), ..arrival(2, Role::Call) });
    assert_eq!(world.fates[&call], Fate::InFlight(SERVER));
}

#[test]
fn sessions_outlive_a_network_that_was_cut() {
    let mut world = World::warm(plan(20));
    let call = world.arrive(open(1));
    opened(&mut world, 1, call);
    let trial = down(&mut world, 3, Span::secs(3));
    world.event(Event::Connected(trial));
    let call = world.arrive(follow_up(1));
    assert_eq!(world.fates[&call], Fate::InFlight(SERVER));
}

#[test]
fn a_restart_that_the_driver_saw_ends_the_sessions_and_begins_batches() {
    let mut world = World::warm(plan(20));
    let call = world.arrive(open(1));
    opened(&mut world, 1, call);
    world.event(Event::Restarted(SERVER));
    world.event(Event::Restarted(ServerId(7)));
    let dead = world.arrive(follow_up(1));
    assert_eq!(world.fates[&dead], Fate::TurnedAway(Reason::TokenDead));
    let calls: Vec<CallId> = (1..=20).map(|client| world.arrive(open(client))).collect();
    let first = calls.iter().take_while(|call| world.fates[call] == Fate::InFlight(SERVER));
    assert_eq!((first.count(), world.in_flight().len()), (5, 5));
    assert_eq!(world.machine.snapshot(world.now).sessions_unsettled, 0);
}

#[test]
fn a_silent_server_is_suspect_and_gets_one_login_at_a_time() {
    let mut world = World::warm(plan(20));
    let silent = world.arrive(arrival(1, Role::Call));
    world.advance(Span::millis(4999));
    assert_eq!(phase(&world), Phase::Up);
    world.advance(Span::millis(1));
    assert_eq!(phase(&world), Phase::Suspect);
    let logins: Vec<CallId> = (2..=20).map(|client| world.arrive(open(client))).collect();
    assert_eq!(world.in_flight(), [silent, logins[0]]);
    opened(&mut world, 2, logins[0]);
    assert_eq!((phase(&world), world.in_flight().len()), (Phase::Recovering, 6), "five have been let in");
    let session = world.arrive(follow_up(2));
    assert_eq!(world.fates[&session], Fate::InFlight(SERVER), "silence kills no session");
}

#[test]
fn a_server_that_answers_is_not_silent_and_an_idle_one_neither() {
    let mut world = World::warm(plan(20));
    let _long_poll = world.arrive(arrival(1, Role::Poll));
    for _ in 0..3 {
        world.advance(Span::secs(3));
        let quick = world.arrive(arrival(2, Role::Call));
        world.event(Event::Done(quick, ANSWERED));
    }
    assert_eq!(phase(&world), Phase::Up);
    let mut world = World::warm(plan(20));
    world.advance(Span::secs(3600));
    world.arrive(arrival(1, Role::Call));
    assert_eq!(phase(&world), Phase::Up);
}

#[test]
fn three_broken_connections_in_a_row_make_a_server_suspect() {
    let mut world = World::warm(plan(20));
    let calls: Vec<CallId> = (1..=8).map(|client| world.arrive(arrival(client, Role::Call))).collect();
    calls[..2].iter().for_each(|call| world.event(Event::Done(*call, Outcome::Broken)));
    world.event(Event::Done(calls[2], ANSWERED));
    calls[3..5].iter().for_each(|call| world.event(Event::Done(*call, Outcome::Broken)));
    assert_eq!(phase(&world), Phase::Up, "not in a row");
    world.event(Event::Done(calls[5], Outcome::Broken));
    assert_eq!(phase(&world), Phase::Suspect);
    world.event(Event::Done(calls[6], Outcome::Overload));
    assert_eq!(phase(&world), Phase::Up, "busy is an answer");
    let logins: Vec<CallId> = (11..=30).map(|client| world.arrive(open(client))).collect();
    assert_eq!(world.in_flight().len(), 1 + 5, "{logins:?}");
}

#[test]
fn a_recovering_pool_knows_when_all_are_in() {
    let (mut world, calls) = storm(plan(20), 40);
    assert_eq!(world.machine.snapshot(world.now).all_in, None);
    world.advance(Span::secs(1));
    (1..=5).for_each(|client| complete(&mut world, client, calls[&client]));
    let all_in = world.machine.snapshot(world.now).all_in.unwrap();
    // 10 units in the first second; 28 clients with 2 units each are held, 7 calls are at the server.
    assert!(all_in > Span::secs(5) && all_in < Span::secs(7), "{all_in:?}");
}

#[test]
fn where_the_limit_is_learned_a_batch_keeps_every_slot_busy() {
    let servers =
        vec![ServerPlan { name: "a".into(), limit: LimitPlan::Adaptive { most: 256, first: 1 }, standby: false }];
    let (mut world, calls) = storm(Plan { servers, ..plan(1) }, 100);
    for client in 1..=40 {
        let server = &world.machine.snapshot(world.now).servers[0];
        assert!(server.in_flight >= server.limit, "{server:?}");
        world.advance(Span::millis(100));
        world.event(Event::Done(calls[&client], ANSWERED));
    }
}

#[test]
fn limits_too_small_for_batches_have_none() {
    for limit in 1..=2 {
        let (world, calls) = storm(plan(limit), 4);
        assert_eq!((let_in(&world, &calls).len(), phase(&world)), (limit as usize, Phase::Up));
    }
}

#[test]
fn each_server_of_a_pool_recovers_for_itself() {
    let servers = vec![server("a", 20), server("b", 20)];
    let mut world = World::warm(Plan { servers, ..plan(20) });
    world.event(Event::Restarted(SERVER));
    (1..=100).for_each(|client| _ = world.arrive(open(client)));
    let in_flight: Vec<u32> = world.machine.snapshot(world.now).servers.iter().map(|server| server.in_flight).collect();
    assert_eq!(in_flight, [5, 20]);
    assert_eq!(world.now, Nanos(0) + Span::secs(30) + Span(1));
}
