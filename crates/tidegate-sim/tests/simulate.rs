//! Whole runs in virtual time: the storm of KB 412434, and what may go wrong in it.
#![allow(clippy::unwrap_used, reason = "tests")]

mod spec;

use serde_json::json;
use spec::{STATIC, play, read, storm, with};
use tidegate_core::admission::LimitPlan;
use tidegate_sim::engine::{Begin, Fault, World};
use tidegate_sim::policy::{Gate, plan};
use tidegate_sim::run::simulate;
use tidegate_sim::time::Span;

#[test]
fn a_seed_decides_the_run() {
    for policy in ["none", STATIC, "tidegate", "envoy-adaptive", "envoy-admission"] {
        let run = |seed: u64| serde_json::to_value(play(&with(&[("/seed", json!(seed))]), policy)).unwrap();
        let (first, other) = (run(1), run(2));
        assert_eq!(first, run(1), "{policy}");
        assert_ne!(first["curves"], other["curves"], "{policy}");
    }
}

#[test]
fn the_machine_and_the_server_agree_at_every_step() {
    let spec = read(&storm());
    let gate = Gate::new(plan(&spec, LimitPlan::Static(22)), None).unwrap();
    let mut world = World::new(spec, gate, Begin::Spread).unwrap();
    world.policy_mut().listen();
    let mut told = 0;
    while world.step() {
        let snapshot = world.policy().machine().snapshot(world.now());
        let held: u32 = snapshot.held.iter().sum();
        let counters = &snapshot.counters;
        let known = counters.admitted + counters.turned_away_total() + counters.client_gone;
        assert_eq!(counters.arrived, known + u64::from(held) + u64::from(snapshot.pending));
        assert_eq!(counters.unknown_call, 0);
        assert_eq!(snapshot.servers[0].in_flight as usize, world.in_flight(0));
        assert!(world.in_flight(0) <= 22);
        told += world.policy_mut().take_told().len();
    }
    assert_eq!((world.connected(), world.share()), (300, 1.0));
    assert!(told as u64 > 300 * 5, "arrivals and answers are events of the machine");
    assert_eq!(world.server_tally(0).wasted_units, 0.0);
}

#[test]
fn work_is_done_once_for_each_call_that_is_answered() {
    let report = play(&storm(), STATIC);
    let answered = report.populations[0].answered as f64;
    assert!(answered >= 1200.0 && report.useful_units >= 600.0 - 1e-3);
    assert!(report.useful_units <= 600.0 + 0.01 * (answered - 1200.0), "{} units", report.useful_units);
    assert_eq!((report.wasted_units, report.lost_units), (0.0, 0.0));
}

#[test]
fn a_run_can_be_ended_and_tells_how_far_it_is() {
    let policy = tidegate_sim::policy::PolicySpec::parse(b"none").unwrap();
    let mut shares = Vec::new();
    let report = simulate(read(&storm()), &policy, &mut |share| {
        shares.push(share);
        true
    });
    assert!(report.unwrap().is_some());
    assert!(shares.is_sorted() && shares.last() == Some(&1.0));
    assert!(simulate(read(&storm()), &policy, &mut |_| false).unwrap().is_none());
}

#[test]
fn curves_begin_and_end_with_the_run() {
    let report = play(&storm(), STATIC);
    let curves = &report.curves;
    assert_eq!((curves.t[0], curves.connected[0]), (0.0, 0));
    assert_eq!((curves.t.last().copied(), curves.connected.last().copied()), (Some(report.played_s), Some(300)));
    assert!(curves.held.iter().any(|held| *held > 200) && curves.in_flight.contains(&22));
    assert!(curves.limit.iter().all(|limit| *limit == 22));
}

#[test]
fn capacity_may_change_on_the_way() {
    let change = json!([{"at_s": 10, "knee": 7, "unit_s": 1.0}]);
    let spec = with(&[("/servers/0/changes", change), ("/window_s", json!(2000))]);
    for policy in [r#"{"kind": "tidegate", "limit": 7}"#, "tidegate"] {
        let report = play(&spec, policy);
        assert_eq!(report.connected, 300, "{policy}");
        assert!(report.last_connected_s.unwrap() >= report.floor_s.unwrap(), "{policy}");
    }
    assert!(play(&spec, STATIC).floor_s.unwrap() > 100.0);
}

#[test]
fn a_restart_costs_all_sessions_and_all_come_back() {
    let change = json!([{"at_s": 20, "restart_for_s": 10}]);
    let spec = with(&[("/servers/0/changes", change), ("/window_s", json!(2000))]);
    for policy in [STATIC, "tidegate"] {
        let report = play(&spec, policy);
        assert_eq!(report.connected, 300, "{policy}");
        assert!((report.floor_s.unwrap() - 62.38).abs() < 0.1, "{:?}", report.floor_s);
        assert!(report.last_connected_s.unwrap() >= 60.0);
        assert!(report.lost_units > 0.0);
        let fell = report.curves.connected.is_sorted();
        assert!(!fell, "who was connected to a server that fell is not connected any more");
    }
}

