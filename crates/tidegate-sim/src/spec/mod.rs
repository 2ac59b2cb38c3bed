//! What is played: servers, populations of clients, the network and the gate. JSON of format 1; times are seconds, work is
//! in units (one unit: one session open), and both are plain numbers.

mod check;
mod law;
mod population;

pub use law::{ChangeSpec, LawSpec};
pub use population::{BulkSpec, HostsSpec, PopulationSpec, RetrySpec, StepSpec};

use crate::error::SpecError;
use serde::{Deserialize, Serialize};

/// Of the spec and of the report; another number is not read.
pub const FORMAT: u32 = 1;

/// A storm to play.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// [`FORMAT`].
    pub format: u32,
    /// Decides every random number.
    #[serde(default = "one")]
    pub seed: u64,
    /// How long it is played at the most.
    pub window_s: f64,
    /// From one point of the curves to the next.
    #[serde(default = "half")]
    pub sample_s: f64,
    /// The pool, in order.
    pub servers: Vec<ServerSpec>,
    /// Who calls.
    pub populations: Vec<PopulationSpec>,
    /// Between the clients and what they call.
    #[serde(default)]
    pub network: NetworkSpec,
    /// What happens to the gate.
    #[serde(default)]
    pub gate: GateSpec,
}

/// One server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerSpec {
    /// Its name, unique.
    pub name: String,
    /// How its throughput depends on its concurrency.
    pub law: LawSpec,
    /// Jobs that run at once.
    #[serde(default = "threads")]
    pub threads: usize,
    /// Jobs that may wait for a thread.
    #[serde(default = "backlog")]
    pub backlog: usize,
    /// A session without a call for so long is over.
    #[serde(default = "session_idle")]
    pub session_idle_s: f64,
    /// It is not there before: connections are refused.
    #[serde(default)]
    pub down_until_s: f64,
    /// It crashes when so many jobs are in flight.
    #[serde(default)]
    pub crash_at: Option<usize>,
    /// How long it is away after a crash.
    #[serde(default = "ten")]
    pub crash_down_s: f64,
    /// For so long after each start it is cold.
    #[serde(default)]
    pub cold_s: f64,
    /// A unit of work takes so many times as long while it is cold.
    #[serde(default = "one_times")]
    pub cold_factor: f64,
    /// What happens to it, and when.
    #[serde(default)]
    pub changes: Vec<ChangeSpec>,
    /// What it does when threads and backlog are full.
    #[serde(default)]
    pub refuse: Refuse,
}

/// What a server does with a call that it has no room for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Refuse {
    /// It closes the connection.
    #[default]
    Reset,
    /// It answers that it is busy.
    Busy,
}

/// The network.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkSpec {
    /// From a client to what it calls, and the same back.
    #[serde(default)]
    pub delay_s: f64,
    /// When it is cut.
    #[serde(default)]
    pub flaps: Vec<FlapSpec>,
}

/// All clients are cut off: their connections end, their sessions live on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FlapSpec {
    /// When.
    pub at_s: f64,
    /// For how long.
    pub for_s: f64,
}

/// What happens to the gate, and what its operator knows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GateSpec {
    /// When it is restarted.
    #[serde(default)]
    pub restart_at_s: Vec<f64>,
    /// How long it is away each time.
    #[serde(default = "one_times")]
    pub down_s: f64,
    /// How many clients it is set up for; the caps of what it holds and remembers follow.
    #[serde(default)]
    pub expected_hosts: Option<u32>,
}

impl Default for GateSpec {
    fn default() -> GateSpec {
        GateSpec { restart_at_s: Vec::new(), down_s: 1.0, expected_hosts: None }
    }
}

impl Spec {
    /// Reads and checks a spec.
    ///
    /// # Errors
    /// The first thing that is wrong, with the path of its field.
    pub fn parse(json: &[u8]) -> Result<Spec, SpecError> {
        let spec: Spec = serde_json::from_slice(json).map_err(|error| {
            SpecError::new("spec", format_args!("cannot be read: {error}"), "correct the field that the sentence names")
        })?;
        spec.check()?;
        Ok(spec)
    }

    /// Hosts of all populations.
    pub fn hosts(&self) -> u64 {
        self.populations.iter().filter_map(PopulationSpec::as_hosts).map(|hosts| hosts.hosts.unsigned_abs()).sum()
    }
}

fn one() -> u64 {
    1
}

fn half() -> f64 {
    0.5
}

fn threads() -> usize {
    200
}

fn backlog() -> usize {
    1024
}

fn session_idle() -> f64 {
    300.0
}

fn ten() -> f64 {
    10.0
}

fn one_times() -> f64 {
    1.0
}
