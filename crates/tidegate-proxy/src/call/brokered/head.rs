//! The head of a call as the vCenter gets it: with a session of the gate's in place of the client's.

use crate::broker::lines;
use crate::http1::fields::{self, is};
use crate::http1::request::{FieldRoom, Request};
use crate::vcenter::cookie;
use std::mem::MaybeUninit;

/// Where a session is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Carrier {
    /// In the cookie of SOAP.
    Cookie,
    /// In the header of REST and VI/JSON.
    Header,
}

/// The session in a head that was put together for the server, but for this one's.
pub(super) fn session(head: &[u8]) -> Option<Vec<u8>> {
    let mut room: FieldRoom<'_> = [MaybeUninit::uninit(); _];
    let request = Request::parse(head, &mut room).ok()?;
    lines::asked(request.headers).map(<[u8]>::to_vec)
}

/// A field of a head, as text.
pub(super) fn field(head: &[u8], name: &str) -> Option<String> {
    let mut room: FieldRoom<'_> = [MaybeUninit::uninit(); _];
    let request = Request::parse(head, &mut room).ok()?;
    request.header(name).and_then(|value| std::str::from_utf8(value).ok()).map(str::to_string)
}

/// Method and target.
pub(super) fn line(head: &[u8]) -> Option<(String, String)> {
    let mut room: FieldRoom<'_> = [MaybeUninit::uninit(); _];
    let request = Request::parse(head, &mut room).ok()?;
    Some((request.method.to_string(), request.target.to_string()))
}

/// `head` with this session, or none, and with a body of this length where one is said. `None`: it is no head.
pub(super) fn with(head: &[u8], session: Option<(Carrier, &str)>, length: Option<usize>) -> Option<Vec<u8>> {
    let mut room: FieldRoom<'_> = [MaybeUninit::uninit(); _];
    let request = Request::parse(head, &mut room).ok()?;
    let first = memchr::memchr(b'\n', head)? + 1;
    let mut out = Vec::with_capacity(head.len() + 128);
    out.extend_from_slice(&head[..first]);
    fields::copy_lines(head, request.headers, (first, head.len() - 2), &mut out, |h| {
        let framing = is(h.name, "content-length") || is(h.name, "transfer-encoding");
        !(lines::is_asked(h.name) || length.is_some() && framing)
    });
    let cookies = request.headers.iter().filter(|h| is(h.name, "cookie")).map(|h| h.value);
    let soap =
        session.filter(|(carrier, _)| *carrier == Carrier::Cookie).map(|(_, token)| (cookie::SOAP, token.as_bytes()));
    if let Some(cookies) = cookie::forwarded(cookies, soap) {
        line_of(&mut out, b"Cookie", &cookies);
    }
    if let Some((Carrier::Header, token)) = session {
        line_of(&mut out, cookie::API.as_bytes(), token.as_bytes());
    }
    if let Some(length) = length {
        line_of(&mut out, b"Content-Length", length.to_string().as_bytes());
    }
    out.extend_from_slice(b"\r\n");
    Some(out)
}

fn line_of(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    [name, b": ", value, b"\r\n"].iter().for_each(|part| out.extend_from_slice(part));
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "POST /sdk HTTP/1.1\r\nHost: vc\r\nCookie: vmware_soap_session=\"mine\"; JSESSIONID=7\r\n\
                        vmware-api-session-id: mine\r\nContent-Length: 5\r\nSOAPAction: \"urn:vim25\"\r\n\r\n";

    fn with_it(session: Option<(Carrier, &str)>, length: Option<usize>) -> String {
        String::from_utf8(with(HEAD.as_bytes(), session, length).unwrap()).unwrap()
    }

    #[test]
    fn the_session_of_a_client_never_reaches_the_server() {
        for head in [
            with_it(None, None),
            with_it(Some((Carrier::Cookie, "ours")), Some(9)),
            with_it(Some((Carrier::Header, "ours")), None),
        ] {
            assert!(!head.contains("mine") && head.ends_with("\r\n\r\n"), "{head}");
            assert!(head.starts_with("POST /sdk HTTP/1.1\r\nHost: vc\r\n"), "{head}");
            assert!(head.contains("SOAPAction: \"urn:vim25\"\r\n"), "{head}");
        }
    }

    #[test]
    fn a_head_with_another_body_has_one_length() {
        let head = with_it(Some((Carrier::Header, "ours")), Some(9));
        assert_eq!(head.matches("Content-Length").count(), 1, "{head}");
        assert!(head.contains("Content-Length: 9\r\n") && head.contains("vmware-api-session-id: ours\r\n"), "{head}");
        assert_eq!(session(HEAD.as_bytes()).as_deref(), Some(&b"mine"[..]));
    }
}
