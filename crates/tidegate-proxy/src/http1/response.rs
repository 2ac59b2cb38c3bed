//! An answer's head: parsed, taken for broken when ambiguous, and put together again for the client.

use super::fields::{self, Framed, is};
use super::request::{FieldRoom, Method, sticks};
use super::{Framing, Refusal};
use crate::broker::lines;
use httparse::Header;
use tidegate_core::time::Span;

/// What must be known of an answer after its head is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) status: u16,
    pub(crate) framing: Framing,
    /// The server keeps its connection open after it.
    pub(crate) keep_alive: bool,
    /// The connection is bound to a user from now on (NTLM, Negotiate).
    pub(crate) sticky: bool,
    /// How long the server says that it keeps the connection when it is idle.
    pub(crate) idle: Option<Span>,
}

/// An answer's head, borrowed from the buffer that it came in.
pub(crate) struct Response<'h, 'b> {
    pub(crate) headers: &'h [Header<'b>],
    pub(crate) facts: Facts,
    others: bool,
    head: &'b [u8],
    first: usize,
}

/// What is done to the connection-level fields of an answer on its way to the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Manner {
    /// The client's connection ends after this answer.
    pub(crate) close: bool,
    /// The client speaks HTTP/1.1.
    pub(crate) modern: bool,
    /// Transfer-Encoding is taken off: the client gets the bare bytes until the end.
    pub(crate) unchunk: bool,
    /// It is a protocol switch that is passed on.
    pub(crate) switch: bool,
    /// What it says about sessions of a vCenter is the gate's affair.
    pub(crate) private: bool,
}

impl<'h, 'b> Response<'h, 'b> {
    /// Parses the `head`, which ends with its empty line, as the answer to a request with `method`.
    ///
    /// # Errors
    /// Whatever two parsers could read in two ways.
    pub(crate) fn parse(
        head: &'b [u8],
        room: &'h mut FieldRoom<'b>,
        method: Method,
    ) -> Result<Response<'h, 'b>, Refusal> {
        const BAD: Refusal = Refusal::with(502, "an answer that is none");
        let mut parsed = httparse::Response::new(&mut []);
        let config = httparse::ParserConfig::default();
        let done = config.parse_response_with_uninit_headers(&mut parsed, head, room).map_err(|_| BAD)?;
        let (Some(status), Some(minor)) = (parsed.code, parsed.version) else { return Err(BAD) };
        if done.is_partial() || !(100..=999).contains(&status) || !head.starts_with(b"HTTP/1.") {
            return Err(BAD);
        }
        let headers: &'h [Header<'b>] = parsed.headers;
        let first = memchr::memchr(b'\n', head).ok_or(BAD)? + 1;
        let mut framed = Framed::default();
        let (mut sticky, mut idle) = (false, None);
        for header in headers {
            if framed.see(header)? {
                continue;
            }
            if is(header.name, "www-authenticate") || is(header.name, "proxy-authenticate") {
                sticky |= sticks(header.value);
            } else if is(header.name, "keep-alive") {
                idle = fields::keep_alive_timeout(header.value).or(idle);
            }
        }
        let told = framed.framing()?;
        if told == Some(Framing::Chunked) && minor == 0 {
            return Err(BAD);
        }
        let bodyless = method == Method::Head || status < 200 || status == 204 || status == 304;
        let framing = if bodyless { Framing::None } else { told.unwrap_or(Framing::UntilClose) };
        let connection = framed.connection;
        let kept = if minor == 1 { !connection.close } else { connection.keep_alive && !connection.close };
        let keep_alive = kept && framing != Framing::UntilClose;
        let facts = Facts { status, framing, keep_alive, sticky, idle };
        Ok(Response { headers, facts, others: connection.names_others, head, first })
    }

    /// Status line and fields without anything about framing, the connection or the exact bytes of the body, and without
    /// the empty line: a head for another body.
    pub(crate) fn plain_head(&self) -> Vec<u8> {
        let mut head = b"HTTP/1.1".to_vec();
        head.extend_from_slice(&self.head["HTTP/1.1".len()..self.first]);
        fields::copy_lines(self.head, self.headers, (self.first, self.head.len() - 2), &mut head, |h| {
            let about_bytes = ["content-length", "transfer-encoding", "etag", "content-md5", "digest", "accept-ranges"];
            let dropped = fields::ends_here(h.name)
                || about_bytes.iter().any(|name| is(h.name, name))
                || self.others && fields::nominated(self.headers, h.name);
            !dropped
        });
        head
    }

    /// Puts the head together for the client.
    pub(crate) fn write_to(&self, manner: Manner, to: &mut Vec<u8>) {
        to.extend_from_slice(b"HTTP/1.1");
        to.extend_from_slice(&self.head["HTTP/1.1".len()..self.first]);
        fields::copy_lines(self.head, self.headers, (self.first, self.head.len() - 2), to, |h| {
            !(fields::ends_here(h.name) && !(manner.switch && is(h.name, "upgrade")))
                && !(manner.private && lines::is_given(h.name, h.value))
                && !(manner.unchunk && is(h.name, "transfer-encoding"))
                && !(self.others && fields::nominated(self.headers, h.name))
        });
        let connection: &[u8] = match manner {
            Manner { switch: true, .. } => b"Connection: upgrade\r\n\r\n",
            Manner { close: true, .. } => b"Connection: close\r\n\r\n",
            Manner { modern: false, .. } => b"Connection: keep-alive\r\n\r\n",
            _ => b"\r\n",
        };
        to.extend_from_slice(connection);
    }
}
