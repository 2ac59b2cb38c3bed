//! The session of a request, from its `Cookie` lines and headers, and that of an answer.

use crate::vasa::cookie::{self, SetSession};

/// The cookie of SOAP sessions.
pub const SOAP: &str = "vmware_soap_session";
/// The header and the cookie of REST and VI/JSON sessions.
pub const API: &str = "vmware-api-session-id";

/// The SOAP session in `lines` (values of `Cookie`), without quotes. `None` too when it is there twice with different
/// values: which one is meant would be a guess, and one of them may have been planted.
pub fn soap<'a>(lines: impl IntoIterator<Item = &'a [u8]>) -> Option<&'a [u8]> {
    only(lines, SOAP)
}

/// The same of the cookie that REST uses when a client has no header for it.
pub fn api<'a>(lines: impl IntoIterator<Item = &'a [u8]>) -> Option<&'a [u8]> {
    only(lines, API)
}

fn only<'a>(lines: impl IntoIterator<Item = &'a [u8]>, name: &str) -> Option<&'a [u8]> {
    let mut values = cookie::all(lines, name);
    let first = values.next()?;
    values.all(|value| value == first).then_some(first)
}

/// What an answer says about its SOAP session (`lines`: values of `Set-Cookie`).
pub fn set_soap<'a>(lines: impl IntoIterator<Item = &'a [u8]>) -> Option<SetSession<'a>> {
    cookie::set(lines, SOAP)
}

/// The value of `Cookie` for upstream: the client's other cookies, and the session of the gate. `None`: there is nothing
/// to send. No session that the client sent is in it, and none of the attributes that careless clients send back.
pub fn forwarded<'a>(lines: impl IntoIterator<Item = &'a [u8]>, session: Option<(&str, &[u8])>) -> Option<Vec<u8>> {
    let mut value = Vec::new();
    if let Some((name, session)) = session {
        // Quotes, as vCenter gave it.
        value.extend([name.as_bytes(), b"=\"", session, b"\""].concat());
    }
    for (name, raw) in cookie::pairs(lines) {
        if !is_attribute(name) && is_plain(raw) {
            let separator: &[u8] = if value.is_empty() { b"" } else { b"; " };
            value.extend([separator, raw].concat());
        }
    }
    (!value.is_empty()).then_some(value)
}

/// Whether no other parser of cookies can find a session in it: upstream's may not care for quotes.
fn is_plain(raw: &[u8]) -> bool {
    let lower = raw.to_ascii_lowercase();
    let holds = |name: &str| memchr::memmem::find(&lower, name.as_bytes()).is_some();
    raw.iter().filter(|b| **b == b'"').count() % 2 == 0 && !holds(SOAP) && !holds(API)
}

fn is_attribute(name: &[u8]) -> bool {
    [b"path".as_slice(), b"domain", b"expires", b"max-age", b"samesite", b"version"]
        .iter()
        .any(|attribute| name.eq_ignore_ascii_case(attribute))
}

/// The value of `Set-Cookie` for a client's session. The quotes are part of the shape: clients split at them. `secure`:
/// the client came by TLS.
pub fn set(token: &str, secure: bool) -> String {
    let secure = if secure { " Secure;" } else { "" };
    format!("{SOAP}=\"{token}\"; Path=/; HttpOnly;{secure}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TOKEN: &str = "f92d0c6a7b3e41d2a85f96c10b7e3d24a9f01c55";

    fn of<'a>(lines: &[&'a str]) -> Option<&'a str> {
        soap(lines.iter().map(|line| line.as_bytes())).map(|value| std::str::from_utf8(value).unwrap())
    }

    #[test]
    fn finds_a_session_however_it_is_sent_back() {
        let echo = set(TOKEN, true);
        assert_eq!(echo, format!("vmware_soap_session=\"{TOKEN}\"; Path=/; HttpOnly; Secure;"));
        for line in [
            format!("vmware_soap_session=\"{TOKEN}\""),
            format!("vmware_soap_session={TOKEN}"),
            format!("vmware_soap_session={TOKEN}; HttpOnly"),
            format!("a=b; vmware_soap_session={TOKEN}; c=d"),
            echo.clone(),
            format!("{echo}, other=1; Path=/"),
            format!("other=\"1\"; Path=/ui; Secure, {echo}"),
            format!("{echo} {echo}"),
        ] {
            assert_eq!(of(&[&line]), Some(TOKEN), "{line}");
        }
        assert_eq!(set(TOKEN, false), format!("vmware_soap_session=\"{TOKEN}\"; Path=/; HttpOnly;"));
    }

    #[test]
    fn two_sessions_are_none() {
        assert_eq!(of(&["vmware_soap_session=a; vmware_soap_session=b"]), None);
        assert_eq!(of(&["vmware_soap_session=a", "vmware_soap_session=\"b\"; Path=/"]), None);
        assert_eq!(of(&["vmware_soap_session=a", "vmware_soap_session=\"a\""]), Some("a"));
        assert_eq!(of(&["xvmware_soap_session=a; VMWARE_SOAP_SESSION=b; x=\"vmware_soap_session=c\""]), None);
        assert_eq!(of(&["vmware_soap_session=", ""]), None);
        assert_eq!(api([b"vmware-api-session-id=x; vmware_soap_session=y".as_slice()]), Some(b"x".as_slice()));
    }

    #[test]
    fn sends_upstream_the_gates_session_and_no_other() {
        let send = |lines: &[&str], session| {
            forwarded(lines.iter().map(|line| line.as_bytes()), session).map(|value| String::from_utf8(value).unwrap())
        };
        let ours = Some((SOAP, b"up".as_slice()));
        assert_eq!(send(&[], None), None);
        assert_eq!(send(&["vmware_soap_session=\"x\"; Path=/; HttpOnly; Secure;"], None), None);
        assert_eq!(send(&[], ours).as_deref(), Some("vmware_soap_session=\"up\""));
        assert_eq!(
            send(&["vmware_soap_session=x; ui=\"1;2\"; path=/, vmware-api-session-id=y", "b=c"], ours).as_deref(),
            Some("vmware_soap_session=\"up\"; ui=\"1;2\"; b=c")
        );
        assert_eq!(send(&["VMware_SOAP_session=x; b=c"], None).as_deref(), Some("b=c"));
    }

    proptest! {
        /// However a client dresses it up, its session never goes upstream.
        #[test]
        fn no_session_of_a_client_gets_through(line in "([a-z]{1,3}=[\"x]{0,3}|vmware_soap_session=[\"s]{1,5}|[;, =\"]){0,12}") {
            let sent = forwarded([line.as_bytes()], Some((SOAP, b"up"))).unwrap();
            let found = soap([sent.as_slice()]);
            prop_assert_eq!(found, Some(b"up".as_slice()), "{}", String::from_utf8_lossy(&sent));
        }

        #[test]
        fn never_panics(line in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = (soap([line.as_slice()]), api([line.as_slice()]), set_soap([line.as_slice()]));
            let _ = forwarded([line.as_slice()], Some((SOAP, b"up")));
        }
    }
}
