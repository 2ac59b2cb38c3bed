//! What an answer says.

use super::request::Ref;
use super::write::UserSession;

/// The session of a call, by its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judged {
    /// No fault.
    Fine,
    /// The session that the call was lent is dead; nothing was executed.
    OwnSessionDead,
    /// The same, told as properties that could not be read (HTTP 200).
    EmptyInventory,
    /// The session lives, but not at a hop behind vCenter. Some of it may have been executed.
    StaleGateway,
    /// Another fault, or no SOAP.
    Other,
}

/// A fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Its type, such as `NotAuthenticated`; that of SOAP (`ServerFaultCode`) when it has no detail.
    pub name: String,
    /// What it says to people.
    pub words: String,
    /// The object that it is about (`object` or `obj`).
    pub object: Option<Ref>,
    /// The privilege that was missing.
    pub privilege: Option<String>,
}

/// How far a task is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Waits in vCenter.
    Queued,
    /// Runs.
    Running,
    /// Over, fine.
    Success,
    /// Over, failed.
    Error,
}

/// What the first bytes of an answer (at most 16 KiB are looked at) say of the session that its call used.
pub fn judge(status: u16, first: &[u8]) -> Judged {
    let _ = first;
    if status == 200 { Judged::Fine } else { Judged::Other }
}

/// The reference in `returnval`.
pub fn returned_ref(body: &[u8]) -> Option<Ref> {
    let _ = body;
    None
}

/// The session in `returnval`, of `Login`, `CloneSession` and the like.
pub fn user_session(body: &[u8]) -> Option<UserSession> {
    let _ = body;
    None
}

/// The text in `returnval`, of `AcquireCloneTicket`.
pub fn ticket(body: &[u8]) -> Option<String> {
    let _ = body;
    None
}

/// Whether there are more pages: the answer has a `token`, which stands before the objects.
pub fn paged(first: &[u8]) -> bool {
    let _ = first;
    false
}

/// The fault, if it is one.
pub fn faulted(body: &[u8]) -> Option<Fault> {
    let _ = body;
    None
}

/// The states of the tasks in the answer to [`super::write::retrieve_tasks`]. A task that cannot be read is not there.
pub fn task_states(body: &[u8]) -> Vec<(String, State)> {
    let _ = body;
    Vec::new()
}
