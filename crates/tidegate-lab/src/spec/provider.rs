//! What a provider and an origin are told.

use super::{ProviderTls, any_port, knee, law, positive, sample_s, seed, speed, unit_s, usl};
use crate::LabError;
use crate::protocol::ProtocolKind;
use serde::Deserialize;
use std::net::SocketAddr;
use tidegate_sim::law::{Law, LawKind};

/// A server.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProviderSpec {
    /// Where it listens; port 0 takes a free one.
    #[serde(default = "any_port")]
    pub listen: SocketAddr,
    /// How its throughput depends on its concurrency.
    #[serde(default = "usl")]
    pub law: LawKind,
    /// Its best concurrency, in jobs.
    #[serde(default = "knee")]
    pub knee: u32,
    /// How long one unit of work takes alone.
    #[serde(default = "unit_s")]
    pub unit_s: f64,
    /// Jobs that it runs at once.
    #[serde(default = "threads")]
    pub threads: usize,
    /// Jobs that may wait for a thread.
    #[serde(default = "backlog")]
    pub backlog: usize,
    /// How long a session lives without a call.
    #[serde(default = "session_idle_s")]
    pub session_idle_s: f64,
    /// How much faster than the wall the world runs.
    #[serde(default = "speed")]
    pub speed: f64,
    /// Seed of the session numbers.
    #[serde(default = "seed")]
    pub seed: u64,
    /// What it speaks.
    #[serde(default)]
    pub protocol: ProtocolKind,
    /// Time from one sample to the next.
    #[serde(default = "sample_s")]
    pub sample_s: f64,
    /// Refuse connections until `go`.
    #[serde(default)]
    pub start_down: bool,
    /// Crash when this many jobs are in flight.
    #[serde(default)]
    pub crash_at: Option<usize>,
    /// How long it is away after a crash.
    #[serde(default = "crash_down_s")]
    pub crash_down_s: f64,
    /// TLS with client certificates; null: cleartext.
    #[serde(default)]
    pub tls: Option<ProviderTls>,
    /// A session is of no use to another certificate than the one that opened it.
    #[serde(default)]
    pub bind_session_to_certificate: bool,
}

impl ProviderSpec {
    /// Its law, when the figures make sense.
    pub fn law(&self) -> Result<Law, LabError> {
        positive("speed", self.speed)?;
        positive("sample_s", self.sample_s)?;
        positive("session_idle_s", self.session_idle_s)?;
        if self.bind_session_to_certificate && self.tls.is_none() {
            return Err(LabError(
                "bind_session_to_certificate needs tls: there are no certificates in cleartext".into(),
            ));
        }
        law(self.law, self.knee, self.unit_s)
    }
}

/// A server that answers everything at once.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OriginSpec {
    /// Where it listens; port 0 takes a free one.
    #[serde(default = "any_port")]
    pub listen: SocketAddr,
    /// The size of its answers' bodies.
    #[serde(default = "body_bytes")]
    pub body_bytes: usize,
}

fn threads() -> usize {
    200
}

fn backlog() -> usize {
    1024
}

fn session_idle_s() -> f64 {
    300.0
}

fn crash_down_s() -> f64 {
    10.0
}

fn body_bytes() -> usize {
    128
}
