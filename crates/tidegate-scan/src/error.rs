//! The one error of a scan: a plan that cannot be used, or a scan that was stopped.

/// What is wrong, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ScanError {
    /// One sentence.
    pub message: String,
    /// What to do about it.
    pub hint: String,
}

impl ScanError {
    /// An error with its hint.
    pub fn new(message: impl std::fmt::Display, hint: impl Into<String>) -> ScanError {
        ScanError { message: message.to_string(), hint: hint.into() }
    }
}
