//! Two processes share the servers for a while: together they stay within the limits, and sessions find their server.
#![allow(clippy::unwrap_used, reason = "tests may panic")]

mod world;

use proptest::prelude::*;
use tidegate_core::admission::*;
use tidegate_core::time::{Nanos, Span};
use world::{World, arrival, plan};

#[derive(Clone, Debug)]
enum Move {
    /// A client calls: one that the old process has, or one that the new one has.
    Call {
        new: bool,
    },
    /// A call of the one or the other ends.
    Done {
        new: bool,
        which: usize,
    },
    /// The old process gives up what it does not need, and says so.
    Shrink,
    /// The oldest message that is still on its way arrives.
    Arrives,
    Advance(u64),
}

fn moves() -> impl Strategy<Value = Move> {
    prop_oneof![
        5 => any::<bool>().prop_map(|new| Move::Call { new }),
        5 => (any::<bool>(), any::<usize>()).prop_map(|(new, which)| Move::Done { new, which }),
        2 => Just(Move::Shrink),
        2 => Just(Move::Arrives),
        2 => (0..900u64).prop_map(Move::Advance),
    ]
}

fn end(world: &mut World, which: usize) {
    let calls = world.in_flight();
    if !calls.is_empty() {
        let outcome = Outcome::Answered { opened: None, closed: false };
        world.event(Event::Done(calls[which % calls.len()], outcome));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    /// However late its messages are, the two are never above the limit together; with a limit of 1, by one at the most.
    #[test]
    fn two_processes_stay_within_one_limit(limit in 1..6u32, trace in prop::collection::vec(moves(), 0..120)) {
        let (mut old, mut new) = (World::warm(plan(limit)), World::warm(plan(limit)));
        new.event(Event::Slots(ServerId(0), Slots::AllBut(limit)));
        let mut on_their_way = std::collections::VecDeque::new();
        let mut shrunk_to = limit;
        for what in trace {
            match what {
                Move::Call { new: true } => drop(new.arrive(arrival(2, Role::Call))),
                Move::Call { new: false } => drop(old.arrive(arrival(1, Role::Call))),
                Move::Done { new: true, which } => end(&mut new, which),
                Move::Done { new: false, which } => end(&mut old, which),
                Move::Shrink => {
                    let used = old.machine.shrink(old.now, true)[0];
                    prop_assert!((1..=shrunk_to).contains(&used), "it never grows");
                    shrunk_to = used;
                    on_their_way.push_back(used);
                }
                Move::Arrives => {
                    if let Some(used) = on_their_way.pop_front() {
                        new.event(Event::Slots(ServerId(0), Slots::AllBut(used)));
                    }
                }
                Move::Advance(ms) => {
                    old.advance(Span::millis(ms));
                    new.advance(Span::millis(ms));
                }
            }
            let together = (old.in_flight().len() + new.in_flight().len()) as u32;
            prop_assert!(together <= limit.max(2), "{together} of {limit}");
        }
        // The old one has gone: everything is the new one's.
        while !old.in_flight().is_empty() {
            end(&mut old, 0);
        }
        while !old.held().is_empty() {
            old.advance(Span::secs(1));
            end(&mut old, 0);
        }
        prop_assert_eq!(old.machine.shrink(old.now, false), vec![0]);
        new.event(Event::Slots(ServerId(0), Slots::AllBut(0)));
        for _ in 0..limit {
            new.arrive(arrival(2, Role::Call));
        }
        prop_assert!(new.in_flight().len() as u32 >= limit.min(1));
    }
}

#[test]
fn what_was_given_up_stays_so_when_the_process_before_has_gone_too() {
    let mut world = World::warm(plan(4));
    world.event(Event::Slots(ServerId(0), Slots::AllBut(3)));
    assert_eq!(world.machine.shrink(world.now, false), [0]);
    world.event(Event::Slots(ServerId(0), Slots::AllBut(0)));
    world.arrive(arrival(1, Role::Call));
    assert!(world.in_flight().is_empty(), "its slots are the third process's");
}

fn pool(names: &[&str]) -> Plan {
    let server = |name: &&str| ServerPlan { name: (*name).into(), limit: LimitPlan::Static(2), standby: false };
    Plan { servers: names.iter().map(server).collect(), ..plan(2) }
}

#[test]
fn sessions_find_their_server_in_the_next_process() {
    let mut old = World::warm(pool(&["a", "b"]));
    let mut at = Vec::new();
    for client in 0..4 {
        let call = old.arrive(arrival(client, Role::Open));
        at.push(old.log.iter().find_map(|(_, action)| match action {
            Action::Admit { call: id, server } if *id == call => Some(*server),
            _ => None,
        }));
        let opened = Some(SessionKey(100 + client));
        old.event(Event::Done(call, Outcome::Answered { opened, closed: false }));
    }
    let passed = old.machine.pass_on(old.now);
    assert_eq!(passed.len(), 4);
    let json = serde_json::to_string(&passed).unwrap();

    // The pool is in another order there, and the clock has just begun.
    let mut machine = Machine::new(pool(&["b", "a", "c"]), None, Nanos(0)).unwrap();
    machine.take_over(Nanos(0), serde_json::from_str(&json).unwrap());
    for (client, at) in (0..4).zip(at) {
        let mut out = Vec::new();
        let session = Some(SessionKey(100 + client));
        let call = machine.arrive(Nanos(1), Arrival { session, ..arrival(client, Role::Poll) }, &mut out);
        let answered = Outcome::Answered { opened: None, closed: false };
        machine.on_event(Nanos(2), Event::Done(call, answered), &mut Vec::new());
        let swapped = at.map(|server| ServerId(1 - server.0));
        assert!(matches!(out[0], Action::Admit { server, .. } if Some(server) == swapped), "{out:?}");
    }
}
