//! Whole runs: the storm of KB 412434 under each policy, in virtual time.
#![allow(clippy::unwrap_used, reason = "tests")]

use serde_json::{Value, json};
use tidegate_sim::policy::PolicySpec;
use tidegate_sim::report::Report;
use tidegate_sim::run::simulate;
use tidegate_sim::spec::Spec;

/// 300 hosts before a server with a knee of 22.
fn storm() -> Value {
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

fn play(spec: &Value, policy: &str) -> Report {
    let spec = Spec::parse(spec.to_string().as_bytes()).unwrap();
    let policy = PolicySpec::parse(policy.as_bytes()).unwrap();
    simulate(spec, &policy, &mut |_| true).unwrap().unwrap()
}

#[test]
fn try_it() {
    for policy in ["none", r#"{"kind":"tidegate","limit":22}"#, "kb-manual"] {
        let mut report = play(&storm(), policy);
        report.curves = Default::default();
        println!("{}", serde_json::to_string(&report).unwrap());
    }
}
