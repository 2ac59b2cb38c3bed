//! What is learned and predicted, and what follows from it: rates, shares, stagger, Retry-After.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests may panic")]

mod world;

use tidegate_core::admission::*;
use tidegate_core::reason::Reason;
use tidegate_core::time::Span;
use world::{Fate, World, arrival, plan};

const ANSWERED: Outcome = Outcome::Answered { opened: None, closed: false };

fn open(client: u64) -> Arrival {
    arrival(client, Role::Open)
}

/// Opens a session through the gate, from arrival to answer.
fn login(world: &mut World, client: u64, session: u64) {
    let call = world.arrive(open(client));
    world.event(Event::Done(call, Outcome::Answered { opened: Some(SessionKey(session)), closed: false }));
}

#[test]
fn sessions_that_nobody_goes_on_with_do_not_make_waits_look_longer() {
    let mut world = World::new(plan(1));
    let left = world.arrive(open(1));
    world.event(Event::ClientGone(left));
    world.event(Event::Done(left, Outcome::Answered { opened: Some(SessionKey(10)), closed: false }));
    assert_eq!(world.machine.snapshot(world.now).sessions_unsettled, 0, "its client never learned of it");
    (11..60).for_each(|session| login(&mut world, session, session));
    assert_eq!(world.machine.snapshot(world.now).sessions_unsettled, 49);
    world.advance(Span::secs(30));
    know_the_rate(&mut world);
    let snapshot = world.machine.snapshot(world.now);
    let held: u32 = snapshot.held.iter().sum();
    assert_eq!(snapshot.sessions_unsettled, 0);
    let work = 2.0 * f64::from(held) + 0.5; // one a second, one follow-up each, one call in flight
    assert!(snapshot.all_in.unwrap().as_secs_f64() <= work + 0.1, "{snapshot:?}");
}

/// Serves one call a second with a limit of one, until the machine knows the rate.
fn know_the_rate(world: &mut World) {
    for client in 500..508 {
        world.arrive(open(client));
    }
    for _ in 0..6 {
        world.advance(Span::secs(1));
        let call = world.in_flight()[0];
        world.event(Event::Done(call, ANSWERED));
    }
    assert!(world.machine.snapshot(world.now).rate_milli > 0);
}

#[test]
fn probes_without_end_leave_the_others_their_guarantees() {
    let mut world = World::new(plan(1));
    world.arrive(open(1));
    let waits = world.arrive(open(2));
    for _ in 0..12 {
        for client in 10..13 {
            world.arrive(arrival(client, Role::Probe));
        }
        for call in world.in_flight() {
            world.event(Event::Done(call, ANSWERED));
        }
    }
    assert_eq!(world.fates[&waits], Fate::Done);
}

#[test]
fn heavy_calls_pay_for_what_they_were_given_ahead() {
    let mut world = World::new(Plan { held_per_client_max: 1000, ..plan(1) });
    world.arrive(open(999));
    let heavy: Vec<CallId> =
        (0..9).map(|client| world.arrive(Arrival { cost_milli: 20_000, ..arrival(client, Role::Bulk) })).collect();
    (0..300).for_each(|_| _ = world.arrive(arrival(9, Role::Call)));
    for _ in 0..250 {
        let call = world.in_flight()[0];
        world.event(Event::Done(call, ANSWERED));
    }
    let served = heavy.iter().filter(|call| world.fates[call] != Fate::Held).count();
    assert!((1..=2).contains(&served), "a tenth of about 280 units is 28, not {}", 20 * served);
}

#[test]
fn one_slow_answer_does_not_keep_everybody_away() {
    for role in [Role::Bulk, Role::Probe] {
        let mut world = World::new(plan(1));
        let slow = world.arrive(arrival(1, role));
        let next = world.arrive(arrival(2, role));
        world.advance(Span::secs(27));
        world.event(Event::Done(slow, ANSWERED));
        world.event(Event::Done(next, ANSWERED));
        let call = world.arrive(arrival(3, role));
        assert_eq!(world.fates[&call], Fate::InFlight(ServerId(0)), "{role}: nothing is in flight");
    }
}

#[test]
fn a_tiny_first_call_does_not_stand_for_a_whole_unit() {
    let mut world = World::new(plan(1));
    let poll = world.arrive(Arrival { cost_milli: 10, ..arrival(1, Role::Poll) });
    world.advance(Span::millis(300));
    world.event(Event::Done(poll, ANSWERED));
    let _busy = world.arrive(open(2));
    let waits = world.arrive(open(3));
    assert_eq!(world.fates[&waits], Fate::Held, "30 s per unit would be too late");
    world.advance(Span::secs(20));
    assert_eq!(world.fates[&waits], Fate::Held);
}

