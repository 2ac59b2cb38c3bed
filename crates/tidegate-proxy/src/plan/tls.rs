//! The part of the plan about TLS, on both sides.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use tidegate_core::time::Span;

/// What a service does with its clients' TLS.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum TlsPlan {
    /// Cleartext.
    None {},
    /// Not opened: connections are admitted by their hello.
    Passthrough {
        /// Names that are let through; empty: all.
        names: Vec<String>,
        /// With TLS 1.3: how long after the client's last flight the session counts as established, until learned.
        #[serde(rename = "settle_ns")]
        settle: Span,
    },
    /// Opened with the gate's own certificate.
    Terminate {
        /// PEM chain, the gate's own certificate first.
        certificate: PathBuf,
        /// PEM key.
        key: PathBuf,
        /// PEM of those who sign clients' certificates; `None`: clients are not asked for one.
        client_ca: Option<PathBuf>,
        /// A client without a certificate is refused.
        client_required: bool,
    },
}

impl TlsPlan {
    /// Its word in status.
    pub fn word(&self) -> &'static str {
        match self {
            TlsPlan::None {} => "none",
            TlsPlan::Passthrough { .. } => "passthrough",
            TlsPlan::Terminate { .. } => "terminate",
        }
    }
}

/// TLS towards a server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerTlsPlan {
    /// How its certificate is checked.
    pub verify: VerifyPlan,
    /// Name for SNI and for the check; `None`: from the address.
    pub name: Option<String>,
    /// PEM chain that the gate presents.
    pub certificate: Option<PathBuf>,
    /// PEM key for it.
    pub key: Option<PathBuf>,
}

/// How a server's certificate is checked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum VerifyPlan {
    /// Signed by one of these, for the name.
    Ca(PathBuf),
    /// Exactly the certificate with this SHA-256 thumbprint, hexadecimal, colons allowed.
    Sha256(String),
    /// Not at all. `false` is refused: it would read as "verify", which needs to say how.
    None(bool),
}
