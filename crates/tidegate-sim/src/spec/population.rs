//! Who calls: hosts that connect, follow up and poll, and principals that send bulk work.

use crate::retry::Retry;
use serde::{Deserialize, Serialize};
use tidegate_core::admission::Role;
use tidegate_core::time::Span;

/// Clients of one kind. In JSON: `"kind": "bulk"`, or `"hosts"`, which may be left out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", try_from = "serde_json::Value")]
pub enum PopulationSpec {
    /// Hosts.
    Hosts(HostsSpec),
    /// Principals.
    Bulk(BulkSpec),
}

impl TryFrom<serde_json::Value> for PopulationSpec {
    type Error = String;

    fn try_from(mut value: serde_json::Value) -> Result<PopulationSpec, String> {
        let name = value.get("name").and_then(serde_json::Value::as_str).unwrap_or("").to_owned();
        let kind = value.as_object_mut().and_then(|fields| fields.remove("kind"));
        let read = match kind.as_ref().map(serde_json::Value::as_str) {
            None | Some(Some("hosts")) => serde_json::from_value(value).map(PopulationSpec::Hosts),
            Some(Some("bulk")) => serde_json::from_value(value).map(PopulationSpec::Bulk),
            Some(_) => return Err(format!("population \"{name}\": kind must be \"hosts\" or \"bulk\"")),
        };
        read.map_err(|error| format!("population \"{name}\": {error}"))
    }
}

impl PopulationSpec {
    /// Its name.
    pub fn name(&self) -> &str {
        match self {
            PopulationSpec::Hosts(hosts) => &hosts.name,
            PopulationSpec::Bulk(bulk) => &bulk.name,
        }
    }

    /// The hosts, when it is made of them.
    pub fn as_hosts(&self) -> Option<&HostsSpec> {
        match self {
            PopulationSpec::Hosts(hosts) => Some(hosts),
            PopulationSpec::Bulk(_) => None,
        }
    }
}

/// Hosts: each goes through the script, is connected then, and polls.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostsSpec {
    /// Its name, unique.
    pub name: String,
    /// How many. Signed, so that a negative number is told by its path.
    pub hosts: i64,
    /// When the first ones begin.
    #[serde(default)]
    pub begin_s: f64,
    /// All have begun so much later.
    #[serde(default)]
    pub spread_s: f64,
    /// How long a host waits for an answer.
    #[serde(default = "timeout")]
    pub timeout_s: f64,
    /// From one poll to the next.
    #[serde(default = "poll_s")]
    pub poll_s: f64,
    /// What connects a host: first the call that opens its session, then the others.
    pub script: Vec<StepSpec>,
    /// What it does every `poll_s` once it is connected; nothing without it.
    #[serde(default)]
    pub poll: Option<StepSpec>,
    /// What it does after a failure.
    #[serde(default)]
    pub retry: RetrySpec,
    /// Whether the gate knows that it comes back when Retry-After says.
    #[serde(default)]
    pub honours_retry_after: bool,
}

/// One call of a script.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepSpec {
    /// The operation's name.
    pub operation: String,
    /// What for.
    pub role: Role,
    /// Its work.
    pub units: f64,
    /// How often, one after the other.
    #[serde(default = "once")]
    pub times: u32,
}

/// What a host does after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum RetrySpec {
    /// It waits for a length between these two.
    Fixed {
        /// The shortest.
        min_s: f64,
        /// The longest.
        max_s: f64,
    },
    /// It waits for so short a time.
    Greedy {
        /// How long.
        s: f64,
    },
    /// Exponential backoff with full jitter.
    Jittered {
        /// The bound after the first failure.
        base_s: f64,
        /// The highest bound.
        cap_s: f64,
    },
    /// As Retry-After says, else as `fixed`.
    RetryAfter {
        /// The shortest wait of its own.
        #[serde(default = "ten")]
        min_s: f64,
        /// The longest.
        #[serde(default = "twelve")]
        max_s: f64,
    },
}

impl Default for RetrySpec {
    fn default() -> RetrySpec {
        RetrySpec::Fixed { min_s: ten(), max_s: twelve() }
    }
}

impl RetrySpec {
    /// The policy of a host.
    pub fn policy(self) -> Retry {
        let span = Span::from_secs_f64;
        match self {
            RetrySpec::Fixed { min_s, max_s } => Retry::Fixed { min: span(min_s), max: span(max_s) },
            RetrySpec::Greedy { s } => Retry::Greedy { wait: span(s) },
            RetrySpec::Jittered { base_s, cap_s } => Retry::Jittered { base: span(base_s), cap: span(cap_s) },
            RetrySpec::RetryAfter { min_s, max_s } => Retry::RetryAfter { min: span(min_s), max: span(max_s) },
        }
    }

    /// Its two numbers: what is not there is the other one.
    pub(super) fn bounds(self) -> (f64, f64) {
        match self {
            RetrySpec::Fixed { min_s, max_s } | RetrySpec::RetryAfter { min_s, max_s } => (min_s, max_s),
            RetrySpec::Greedy { s } => (s, s),
            RetrySpec::Jittered { base_s, cap_s } => (base_s, cap_s),
        }
    }
}

/// Principals that send bulk work at a rate of their own, whatever becomes of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BulkSpec {
    /// Its name, unique.
    pub name: String,
    /// How many principals take turns.
    pub principals: u32,
    /// Calls per second of all of them together.
    pub rate_per_s: f64,
    /// The work of one call.
    pub units: f64,
    /// How long they wait for an answer.
    #[serde(default = "bulk_timeout")]
    pub timeout_s: f64,
    /// The operation's name.
    pub operation: String,
    /// When they begin.
    #[serde(default)]
    pub begin_s: f64,
}

fn timeout() -> f64 {
    30.0
}

fn bulk_timeout() -> f64 {
    60.0
}

fn poll_s() -> f64 {
    10.0
}

fn once() -> u32 {
    1
}

fn ten() -> f64 {
    10.0
}

fn twelve() -> f64 {
    12.0
}
