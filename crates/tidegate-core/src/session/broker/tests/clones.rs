//! Clones: lent to one client at a time, in order, and returned clean or not at all.

use super::super::*;
use super::world::{Stage, World, settings};
use crate::time::Span;

fn world() -> World {
    World::new(settings())
}

fn refused(world: &World, ask: AskId) -> Refusal {
    match world.stage(ask) {
        Stage::Refused(why) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn all_calls_go_to_the_clone_until_nothing_is_held_there() {
    let mut world = world();
    let down = world.client(0, 1);
    let (ask, up) = world.lent(down, Need::Own);
    assert!(world.log.contains(&Action::Lend { ask, down, up, make: Some(Make::Clone { of: UpId(0) }) }));
    let (read, same) = world.lent(down, Need::Shared);
    assert_eq!(up, same);
    world.done(ask, Holds::Count(2));
    world.done(read, Holds::Unchanged);
    assert_eq!(world.broker.down(world.now, down).unwrap().holds, 2);
    let (last, same) = world.lent(down, Need::Shared);
    assert_eq!(up, same);
    world.done(last, Holds::Count(0));
    assert_eq!(world.broker.up_of(down), Some(UpId(0)));
    // It is clean: another client gets it, and none is made.
    let other = world.client(0, 1);
    assert_eq!(world.lent(other, Need::Own).1, up);
    assert_eq!(world.broker.tally().clones, 1);
}

#[test]
fn a_clone_with_a_call_on_it_is_not_returned() {
    let mut world = world();
    let down = world.client(0, 1);
    let (wait, up) = world.lent(down, Need::Own);
    let (short, _) = world.lent(down, Need::Own);
    world.done(short, Holds::Count(0));
    assert_eq!(world.broker.up_of(down), Some(up));
    world.done(wait, Holds::Unchanged);
    assert_eq!(world.broker.up_of(down), Some(UpId(0)));
}

#[test]
fn what_a_client_leaves_behind_ends_the_clone() {
    for (holds, ends) in [(Holds::Count(1), true), (Holds::Sticky, true), (Holds::Unchanged, false)] {
        let mut world = world();
        let down = world.client(0, 1);
        let (ask, up) = world.lent(down, Need::Own);
        world.done(ask, holds);
        world.tell(Event::Logout { down });
        assert_eq!(world.ended(up), ends, "{holds:?}");
    }
    // Also while a call is on it, but not before that is over.
    let mut world = world();
    let down = world.client(0, 1);
    let (ask, up) = world.lent(down, Need::Own);
    world.tell(Event::Logout { down });
    assert!(!world.ended(up));
    world.done(ask, Holds::Count(0));
    assert!(world.ended(up));
}

#[test]
fn sticky_stays_sticky() {
    let mut world = world();
    let down = world.client(0, 1);
    for holds in [Holds::Sticky, Holds::Count(0)] {
        let (ask, up) = world.lent(down, Need::Own);
        world.done(ask, holds);
        assert_eq!(world.broker.up_of(down), Some(up));
    }
    assert!(world.broker.down(world.now, down).unwrap().sticky);
}

#[test]
fn more_clients_than_clones_wait_their_turn() {
    let mut world = world();
    let downs = [(); 5].map(|()| world.client(0, 1));
    let held: Vec<_> = downs[..2].iter().map(|down| world.lent(*down, Need::Own)).collect();
    held.iter().for_each(|(ask, _)| world.done(*ask, Holds::Count(1)));
    let asks: Vec<AskId> = downs[2..].iter().map(|down| world.call(*down, Need::Own)).collect();
    assert!(asks.iter().all(|ask| world.stage(*ask) == Stage::Waiting));
    // Reads go on meanwhile.
    let read = world.call(downs[4], Need::Shared);
    assert_eq!(world.stage(read), Stage::Lent(UpId(0)));
    world.tell(Event::Logout { down: downs[1] });
    let Stage::Lent(made) = world.stage(asks[0]) else { panic!("the first that came is the first that goes") };
    assert!(world.ended(held[1].1) && !world.ups[&made].stands, "the dirty one was ended, another is made");
    world.tell(Event::Verified { up: made });
    world.done(asks[0], Holds::Unchanged);
    assert_eq!(world.stage(asks[1]), Stage::Lent(made));
    world.pass(Span::secs(10));
    assert_eq!(refused(&world, asks[2]), Refusal::Late);
}

#[test]
fn who_waits_twice_gets_both_with_one_clone() {
    let mut world = World::new(Settings { clones_max: 1, ..settings() });
    let downs = [(); 3].map(|()| world.client(0, 1));
    let (ask, up) = world.lent(downs[0], Need::Own);
    let waiting = [1, 2, 1].map(|which: usize| world.call(downs[which], Need::Own));
    world.done(ask, Holds::Unchanged);
    // The second call of that client must not stand behind one that waits for its clone.
    assert_eq!(world.stage(waiting[0]), Stage::Lent(up));
    assert_eq!(world.stage(waiting[2]), Stage::Lent(up));
    assert_eq!(world.stage(waiting[1]), Stage::Waiting);
    let read = world.call(downs[1], Need::Shared);
    assert_eq!(world.stage(read), Stage::Lent(up));
}

#[test]
fn calls_wait_for_the_clone_that_their_client_is_getting() {
    let mut world = world();
    let down = world.client(0, 1);
    let first = world.call(down, Need::Own);
    let second = world.call(down, Need::Shared);
    assert_eq!((world.stage(first), world.stage(second)), (Stage::Lent(UpId(1)), Stage::Waiting));
    world.tell(Event::Failed { up: UpId(1) });
    // It needs no clone, and so the shared session does.
    assert_eq!(world.stage(second), Stage::Lent(UpId(0)));
    world.done(first, Holds::Unchanged);
    let third = world.call(down, Need::Own);
    let fourth = world.call(down, Need::Own);
    world.done(third, Holds::Unchanged);
    assert_eq!(world.stage(fourth), Stage::Lent(UpId(3)), "the first gave up, the next makes it");
    world.tell(Event::Logout { down });
    world.tell(Event::Verified { up: UpId(3) });
    world.done(fourth, Holds::Unchanged);
    assert!(world.ended(UpId(3)), "its client has gone meanwhile");
}

#[test]
fn nobody_waits_behind_a_call_that_waits_for_its_own_clone() {
    let mut world = world();
    let downs = [(); 4].map(|()| world.client(0, 1));
    let held: Vec<_> = downs[..2].iter().map(|down| world.lent(*down, Need::Own)).collect();
    held.iter().for_each(|(ask, _)| world.done(*ask, Holds::Count(1)));
    let asks = [2, 2, 3].map(|which: usize| world.call(downs[which], Need::Own));
    downs[..2].iter().for_each(|down| world.tell(Event::Logout { down: *down }));
    assert_eq!(world.stage(asks[0]), Stage::Lent(UpId(3)));
    assert_eq!(world.stage(asks[1]), Stage::Waiting, "for that clone, which does not stand yet");
    assert_eq!(world.stage(asks[2]), Stage::Lent(UpId(4)));
}

#[test]
fn a_dead_clone_takes_its_client_along_if_that_held_something() {
    for (holds, expires) in [(Holds::Count(1), true), (Holds::Unchanged, false)] {
        let mut world = world();
        let down = world.client(0, 1);
        let (first, up) = world.lent(down, Need::Own);
        let (other, _) = world.lent(down, Need::Own);
        world.done(other, holds);
        world.tell(Event::Dead { up });
        let expired = world.log.contains(&Action::Expired { down, why: Expiry::Upstream });
        assert_eq!(expired, expires, "{holds:?}");
        world.done(first, Holds::Unchanged);
        let again = world.call(down, Need::Own);
        match expires {
            true => assert_eq!(refused(&world, again), Refusal::NotAuthenticated),
            false => assert!(matches!(world.stage(again), Stage::Lent(_))),
        }
    }
}

#[test]
fn another_call_on_a_dead_clone_may_have_made_something() {
    let mut world = world();
    let down = world.client(0, 1);
    let (_, up) = world.lent(down, Need::Own);
    world.lent(down, Need::Own);
    world.tell(Event::Dead { up });
    assert!(world.log.contains(&Action::Expired { down, why: Expiry::Upstream }));
}

#[test]
fn a_stale_clone_is_ended_after_its_call_and_another_is_lent() {
    let mut world = world();
    let down = world.client(0, 1);
    let (ask, up) = world.lent(down, Need::Own);
    world.tell(Event::Stale { up });
    let (_, other) = world.lent(down, Need::Own);
    assert!(other != up && !world.ended(up));
    world.done(ask, Holds::Count(1));
    assert!(world.ended(up));
    assert_eq!(world.broker.down(world.now, down).unwrap().holds, 0, "it was made on the other one");
    // One that holds something has to log in again.
    let other = world.client(0, 1);
    let (ask, up) = world.lent(other, Need::Own);
    world.done(ask, Holds::Count(1));
    world.tell(Event::Stale { up });
    assert!(world.ended(up) && world.log.contains(&Action::Expired { down: other, why: Expiry::Upstream }));
}

#[test]
fn without_a_shared_session_a_clone_logs_in() {
    let mut world = world();
    let downs = [(); 2].map(|()| world.client(0, 1));
    world.tell(Event::Stale { up: UpId(0) });
    assert!(world.ended(UpId(0)));
    let asks = downs.map(|down| world.call(down, Need::Own));
    let make = Some(Make::Login);
    assert!(world.log.contains(&Action::Lend { ask: asks[0], down: downs[0], up: UpId(1), make }));
    assert_eq!(world.stage(asks[1]), Stage::Waiting, "one login at a time");
    world.tell(Event::Verified { up: UpId(1) });
    assert!(world.log.contains(&Action::Lend { ask: asks[1], down: downs[1], up: UpId(2), make }));
}

#[test]
fn a_larger_cap_is_first_for_those_who_wait() {
    let mut world = World::new(Settings { clones_max: 1, ..settings() });
    let downs = [(); 4].map(|()| world.client(0, 1));
    let asks = [0, 1].map(|which: usize| world.call(downs[which], Need::Own));
    world.broker.apply(settings());
    let late = world.call(downs[2], Need::Own);
    assert_eq!(asks.map(|ask| world.stage(ask)), [Stage::Lent(UpId(1)), Stage::Lent(UpId(2))]);
    assert_eq!(world.stage(late), Stage::Waiting);
}

#[test]
fn a_smaller_cap_is_reached_as_clones_come_back() {
    let mut world = world();
    let downs = [(); 2].map(|()| world.client(0, 1));
    let lent = downs.map(|down| world.lent(down, Need::Own));
    // The world's own check of the cap would be too early.
    let mut out = Vec::new();
    world.broker.apply(Settings { clones_max: 1, ..settings() });
    for (ask, _) in lent {
        world.broker.on_event(world.now, Event::Done { ask, holds: Holds::Unchanged }, &mut out);
    }
    assert_eq!(out, [Action::End { up: lent[0].1 }]);
}

#[test]
fn a_page_is_read_where_it_came_from() {
    let mut world = world();
    let down = world.client(0, 1);
    let (ask, clone) = world.lent(down, Need::Own);
    world.done(ask, Holds::Count(1));
    let (page, up) = world.lent(down, Need::Page(UpId(0)));
    assert_eq!(up, UpId(0), "the shared session");
    world.done(page, Holds::Unchanged);
    assert_eq!(world.broker.up_of(down), Some(clone), "it keeps its clone");
    let other = world.client(1, 1);
    let (foreign, up) = world.lent(other, Need::Page(UpId(0)));
    assert_ne!(up, UpId(0), "another principal's is not lent");
    world.done(foreign, Holds::Unchanged);
    world.tell(Event::Dead { up: UpId(0) });
    let (late, up) = world.lent(down, Need::Page(UpId(0)));
    assert_eq!(up, clone, "it is gone: as any call");
    world.done(late, Holds::Count(1));
}
