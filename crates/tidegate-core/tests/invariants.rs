//! Random event traces: whatever happens, in whatever order, the invariants hold.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests may panic")]

mod world;

use proptest::prelude::*;
use tidegate_core::admission::*;
use tidegate_core::health::{Cause, Standing};
use tidegate_core::reason::Reason;
use tidegate_core::time::{Nanos, Span};
use tidegate_core::trace::replay;
use world::{Fate, World, arrival, plan};

#[derive(Clone, Debug)]
enum Move {
    Arrive {
        client: u64,
        role: usize,
        session: Option<u64>,
        cost: u32,
        patience: Option<u64>,
        honours: bool,
        reserved: bool,
    },
    Leave(usize),
    Connected(usize),
    Done(usize, u8, Option<u64>),
    Advance(u64),
    Maintenance(bool),
    Bypass(bool),
    Drain,
    Restarted(u16),
    /// Another process of the gate uses so many slots, or leaves so many.
    Slots(u16, u32, bool),
    /// How a monitor says that a server stands.
    Health(u16, Standing),
    /// A new plan: which of the servers a to d it has (d is a standby, unless it is alone), their limit, whether it only observes.
    Pool(u8, u32, bool),
}

fn moves() -> impl Strategy<Value = Move> {
    let arrive = (
        0..12u64,
        0..Role::ALL.len(),
        proptest::option::of(0..20u64),
        prop_oneof![Just(1000u32), 1..5000u32],
        proptest::option::of(0..40_000u64),
        any::<bool>(),
        prop::bool::weighted(0.1),
    );
    prop_oneof![
        8 => arrive.prop_map(|(client, role, session, cost, patience, honours, reserved)| {
            Move::Arrive { client, role, session, cost, patience, honours, reserved }
        }),
        2 => any::<usize>().prop_map(Move::Leave),
        2 => any::<usize>().prop_map(Move::Connected),
        8 => (any::<usize>(), 0..13u8, proptest::option::of(0..20u64)).prop_map(|(i, how, s)| Move::Done(i, how, s)),
        6 => prop_oneof![4 => 0..3000u64, 1 => Just(0)].prop_map(Move::Advance),
        1 => (30_000..90_000u64).prop_map(Move::Advance),
        1 => prop_oneof![9 => any::<bool>().prop_map(Move::Maintenance), 1 => Just(Move::Drain)],
        1 => prop::bool::weighted(0.3).prop_map(Move::Bypass),
        1 => (0..4u16).prop_map(Move::Restarted),
        1 => (0..4u16, 0..6u32, any::<bool>()).prop_map(|(server, slots, most)| Move::Slots(server, slots, most)),
        1 => (0..4u16, standings()).prop_map(|(server, standing)| Move::Health(server, standing)),
        1 => (1..16u8, 1..6u32, prop::bool::weighted(0.1)).prop_map(|(which, limit, observe)| Move::Pool(which, limit, observe)),
    ]
}

/// Whatever a monitor may say, and more.
fn standings() -> impl Strategy<Value = Standing> {
    let phase = (0..Phase::ALL.len()).prop_map(|at| Phase::ALL[at]);
    (phase, proptest::option::of(0..4u32), 0..1200u32, any::<bool>())
        .prop_map(|(phase, cap, ramp_milli, refused)| Standing { phase, cap, ramp_milli, refused })
}

fn pick(calls: &[CallId], index: usize) -> Option<CallId> {
    (!calls.is_empty()).then(|| calls[index % calls.len()])
}

