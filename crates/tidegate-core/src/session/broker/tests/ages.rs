//! What time does to sessions and passwords.

use super::super::*;
use super::world::{Stage, World, settings};
use crate::time::{Nanos, Span};

/// No keepalive gets in the way, and nobody is idle.
fn long() -> Settings {
    Settings { keepalive: Span::secs(1_000_000), idle: Span::secs(1_000_000), ..settings() }
}

fn expired(world: &World, down: DownId) -> Option<Expiry> {
    world.log.iter().find_map(|action| match action {
        Action::Expired { down: which, why } if *which == down => Some(*why),
        _ => None,
    })
}

#[test]
fn a_password_is_trusted_and_kept_for_a_time() {
    let mut world = World::new(settings());
    let down = world.client(0, 1);
    world.pass(Span::secs(59));
    let trusted = world.login(0, 1);
    assert!(matches!(world.stage(trusted), Stage::Opened(_)));
    world.pass(Span::secs(1));
    assert!(world.kept.is_empty(), "opening a session does not make it longer");
    let again = world.login(0, 1);
    let Stage::Verifying(up) = world.stage(again) else { panic!() };
    world.tell(Event::Verified { up });
    assert!(world.ended(up) && world.broker.up_of(down) == Some(UpId(0)), "the old one is as good");
    assert_eq!(world.kept.len(), 1);
}

#[test]
fn unused_sessions_are_kept_while_somebody_needs_them() {
    let mut world = World::new(settings());
    let down = world.client(0, 1);
    let (ask, clone) = world.lent(down, Need::Own);
    world.done(ask, Holds::Count(1));
    world.pass(Span::secs(100));
    for up in [UpId(0), clone] {
        assert!(world.log.contains(&Action::KeepAlive { up }));
    }
    world.pass(Span::secs(100));
    assert_eq!(world.log.iter().filter(|action| matches!(action, Action::KeepAlive { .. })).count(), 4);
    // With its last client gone it is ended, and nobody keeps the password.
    world.tell(Event::Logout { down });
    assert!(world.ended(clone) && !world.ended(UpId(0)));
    world.pass(Span::secs(100));
    assert!(world.ended(UpId(0)));
    assert_eq!((world.broker.next_wake(), world.broker.snapshot(world.now).principals), (None, 0));
}

#[test]
fn a_session_in_use_needs_no_keepalive() {
    let mut world = World::new(settings());
    let down = world.client(0, 1);
    let (poll, up) = world.lent(down, Need::Shared);
    world.pass(Span::secs(150));
    world.done(poll, Holds::Unchanged);
    assert!(!world.log.contains(&Action::KeepAlive { up }));
    assert_eq!(world.broker.snapshot(world.now).downs[0].idle, Span::ZERO);
}

#[test]
fn an_idle_client_is_expired_and_its_clone_goes() {
    let mut world = World::new(settings());
    let down = world.client(0, 1);
    let (ask, clone) = world.lent(down, Need::Own);
    world.pass(Span::secs(400));
    assert_eq!(expired(&world, down), None, "a call is out");
    world.done(ask, Holds::Count(1));
    world.pass(Span::secs(299));
    assert_eq!(expired(&world, down), None);
    world.pass(Span::secs(1));
    assert_eq!(expired(&world, down), Some(Expiry::Idle));
    assert!(world.ended(clone));
}

#[test]
fn nobody_lives_for_ever() {
    let mut world = World::new(long());
    let down = world.client(0, 1);
    let (poll, _) = world.lent(down, Need::Shared);
    world.pass(Span::secs(2000));
    assert_eq!(expired(&world, down), Some(Expiry::Life));
    let late = world.call(down, Need::Shared);
    assert_eq!(world.stage(late), Stage::Refused(Refusal::NotAuthenticated));
    assert!(!world.ended(UpId(0)));
    world.done(poll, Holds::Unchanged);
    assert!(world.ended(UpId(0)));
}

#[test]
fn a_ripe_shared_session_is_made_again_while_its_password_is_kept() {
    let mut world = World::new(Settings { verify: Span::secs(5000), ..long() });
    world.client(0, 1);
    world.pass(Span::secs(1599));
    assert!(!world.ended(UpId(0)));
    let late = world.client(0, 1);
    world.pass(Span::secs(301));
    assert!(world.ended(UpId(0)));
    let (_, up) = world.lent(late, Need::Shared);
    assert_eq!((up, expired(&world, late)), (UpId(1), None));
}

