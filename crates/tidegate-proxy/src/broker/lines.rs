//! Which lines of a head carry sessions, and which session.

use crate::http1::fields::{is, trim};
use crate::vasa::cookie::SetSession;
use crate::vcenter::cookie;
use httparse::Header;

/// The session of a request: the header of REST and VI/JSON, else the cookie.
pub(crate) fn asked<'b>(headers: &[Header<'b>]) -> Option<&'b [u8]> {
    let header = headers.iter().find(|h| is(h.name, cookie::API)).map(|h| trim(h.value)).filter(|v| !v.is_empty());
    let cookies = || headers.iter().filter(|h| is(h.name, "cookie")).map(|h| h.value);
    header.or_else(|| cookie::soap(cookies())).or_else(|| cookie::api(cookies()))
}

/// The session that an answer gives.
pub(crate) fn given<'b>(headers: &[Header<'b>]) -> Option<&'b [u8]> {
    let header = headers.iter().find(|h| is(h.name, cookie::API)).map(|h| trim(h.value)).filter(|v| !v.is_empty());
    let set = || headers.iter().filter(|h| is(h.name, "set-cookie")).map(|h| h.value);
    header.or_else(|| match cookie::set_soap(set()) {
        Some(SetSession::Opened(token)) => Some(token),
        _ => None,
    })
}

/// Whether a line of an answer tells of a session.
pub(crate) fn is_given(name: &str, value: &[u8]) -> bool {
    let sets = |cookie: &str| {
        let value = trim(value);
        value.get(..cookie.len()).is_some_and(|start| start == cookie.as_bytes())
            && trim(value.get(cookie.len()..).unwrap_or_default()).first().is_none_or(|b| matches!(b, b'=' | b';'))
    };
    is(name, cookie::API) || is(name, "set-cookie") && (sets(cookie::SOAP) || sets(cookie::API))
}

/// Whether a line of a request tells of a session, or of somebody who logs in.
pub(crate) fn is_asked(name: &str) -> bool {
    is(name, cookie::API) || is(name, "cookie")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_give_a_session_are_known() {
        assert!(is_given("Set-Cookie", b"vmware_soap_session=\"a\"; Path=/"));
        assert!(is_given("set-cookie", b" vmware-api-session-id = a"));
        assert!(is_given("vmware-api-session-id", b"a"));
        assert!(!is_given("Set-Cookie", b"JSESSIONID=1"));
        assert!(!is_given("Set-Cookie", b"vmware_soap_session_2=1"));
        assert!(!is_given("Content-Type", b"vmware_soap_session=1"));
    }
}
