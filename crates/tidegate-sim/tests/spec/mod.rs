//! The spec that the tests of whole runs begin with, and how they play it.
#![allow(dead_code, clippy::unwrap_used, reason = "shared by several test binaries; tests may panic")]

use serde_json::{Value, json};
use tidegate_sim::policy::PolicySpec;
use tidegate_sim::report::Report;
use tidegate_sim::run::simulate;
use tidegate_sim::spec::Spec;

/// 300 hosts before a server with a knee of 22: 32.4 s of work.
pub fn storm() -> Value {
    json!({
        "format": 1, "seed": 1, "window_s": 300, "sample_s": 0.5,
        "servers": [{"name": "vp-a", "law": {"kind": "usl", "knee": 22, "unit_s": 0.5}}],
        "populations": [{
            "name": "hosts", "hosts": 300, "spread_s": 2, "timeout_s": 30, "poll_s": 10,
            "script": [{"operation": "setContext", "role": "open", "units": 1.0},
                       {"operation": "queryArrays", "role": "call", "units": 0.333_333, "times": 3}],
            "poll": {"operation": "getEvents", "role": "poll", "units": 0.01},
            "retry": {"kind": "fixed", "min_s": 10, "max_s": 12}
        }],
        "network": {"delay_s": 0.0005}
    })
}

/// The storm with other values at some paths, as JSON pointers.
pub fn with(changes: &[(&str, Value)]) -> Value {
    let mut spec = storm();
    for (path, value) in changes {
        let (parent, key) = path.rsplit_once('/').unwrap();
        let parent = spec.pointer_mut(parent).unwrap();
        match parent {
            Value::Array(list) => list.push(value.clone()),
            parent => parent[key] = value.clone(),
        }
    }
    spec
}

pub fn read(spec: &Value) -> Spec {
    Spec::parse(spec.to_string().as_bytes()).unwrap()
}

/// Plays a spec under a policy.
pub fn play(spec: &Value, policy: &str) -> Report {
    let policy = PolicySpec::parse(policy.as_bytes()).unwrap();
    simulate(read(spec), &policy, &mut |_| true).unwrap().unwrap()
}

pub const STATIC: &str = r#"{"kind": "tidegate", "limit": 22}"#;