fn step(world: &mut World, base: &Plan, what: Move) {
    match what {
        Move::Arrive { client, role, session, cost, patience, honours, reserved } => {
            let deadline = patience.map(|ms| world.now + Span::millis(ms));
            world.arrive(Arrival {
                session: session.map(SessionKey),
                cost_milli: cost,
                deadline,
                honours_retry_after: honours,
                reserved,
                ..arrival(client, Role::ALL[role])
            });
        }
        Move::Leave(index) => {
            let live: Vec<CallId> = world.held().into_iter().chain(world.in_flight()).collect();
            if let Some(call) = pick(&live, index) {
                world.event(Event::ClientGone(call));
            }
        }
        Move::Connected(index) => {
            if let Some(call) = pick(&world.in_flight(), index) {
                world.event(Event::Connected(call));
            }
        }
        Move::Done(index, how, session) => {
            let Some(call) = pick(&world.in_flight(), index) else {
                return;
            };
            let outcome = match how {
                0 => Outcome::Broken,
                1 => Outcome::Overload,
                2 => Outcome::Incomplete,
                3 => Outcome::ConnectFailed,
                4 => Outcome::Answered { opened: None, closed: true },
                12 => Outcome::Parked,
                10 | 11 => Outcome::NotConnected(Cause::ALL[usize::from(how) % Cause::ALL.len()]),
                5 | 6 => Outcome::Answered { opened: session.map(SessionKey), closed: false },
                _ => Outcome::Answered { opened: None, closed: false },
            };
            // A call whose connection stands cannot fail to connect.
            let stands = world.connected.contains(&call);
            let unsent = matches!(outcome, Outcome::ConnectFailed | Outcome::NotConnected(_));
            let outcome = if unsent && stands { Outcome::Broken } else { outcome };
            world.event(Event::Done(call, outcome));
        }
        Move::Advance(ms) => world.advance(Span::millis(ms)),
        Move::Maintenance(on) => world.event(Event::Maintenance(on)),
        Move::Bypass(on) => world.event(Event::Bypass(on)),
        Move::Drain => world.event(Event::Drain),
        Move::Health(server, standing) => world.event(Event::Health(ServerId(server), standing)),
        Move::Restarted(server) => world.event(Event::Restarted(ServerId(server))),
        Move::Slots(server, slots, most) => {
            let slots = if most { Slots::AtMost(slots) } else { Slots::AllBut(slots) };
            world.event(Event::Slots(ServerId(server), slots));
        }
        Move::Pool(which, limit, observe) => {
            let names = ["a", "b", "c", "d"].iter().enumerate().filter(|(index, _)| which >> index & 1 == 1);
            let server = |(index, name): (usize, &&str)| ServerPlan {
                name: (*name).into(),
                limit: LimitPlan::Static(limit),
                standby: index == 3 && which != 8,
            };
            let servers = names.map(server).collect();
            let mode = if observe { Mode::Observe } else { base.mode };
            world.apply(Plan { servers, mode, ..base.clone() });
        }
    }
}

