//! Logins and the shared session, one rule after the other.

use super::super::*;
use super::world::{Stage, World, secret, settings};
use crate::time::Span;

const US: PrincipalKey = PrincipalKey(0);

fn world() -> World {
    World::new(settings())
}

fn verifies(world: &World, ask: AskId) -> UpId {
    match world.stage(ask) {
        Stage::Verifying(up) => up,
        other => panic!("{other:?}"),
    }
}

fn refused(world: &World, ask: AskId) -> Refusal {
    match world.stage(ask) {
        Stage::Refused(why) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn many_logins_make_one_session() {
    let mut world = World::new(Settings { sessions_max: 300, sessions_per_principal_max: 300, ..settings() });
    for _ in 0..200 {
        world.client(0, 1);
    }
    assert_eq!(world.broker.tally().upstream_logins, 1);
    assert_eq!((world.ups.len(), world.downs.len()), (1, 200));
}

#[test]
fn those_with_the_same_password_wait_for_one_verdict() {
    for (verdict, why) in [(0, None), (1, Some(Refusal::InvalidLogin)), (2, Some(Refusal::Upstream))] {
        let mut world = world();
        let asks: Vec<AskId> = (0..4).map(|_| world.login(0, 1)).collect();
        let up = verifies(&world, asks[0]);
        assert!(asks[1..].iter().all(|ask| world.stage(*ask) == Stage::Waiting));
        world.tell([Event::Verified { up }, Event::Denied { up }, Event::Failed { up }][verdict].clone());
        for ask in asks {
            match (world.stage(ask), why) {
                (Stage::Opened(down), None) => assert_eq!(world.broker.up_of(down), Some(up)),
                (Stage::Refused(said), Some(why)) => assert_eq!(said, why),
                other => panic!("{other:?}"),
            }
        }
        let tally = world.broker.tally();
        assert_eq!(tally.upstream_logins, 1);
        assert_eq!(world.broker.snapshot(world.now).principals, u32::from(why.is_none()));
    }
}

#[test]
fn two_passwords_are_tried_at_one_time() {
    let mut world = world();
    let asks = [1, 2, 3].map(|password| world.login(0, password));
    let [first, second] = [asks[0], asks[1]].map(|ask| verifies(&world, ask));
    assert_eq!(world.stage(asks[2]), Stage::Waiting);
    world.tell(Event::Denied { up: second });
    assert_eq!(refused(&world, asks[1]), Refusal::InvalidLogin);
    let third = verifies(&world, asks[2]);
    world.tell(Event::Denied { up: third });
    world.tell(Event::Verified { up: first });
    assert_eq!(world.kept.get(&US), Some(&secret(1)));
}

#[test]
fn a_refused_password_makes_the_next_login_verify() {
    let mut world = world();
    let down = world.client(0, 1);
    let wrong = world.login(0, 9);
    world.tell(Event::Denied { up: verifies(&world, wrong) });
    let again = world.login(0, 1);
    let up = verifies(&world, again);
    world.tell(Event::Verified { up });
    assert!(world.ended(up), "one more session with the same password is none too few");
    let at_once = world.login(0, 1);
    assert!(matches!(world.stage(at_once), Stage::Opened(_)));
    assert_eq!(world.broker.up_of(down), Some(UpId(0)), "the others have not noticed");
}

#[test]
fn another_password_takes_over() {
    let mut world = world();
    let down = world.client(0, 1);
    let (ask, old) = world.lent(down, Need::Shared);
    world.client(0, 2);
    assert_eq!(world.kept.get(&US), Some(&secret(2)));
    let (other, new) = world.lent(down, Need::Shared);
    assert_ne!(old, new);
    world.done(other, Holds::Unchanged);
    assert!(!world.ended(old), "a call is on it");
    world.done(ask, Holds::Unchanged);
    assert!(world.ended(old) && !world.ended(new));
    // The old one is not trusted any more, and a refusal of it does not touch the new one.
    let late = world.login(0, 1);
    world.tell(Event::Denied { up: verifies(&world, late) });
    assert_eq!(world.kept.get(&US), Some(&secret(2)));
}

#[test]
fn a_dead_shared_session_is_made_again_by_one_call() {
    let mut world = world();
    let downs = [(); 3].map(|()| world.client(0, 1));
    world.tell(Event::Dead { up: UpId(0) });
    let asks = downs.map(|down| world.call(down, Need::Shared));
    let lend = Action::Lend { ask: asks[0], down: downs[0], up: UpId(1), make: Some(Make::Login) };
    assert_eq!(world.log.iter().filter(|action| **action == lend).count(), 1);
    assert_eq!(world.stage(asks[1]), Stage::Waiting);
    let login = world.login(0, 1);
    assert_eq!(world.stage(login), Stage::Waiting, "it is the same password");
    world.tell(Event::Verified { up: UpId(1) });
    assert!(asks.iter().all(|ask| world.stage(*ask) == Stage::Lent(UpId(1))));
    assert!(matches!(world.stage(login), Stage::Opened(_)));
    assert_eq!(world.broker.tally().dead, 1);
}

#[test]
fn when_that_fails_those_who_waited_are_told_and_the_next_one_tries() {
    let mut world = world();
    let downs = [(); 2].map(|()| world.client(0, 1));
    world.tell(Event::Dead { up: UpId(0) });
    let asks = downs.map(|down| world.call(down, Need::Shared));
    world.tell(Event::Failed { up: UpId(1) });
    assert_eq!(refused(&world, asks[1]), Refusal::Upstream);
    world.done(asks[0], Holds::Unchanged);
    let again = world.call(downs[1], Need::Shared);
    assert_eq!(world.stage(again), Stage::Lent(UpId(2)));
    // The call gives up without a verdict: the one that waits takes over.
    let next = world.call(downs[0], Need::Shared);
    world.done(again, Holds::Unchanged);
    assert_eq!(world.stage(next), Stage::Lent(UpId(3)));
    // A session that stands although it was given up is ended.
    world.tell(Event::Verified { up: UpId(2) });
    assert!(world.ended(UpId(2)));
    // The password is wrong by now: it is forgotten, and so the clients have to log in again.
    let waits = world.call(downs[1], Need::Shared);
    world.tell(Event::Denied { up: UpId(3) });
    assert!(world.kept.is_empty());
    assert_eq!(refused(&world, waits), Refusal::NotAuthenticated);
    assert!(world.log.contains(&Action::Expired { down: downs[1], why: Expiry::Upstream }));
}

#[test]
fn a_login_whose_client_left_still_serves_the_others() {
    let mut world = world();
    let [first, second] = [(); 2].map(|()| world.login(0, 1));
    let up = verifies(&world, first);
    world.tell(Event::Left { ask: first });
    world.tell(Event::Verified { up });
    assert!(matches!(world.stage(second), Stage::Opened(_)));
    // One that gives up before the verdict is followed by the next one that waits.
    let mut world = self::world();
    let [first, second] = [(); 2].map(|()| world.login(0, 1));
    world.done(first, Holds::Unchanged);
    let up = verifies(&world, second);
    world.tell(Event::Verified { up });
    assert!(matches!(world.stage(second), Stage::Opened(_)));
}

#[test]
fn principals_share_nothing() {
    let mut world = world();
    let [ours, theirs] = [0, 1].map(|who| world.client(who, 1));
    assert_ne!(world.broker.up_of(ours), world.broker.up_of(theirs));
    assert_eq!(world.broker.tally().upstream_logins, 2);
}

#[test]
fn each_cap_has_its_name() {
    let name = |settings: Settings, play: &dyn Fn(&mut World) -> AskId| {
        let mut world = World::new(settings);
        let ask = play(&mut world);
        refused(&world, ask).name()
    };
    let two = |world: &mut World| {
        world.client(0, 1);
        world.login(0, 1)
    };
    assert_eq!(name(Settings { sessions_max: 1, ..settings() }, &two), "sessions-max");
    let each = Settings { sessions_per_principal_max: 1, ..settings() };
    assert_eq!(name(each, &two), "sessions-per-principal-max");
    let own = |world: &mut World| {
        world.login_own(0);
        world.login_own(1)
    };
    assert_eq!(name(Settings { own_max: 1, ..settings() }, &own), "own-max");
    let others = |world: &mut World| {
        world.client(0, 1);
        world.login(1, 1)
    };
    assert_eq!(name(Settings { principals_max: 1, ..settings() }, &others), "principals-max");
    let waits = |world: &mut World| {
        world.login(0, 1);
        world.login(0, 1)
    };
    assert_eq!(name(Settings { waiting_max: 0, ..settings() }, &waits), "waiting-max");
    let clone = |world: &mut World| {
        let down = world.client(0, 1);
        world.call(down, Need::Own)
    };
    assert_eq!(name(Settings { clones_max: 0, ..settings() }, &clone), "clones-max");
}

#[test]
fn a_principal_without_clients_makes_room_for_another() {
    let mut world = World::new(Settings { principals_max: 2, ..settings() });
    for who in [0, 1] {
        let down = world.client(who, 1);
        world.tell(Event::Logout { down });
    }
    world.login(0, 1); // heard of after principal 1
    world.client(2, 1);
    assert!(world.ended(UpId(1)) && !world.ended(UpId(0)));
    assert!(!world.kept.contains_key(&PrincipalKey(1)));
}

#[test]
fn a_session_made_by_a_token_is_its_clients_alone() {
    let mut world = world();
    let [fine, bad] = [(); 2].map(|()| world.login_own(0));
    let (up, other) = (verifies(&world, fine), verifies(&world, bad));
    world.tell(Event::Verified { up });
    world.tell(Event::Denied { up: other });
    assert_eq!(refused(&world, bad), Refusal::InvalidLogin);
    let Stage::Opened(down) = world.stage(fine) else { panic!() };
    for need in [Need::Shared, Need::Own] {
        let (ask, lent) = world.lent(down, need);
        assert_eq!(lent, up);
        world.done(ask, Holds::Count(0));
    }
    let view = world.broker.down(world.now, down).unwrap();
    assert_eq!((view.kind, view.up, view.holds), (Kind::Own, Some(up), 0));
    world.tell(Event::Logout { down });
    assert!(world.ended(up));
    assert_eq!(world.broker.snapshot(world.now).principals, 0);
}

#[test]
fn draining_refuses_what_waits_and_ends_what_is_free() {
    let mut world = world();
    let down = world.client(0, 1);
    let (ask, up) = world.lent(down, Need::Shared);
    let verifying = world.login(1, 1);
    let waiting = world.login(1, 1);
    world.tell(Event::Drain);
    assert_eq!(refused(&world, waiting), Refusal::Draining);
    assert!(world.kept.is_empty() && !world.ended(up));
    world.done(ask, Holds::Unchanged);
    assert!(world.ended(up));
    let late = verifies(&world, verifying);
    world.tell(Event::Verified { up: late });
    assert_eq!(refused(&world, verifying), Refusal::Draining);
    assert!(world.ended(late));
}

#[test]
fn nothing_shows_a_secret() {
    assert_eq!(format!("{:?}", secret(200)), "Secret(…)");
    let mut world = World::new(Settings { wait_max: Span::secs(1), ..settings() });
    world.client(0, 200);
    assert!(!format!("{:?}", world.broker).contains("200, 200"));
}
