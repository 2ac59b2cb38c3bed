//! What a load client is told. Its seconds are the wall's: nothing is sped up.

use super::{StormTls, positive, source_prefix};
use crate::LabError;
use serde::Deserialize;
use std::net::SocketAddr;

/// What a load client does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LoadMode {
    /// Offers requests at a constant rate.
    #[default]
    Rate,
    /// Sends one request per connection, then holds it.
    Idle,
}

/// A load client. Here seconds are the wall's: nothing is sped up.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoadSpec {
    /// What it does.
    #[serde(default)]
    pub mode: LoadMode,
    /// Where it connects to.
    pub target: SocketAddr,
    /// Keep-alive connections.
    #[serde(default = "connections")]
    pub connections: u32,
    /// Requests per second, all connections together (mode `rate`).
    #[serde(default = "rate")]
    pub rate: f64,
    /// How long it offers them (mode `rate`).
    #[serde(default = "duration_s")]
    pub duration_s: f64,
    /// How long it waits for an answer.
    #[serde(default = "answer_timeout_s")]
    pub timeout_s: f64,
    /// What it asks for, by GET.
    #[serde(default = "root")]
    pub path: String,
    /// Loopback addresses that its connections come from, in turn.
    #[serde(default = "addresses")]
    pub addresses: u32,
    /// First two bytes of those addresses.
    #[serde(default = "source_prefix")]
    pub source_prefix: String,
    /// TLS, as the first host; null: cleartext.
    #[serde(default)]
    pub tls: Option<StormTls>,
}

impl LoadSpec {
    /// Refuses figures that make no sense.
    pub fn check(&self) -> Result<(), LabError> {
        positive("rate", self.rate)?;
        positive("duration_s", self.duration_s)?;
        positive("timeout_s", self.timeout_s)?;
        if self.connections == 0 || self.addresses == 0 || self.addresses > 62_500 {
            return Err(LabError("give at least 1 connection, and from 1 to 62500 addresses".into()));
        }
        Ok(())
    }
}

fn connections() -> u32 {
    50
}

fn rate() -> f64 {
    1000.0
}

fn duration_s() -> f64 {
    10.0
}

fn answer_timeout_s() -> f64 {
    10.0
}

fn root() -> String {
    "/".to_owned()
}

fn addresses() -> u32 {
    20
}
