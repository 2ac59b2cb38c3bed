//! The one error of a scan: a plan that cannot be used, or a scan that was stopped.

/// A message has at most so many characters.
const LONGEST: usize = 1000;

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
    /// An error with its hint. The message may quote what is wrong: it stays one line, and short enough to read.
    pub fn new(message: impl std::fmt::Display, hint: impl Into<String>) -> ScanError {
        let message = message.to_string();
        let plain = message.chars().map(|c| if c.is_control() { ' ' } else { c });
        let more = if message.chars().nth(LONGEST).is_some() { "…" } else { "" };
        ScanError { message: plain.take(LONGEST).chain(more.chars()).collect(), hint: hint.into() }
    }
}
