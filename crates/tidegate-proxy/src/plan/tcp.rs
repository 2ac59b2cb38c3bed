//! The part of the plan about connections that cannot be shared, because nobody here can read what they carry.

use serde::{Deserialize, Serialize};
use tidegate_core::time::Span;

/// Bounds of the connections of `tcp` services, and of those whose TLS is not opened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TcpPlan {
    /// Most connects in progress per server, 1..=1 000 000; more wait in order.
    pub half_open_max: u32,
    /// A connection that one side has ended is closed after this silence of the other.
    #[serde(rename = "half_closed_timeout_ns")]
    pub half_closed_timeout: Span,
    /// A connection on which no byte has come for this long is closed. TCP keepalives are no bytes.
    #[serde(rename = "idle_timeout_ns")]
    pub idle_timeout: Span,
    /// The same where connections, or ports, are nearly used up; at most `idle_timeout`.
    #[serde(rename = "idle_timeout_pressed_ns")]
    pub idle_timeout_pressed: Span,
    /// The server is not connected to before the client's first byte (only `tcp`: TLS waits for the hello anyway).
    pub lazy: bool,
    /// Most connections of one client address, 1..=1 000 000; `None`: as many as the service has.
    pub connections_per_client_max: Option<u32>,
}

impl Default for TcpPlan {
    /// 64 half-open, 10 to 30 s half-closed, 1 h idle and 60 s under pressure.
    fn default() -> TcpPlan {
        TcpPlan {
            half_open_max: 64,
            half_closed_timeout: Span::secs(30),
            idle_timeout: Span::secs(3600),
            idle_timeout_pressed: Span::secs(60),
            lazy: false,
            connections_per_client_max: None,
        }
    }
}
