//! Calls that only one server may have: their clients have authenticated on a connection to it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests may panic")]

mod world;

use tidegate_core::admission::*;
use world::{Fate, World, arrival, plan};

const ANSWERED: Outcome = Outcome::Answered { opened: None, closed: false };

#[test]
fn a_call_whose_client_has_authenticated_at_a_server_waits_for_that_one() {
    let mut two = plan(1);
    two.servers.push(ServerPlan { name: "b".into(), ..two.servers[0].clone() });
    let mut world = World::new(two);
    let there = |client| Arrival { server: Some(ServerId(1)), ..arrival(client, Role::Call) };
    let first = world.arrive(there(1));
    assert_eq!(world.fates[&first], Fate::InFlight(ServerId(1)));
    let second = world.arrive(there(2));
    assert_eq!(world.fates[&second], Fate::Held, "the other one is free, but of no use");
    world.event(Event::Done(first, ANSWERED));
    assert_eq!(world.fates[&second], Fate::InFlight(ServerId(1)));
    let unknown = world.arrive(Arrival { server: Some(ServerId(9)), ..arrival(3, Role::Call) });
    assert_eq!(world.fates[&unknown], Fate::InFlight(ServerId(0)), "one of an earlier plan binds to nothing");
}
