//! Requests that the gate makes itself ([`ask`]), and answers and faults that it gives itself ([`say`]).

pub mod ask;
pub mod say;
#[cfg(test)]
mod tests;

pub use super::time::write as date_time;
pub use ask::{
    Ask, acquire_clone_ticket, clone_session, create_property_collector, current_time, destroy_property_collector,
    destroy_view, login, logout, retrieve_tasks,
};
pub use say::{Answer, CONTENT_TYPE, Say, fault, session, session_is_active, void};

/// What vCenter's envelopes begin with, so that clients which look for its prefixes find them.
const HEAD: &str = concat!(
    r#"<?xml version="1.0" encoding="UTF-8"?>"#,
    "\n",
    r#"<soapenv:Envelope xmlns:soapenc="http://schemas.xmlsoap.org/soap/encoding/" "#,
    r#"xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" "#,
    r#"xmlns:xsd="http://www.w3.org/2001/XMLSchema" "#,
    r#"xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">"#,
    "\n<soapenv:Body>\n",
);
const TAIL: &str = "\n</soapenv:Body>\n</soapenv:Envelope>";

/// A session as vCenter describes it. Times are `xsd:dateTime`; see [`date_time`].
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
    /// Where its client is; empty when that is not said.
    pub ip_address: String,
    /// What its client is; empty when that is not said.
    pub user_agent: String,
    /// Calls made.
    pub call_count: u64,
}

impl UserSession {
    /// Its properties as elements, in the order of the schema.
    pub(crate) fn elements(&self) -> String {
        let mut xml = String::with_capacity(512);
        let extension = if self.extension_session { "true" } else { "false" };
        let count = self.call_count.to_string();
        for (name, value, needed) in [
            ("key", self.key.as_str(), true),
            ("userName", &self.user_name, true),
            ("fullName", &self.full_name, true),
            ("loginTime", &self.login_time, true),
            ("lastActiveTime", &self.last_active_time, true),
            ("locale", &self.locale, true),
            ("messageLocale", &self.message_locale, true),
            ("extensionSession", extension, true),
            ("ipAddress", &self.ip_address, false),
            ("userAgent", &self.user_agent, false),
            ("callCount", &count, true),
        ] {
            if needed || !value.is_empty() {
                element(&mut xml, name, value);
            }
        }
        xml
    }

    /// One property as text, by its name in the schema.
    pub(crate) fn property(&self, name: &str) -> Option<String> {
        Some(match name {
            "key" => self.key.clone(),
            "userName" => self.user_name.clone(),
            "fullName" => self.full_name.clone(),
            "loginTime" => self.login_time.clone(),
            "lastActiveTime" => self.last_active_time.clone(),
            "locale" => self.locale.clone(),
            "messageLocale" => self.message_locale.clone(),
            "extensionSession" => self.extension_session.to_string(),
            "ipAddress" => self.ip_address.clone(),
            "userAgent" => self.user_agent.clone(),
            "callCount" => self.call_count.to_string(),
            _ => return None,
        })
    }
}

fn element(xml: &mut String, name: &str, text: &str) {
    for piece in ["<", name, ">", &quick_xml::escape::escape(text), "</", name, ">"] {
        xml.push_str(piece);
    }
}
