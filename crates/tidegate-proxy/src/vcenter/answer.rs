//! What an answer says.

mod read;
#[cfg(test)]
mod tests;

use super::request::Ref;
use super::write::UserSession;
use memchr::memmem;
use read::Heard;

/// Most bytes of an answer that are judged.
const JUDGED_MAX: usize = crate::soap::PREFIX_MAX;

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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fault {
    /// Its type, such as `NotAuthenticated`; the code of SOAP (`ServerFaultCode`) when it has no detail.
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

/// How a task is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskState {
    /// Which one.
    pub id: String,
    /// How far it is.
    pub state: State,
    /// Id of the object that it is done to, such as the machine whose snapshot it removes; `None`: it is not said.
    pub entity: Option<String>,
    /// It failed with `NotAuthenticated`: its token was dead when its turn came.
    pub expired: bool,
}

const NOT_AUTHENTICATED: &str = "NotAuthenticated";
/// What vCenter writes when a host's answer was the fault.
const FROM_A_HOST: &str = "Received SOAP response fault from [";

/// What the first bytes of an answer (at most 16 KiB are looked at) say of the session that its call used.
///
/// A fault is told from one that only looks so: names of machines and texts of users are never taken for it. JSON and the
/// answers of REST are judged by the same rules as far as they have them.
pub fn judge(status: u16, first: &[u8]) -> Judged {
    let first = &first[..first.len().min(JUDGED_MAX)];
    let fine = (200..300).contains(&status);
    if status == 401 {
        return Judged::OwnSessionDead;
    }
    if memmem::find(first, NOT_AUTHENTICATED.as_bytes()).is_none() {
        return if fine { Judged::Fine } else { Judged::Other };
    }
    if first.trim_ascii_start().starts_with(b"{") {
        return json(fine, first);
    }
    let heard = Heard::hear(first);
    match (&heard.fault, fine) {
        (_, true) => match heard.missing {
            Some(words) if words.contains(FROM_A_HOST) => Judged::StaleGateway,
            // A collector reads vCenter's own inventory: no other hop can have said this, whatever the privilege.
            Some(_) => Judged::EmptyInventory,
            None => Judged::Fine,
        },
        (Some(fault), false) if fault.name == NOT_AUTHENTICATED => {
            if fault.is_of_a_hop() {
                Judged::StaleGateway
            } else {
                Judged::OwnSessionDead
            }
        }
        _ => Judged::Other,
    }
}

impl Fault {
    fn is_of_a_hop(&self) -> bool {
        let system = self.privilege.as_deref().is_none_or(|privilege| privilege.starts_with("System."));
        !system || self.words.contains(FROM_A_HOST)
    }
}

/// VI/JSON. A quote within a string is escaped, so this cannot be found in one.
fn json(fine: bool, first: &[u8]) -> Judged {
    let said = |key: &str, value: &str| {
        memmem::find_iter(first, key.as_bytes()).any(|at| {
            let rest = first[at + key.len()..].trim_ascii_start().strip_prefix(b":").map(<[u8]>::trim_ascii_start);
            rest.is_some_and(|rest| rest.starts_with(value.as_bytes()))
        })
    };
    let ours = !said("\"privilegeId\"", "\"") || said("\"privilegeId\"", "\"System.");
    match (fine, said("\"_typeName\"", "\"NotAuthenticated\"")) {
        (true, true) if memmem::find(first, b"\"missingSet\"").is_some() => Judged::EmptyInventory,
        (true, _) => Judged::Fine,
        (false, true) if ours && memmem::find(first, FROM_A_HOST.as_bytes()).is_none() => Judged::OwnSessionDead,
        (false, true) => Judged::StaleGateway,
        (false, false) => Judged::Other,
    }
}

/// The reference in `returnval`.
pub fn returned_ref(body: &[u8]) -> Option<Ref> {
    Heard::hear(body).returned
}

/// The session in `returnval`, of `Login`, `CloneSession` and the like.
pub fn user_session(body: &[u8]) -> Option<UserSession> {
    Heard::hear(body).session.filter(|session| !session.key.is_empty())
}

/// The text in `returnval`, of `AcquireCloneTicket`.
pub fn ticket(body: &[u8]) -> Option<String> {
    Heard::hear(body).text.filter(|text| !text.is_empty())
}

/// The `token` of the next page, if there is one; it stands before the objects.
pub fn next_page(first: &[u8]) -> Option<String> {
    memmem::find(first, b"token")?;
    Heard::hear(first).token
}

/// The fault, if it is one.
pub fn faulted(body: &[u8]) -> Option<Fault> {
    Heard::hear(body).fault
}

/// The states of the tasks in the answer to [`super::write::retrieve_tasks`]. A task that cannot be read is not there.
pub fn task_states(body: &[u8]) -> Vec<TaskState> {
    Heard::hear(body).states
}
