//! Requests that the gate makes itself.

use super::super::request::Ref;
use super::{HEAD, TAIL};
use quick_xml::escape::escape;
use zeroize::Zeroizing;

/// A request that the gate makes itself: `POST /sdk`. The body may hold a password, and is overwritten when dropped.
#[derive(Clone)]
pub struct Ask {
    /// The envelope.
    pub body: Zeroizing<Vec<u8>>,
    /// Value of `SOAPAction`, with its quotes: the release of the API. All that is asked here is in every vCenter from
    /// this one on, and newer ones serve it.
    pub soap_action: &'static str,
}

const SOAP_ACTION: &str = "\"urn:vim25/6.5\"";

/// `Login`.
pub fn login(user: &str, password: &str, locale: Option<&str>) -> Ask {
    let open = concat!(r#"<Login xmlns="urn:vim25"><_this type="SessionManager">SessionManager</_this>"#, "<userName>");
    let locale = locale.map(|locale| format!("<locale>{}</locale>", escape(locale))).unwrap_or_default();
    let user = escape(user);
    // All of its room at once: what grows leaves copies behind.
    let room = HEAD.len() + TAIL.len() + open.len() + user.len() + locale.len() + 6 * password.len() + 64;
    let mut body = Zeroizing::new(Vec::with_capacity(room));
    for piece in [HEAD, open, &user, "</userName><password>"] {
        body.extend_from_slice(piece.as_bytes());
    }
    for character in password.chars() {
        match character {
            '&' => body.extend_from_slice(b"&amp;"),
            '<' => body.extend_from_slice(b"&lt;"),
            '>' => body.extend_from_slice(b"&gt;"),
            '\r' => body.extend_from_slice(b"&#13;"), // as itself it would be read as a line feed
            other => body.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    for piece in ["</password>", &locale, "</Login>", TAIL] {
        body.extend_from_slice(piece.as_bytes());
    }
    Ask { body, soap_action: SOAP_ACTION }
}

/// `AcquireCloneTicket`.
pub fn acquire_clone_ticket() -> Ask {
    ask("AcquireCloneTicket", "SessionManager", "SessionManager", "")
}

/// `CloneSession`.
pub fn clone_session(ticket: &str) -> Ask {
    let ticket = format!("<cloneTicket>{}</cloneTicket>", escape(ticket));
    ask("CloneSession", "SessionManager", "SessionManager", &ticket)
}

/// `Logout`.
pub fn logout() -> Ask {
    ask("Logout", "SessionManager", "SessionManager", "")
}

/// `CreatePropertyCollector`.
pub fn create_property_collector() -> Ask {
    ask("CreatePropertyCollector", "PropertyCollector", "propertyCollector", "")
}

/// `DestroyPropertyCollector`.
pub fn destroy_property_collector(id: &str) -> Ask {
    ask("DestroyPropertyCollector", "PropertyCollector", id, "")
}

/// `DestroyView`, for a view of this type.
pub fn destroy_view(view: &Ref) -> Ask {
    ask("DestroyView", &view.kind, &view.id, "")
}

/// `CurrentTime`: the cheapest call that keeps a session alive.
pub fn current_time() -> Ask {
    ask("CurrentTime", "ServiceInstance", "ServiceInstance", "")
}

/// `RetrievePropertiesEx` of `info.state`, `info.entity` and `info.error` of these tasks, by this collector; one that does not
/// exist any more makes it fail with `ManagedObjectNotFound`, whose object it is.
pub fn retrieve_tasks(collector: &str, ids: &[&str]) -> Ask {
    let mut arguments = String::from(
        "<specSet><propSet><type>Task</type><pathSet>info.entity</pathSet><pathSet>info.error</pathSet>\
         <pathSet>info.state</pathSet></propSet>",
    );
    for id in ids {
        let object = format!(r#"<objectSet><obj type="Task">{}</obj><skip>false</skip></objectSet>"#, escape(*id));
        arguments.push_str(&object);
    }
    arguments.push_str("</specSet><options></options>");
    ask("RetrievePropertiesEx", "PropertyCollector", collector, &arguments)
}

fn ask(operation: &str, kind: &str, id: &str, arguments: &str) -> Ask {
    let (kind, id) = (escape(kind), escape(id));
    let body = format!(
        r#"{HEAD}<{operation} xmlns="urn:vim25"><_this type="{kind}">{id}</_this>{arguments}</{operation}>{TAIL}"#
    );
    Ask { body: Zeroizing::new(body.into_bytes()), soap_action: SOAP_ACTION }
}
