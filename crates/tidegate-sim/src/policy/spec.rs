//! A policy as JSON: its name as `kind`, and its numbers.

use super::EnvoyAdaptiveKnobs;
use crate::engine::Begin;
use crate::error::SpecError;
use serde::{Deserialize, Serialize};
use tidegate_core::admission::{Learned, LimitPlan};
use tidegate_core::time::Span;

/// Which policy, and how it is set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum PolicySpec {
    /// No gate.
    None {},
    /// No gate, and hosts that are started by hand.
    KbManual {
        /// How many at once.
        #[serde(default = "batch")]
        batch: u32,
        /// From one batch to the next.
        #[serde(default = "pause")]
        pause_s: f64,
    },
    /// tidegate.
    Tidegate {
        /// A number, or adaptive.
        #[serde(default = "adaptive")]
        limit: LimitPlan,
        /// What an earlier gate has learned.
        #[serde(default)]
        learned: Option<Learned>,
    },
    /// nginx with `limit_conn`.
    NginxConn {
        /// Calls at once.
        limit: u32,
    },
    /// nginx with `limit_req`.
    NginxReq {
        /// Calls per second.
        rate_per_s: f64,
        /// Calls that may be delayed.
        burst: u32,
    },
    /// HAProxy with `maxconn` and a queue.
    Haproxy {
        /// Calls at once per server.
        maxconn: u32,
        /// How long a call may wait.
        timeout_queue_s: f64,
        /// Calls that open sessions have a class of their own, behind all others.
        #[serde(default)]
        class_by_operation: bool,
    },
    /// Envoy with adaptive concurrency.
    EnvoyAdaptive(EnvoyAdaptiveKnobs),
    /// Envoy with admission control.
    EnvoyAdmission {},
}

/// The words for the policies.
pub const KINDS: &str = "none, kb-manual, nginx-conn, nginx-req, haproxy, envoy-adaptive, envoy-admission, tidegate";

fn batch() -> u32 {
    10
}

fn pause() -> f64 {
    150.0
}

fn adaptive() -> LimitPlan {
    LimitPlan::Adaptive { most: 256, first: 1 }
}

impl PolicySpec {
    /// Reads and checks a policy: JSON, or only its name.
    ///
    /// # Errors
    /// The first thing that is wrong, with the path of its field.
    pub fn parse(text: &[u8]) -> Result<PolicySpec, SpecError> {
        let json = if text.trim_ascii_start().starts_with(b"{") {
            text.to_vec()
        } else {
            serde_json::json!({ "kind": String::from_utf8_lossy(text) }).to_string().into_bytes()
        };
        let policy: PolicySpec = serde_json::from_slice(&json).map_err(|error| {
            SpecError::new("policy", format_args!("cannot be read: {error}"), format!("the policies are {KINDS}"))
        })?;
        policy.check()?;
        Ok(policy)
    }

    /// Its name.
    pub fn kind(&self) -> &'static str {
        match self {
            PolicySpec::None {} => "none",
            PolicySpec::KbManual { .. } => "kb-manual",
            PolicySpec::Tidegate { .. } => "tidegate",
            PolicySpec::NginxConn { .. } => "nginx-conn",
            PolicySpec::NginxReq { .. } => "nginx-req",
            PolicySpec::Haproxy { .. } => "haproxy",
            PolicySpec::EnvoyAdaptive(_) => "envoy-adaptive",
            PolicySpec::EnvoyAdmission {} => "envoy-admission",
        }
    }

    /// When hosts begin under it.
    pub fn begin(&self) -> Begin {
        match self {
            PolicySpec::KbManual { batch, pause_s } => {
                Begin::Batches { size: *batch, pause: Span::from_secs_f64(*pause_s) }
            }
            _ => Begin::Spread,
        }
    }

    fn check(&self) -> Result<(), SpecError> {
        let within = |field: &str, value: f64, low: f64, high: f64| {
            let hint = format!("give a number from {low} to {high}");
            if (low..=high).contains(&value) {
                Ok(())
            } else {
                Err(SpecError::new(format!("policy.{field}"), format_args!("is {value}, out of its range"), hint))
            }
        };
        match self {
            PolicySpec::None {} | PolicySpec::EnvoyAdmission {} => Ok(()),
            PolicySpec::KbManual { batch, pause_s } => {
                within("batch", f64::from(*batch), 1.0, 1e6)?;
                within("pause_s", *pause_s, 0.0, 1e6)
            }
            PolicySpec::Tidegate { limit, .. } => within("limit", f64::from(limit.most()), 1.0, 65_536.0),
            PolicySpec::NginxConn { limit } => within("limit", f64::from(*limit), 1.0, 1e6),
            PolicySpec::NginxReq { rate_per_s, burst } => {
                within("rate_per_s", *rate_per_s, 1e-3, 1e6)?;
                within("burst", f64::from(*burst), 0.0, 1e6)
            }
            PolicySpec::Haproxy { maxconn, timeout_queue_s, .. } => {
                within("maxconn", f64::from(*maxconn), 1.0, 1e6)?;
                within("timeout_queue_s", *timeout_queue_s, 1e-3, 1e6)
            }
            PolicySpec::EnvoyAdaptive(knobs) => {
                within("percentile", knobs.percentile, 1e-3, 100.0)?;
                within("update_s", knobs.update_s, 1e-3, 1e6)?;
                within("max_concurrency", f64::from(knobs.max_concurrency), 1.0, 1e6)?;
                within("min_rtt_interval_s", knobs.min_rtt_interval_s, 1e-3, 1e6)?;
                within("request_count", f64::from(knobs.request_count), 1.0, 1e6)?;
                within("jitter", knobs.jitter, 0.0, 100.0)?;
                within("min_concurrency", f64::from(knobs.min_concurrency), 1.0, 1e6)?;
                within("buffer", knobs.buffer, 0.0, 1e4)
            }
        }
    }
}
