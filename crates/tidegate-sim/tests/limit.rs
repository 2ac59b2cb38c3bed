//! The limit that nobody gave: found on servers whose law, knee, unit of work and moods the gate cannot know.
#![allow(clippy::unwrap_used, reason = "tests")]

mod spec;

use serde_json::{Value, json};
use spec::{play, with};
use tidegate_sim::rng::SplitMix64;

const LAWS: [&str; 3] = ["usl", "cliff", "convoy"];
const ADAPTIVE: &str = r#"{"kind": "tidegate", "limit": {"most": 256}}"#;

/// Hosts that all come at once to a server with this law.
fn storm(hosts: u32, law: Value, window_s: f64) -> Value {
    with(&[
        ("/seed", json!(hosts)),
        ("/window_s", json!(window_s)),
        ("/sample_s", json!(1)),
        ("/servers/0/law", law),
        ("/populations/0/hosts", json!(hosts)),
    ])
}

/// A random server of each law, with as many hosts as keep it busy for two minutes or more.
fn servers() -> Vec<(&'static str, u32, f64, u32)> {
    let mut rng = SplitMix64::new(2026);
    let draws = (0..8).flat_map(|_| LAWS).map(|law| {
        let (knee, unit_s) = (6 + (rng.unit() * 40.0) as u32, 0.05 * 20f64.powf(rng.unit()));
        let best = f64::from(knee) / unit_s * if law == "usl" { 0.42 } else { 1.0 };
        (law, knee, unit_s, ((60.0 * best) as u32).clamp(100, 4000))
    });
    draws.collect()
}

#[test]
fn every_law_is_found_without_collapse_or_waste() {
    for (law, knee, unit_s, hosts) in servers() {
        let what = format!("{law}, knee {knee}, unit {unit_s:.3} s, {hosts} hosts");
        let report = play(&storm(hosts, json!({"kind": law, "knee": knee, "unit_s": unit_s}), 1200.0), ADAPTIVE);
        let (floor, last) = (report.floor_s.unwrap(), report.last_connected_s);
        println!("{what}: {last:?} s, floor {floor:.1} s, limit {:?}", report.curves.limit.last());
        assert_eq!(report.connected, hosts, "{what}");
        assert_eq!((report.failed_attempts.timeout, report.wasted_units), (0, 0.0), "{what}");
        assert!(report.max_in_flight <= (knee + knee / 3 + 2) as usize, "{what}: {} in flight", report.max_in_flight);
        // The search for the limit, and the wait of the last client that was turned away, are all that may be added.
        assert!(last.unwrap() <= 1.2 * floor + 30.0 * unit_s + 12.0, "{what}: {last:?} s, floor {floor:.1} s");
    }
}

#[test]
fn a_knee_that_moves_every_30_s_is_followed() {
    for law in LAWS {
        let mut rng = SplitMix64::new(7);
        let moves: Vec<Value> =
            (1..30).map(|n| json!({"at_s": 30 * n, "knee": 8 + (rng.unit() * 32.0) as u32})).collect();
        let mut spec = storm(1500, json!({"kind": law, "knee": 22, "unit_s": 0.2}), 900.0);
        spec["servers"][0]["changes"] = moves.into();
        let report = play(&spec, ADAPTIVE);
        let (floor, last) = (report.floor_s.unwrap(), report.last_connected_s);
        println!("{law}: {last:?} s, floor {floor:.1} s, {:.4} wasted", report.wasted_work);
        assert_eq!(report.connected, 1500, "{law}");
        assert!(report.wasted_work < 0.01, "{law}: {} wasted", report.wasted_work);
        assert!(last.unwrap() <= 1.4 * floor + 12.0, "{law}: {last:?} s, floor {floor:.1} s");
    }
}

/// Three hundred hosts whose server crashes twice in the middle of the storm, away for 10 s each time; `last` changes it.
fn crashes(seed: u32, server: Value, last: Value) -> Value {
    let mut spec = storm(300, server, 300.0);
    spec["seed"] = json!(seed);
    let second = [json!({"at_s": 42.4, "restart_for_s": 10.0}), last].iter().fold(json!({}), |mut all, part| {
        part.as_object().unwrap().iter().for_each(|(key, value)| all[key] = value.clone());
        all
    });
    spec["servers"][0]["changes"] = json!([{"at_s": 16.2, "restart_for_s": 10.0}, second]);
    spec
}

#[test]
fn the_limit_of_a_server_that_comes_back_is_soon_found_again() {
    for seed in 1..9 {
        let report = play(&crashes(seed, json!({"kind": "usl", "knee": 22, "unit_s": 0.5}), json!({})), ADAPTIVE);
        let (floor, last) = (report.floor_s.unwrap() - 52.4, report.last_connected_s.unwrap() - 52.4);
        println!("seed {seed}: {last:.1} s, floor {floor:.1} s");
        assert_eq!((report.failed_attempts.timeout, report.wasted_units), (0, 0.0), "seed {seed}");
        assert!(report.max_in_flight <= 28, "seed {seed}: {} in flight", report.max_in_flight);
        assert!(last <= 1.09 * floor, "seed {seed}: {last:.1} s, floor {floor:.1} s");
    }
}

#[test]
fn one_that_comes_back_with_a_third_of_its_capacity_is_not_taken_for_the_old_one() {
    for (law, knee) in LAWS.into_iter().flat_map(|law| [(law, 22), (law, 40)]) {
        let spec = crashes(1, json!({"kind": law, "knee": knee, "unit_s": 0.5}), json!({"knee": knee / 3}));
        let report = play(&spec, ADAPTIVE);
        let (floor, last) = (report.floor_s.unwrap() - 52.4, report.last_connected_s.unwrap() - 52.4);
        println!("{law}, knee {knee}: {last:.1} s, floor {floor:.1} s");
        assert_eq!((report.failed_attempts.timeout, report.wasted_units), (0, 0.0), "{law}, knee {knee}");
        assert!(last <= 1.15 * floor, "{law}, knee {knee}: {last:.1} s, floor {floor:.1} s");
    }
}

#[test]
fn hosts_that_try_again_at_once_do_not_make_the_others_come_too_late() {
    let patient = json!({"kind": "fixed", "min_s": 10, "max_s": 12});
    for seed in 1..9 {
        let mut spec = storm(270, json!({"kind": "usl", "knee": 22, "unit_s": 0.5}), 300.0);
        spec["seed"] = json!(seed);
        let mut greedy = spec["populations"][0].clone();
        (greedy["name"], greedy["hosts"], greedy["retry"]) =
            (json!("greedy"), json!(30), json!({"kind": "greedy", "s": 0.5}));
        spec["populations"][0]["retry"] = patient.clone();
        spec["populations"].as_array_mut().unwrap().push(greedy);
        let report = play(&spec, ADAPTIVE);
        let (floor, last) = (report.floor_s.unwrap(), report.last_connected_s.unwrap());
        println!("seed {seed}: {last:.1} s, floor {floor:.1} s");
        assert!(last <= 1.15 * floor, "seed {seed}: {last:.1} s, floor {floor:.1} s");
    }
}
