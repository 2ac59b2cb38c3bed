//! The one error that the gate's handle gives out: a stable word, one sentence, and a hint.

use thiserror::Error;

/// Why the gate could not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct GateError {
    /// Stable word for programs: `plan`, `bind`, `tls`, `runtime`, `unknown-service`, `closed`.
    pub slug: &'static str,
    /// One sentence for people; names the field of the plan where there is one.
    pub message: String,
    /// What to do about it.
    pub hint: String,
}

impl GateError {
    /// An error of kind `slug`.
    pub fn new(slug: &'static str, message: impl Into<String>, hint: impl Into<String>) -> GateError {
        GateError { slug, message: message.into(), hint: hint.into() }
    }

    /// A plan that cannot be used: `field` is its path, e.g. `services[0].io.head_timeout_ns`.
    pub fn plan(field: impl std::fmt::Display, message: impl std::fmt::Display) -> GateError {
        GateError::new("plan", format!("{field} {message}"), "correct the plan, then check it again")
    }
}
