//! The one error of a simulation: a spec or a policy that cannot be played.

/// What is wrong, where, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path} {message}")]
pub struct SpecError {
    /// The path of the field, e.g. `servers[0].law.knee`.
    pub path: String,
    /// What is wrong with it; with the path before it, a sentence.
    pub message: String,
    /// What to do about it.
    pub hint: String,
}

impl SpecError {
    /// An error at `path`.
    pub fn new(path: impl Into<String>, message: impl std::fmt::Display, hint: impl Into<String>) -> SpecError {
        SpecError { path: path.into(), message: message.to_string(), hint: hint.into() }
    }
}
