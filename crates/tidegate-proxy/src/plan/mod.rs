//! The plan: everything that the gate is told, as JSON from Python, checked whole before anything is bound.
//!
//! These types are the format's truth. Spans are integer nanoseconds (keys end in `_ns`), sizes are bytes, addresses are
//! `IP:port` or `host:port`. An unknown key is an error. [`check`] names the field of whatever is wrong.

mod check;
mod monitor;
mod protocol;
mod tcp;
mod tls;
mod vcenter;

pub use check::{check, parse};
pub use monitor::{MonitorPlan, ProbePlan};
pub use protocol::{HttpPlan, HttpRule, OperationPlan, ProtocolPlan, VasaDefault, VasaPlan};
pub use tcp::TcpPlan;
pub use tls::{ServerTlsPlan, TlsPlan, VerifyPlan};
pub use vcenter::{BrokerPlan, Outside, PrincipalPlan, TasksPlan, VcenterOperation, VcenterPlan, WindowPlan};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use tidegate_core::admission::Role;
use tidegate_core::ledger::PortRange;
use tidegate_core::time::Span;

/// The only format that this library takes.
pub const FORMAT: u32 = 1;

/// The whole plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// [`FORMAT`].
    pub format: u32,
    /// What to listen for; names are unique.
    pub services: Vec<ServicePlan>,
    /// Where the gate answers about itself.
    pub admin: AdminPlan,
    /// From which ports it connects to servers.
    #[serde(default)]
    pub ports: PortsPlan,
}

/// From which addresses and ports the gate connects to servers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PortsPlan {
    /// Ports of every bucket, not overlapping. Empty: the larger range beside the kernel's own, above 10 000.
    pub ranges: Vec<PortRange>,
    /// Addresses of this machine. Empty: the one that the route to the server takes.
    pub sources: Vec<IpAddr>,
    /// So many ports of every bucket are for probes alone (default 8).
    pub headroom: u16,
}

impl Default for PortsPlan {
    fn default() -> PortsPlan {
        PortsPlan { ranges: Vec::new(), sources: Vec::new(), headroom: 8 }
    }
}

/// One listening address and the servers behind it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServicePlan {
    /// Its name: metric label, argument of every switch.
    pub name: String,
    /// Where to listen; port 0 lets the kernel choose.
    pub listen: SocketAddr,
    /// What is spoken.
    pub protocol: ProtocolPlan,
    /// What is done with TLS.
    pub tls: TlsPlan,
    /// The pool, in the order of `admission.servers` and with the same names.
    pub servers: Vec<ServerPlan>,
    /// Who shares connections to the servers.
    #[serde(default)]
    pub pool_scope: PoolScope,
    /// Each connection begins with a PROXY header (v1 or v2); one without is refused.
    pub accept_proxy: bool,
    /// Hops whose X-Forwarded-For is believed.
    pub forwarded_from: Vec<IpNet>,
    /// How the servers are probed; `None`: they are not, and a server is down when a connect to it fails.
    pub monitor: Option<MonitorPlan>,
    /// What the admission machine is told.
    pub admission: tidegate_core::admission::Plan,
    /// Timeouts and caps of the sockets.
    pub io: IoPlan,
    /// Bounds of connections that carry what cannot be read: `tcp`, and TLS that is not opened.
    #[serde(default)]
    pub tcp: TcpPlan,
    /// What is known of clients; the first that matches counts.
    pub identities: Vec<IdentityPlan>,
}

/// Who shares connections to servers. One on which a user has authenticated (NTLM, Negotiate) is never shared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PoolScope {
    /// All clients of the service.
    #[default]
    Service,
    /// Nobody: each call has a connection of its own.
    Never,
}

/// One server of a pool.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerPlan {
    /// Its name, unique in the service.
    pub name: String,
    /// `IP:port` or `host:port`; a host name is looked up at each connect, and up to four addresses are
    /// tried.
    pub address: String,
    /// TLS towards it, or none.
    pub tls: Option<ServerTlsPlan>,
    /// Which PROXY header each connection to it begins with, if any. Such connections are never shared.
    pub send_proxy: Option<ProxyVersion>,
}

/// Version of a PROXY header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProxyVersion {
    /// The text line.
    V1,
    /// The binary header.
    V2,
}

/// Timeouts and caps of the sockets of one service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IoPlan {
    /// From the first wait for a request to its whole head.
    #[serde(rename = "head_timeout_ns")]
    pub head_timeout: Span,
    /// From accept to the end of the TLS or PROXY handshake (default 10 s).
    #[serde(rename = "handshake_timeout_ns")]
    pub handshake_timeout: Span,
    /// How long a client's connection may stay idle between two calls; [`TcpPlan`] has its own.
    #[serde(rename = "idle_timeout_ns")]
    pub idle_timeout: Span,
    /// How long a write may make no progress.
    #[serde(rename = "write_timeout_ns")]
    pub write_timeout: Span,
    /// No byte of a promised body for this long ends it.
    #[serde(rename = "body_rate_timeout_ns")]
    pub body_rate_timeout: Span,
    /// How long a connect to a server may take.
    #[serde(rename = "connect_timeout_ns")]
    pub connect_timeout: Span,
    /// How long an idle connection to a server is kept.
    #[serde(rename = "server_idle_ns")]
    pub server_idle: Span,
    /// Most client connections, 1..=1 000 000.
    pub connections_max: u32,
    /// Most pending handshakes (default 4096).
    pub handshakes_max: u32,
    /// All buffers of the service together (default 64 MiB), at least 64 KiB.
    pub buffers_max_bytes: u64,
    /// How long a drain may take before what is left is closed.
    #[serde(rename = "drain_ns")]
    pub drain: Span,
}

/// What is known of the clients that match.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdentityPlan {
    /// Whom it is about.
    #[serde(rename = "match")]
    pub matches: MatchPlan,
    /// Their calls have this role instead of the protocol's, probes and session opens excepted.
    pub role: Option<Role>,
    /// They have places of their own in the queue.
    pub reserved: bool,
    /// They wait as long as Retry-After says.
    pub honours_retry_after: bool,
}

/// How a client is recognised.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum MatchPlan {
    /// By the subject of its certificate, exactly.
    Subject(String),
    /// By its source address.
    Address(IpNet),
    /// By a request header (name, start of the value; both without regard to case).
    Header(String, String),
}

/// Where the gate answers about itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdminPlan {
    /// Path of a Unix socket, made with mode 0600.
    pub unix: Option<PathBuf>,
    /// A TCP address; needs `token_file`.
    pub tcp: Option<SocketAddr>,
    /// File with the bearer token that TCP asks for.
    pub token_file: Option<PathBuf>,
}
