//! What a storm is told.

use super::{StormTls, follow_ups, hosts, poll_s, positive, sample_s, seed, source_prefix, speed};
use crate::LabError;
use crate::protocol::ProtocolKind;
use serde::Deserialize;
use std::net::SocketAddr;
use tidegate_sim::spec::RetrySpec;

/// A storm of hosts.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StormSpec {
    /// Where the hosts connect to.
    pub target: SocketAddr,
    /// How many there are.
    #[serde(default = "hosts")]
    pub hosts: u32,
    /// They all begin within this.
    #[serde(default = "spread_s")]
    pub spread_s: f64,
    /// How long they wait for the end of a call.
    #[serde(default = "timeout_s")]
    pub timeout_s: f64,
    /// Time from one poll of a connected host to its next.
    #[serde(default = "poll_s")]
    pub poll_s: f64,
    /// Calls after setContext until a host is connected.
    #[serde(default = "follow_ups")]
    pub follow_ups: u32,
    /// What they do after a failure.
    #[serde(default)]
    pub retry: RetrySpec,
    /// The share of hosts (0 to 1) that retry every 0.5 s instead.
    #[serde(default)]
    pub greedy_share: f64,
    /// When it ends at the latest.
    #[serde(default = "window_s")]
    pub window_s: f64,
    /// How long all hosts must have been connected for it to end earlier; 1.1 poll intervals unless said.
    #[serde(default)]
    pub linger_s: Option<f64>,
    /// How much faster than the wall the world runs.
    #[serde(default = "speed")]
    pub speed: f64,
    /// Seed of all its randomness.
    #[serde(default = "seed")]
    pub seed: u64,
    /// What the hosts speak.
    #[serde(default)]
    pub protocol: ProtocolKind,
    /// Time from one sample to the next.
    #[serde(default = "sample_s")]
    pub sample_s: f64,
    /// First two bytes of the hosts' source addresses, which must be loopback's: `"127.1"`.
    #[serde(default = "source_prefix")]
    pub source_prefix: String,
    /// TLS, each host with a certificate of its own; null: cleartext.
    #[serde(default)]
    pub tls: Option<StormTls>,
}

impl StormSpec {
    /// Refuses figures that make no sense.
    pub fn check(&self) -> Result<(), LabError> {
        for (key, value) in [
            ("speed", self.speed),
            ("sample_s", self.sample_s),
            ("timeout_s", self.timeout_s),
            ("poll_s", self.poll_s),
            ("window_s", self.window_s),
        ] {
            positive(key, value)?;
        }
        if self.hosts == 0 || self.hosts > 62_500 {
            return Err(LabError("hosts must be from 1 to 62500: each has a loopback address of its own".into()));
        }
        Ok(())
    }
}

fn spread_s() -> f64 {
    2.0
}

fn timeout_s() -> f64 {
    30.0
}

fn window_s() -> f64 {
    96.0
}