fn play(base: Plan, trace: Vec<Move>) -> World {
    let mut world = World::new(base.clone());
    for what in trace {
        step(&mut world, &base, what);
    }
    world
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, max_shrink_iters: 2000, ..ProptestConfig::default() })]

    /// Bounds, conservation, each held call leaves exactly once, nobody is dispatched who is gone.
    #[test]
    fn bounds_and_conservation(limit in 1..4u32, held_max in 1..12u32, trace in prop::collection::vec(moves(), 0..150)) {
        let base = Plan { held_max, held_per_client_max: 3, ..plan(limit) };
        let mut world = play(base, trace);
        world.event(Event::Maintenance(false));
        // Let everything end: what is in flight is answered, time passes.
        for _ in 0..200 {
            let Some(call) = world.in_flight().first().copied() else { break };
            world.event(Event::Done(call, Outcome::Answered { opened: None, closed: false }));
        }
        world.advance(Span::secs(200));
        prop_assert!(world.held().is_empty(), "none outlives its deadline");
        let end = world.machine.snapshot(world.now);
        prop_assert!(end.servers.iter().all(|server| server.orphans == 0 && server.in_flight == 0), "{end:?}");
        prop_assert_eq!(end.pending, 0);
        prop_assert_eq!(world.machine.next_wake(), None, "nothing is left to wait for");
    }

    /// The same, over a pool of three to begin with.
    #[test]
    fn pools(trace in prop::collection::vec(moves(), 0..150)) {
        let servers = ["a", "b", "c"].map(|name| ServerPlan { name: name.into(), limit: LimitPlan::Static(2), standby: false }).to_vec();
        play(Plan { servers, ..plan(2) }, trace);
    }

    /// In observe mode everything passes.
    #[test]
    fn observe_lets_everything_pass(trace in prop::collection::vec(moves(), 0..100)) {
        let world = play(Plan { mode: Mode::Observe, ..plan(1) }, trace);
        prop_assert!(world.held().is_empty());
        let refused = world.log.iter().any(|(_, action)| matches!(action, Action::TurnAway { reason, .. }
            if !matches!(reason, Reason::ServerDown | Reason::Draining | Reason::NoPort | Reason::Memory)));
        prop_assert!(!refused);
    }

    /// Work conserving: a free slot and a held call do not meet, but for who opens a session while batches are let in.
    #[test]
    fn work_conserving(limit in 1..4u32, trace in prop::collection::vec(moves(), 0..150)) {
        let base = plan(limit);
        let mut world = World::new(base.clone());
        for what in trace {
            let skip = match &what {
                Move::Arrive { role, .. } => Role::ALL[*role] == Role::Bulk, // its own cap may leave slots free
                Move::Done(_, 3 | 10 | 11, _) | Move::Health(..) | Move::Maintenance(_) | Move::Pool(..) | Move::Bypass(_) | Move::Drain | Move::Slots(..) => true,
                _ => false,
            };
            if skip { continue; }
            step(&mut world, &base, what);
            let snapshot = world.machine.snapshot(world.now);
            let held: u32 = snapshot.held.iter().sum();
            let server = &snapshot.servers[0];
            // Between batches, and while a server is in doubt, clients that open a session wait; nobody else does.
            let kept = server.recovery.is_some() || server.phase == Phase::Suspect;
            let waits = if kept { held - snapshot.held[Class::NewSession as usize] } else { held };
            prop_assert!(waits == 0 || server.in_flight >= limit, "{snapshot:?}");
        }
    }

    /// The same trace and seed give the same decisions.
    #[test]
    fn deterministic(trace in prop::collection::vec(moves(), 0..100)) {
        prop_assert_eq!(play(plan(2), trace.clone()).log, play(plan(2), trace).log);
    }

    /// A trace that begins in the middle replays to the same decisions.
    #[test]
    fn a_trace_replays(before in prop::collection::vec(moves(), 0..100), after in prop::collection::vec(moves(), 0..100)) {
        let limits = [LimitPlan::Static(2), LimitPlan::Adaptive { most: 8, first: 1 }].iter().zip(["a", "b"]);
        let servers = limits.map(|(limit, name)| ServerPlan { name: name.into(), limit: *limit, standby: false }).collect();
        let base = Plan { servers, ..plan(2) };
        let mut world = World::new(base.clone());
        before.into_iter().for_each(|what| step(&mut world, &base, what));
        world.record();
        after.into_iter().for_each(|what| step(&mut world, &base, what));
        let trace = world.recorded();
        let report = replay(|| Ok(&trace[..])).unwrap();
        prop_assert_eq!(report.first_difference, None);
        prop_assert!(report.identical);
    }

    /// With equal patience, who came first is never dispatched later.
    #[test]
    fn seniority(clients in prop::collection::vec(0..30u64, 1..60)) {
        let mut world = World::new(plan(1));
        let mut first_seen: Vec<u64> = Vec::new();
        for client in clients {
            if !first_seen.contains(&client) { first_seen.push(client); }
            world.arrive(arrival(client, Role::Open));
            world.advance(Span::millis(10));
        }
        let mut order = Vec::new();
        while let Some(call) = world.in_flight().first().copied() {
            order.push(world.arrivals[&call].1.client.0);
            world.event(Event::Done(call, Outcome::Answered { opened: None, closed: false }));
        }
        let served: Vec<usize> = order[1..].iter().map(|c| first_seen.iter().position(|f| f == c).unwrap()).collect();
        prop_assert!(served.is_sorted(), "{served:?}");
    }

    /// Clients with equal demand differ by at most one call (of equal cost) at any time.
    #[test]
    fn fairness(burst in 3..8usize, clients in 2..6u64) {
        let mut world = World::new(plan(1));
        world.arrive(arrival(99, Role::Call));
        for client in 0..clients {
            for _ in 0..burst { world.arrive(arrival(client, Role::Call)); }
        }
        let mut served = vec![0i32; clients as usize];
        while let Some(call) = world.in_flight().first().copied() {
            let client = world.arrivals[&call].1.client.0;
            if client < clients { served[client as usize] += 1; }
            let (low, high) = (served.iter().min().unwrap(), served.iter().max().unwrap());
            prop_assert!(high - low <= 1, "{served:?}");
            world.advance(Span::millis(1));
            world.event(Event::Done(call, Outcome::Answered { opened: None, closed: false }));
        }
        prop_assert_eq!(served.iter().sum::<i32>() as usize, burst * clients as usize);
    }

    /// Over any window of ten completions a waiting class gets its guarantee.
    #[test]
    fn guarantees(limit in 1..4u32, mix in prop::collection::vec(0..4usize, 0..20)) {
        let mut world = World::new(Plan { held_per_client_max: 1000, settle_calls: u32::MAX, settle_after: Span::secs(9999), ..plan(limit) });
        let session = |world: &mut World| {
            let call = world.arrive(arrival(1000, Role::Open));
            world.event(Event::Done(call, Outcome::Answered { opened: Some(SessionKey(5)), closed: false }));
        };
        session(&mut world);
        let new = |class: usize, n: u64| match class {
            0 => Arrival { session: Some(SessionKey(5)), cost_milli: 100, ..arrival(1, Role::Call) },
            1 => arrival(10_000 + n, Role::Open),
            2 => arrival(2, Role::Call),
            _ => arrival(n % 7, Role::Bulk),
        };
        let classes = [Class::Continuation, Class::NewSession, Class::Steady, Class::Bulk];
        let mut n = 0;
        let mut top_up = |world: &mut World| {
            for (index, class) in classes.iter().enumerate() {
                while world.machine.snapshot(world.now).held[*class as usize] < 3 {
                    n += 1;
                    world.arrive(new(index, n));
                }
            }
        };
        for n in 0..limit { world.arrive(arrival(600_000 + u64::from(n), Role::Call)); }
        top_up(&mut world);
        for class in mix { world.arrive(new(class, 500_000)); world.advance(Span::millis(1)); }
        // All four wait from here on. Serve, topping up, and watch the work dispatched per class.
        let least = [0.0, 0.25, 0.10, 0.10]; // continuation is first by rank: it may take all that is not guaranteed
        let mut work = Vec::new();
        let seen = world.log.len();
        for _ in 0..120 {
            let Some(call) = world.in_flight().first().copied() else { break };
            world.event(Event::Done(call, Outcome::Answered { opened: None, closed: false }));
            world.advance(Span::millis(5));
            top_up(&mut world);
        }
        for (_, action) in &world.log[seen..] {
            if let Action::Admit { call, .. } = action
                && let Some(class) = world.machine.class_of(*call).or_else(|| class_by(&world, *call)) {
                work.push((class, f64::from(world.arrivals[call].1.cost_milli)));
            }
        }
        let total: f64 = work.iter().map(|(_, work)| work).sum();
        for (class, least) in classes.iter().zip(least) {
            let got: f64 = work.iter().filter(|(c, _)| c == class).map(|(_, work)| work).sum();
            prop_assert!(got + 4000.0 >= least * total, "{class}: {got} of {total}");
        }
    }
}

/// The class of a call that has ended, from what arrived.
fn class_by(world: &World, call: CallId) -> Option<Class> {
    let (_, arrival) = world.arrivals.get(&call)?;
    Some(match (arrival.role, arrival.session) {
        (Role::Open, _) => Class::NewSession,
        (Role::Bulk, _) => Class::Bulk,
        (_, Some(_)) => Class::Continuation,
        _ => Class::Steady,
    })
}

#[test]
fn time_never_has_to_start_at_zero() {
    let mut world = World::new(plan(1));
    world.now = Nanos(1 << 62);
    let call = world.arrive(arrival(1, Role::Call));
    assert_eq!(world.fates[&call], Fate::InFlight(ServerId(0)));
}
