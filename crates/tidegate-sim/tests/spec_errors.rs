//! Specs and policies that cannot be played: each is told by its path, with a hint.
#![allow(clippy::unwrap_used, reason = "tests")]

mod spec;

use serde_json::{Value, json};
use spec::{storm, with};
use tidegate_sim::policy::PolicySpec;
use tidegate_sim::spec::Spec;

fn wrong(path: &str, value: Value, told: &str) {
    let error = Spec::parse(with(&[(path, value)]).to_string().as_bytes()).unwrap_err();
    assert_eq!(error.path, told, "{error}");
    assert!(!error.hint.is_empty() && error.to_string().starts_with(told), "{error}");
}

#[test]
fn every_wrong_number_is_told_by_its_path() {
    wrong("/populations/0/hosts", json!(-5), "populations[0].hosts");
    wrong("/servers/0/law", json!({"kind": "usl", "knee": 0, "unit_s": 0.5}), "servers[0].law.knee");
    wrong("/servers/0/law", json!({"kind": "cliff", "unit_s": 0.5}), "servers[0].law.knee");
    wrong("/servers/0/law", json!({"kind": "usl", "sigma": 2, "kappa": 0.002, "unit_s": 0.5}), "servers[0].law.kappa");
    wrong("/servers/0/law", json!({"kind": "usl", "knee": 22, "unit_s": 0}), "servers[0].law.unit_s");
    wrong("/servers/0/threads", json!(0), "servers[0].threads");
    wrong("/servers/0/changes", json!([{"at_s": 5}]), "servers[0].changes[0].at_s");
    wrong("/servers/0/changes", json!([{"at_s": 5, "knee": 0}]), "servers[0].changes[0].knee");
    wrong("/servers/0/cold_factor", json!(-1), "servers[0].cold_factor");
    wrong("/populations/0/timeout_s", json!(0), "populations[0].timeout_s");
    wrong("/populations/0/retry", json!({"kind": "greedy", "s": 0}), "populations[0].retry (its shorter time)");
    wrong("/populations/0/script", json!([]), "populations[0].script");
    wrong("/populations/0/poll/role", json!("call"), "populations[0].poll.role");
    wrong("/network/delay_s", json!(-0.1), "network.delay_s");
    wrong("/network/flaps", json!([{"at_s": -1, "for_s": 2}]), "network.flaps[0].at_s");
    wrong("/gate", json!({"expected_hosts": 0}), "gate.expected_hosts");
    wrong("/window_s", json!(0), "window_s");
    wrong("/sample_s", json!(0), "sample_s");
    wrong("/format", json!(2), "format");
    wrong("/servers", json!([]), "servers");
    wrong("/servers/1", storm()["servers"][0].clone(), "servers[1].name");
}

#[test]
fn what_cannot_be_read_is_told_with_the_name_of_the_field() {
    let told = |path: &str, value: Value| {
        let error = Spec::parse(with(&[(path, value)]).to_string().as_bytes()).unwrap_err();
        assert_eq!(error.path, "spec");
        error.to_string()
    };
    assert!(told("/wndow_s", json!(3)).contains("wndow_s"));
    assert!(told("/populations/0/hots", json!(3)).contains("population \"hosts\": unknown field `hots`"));
    assert!(told("/populations/0/kind", json!("guests")).contains("must be \"hosts\" or \"bulk\""));
    assert!(Spec::parse(b"no JSON").is_err());
}

#[test]
fn a_policy_is_known_and_has_its_numbers() {
    let told = |text: &str| {
        let error = PolicySpec::parse(text.as_bytes()).unwrap_err();
        assert!(!error.hint.is_empty(), "{error}");
        error
    };
    let unknown = told("magic");
    assert_eq!(unknown.path, "policy");
    assert!(unknown.message.contains("magic") && unknown.hint.contains("kb-manual"));
    assert_eq!(told(r#"{"kind": "tidegate", "limit": 0}"#).path, "policy.limit");
    assert_eq!(told(r#"{"kind": "haproxy", "maxconn": 0, "timeout_queue_s": 5}"#).path, "policy.maxconn");
    assert_eq!(told(r#"{"kind": "nginx-req", "rate_per_s": -1, "burst": 5}"#).path, "policy.rate_per_s");
    assert_eq!(told(r#"{"kind": "kb-manual", "batch": 0}"#).path, "policy.batch");
    assert!(told(r#"{"kind": "none", "limit": 3}"#).message.contains("limit"));
    assert!(told(r#"{"kind": "envoy-adaptive", "bufer": 3}"#).message.contains("bufer"));
    assert!(told(r#"{"kind": "nginx-conn"}"#).message.contains("limit"));
    for fine in ["none", "tidegate", "kb-manual", "envoy-adaptive", r#"{"kind": "tidegate", "limit": {"most": 64}}"#] {
        PolicySpec::parse(fine.as_bytes()).unwrap();
    }
}
