//! The gate's own answers.

use std::io::Write;
use tidegate_core::reason::Reason;
use tidegate_core::time::Span;

/// Standard words for the statuses that the gate itself gives.
pub(crate) fn phrase(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        204 => "No Content",
        400 => "Bad Request",
        401 => "Unauthorized",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        409 => "Conflict",
        413 => "Content Too Large",
        417 => "Expectation Failed",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        _ => "Error",
    }
}

/// An answer with a body.
pub(crate) struct Reply<'a> {
    pub(crate) status: u16,
    pub(crate) kind: &'a str,
    pub(crate) body: &'a [u8],
    pub(crate) retry_after: Option<u64>,
    /// More lines of the head, each with its end.
    pub(crate) lines: &'a str,
    pub(crate) close: bool,
    /// The request was HEAD: the body is only announced.
    pub(crate) head_only: bool,
}

impl Reply<'_> {
    /// Appends the answer to `to`.
    pub(crate) fn write_to(&self, to: &mut Vec<u8>) {
        // Writing to a Vec cannot fail.
        let _ = write!(to, "HTTP/1.1 {} {}\r\n", self.status, phrase(self.status));
        // RFC 9110 §8.6: a 204 must not have a length.
        if self.status != 204 {
            let _ = write!(to, "Content-Type: {}\r\nContent-Length: {}\r\n", self.kind, self.body.len());
        }
        if let Some(seconds) = self.retry_after {
            let _ = write!(to, "Retry-After: {seconds}\r\n");
        }
        to.extend_from_slice(self.lines.as_bytes());
        let end: &[u8] = if self.close { b"Connection: close\r\n\r\n" } else { b"\r\n" };
        to.extend_from_slice(end);
        if !self.head_only {
            to.extend_from_slice(self.body);
        }
    }
}

/// Whole seconds for Retry-After: rounded up, at least one.
pub(crate) fn seconds(span: Span) -> u64 {
    span.0.div_ceil(1_000_000_000).max(1)
}

/// The body of a call that is turned away: `{"reason": "...", "retry_after_s": n}`.
pub(crate) fn turned_away_json(reason: Reason, retry_after: Span) -> String {
    format!("{{\"reason\": \"{}\", \"retry_after_s\": {}}}\n", reason.word(), seconds(retry_after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_content_has_no_length() {
        for (status, head) in [
            (204, "HTTP/1.1 204 No Content\r\n\r\n"),
            (200, "HTTP/1.1 200 OK\r\nContent-Type: x\r\nContent-Length: 0\r\n\r\n"),
        ] {
            let reply =
                Reply { status, kind: "x", body: b"", retry_after: None, lines: "", close: false, head_only: false };
            let mut bytes = Vec::new();
            reply.write_to(&mut bytes);
            assert_eq!(String::from_utf8(bytes).unwrap(), head);
        }
    }
}
