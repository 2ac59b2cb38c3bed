//! What becomes of the storm of KB 412434 under each policy.
#![allow(clippy::unwrap_used, reason = "tests")]

mod spec;

use serde_json::json;
use spec::{STATIC, play, storm, with};

#[test]
fn without_a_gate_it_never_ends() {
    let report = play(&storm(), "none");
    assert!(report.connected < 30 && report.last_connected_s.is_none());
    assert!(report.wasted_work > 0.9 && report.max_in_flight > 200);
    assert!(report.failed_attempts.timeout > 1000);
}

#[test]
fn tidegate_lets_all_in_and_wastes_nothing() {
    for policy in [STATIC, "tidegate"] {
        let report = play(&storm(), policy);
        let last = report.last_connected_s.unwrap();
        assert_eq!((report.connected, report.failed_attempts.timeout, report.wasted_work), (300, 0, 0.0), "{policy}");
        assert!(last <= 1.5 * report.floor_s.unwrap(), "{policy}: {last} s");
    }
}

#[test]
fn by_hand_it_takes_as_long_as_the_pauses() {
    let manual = r#"{"kind": "kb-manual", "batch": 20, "pause_s": 10}"#;
    let report = play(&storm(), manual);
    assert_eq!((report.connected, report.failed_attempts), (300, Default::default()));
    let last = report.last_connected_s.unwrap();
    assert!((140.0..150.0).contains(&last), "{last} s: fourteen pauses and the last batch");
    assert_eq!(play(&storm(), "kb-manual").connected, 20, "batches of 10 every 150 s are not done in 300 s");
}

#[test]
fn haproxy_lets_all_in_when_it_is_told_the_knee_and_not_when_it_is_told_too_much() {
    let at = |maxconn: u32, queue_s: u32, class: bool| {
        let policy =
            json!({"kind": "haproxy", "maxconn": maxconn, "timeout_queue_s": queue_s, "class_by_operation": class});
        play(&storm(), &policy.to_string())
    };
    let best = at(22, 25, false);
    assert_eq!((best.connected, best.wasted_work, best.max_in_flight), (300, 0.0, 22));
    assert!(best.last_connected_s.unwrap() <= 1.1 * best.floor_s.unwrap());
    let classed = at(22, 25, true);
    assert_eq!((classed.connected, classed.wasted_work), (300, 0.0));
    assert!(
        classed.t50_s.unwrap() < 0.8 * best.t50_s.unwrap(),
        "half of the hosts are in early when sessions are ended first"
    );
    assert!(at(200, 25, false).connected < 300, "a limit far above the knee is none");
}

#[test]
fn haproxy_tries_a_refused_connect_again() {
    let spec = with(&[("/servers/0/down_until_s", json!(2.5))]);
    let report = play(&spec, r#"{"kind": "haproxy", "maxconn": 22, "timeout_queue_s": 25}"#);
    assert_eq!(report.connected, 300);
    assert_eq!(report.failed_attempts.refused, 0);
}

#[test]
fn nginx_without_a_queue_never_has_all_of_them_at_once() {
    let report = play(&storm(), r#"{"kind": "nginx-conn", "limit": 22}"#);
    assert!(report.connected < 300 && report.max_in_flight <= 22);
    assert!(report.failed_attempts.turned_away > 3000, "it answers 503 at once");
    let few = with(&[("/populations/0/hosts", json!(20))]);
    assert_eq!(play(&few, r#"{"kind": "nginx-conn", "limit": 22}"#).connected, 20);
}

#[test]
fn a_leaky_bucket_is_as_fast_as_its_rate() {
    let report = play(&storm(), r#"{"kind": "nginx-req", "rate_per_s": 15, "burst": 300}"#);
    assert_eq!((report.connected, report.failed_attempts.turned_away), (300, 0));
    let last = report.last_connected_s.unwrap();
    assert!(last >= 1200.0 / 15.0, "{last} s for 1200 calls at 15 per second");
    let short = play(&storm(), r#"{"kind": "nginx-req", "rate_per_s": 15, "burst": 20}"#);
    assert!(short.failed_attempts.turned_away > 200, "beyond the burst it answers 503");
}

#[test]
fn envoy_turns_away_by_latency_or_by_success() {
    let adaptive = play(&storm(), "envoy-adaptive");
    assert!(adaptive.failed_attempts.turned_away > 1000);
    assert!(adaptive.curves.limit.contains(&3) && adaptive.curves.limit.iter().any(|limit| *limit > 3));
    let light = with(&[("/populations/0/hosts", json!(20)), ("/populations/0/spread_s", json!(60))]);
    assert_eq!(play(&light, "envoy-adaptive").connected, 20);
    assert_eq!(
        play(&light, "envoy-admission").failed_attempts,
        Default::default(),
        "while all goes well it lets all pass"
    );
    let admission = play(&storm(), "envoy-admission");
    assert!(admission.failed_attempts.turned_away > 100 && admission.failed_attempts.timeout > 100);
}
