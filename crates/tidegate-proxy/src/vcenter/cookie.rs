//! The session of a request, from its `Cookie` lines and headers, and that of an answer.

use crate::vasa::cookie::{self, SetSession};

/// The cookie of SOAP sessions.
pub const SOAP: &str = "vmware_soap_session";
/// The header and the cookie of REST and VI/JSON sessions.
pub const API: &str = "vmware-api-session-id";

/// The SOAP session in `lines` (values of `Cookie`), without quotes. `None` too when two of them differ: which one is
/// meant would be a guess.
pub fn soap<'a>(lines: impl IntoIterator<Item = &'a [u8]>) -> Option<&'a [u8]> {
    cookie::requested(lines, SOAP)
}

/// The same of the cookie that REST uses when a client has no header for it.
pub fn api<'a>(lines: impl IntoIterator<Item = &'a [u8]>) -> Option<&'a [u8]> {
    cookie::requested(lines, API)
}

/// What an answer says about its SOAP session (`lines`: values of `Set-Cookie`).
pub fn set_soap<'a>(lines: impl IntoIterator<Item = &'a [u8]>) -> Option<SetSession<'a>> {
    cookie::set(lines, SOAP)
}

/// The value of `Cookie` for upstream: the other cookies of the client, and the session of the gate. `None`: there is
/// nothing to send.
pub fn forwarded<'a>(lines: impl IntoIterator<Item = &'a [u8]>, session: Option<(&str, &[u8])>) -> Option<Vec<u8>> {
    let _ = (lines.into_iter().count(), session);
    None
}

/// The value of `Set-Cookie` for a client's session. The quotes are part of the shape: clients split at them.
pub fn set(token: &str, secure: bool) -> String {
    let secure = if secure { " Secure;" } else { "" };
    format!("{SOAP}=\"{token}\"; Path=/; HttpOnly;{secure}")
}
