//! TLS on both sides of the gate: rustls with ring, TLS 1.2 and 1.3, HTTP/1.1 only.
//!
//! - [`server`]: towards clients, terminating; with their certificates when a CA for them is given.
//! - [`client`]: towards servers, with the gate's own certificate; verified by CA and name or by thumbprint.
//! - [`identity`]: who a client is, by its certificate.
//!
//! Everything that can be wrong with a file is found when it is loaded, and said with the file's name.

pub mod client;
pub mod identity;
mod pem;
pub mod server;
mod verify;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use rustls::crypto::{CryptoProvider, ring};
use std::path::Path;
use std::sync::Arc;

/// The only protocol that is offered and taken. A client that offers others and not this one is refused; one that
/// offers none is taken to speak it.
pub const ALPN: &[u8] = b"http/1.1";

/// What is wrong with a certificate, a key or a name in the plan: one sentence and a hint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}; {hint}")]
pub struct TlsError {
    /// What is wrong, with the file's name.
    pub message: String,
    /// What to do about it.
    pub hint: String,
}

impl TlsError {
    fn new(message: impl Into<String>, hint: impl Into<String>) -> TlsError {
        TlsError { message: message.into(), hint: hint.into() }
    }

    fn at(path: &Path, problem: impl std::fmt::Display, hint: impl Into<String>) -> TlsError {
        TlsError::new(format!("{}: {problem}", path.display()), hint)
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}
