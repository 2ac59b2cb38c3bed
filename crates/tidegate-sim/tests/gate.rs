//! The gate in the storm of KB 412434, in virtual time: whatever the law and the size, greedy hosts, a server that comes back.
#![allow(clippy::unwrap_used, reason = "tests")]

mod spec;

use serde_json::{Value, json};
use spec::{STATIC, play, read, with};
use tidegate_core::admission::LimitPlan;
use tidegate_sim::engine::{Begin, World};
use tidegate_sim::policy::{Gate, plan};

fn law(kind: &str) -> (&'static str, Value) {
    ("/servers/0/law", json!({"kind": kind, "knee": 22, "unit_s": 0.5}))
}

#[test]
fn every_host_gets_in_whatever_the_law_and_the_size() {
    for kind in ["usl", "cliff", "convoy"] {
        for hosts in [30, 300, 1000] {
            let report = play(&with(&[law(kind), ("/populations/0/hosts", json!(hosts))]), STATIC);
            let (last, floor) = (report.last_connected_s.unwrap_or(f64::INFINITY), report.floor_s.unwrap());
            let turned_away = report.failed_attempts.turned_away;
            println!("{kind} {hosts}: {:.2} x floor, {turned_away} turned away", last / floor);
            assert_eq!((report.failed_attempts.timeout, report.wasted_units), (0, 0.0), "{kind}, {hosts} hosts");
            assert!(report.max_in_flight <= 23, "{} in flight", report.max_in_flight);
            // Batches of a gate that has just begun cost up to 3 s.
            assert!(last <= 1.5 * floor + 3.0, "{kind}, {hosts} hosts: {last} s, floor {floor} s");
        }
    }
}

#[test]
fn a_greedy_host_gains_nothing() {
    let mut greedy = spec::storm()["populations"][0].clone();
    (greedy["name"], greedy["hosts"]) = (json!("greedy"), json!(60));
    greedy["retry"] = json!({"kind": "greedy", "s": 0.5});
    let polite = ("/populations/0/hosts", json!(540));
    let report = play(&with(&[("/seed", json!(3)), polite, ("/populations/1", greedy)]), STATIC);
    let medians: Vec<f64> = report.populations.iter().map(|population| population.t50_s.unwrap()).collect();
    assert!(medians[1] > 0.7 * medians[0], "polite and greedy: {medians:?} s");
}

#[test]
fn a_limit_well_under_the_knee_is_only_slower() {
    let spec = with(&[("/populations/0/hosts", json!(200)), ("/window_s", json!(1000)), ("/seed", json!(5))]);
    let report = play(&spec, r#"{"kind": "tidegate", "limit": 4}"#);
    assert_eq!((report.connected, report.failed_attempts.timeout, report.max_in_flight), (200, 0, 4));
}

#[test]
fn a_server_that_comes_back_cold_gets_everybody_in() {
    let cold = [("/servers/0/cold_s", json!(10)), ("/servers/0/cold_factor", json!(2))];
    let restart = ("/servers/0/down_until_s", json!(10));
    let crash = ("/servers/0/changes", json!([{"at_s": 12, "restart_for_s": 10}]));
    for limit in [LimitPlan::Static(22), LimitPlan::Adaptive { most: 256, first: 1 }] {
        for (outage, hosts) in [(&restart, 300), (&restart, 1000), (&crash, 300), (&crash, 1000)] {
            let changes = [&cold[..], &[outage.clone(), ("/populations/0/hosts", json!(hosts))]].concat();
            let spec = read(&with(&changes));
            let floor = tidegate_sim::floor::of(&spec).unwrap();
            let gate = Gate::new(plan(&spec, limit), None).unwrap();
            let mut world = World::new(spec, gate, Begin::Spread).unwrap();
            while world.step() {}
            let all = world.connected() == world.host_count();
            let last = if all { world.rises().last().unwrap().0 as f64 / 1e9 } else { f64::INFINITY };
            let tally = world.server_tally(0);
            println!("{limit:?} {hosts}: in after {last:.1} s, floor {floor:.1} s, {:?}", world.failed_of_hosts());
            assert_eq!((world.failed_of_hosts().timeout, tally.wasted_units), (0, 0.0));
            assert!(world.strays() <= 1, "{} calls of dead sessions reached the server", world.strays());
            assert!(tally.max_in_flight <= 23 + 3, "{} in flight", tally.max_in_flight);
            assert!(last <= 1.2 * floor + 10.0, "{limit:?}, {hosts} hosts: {last} s, floor {floor} s");
        }
    }
}
