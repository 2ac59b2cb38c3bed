//! A request's head: parsed, refused when ambiguous, and put together again for the server.

use super::fields::{self, Connection, Framed, is, trim};
use super::{Framing, Refusal};
use httparse::Header;
use std::mem::MaybeUninit;
use std::net::IpAddr;

/// Room for the fields of one head, on the stack, never cleared.
pub(crate) type FieldRoom<'b> = [MaybeUninit<Header<'b>>; fields::FIELDS_MAX];

/// What a method allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    /// No body in the answer.
    Head,
    /// May be sent twice (RFC 9110 §9.2.2).
    Idempotent,
    /// May not.
    Other,
}

/// A request's head, borrowed from the buffer that it came in.
pub(crate) struct Request<'h, 'b> {
    pub(crate) method: &'b str,
    pub(crate) target: &'b str,
    pub(crate) headers: &'h [Header<'b>],
    pub(crate) minor: u8,
    pub(crate) facts: Facts,
    head: &'b [u8],
}

/// How a head is put together for the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Outgoing {
    /// The peer's own word on who is behind it is passed on.
    pub(crate) trusted: bool,
    /// Expect is passed on; else the gate has answered it.
    pub(crate) keep_expect: bool,
    /// The answer must not be compressed.
    pub(crate) plain: bool,
}

/// What must be known of a request after its head is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) method: Method,
    pub(crate) framing: Framing,
    /// The client may send another request on this connection.
    pub(crate) keep_alive: bool,
    /// The client speaks HTTP/1.1: it understands chunks and 1xx.
    pub(crate) modern: bool,
    pub(crate) expects_continue: bool,
    /// A protocol switch is asked for, and may pass.
    pub(crate) upgrade: bool,
    /// Authentication that sticks to the connection (NTLM, Negotiate).
    pub(crate) sticky: bool,
}

impl<'h, 'b> Request<'h, 'b> {
    /// Parses the `head`, which ends with its empty line.
    ///
    /// # Errors
    /// Whatever two parsers could read in two ways, and what the gate does not forward.
    pub(crate) fn parse(head: &'b [u8], room: &'h mut FieldRoom<'b>) -> Result<Request<'h, 'b>, Refusal> {
        let mut parsed = httparse::Request::new(&mut []);
        let status = parsed.parse_with_uninit_headers(head, room).map_err(refusal)?;
        if status.is_partial() {
            return Err(Refusal::bad("a head that does not end"));
        }
        let (Some(method), Some(target), Some(minor)) = (parsed.method, parsed.path, parsed.version) else {
            return Err(Refusal::bad("no request line"));
        };
        let headers: &'h [Header<'b>] = parsed.headers;
        check_line(head, method, target)?;
        let facts = facts(method, minor, headers)?;
        Ok(Request { method, target, headers, minor, facts, head })
    }

    /// The value of the first field of that (lower-case) name.
    pub(crate) fn header(&self, name: &str) -> Option<&'b [u8]> {
        self.headers.iter().find(|h| is(h.name, name)).map(|h| trim(h.value))
    }

    /// The path without its query.
    pub(crate) fn path(&self) -> &'b str {
        self.target.split_once('?').map_or(self.target, |(path, _)| path)
    }

    /// Puts the head together for the server: hop-by-hop fields gone, `peer` appended to X-Forwarded-For (which begins
    /// anew unless the peer is trusted).
    pub(crate) fn write_to(&self, peer: IpAddr, outgoing: Outgoing, to: &mut Vec<u8>) {
        let Outgoing { trusted, keep_expect, plain } = outgoing;
        let others = self.names_others();
        let first = self.method.len() + self.target.len() + " HTTP/1.1\r\n".len() + 1;
        to.extend_from_slice(&self.head[..first - 3]);
        to.extend_from_slice(b"1\r\n");
        fields::copy_lines(self.head, self.headers, (first, self.head.len() - 2), to, |h| {
            let dropped = fields::ends_here(h.name)
                || !trusted && is_forwarded(h.name)
                || others && fields::nominated(self.headers, h.name)
                || !(self.facts.modern && keep_expect) && is(h.name, "expect")
                || plain && is(h.name, "accept-encoding");
            !dropped
        });
        if self.minor == 0 && self.header("host").is_none() {
            to.extend_from_slice(b"Host:\r\n");
        }
        if self.facts.upgrade {
            to.extend_from_slice(b"Connection: upgrade\r\nUpgrade: ");
            to.extend_from_slice(self.header("upgrade").unwrap_or_default());
            to.extend_from_slice(b"\r\n");
        }
        to.extend_from_slice(b"X-Forwarded-For: ");
        push_ip(peer, to);
        to.extend_from_slice(b"\r\n\r\n");
    }

    fn names_others(&self) -> bool {
        let mut connection = Framed::default();
        self.headers
            .iter()
            .any(|h| is(h.name, "connection") && connection.see(h).is_ok() && connection.connection.names_others)
    }
}

fn push_ip(ip: IpAddr, to: &mut Vec<u8>) {
    use std::io::Write;
    let _writing_to_a_vec_cannot_fail = match ip.to_canonical() {
        IpAddr::V4(ip) => return push_v4(ip.octets(), to),
        IpAddr::V6(ip) => write!(to, "{ip}"),
    };
}

