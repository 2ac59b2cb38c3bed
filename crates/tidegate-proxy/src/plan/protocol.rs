//! The part of the plan that says what is spoken, and which call means what.

use super::vcenter::VcenterPlan;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tidegate_core::admission::Role;

/// What a service speaks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum ProtocolPlan {
    /// Any HTTP/1.1 server.
    Http(HttpPlan),
    /// A VASA provider.
    Vasa(VasaPlan),
    /// A vCenter.
    Vcenter(VcenterPlan),
    /// Bytes that nobody here reads.
    Tcp {},
}

impl ProtocolPlan {
    /// Its word in status and metrics.
    pub fn word(&self) -> &'static str {
        match self {
            ProtocolPlan::Http(_) => "http",
            ProtocolPlan::Vasa(_) => "vasa",
            ProtocolPlan::Vcenter(_) => "vcenter",
            ProtocolPlan::Tcp {} => "tcp",
        }
    }
}

/// Rules for any HTTP/1.1 server.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpPlan {
    /// The first that matches gives role and cost; else role `call`, cost 1000.
    pub rules: Vec<HttpRule>,
    /// Name of the cookie that carries a session.
    pub session_cookie: Option<String>,
    /// Header that names the user; believed only from clients in `forwarded_from`.
    pub user_header: Option<String>,
    /// Status of a call that is turned away (503); `client-cap` is always 429.
    pub status: u16,
    /// Paths of health checks, exact.
    pub probe_paths: Vec<String>,
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpRule {
    /// Only this method; `None`: any.
    pub method: Option<String>,
    /// Start of the path.
    pub path: String,
    /// What such a call is for.
    pub role: Role,
    /// Its expected work, in thousandths of a session open.
    pub cost_milli: u32,
}

/// A VASA provider's operations.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VasaPlan {
    /// By local name of the SOAP operation.
    pub operations: BTreeMap<String, OperationPlan>,
    /// For operations that are not listed.
    pub default: VasaDefault,
    /// Name of the session cookie (`VASASESSIONID`).
    pub session_cookie: String,
    /// Path of the version document, whose `serviceLocation` is rewritten.
    pub version_path: String,
    /// What to write there instead of the server's own scheme, host and port; `None`: leave it.
    pub public_url: Option<String>,
    /// While calls are held or a server recovers, `maxConcurrentRequestsPerSession` in the answers that open a session is
    /// lowered to 1.
    pub lower_concurrency: bool,
    /// Paths of health checks, exact.
    pub probe_paths: Vec<String>,
}

/// One operation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OperationPlan {
    /// What it is for.
    pub role: Role,
    /// Its expected work, in thousandths of a session open.
    pub cost_milli: u32,
    /// Local name of the fault, declared for this operation, that says "not now".
    pub fault: String,
}

/// What holds for operations that are not listed.
pub type VasaDefault = OperationPlan;