#[test]
fn bulk_at_its_cap_says_nothing_of_what_the_pool_can_do() {
    let mut world = World::new(plan(8));
    let mut calls: Vec<CallId> = (0..8).map(|_| world.arrive(arrival(1, Role::Bulk))).collect();
    for _ in 0..6 {
        world.advance(Span::secs(1));
        world.event(Event::Done(calls.remove(0), ANSWERED));
        calls.push(world.arrive(arrival(1, Role::Bulk)));
    }
    assert_eq!(world.machine.snapshot(world.now).rate_milli, 0, "six of eight slots were free");
}

#[test]
fn a_better_rate_holds_calls_to_their_end_after_all() {
    let mut world = World::new(Plan { follow_ups_milli: 0, ..plan(1) });
    know_the_rate(&mut world);
    let calls: Vec<CallId> = (0..60).map(|client| world.arrive(open(client))).collect();
    for _ in 0..80 {
        world.advance(Span::millis(350)); // three times as fast from here on
        world.in_flight().into_iter().for_each(|call| world.event(Event::Done(call, ANSWERED)));
    }
    let refused = calls.iter().filter(|call| matches!(world.fates[call], Fate::TurnedAway(_))).count();
    assert_eq!(refused, 0, "all are served within 25 seconds");
}

#[test]
fn retry_after_keeps_its_bounds_and_is_spread_when_nothing_is_known() {
    let spans = |world: &World| -> Vec<Span> {
        let refused = world.log.iter().filter_map(|(_, action)| match action {
            Action::TurnAway { retry_after, .. } => Some(*retry_after),
            _ => None,
        });
        refused.collect()
    };
    let mut full = World::new(Plan { held_max: 1, ..plan(1) });
    (0..200).for_each(|client| _ = full.arrive(open(client)));
    assert!(spans(&full).iter().all(|span| (Span::secs(15)..=Span::secs(30)).contains(span)), "{:?}", spans(&full));
    let mut drained = World::new(plan(1));
    (0..200).for_each(|client| _ = drained.arrive(open(client)));
    drained.event(Event::Drain);
    let (low, high) = (*spans(&drained).iter().min().unwrap(), *spans(&drained).iter().max().unwrap());
    assert!(Span::secs(1) <= low && low < Span::secs(5) && Span::secs(25) < high && high <= Span::secs(30));
}

#[test]
fn who_cannot_be_reached_in_time_is_turned_away_spread_over_the_room_or_told_at_once() {
    let mut world = World::new(Plan { follow_ups_milli: 0, ..plan(1) });
    know_the_rate(&mut world);
    let calls: Vec<CallId> = (0..60).map(|client| world.arrive(open(client))).collect();
    let patient = world.arrive(Arrival { honours_retry_after: true, ..open(99) });
    assert_eq!(world.fates[&patient], Fate::TurnedAway(Reason::TooLate), "it comes back when told to");
    let began = world.now;
    world.advance(Span::secs(29));
    let times: Vec<f64> = world
        .log
        .iter()
        .filter_map(|(at, action)| match action {
            Action::TurnAway { call, reason: Reason::TooLate, .. } if calls.contains(call) => {
                Some(at.since(began).as_secs_f64())
            }
            _ => None,
        })
        .collect();
    assert!(times.len() > 20, "about thirty of sixty cannot be served: {}", times.len());
    let spread = times.iter().fold(0.0f64, |max, at| max.max(*at)) - times.iter().fold(99.0f64, |min, at| min.min(*at));
    assert!(spread > 5.0, "they leave one by one, not in one herd: {times:?}");
}

#[test]
fn retry_after_is_the_predicted_turn_within_its_bounds() {
    let mut world = World::new(Plan { follow_ups_milli: 0, held_per_client_max: 1, ..plan(1) });
    know_the_rate(&mut world);
    for client in 0..12 {
        world.arrive(arrival(client, Role::Call));
    }
    world.arrive(arrival(3, Role::Call));
    let Some((_, Action::TurnAway { reason: Reason::ClientCap, retry_after, .. })) = world.log.last() else {
        panic!("{:?}", world.log.last())
    };
    let seconds = retry_after.as_secs_f64();
    assert!((6.0..=18.0).contains(&seconds), "about twelve calls at one a second: {seconds}");
}