/// As `Display` does it, without the formatting machinery: this is written for every request.
fn push_v4(octets: [u8; 4], to: &mut Vec<u8>) {
    for (index, octet) in octets.into_iter().enumerate() {
        if index > 0 {
            to.push(b'.');
        }
        if octet >= 100 {
            to.push(b'0' + octet / 100);
        }
        if octet >= 10 {
            to.push(b'0' + octet / 10 % 10);
        }
        to.push(b'0' + octet % 10);
    }
}

fn is_forwarded(name: &str) -> bool {
    is(name, "x-forwarded-for") || is(name, "forwarded") || is(name, "x-real-ip")
}

fn refusal(error: httparse::Error) -> Refusal {
    match error {
        httparse::Error::TooManyHeaders => Refusal::with(431, "more than 100 header lines"),
        httparse::Error::Version => Refusal::with(505, "not HTTP/1.1"),
        httparse::Error::HeaderName => Refusal::bad("a header name that is none"),
        httparse::Error::HeaderValue => Refusal::bad("a header value with control characters"),
        _ => Refusal::bad("a request line that is none"),
    }
}

/// httparse skips blank lines in front and allows several spaces; here nothing but the plain line passes.
fn check_line(head: &[u8], method: &str, target: &str) -> Result<(), Refusal> {
    let plain = head.get(method.len()) == Some(&b' ')
        && head.starts_with(method.as_bytes())
        && head.get(method.len() + 1..).is_some_and(|rest| rest.starts_with(target.as_bytes()))
        && head.get(method.len() + 1 + target.len()..).is_some_and(|rest| rest.starts_with(b" HTTP/1."))
        && head.get(method.len() + target.len() + 10..).is_some_and(|rest| rest.starts_with(b"\r\n"));
    if !plain {
        return Err(Refusal::bad("a request line with odd spaces"));
    }
    if method == "CONNECT" {
        return Err(Refusal::with(501, "CONNECT"));
    }
    if !(target.starts_with('/') || target == "*" && method == "OPTIONS") {
        return Err(Refusal::bad("a target that is not a path"));
    }
    if !target.bytes().all(|b| (0x21..0x7f).contains(&b) && b != b'#') {
        return Err(Refusal::bad("a target with odd characters"));
    }
    Ok(())
}

fn facts(method: &str, minor: u8, headers: &[Header<'_>]) -> Result<Facts, Refusal> {
    let modern = minor == 1;
    let mut framed = Framed::default();
    let (mut hosts, mut upgrade, mut expects, mut sticky) = (0, false, false, false);
    for header in headers {
        if framed.see(header)? {
            continue;
        }
        match header.name.len() {
            4 if is(header.name, "host") => {
                hosts += 1;
                check_host(trim(header.value))?;
            }
            6 if is(header.name, "expect") => {
                if !trim(header.value).eq_ignore_ascii_case(b"100-continue") {
                    return Err(Refusal::with(417, "an Expect that is not 100-continue"));
                }
                expects = modern;
            }
            7 if is(header.name, "upgrade") => {
                upgrade = !trim(header.value).to_ascii_lowercase().starts_with(b"h2");
            }
            13 if is(header.name, "authorization") => sticky |= sticks(header.value),
            19 if is(header.name, "proxy-authorization") => sticky |= sticks(header.value),
            _ => {}
        }
    }
    if hosts > 1 || hosts == 0 && modern {
        return Err(Refusal::bad(if hosts > 1 { "more than one Host" } else { "no Host" }));
    }
    let framing = framed.framing()?.unwrap_or(Framing::None);
    if framing == Framing::Chunked && !modern {
        return Err(Refusal::bad("Transfer-Encoding in HTTP/1.0"));
    }
    let Connection { close, keep_alive, upgrade: named, .. } = framed.connection;
    Ok(Facts {
        method: method_of(method),
        framing,
        keep_alive: if modern { !close } else { keep_alive && !close },
        modern,
        expects_continue: expects && framing != Framing::None,
        upgrade: upgrade && named && modern && matches!(framing, Framing::None | Framing::Length(0)),
        sticky,
    })
}

/// Whether a value of (WWW-, Proxy-)Authenticate or (Proxy-)Authorization binds the connection to a user. One field may
/// offer several schemes; what only looks like one in a quoted text binds without need, and does no harm.
pub(crate) fn sticks(value: &[u8]) -> bool {
    fields::members(value).any(|member| {
        let starts = |scheme: &[u8]| member.get(..4).is_some_and(|start| start.eq_ignore_ascii_case(scheme));
        starts(b"ntlm") || starts(b"nego")
    })
}

fn method_of(method: &str) -> Method {
    match method {
        "HEAD" => Method::Head,
        "GET" | "OPTIONS" | "TRACE" | "PUT" | "DELETE" => Method::Idempotent,
        _ => Method::Other,
    }
}

fn check_host(host: &[u8]) -> Result<(), Refusal> {
    let fine = |b: &u8| b.is_ascii_alphanumeric() || b"-._~:[]%!$&'()*+;=".contains(b);
    if host.iter().all(fine) { Ok(()) } else { Err(Refusal::bad("a Host that is none")) }
}