#[test]
fn without_its_password_it_serves_on_until_a_client_logs_in() {
    let mut world = World::new(long());
    let down = world.client(0, 1);
    world.pass(Span::secs(1950));
    assert!(!world.ended(UpId(0)));
    world.client(0, 1);
    assert!(world.ended(UpId(0)), "it is replaced, not the new one spared");
    assert_eq!(world.broker.up_of(down), Some(UpId(1)));
}

#[test]
fn or_until_its_life_is_over() {
    let mut world = World::new(long());
    world.client(0, 1);
    world.pass(Span::secs(1000));
    let down = world.client(0, 1);
    assert_eq!(world.broker.up_of(down), Some(UpId(0)));
    world.pass(Span::secs(1000));
    assert!(world.ended(UpId(0)));
    let late = world.call(down, Need::Shared);
    assert_eq!(world.stage(late), Stage::Refused(Refusal::NotAuthenticated));
    assert_eq!(expired(&world, down), Some(Expiry::Upstream));
}

#[test]
fn a_ripe_clone_is_ended_when_nobody_has_it() {
    let mut world = World::new(long());
    let down = world.client(0, 1);
    let (ask, clone) = world.lent(down, Need::Own);
    world.done(ask, Holds::Count(1));
    world.pass(Span::secs(1950));
    assert!(!world.ended(clone));
    let (ask, _) = world.lent(down, Need::Own);
    world.done(ask, Holds::Count(0));
    assert!(world.ended(clone));
}

#[test]
fn sessions_made_together_ripen_apart() {
    let settings = Settings { verify: Span::secs(5000), clones_max: 8, sessions_max: 50, ..long() };
    let mut world = World::new(Settings { sessions_per_principal_max: 50, ..settings });
    let downs = [(); 8].map(|()| world.client(0, 1));
    let asks = downs.map(|down| world.lent(down, Need::Own).0);
    asks.into_iter().for_each(|ask| world.done(ask, Holds::Unchanged));
    let begin = world.now;
    let mut ends: Vec<Span> = Vec::new();
    while let Some(wake) = world.broker.next_wake().filter(|wake| *wake < begin + Span::secs(1999)) {
        let before = world.ups.len();
        world.pass(wake.since(world.now));
        ends.extend((world.ups.len() < before).then(|| wake.since(begin)));
    }
    assert_eq!(ends.len(), 9, "each at a time of its own");
    assert!(ends.iter().all(|end| (Span::secs(1600)..=Span::secs(1900)).contains(end)), "{ends:?}");
}

#[test]
fn at_most_two_old_shared_sessions_linger() {
    let mut world = World::new(settings());
    let down = world.client(0, 1);
    let mut lent = Vec::new();
    for _ in 0..4 {
        let (ask, up) = world.lent(down, Need::Shared);
        lent.push((ask, up));
        world.tell(Event::Stale { up });
    }
    assert!(world.ended(lent[0].1) && world.ended(lent[1].1));
    assert!(!world.ended(lent[2].1) && !world.ended(lent[3].1));
    lent.iter().for_each(|(ask, _)| world.done(*ask, Holds::Unchanged));
    assert!(world.ended(lent[3].1));
}

#[test]
fn other_times_apply_to_what_stands() {
    let mut world = World::new(long());
    let down = world.client(0, 1);
    let call = world.login(1, 1);
    let waits = world.login(1, 1);
    assert!(matches!(world.stage(call), Stage::Verifying(_)));
    let short = Settings { idle: Span::secs(2), wait_max: Span::secs(1), verify: Span::secs(3), ..long() };
    world.broker.apply(short);
    assert_eq!(world.broker.next_wake(), Some(Nanos(2_000_000_000)));
    world.pass(Span::secs(1));
    assert_eq!(world.stage(waits), Stage::Refused(Refusal::Late));
    world.pass(Span::secs(1));
    assert_eq!(expired(&world, down), Some(Expiry::Idle));
    world.pass(Span::secs(1));
    assert!(world.kept.is_empty());
}