#[test]
fn a_server_that_is_taken_too_far_crashes_and_a_gate_keeps_it_from_that() {
    let spec = with(&[("/servers/0/crash_at", json!(100))]);
    let none = play(&spec, "none");
    assert!(none.connected < 300 && none.lost_units > 0.0 && none.failed_attempts.broken > 0);
    assert!(none.failed_attempts.refused > 0, "it was away for ten seconds each time");
    let held = play(&spec, STATIC);
    assert_eq!((held.connected, held.lost_units), (300, 0.0));
}

#[test]
fn a_server_that_comes_late_and_cold_takes_longer_by_as_much() {
    let late = with(&[("/servers/0/down_until_s", json!(10))]);
    assert!((play(&late, STATIC).floor_s.unwrap() - 42.38).abs() < 0.1);
    let cold = with(&[
        ("/servers/0/down_until_s", json!(10)),
        ("/servers/0/cold_s", json!(20)),
        ("/servers/0/cold_factor", json!(2)),
    ]);
    let report = play(&cold, STATIC);
    assert!((report.floor_s.unwrap() - 52.2).abs() < 0.5, "{:?}", report.floor_s);
    assert_eq!(report.connected, 300);
}

#[test]
fn a_flap_cuts_all_off_and_leaves_the_sessions_alone() {
    let spec = with(&[("/network/flaps", json!([{"at_s": 50, "for_s": 20}]))]);
    let report = play(&spec, STATIC);
    assert_eq!(report.connected, 300);
    assert!(report.last_connected_s.unwrap() > 70.0, "a run is not over before what is still to come");
    assert!(report.failed_attempts.refused > 0);
    assert_eq!(report.lost_units, 0.0);
}

#[test]
fn a_gate_that_is_restarted_forgets_calls_and_keeps_the_rest() {
    let spec = with(&[("/gate", json!({"restart_at_s": [10], "down_s": 1.0}))]);
    for policy in [STATIC, "tidegate", r#"{"kind": "haproxy", "maxconn": 22, "timeout_queue_s": 25}"#] {
        let report = play(&spec, policy);
        assert_eq!(report.connected, 300, "{policy}");
        assert!(report.failed_attempts.broken > 0, "what it held was cut off: {policy}");
        assert!(report.wasted_units > 0.0, "what the server worked on was for nobody: {policy}");
    }
    assert_eq!(play(&spec, "none").failed_attempts.broken, 0, "there is no gate to restart");
}

#[test]
fn hosts_and_bulk_callers_share_a_gate() {
    let bulk = json!({"name": "backup", "kind": "bulk", "principals": 4, "rate_per_s": 3.0, "units": 8.0, "timeout_s": 60,
                      "operation": "RetrieveProperties"});
    let report = play(&with(&[("/populations/1", bulk)]), STATIC);
    assert_eq!((report.hosts, report.connected), (300, 300));
    let backup = &report.populations[1];
    assert_eq!((backup.name.as_str(), backup.hosts), ("backup", 0));
    assert!(backup.answered > 0 && backup.failed_attempts != Default::default());
}

#[test]
fn hosts_of_two_servers_go_back_to_where_their_session_is() {
    let second = json!({"name": "vp-b", "law": {"kind": "cliff", "knee": 10, "unit_s": 0.5}});
    let spec = with(&[("/servers/1", second)]);
    for policy in [STATIC, "none", r#"{"kind": "haproxy", "maxconn": 10, "timeout_queue_s": 25}"#] {
        let report = play(&spec, policy);
        assert!(policy == "none" || report.connected == 300, "{policy}");
        assert_eq!(report.failed_attempts.broken, 0, "no session was asked for where it is not known: {policy}");
    }
}

#[test]
fn faults_may_be_added_between_two_steps() {
    let spec = read(&with(&[("/window_s", json!(2000))]));
    let gate = Gate::new(plan(&spec, LimitPlan::Static(22)), None).unwrap();
    let law = spec.servers[0].law;
    let mut world = World::new(spec, gate, Begin::Spread).unwrap();
    let mut steps = 0;
    while world.step() {
        steps += 1;
        match steps {
            500 => world.fault(Fault::Crash(0, Span::secs(5))),
            700 => world.fault(Fault::Law(0, tidegate_sim::spec::LawSpec { unit_s: 1.0, ..law })),
            800 => world.fault(Fault::GateDown(true)),
            820 => world.fault(Fault::GateDown(false)),
            900 => world.fault(Fault::Cut(true)),
            920 => world.fault(Fault::Cut(false)),
            1000 => world.fault(Fault::Jump(Span::secs(30))),
            _ if steps < 1500 && steps % 97 == 0 => {
                world.calls().first().into_iter().for_each(|call| world.fault(Fault::Leave(*call)))
            }
            _ => {}
        }
    }
    assert!(world.is_over() && world.connected() == 300, "{} connected after {steps} steps", world.connected());
    assert!(world.server_tally(0).lost_units > 0.0 && world.is_up(0) && world.gate_is_up());
}
