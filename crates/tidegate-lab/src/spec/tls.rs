//! How TLS is asked for; files as `tidegate-lab certificates` writes them.

use serde::Deserialize;
use std::path::PathBuf;

/// How the server speaks TLS; files as `tidegate-lab certificates` writes them.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProviderTls {
    /// Where the certificates are.
    pub dir: PathBuf,
    /// The versions that it offers.
    #[serde(default)]
    pub versions: Versions,
    /// Whether it hands out tickets.
    #[serde(default = "yes")]
    pub tickets: bool,
}

/// How the hosts speak TLS.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StormTls {
    /// Where the certificates are.
    pub dir: PathBuf,
    /// The name that they connect to (SNI) and check.
    #[serde(default = "server_name")]
    pub name: String,
    /// The versions that they offer.
    #[serde(default)]
    pub versions: Versions,
    /// Whether they come back with a ticket; if not, each reconnect is a full handshake.
    #[serde(default)]
    pub tickets: bool,
}

/// TLS versions: both unless said.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Versions(pub Vec<Version>);

impl Default for Versions {
    fn default() -> Versions {
        Versions(vec![Version::Tls12, Version::Tls13])
    }
}

/// A TLS version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum Version {
    /// TLS 1.2.
    #[serde(rename = "1.2")]
    Tls12,
    /// TLS 1.3.
    #[serde(rename = "1.3")]
    Tls13,
}

fn yes() -> bool {
    true
}

fn server_name() -> String {
    crate::certificates::PROVIDER.to_owned()
}
