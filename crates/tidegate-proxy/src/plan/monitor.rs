//! The part of the plan that says how servers are probed.

use serde::{Deserialize, Serialize};
use tidegate_core::health::Settings;

/// How each server of a service is probed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MonitorPlan {
    /// What a probe does.
    pub probe: ProbePlan,
    /// How often, and what follows from it.
    pub settings: Settings,
}

/// What a probe does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum ProbePlan {
    /// Opens a connection, and closes it.
    Tcp {},
    /// Waits for the server's half of the handshake, and resets: the server's process sees nothing of it.
    HalfOpen {},
    /// Opens a connection and shakes hands over TLS. Where TLS passes through the certificate is not verified.
    Tls {},
    /// Asks for a page, over TLS where the server speaks it.
    Http {
        /// Its path and query.
        path: String,
        /// Statuses that are good, 1 to 32 of them.
        status: Vec<u16>,
    },
}

impl ProbePlan {
    /// Its word in the plan, in status and in sentences.
    pub fn word(&self) -> &'static str {
        match self {
            ProbePlan::Tcp {} => "tcp",
            ProbePlan::HalfOpen {} => "half-open",
            ProbePlan::Tls {} => "tls",
            ProbePlan::Http { .. } => "http",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Plan, parse};
    use serde_json::{Value, json};

    /// The plan of a service with a monitor, with something else at `at`.
    fn parsed(at: &str, value: Value) -> Result<Plan, String> {
        let mut plan: Value = serde_json::from_str(include_str!("../../../../fuzz/corpus/plan/http")).unwrap();
        *plan.pointer_mut(&format!("/services/0{at}")).unwrap() = value;
        parse(plan.to_string().as_bytes()).map_err(|error| error.to_string())
    }

    #[test]
    fn monitors_are_read() {
        for (probe, word) in [
            (json!({"kind": "tcp"}), "tcp"),
            (json!({"kind": "half-open"}), "half-open"),
            (json!({"kind": "http", "path": "/a?b", "status": [200, 301]}), "http"),
        ] {
            let plan = parsed("/monitor/probe", probe).unwrap();
            assert_eq!(plan.services[0].monitor.as_ref().unwrap().probe.word(), word);
        }
        let plan = parsed("/monitor/settings/fall", json!(1)).unwrap();
        assert_eq!(plan.services[0].monitor.as_ref().unwrap().settings, Settings { fall: 1, ..Settings::default() });
        assert_eq!(parsed("/monitor", Value::Null).unwrap().services[0].monitor, None);
    }

    #[test]
    fn each_error_names_its_field() {
        for (at, value, says) in [
            ("/monitor/settings/fall", json!(0), "services[0].monitor.settings.fall must be 1 to 50"),
            ("/monitor/settings/fast_ns", json!(3_000_000_000_u64), "settings.fast must be 10 ms to the interval"),
            ("/monitor/settings/interval_ns", json!(1), "settings.interval must be 10 ms to 1 hour"),
            ("/monitor/probe/path", json!("health"), "probe.path must begin with '/'"),
            ("/monitor/probe/path", json!("/a b\r\n"), "probe.path must begin with '/' and have no spaces"),
            ("/monitor/probe/status", json!([]), "probe.status must be 1 to 32 numbers"),
            ("/monitor/probe/status", json!([99]), "probe.status must be 1 to 32 numbers"),
            ("/monitor/probe", json!({"kind": "tls"}), "probe.kind is tls, but not every server speaks TLS"),
            ("/monitor/probe", json!({"kind": "icmp"}), "icmp"),
            ("/admission/servers/0/standby", json!(true), "every server is a standby"),
        ] {
            let error = parsed(at, value).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
    }
}
