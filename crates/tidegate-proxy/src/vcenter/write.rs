//! Requests that the gate makes itself, and answers and faults that it gives itself.

use super::request::Ref;
use crate::vasa::soap::SoapVersion;
use zeroize::Zeroizing;

/// Value of `Content-Type` of all SOAP 1.1 that is written here.
pub const CONTENT_TYPE: &str = "text/xml; charset=utf-8";

/// A request that the gate makes itself: `POST /sdk`. The body may hold a password, and is overwritten when dropped.
#[derive(Clone)]
pub struct Ask {
    /// The envelope.
    pub body: Zeroizing<Vec<u8>>,
    /// Value of `SOAPAction`, with its quotes.
    pub soap_action: &'static str,
}

/// An answer in place of vCenter's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status: 200, or 500 for a fault.
    pub status: u16,
    /// Value of `Content-Type`.
    pub content_type: &'static str,
    /// The envelope.
    pub body: Vec<u8>,
}

/// A session as vCenter describes it. Times are `xsd:dateTime`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserSession {
    /// Names it; not the cookie.
    pub key: String,
    /// `DOMAIN\user`.
    pub user_name: String,
    /// The user's full name.
    pub full_name: String,
    /// When it began.
    pub login_time: String,
    /// When it was last used.
    pub last_active_time: String,
    /// The language of its numbers and dates.
    pub locale: String,
    /// The language of its messages.
    pub message_locale: String,
    /// It is that of an extension.
    pub extension_session: bool,
    /// Where its client is.
    pub ip_address: String,
    /// What its client is.
    pub user_agent: String,
    /// Calls made.
    pub call_count: u64,
}

/// A fault that the gate says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Say {
    /// The session is not (or no longer) logged in.
    NotAuthenticated {
        /// What the call wanted, such as `Folder` `group-d1`.
        object: Ref,
        /// The privilege for which a login is needed, such as `System.View`.
        privilege: String,
    },
    /// User or password is wrong.
    InvalidLogin,
    /// The object does not exist (for this client).
    ManagedObjectNotFound(Ref),
    /// The wait was ended.
    RequestCanceled,
    /// Not allowed.
    NoPermission {
        /// On what.
        object: Ref,
        /// The missing privilege.
        privilege: String,
    },
    /// Not in this state.
    InvalidState,
    /// The request makes no sense.
    InvalidRequest,
    /// There is no such session.
    NotFound,
}

/// `Login`.
pub fn login(user: &str, password: &str, locale: Option<&str>) -> Ask {
    let _ = (user, password, locale);
    ask(String::new())
}

/// `AcquireCloneTicket`.
pub fn acquire_clone_ticket() -> Ask {
    ask(String::new())
}

/// `CloneSession`.
pub fn clone_session(ticket: &str) -> Ask {
    let _ = ticket;
    ask(String::new())
}

/// `Logout`.
pub fn logout() -> Ask {
    ask(String::new())
}

/// `CreatePropertyCollector`.
pub fn create_property_collector() -> Ask {
    ask(String::new())
}

/// `DestroyPropertyCollector`.
pub fn destroy_property_collector(id: &str) -> Ask {
    let _ = id;
    ask(String::new())
}

/// `DestroyView`, for a view of this type.
pub fn destroy_view(view: &Ref) -> Ask {
    let _ = view;
    ask(String::new())
}

/// `CurrentTime`: the cheapest call that keeps a session alive.
pub fn current_time() -> Ask {
    ask(String::new())
}

/// `RetrievePropertiesEx` of `info.state` of these tasks; one that does not exist any more makes it fail with
/// `ManagedObjectNotFound`, whose object it is.
pub fn retrieve_tasks(ids: &[&str]) -> Ask {
    let _ = ids;
    ask(String::new())
}

fn ask(body: String) -> Ask {
    Ask { body: Zeroizing::new(body.into_bytes()), soap_action: "\"urn:vim25/6.5\"" }
}

/// The answer to `Login`, `CloneSession` and their like (`operation`): the client's session.
pub fn session(operation: &str, session: &UserSession, version: SoapVersion) -> Answer {
    let _ = (operation, session);
    answer(200, version, String::new())
}

/// The answer to an operation that returns nothing, such as `Logout`.
pub fn void(operation: &str, version: SoapVersion) -> Answer {
    let _ = operation;
    answer(200, version, String::new())
}

/// The answer to `SessionIsActive`.
pub fn session_is_active(active: bool, version: SoapVersion) -> Answer {
    let _ = active;
    answer(200, version, String::new())
}

/// A fault, with words of its own or those that vCenter says.
pub fn fault(say: &Say, words: Option<&str>, version: SoapVersion) -> Answer {
    let _ = (say, words);
    answer(500, version, String::new())
}

fn answer(status: u16, version: SoapVersion, body: String) -> Answer {
    let _ = version;
    Answer { status, content_type: CONTENT_TYPE, body: body.into_bytes() }
}

/// Seconds since 1970 as `xsd:dateTime`, as vCenter writes it: `2026-11-25T18:00:00Z`.
pub fn date_time(unix_s: i64) -> String {
    let _ = unix_s;
    String::new()
}
