//! Answers and faults that the gate gives in vCenter's place, in SOAP 1.1 as vCenter's own.

use super::super::request::Ref;
use super::{HEAD, TAIL, UserSession};
use crate::soap::is_name;
use quick_xml::escape::escape;
use std::borrow::Cow;

/// Value of `Content-Type` of all that is written here.
pub const CONTENT_TYPE: &str = "text/xml; charset=utf-8";

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
    /// The server gave no answer; what was asked may have been done.
    NoAnswer,
}

impl Say {
    /// The type of the fault, and what vCenter says with it.
    fn named(&self) -> (&'static str, &'static str) {
        match self {
            Say::NotAuthenticated { .. } => ("NotAuthenticated", "The session is not authenticated."),
            Say::InvalidLogin => ("InvalidLogin", "Cannot complete login due to an incorrect user name or password."),
            Say::ManagedObjectNotFound(_) => {
                ("ManagedObjectNotFound", "The object has already been deleted or has not been completely created")
            }
            Say::RequestCanceled => ("RequestCanceled", "The task was canceled by a user."),
            Say::NoPermission { .. } => ("NoPermission", "Permission to perform this operation was denied."),
            Say::InvalidState => ("InvalidState", "The operation is not allowed in the current state."),
            Say::InvalidRequest => ("InvalidRequest", "The request is not valid."),
            Say::NoAnswer => (
                "HostCommunication",
                "The vCenter gave no answer that can be passed on. What was asked may have been done.",
            ),
            Say::NotFound => ("NotFound", "The object or item referred to could not be found."),
        }
    }

    fn elements(&self) -> String {
        let reference = |name: &str, Ref { kind, id, .. }: &Ref| {
            format!(r#"<{name} type="{}">{}</{name}>"#, escape(kind), escape(id))
        };
        match self {
            Say::NotAuthenticated { object, privilege } | Say::NoPermission { object, privilege } => {
                format!("{}<privilegeId>{}</privilegeId>", reference("object", object), escape(privilege))
            }
            Say::ManagedObjectNotFound(object) => reference("obj", object),
            _ => String::new(),
        }
    }
}

/// The answer to `Login`, `CloneSession` and their like (`operation`): the client's session.
pub fn session(operation: &str, session: &UserSession) -> Answer {
    response(operation, &format!("<returnval>{}</returnval>", session.elements()))
}

/// The answer to an operation that returns nothing, such as `Logout`.
pub fn void(operation: &str) -> Answer {
    response(operation, "")
}

/// The answer to `SessionIsActive`.
pub fn session_is_active(active: bool) -> Answer {
    response("SessionIsActive", &format!("<returnval>{active}</returnval>"))
}

/// A fault, with words of its own or those that vCenter says.
pub fn fault(say: &Say, words: Option<&str>) -> Answer {
    let (name, usual) = say.named();
    let words = escape(words.map_or(Cow::Borrowed(usual), Cow::Borrowed));
    let elements = say.elements();
    let body = format!(
        concat!(
            "{}<soapenv:Fault><faultcode>ServerFaultCode</faultcode><faultstring>{}</faultstring><detail>",
            r#"<{}Fault xmlns="urn:vim25" xsi:type="{}">{}</{}Fault></detail></soapenv:Fault>{}"#,
        ),
        HEAD, words, name, name, elements, name, TAIL
    );
    Answer { status: 500, content_type: CONTENT_TYPE, body: body.into_bytes() }
}

fn response(operation: &str, content: &str) -> Answer {
    // Names of operations were read as such; one that was not is not written either.
    let operation = if is_name(operation) { operation } else { "Unnamed" };
    let body = format!(r#"{HEAD}<{operation}Response xmlns="urn:vim25">{content}</{operation}Response>{TAIL}"#);
    Answer { status: 200, content_type: CONTENT_TYPE, body: body.into_bytes() }
}
