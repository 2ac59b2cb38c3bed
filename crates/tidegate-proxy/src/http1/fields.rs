//! Header fields: framing rules that requests and answers share, and which lines are not passed on.

use super::{Framing, Refusal};
use httparse::Header;
use tidegate_core::time::Span;

/// Most header lines of a head; more are refused (HAProxy `tune.http.maxhdr` is 101).
pub(crate) const FIELDS_MAX: usize = 100;

/// Whether `a` is `b` without regard to case; `b` is lower case.
pub(crate) fn is(a: &str, b: &str) -> bool {
    a.len() == b.len() && a.eq_ignore_ascii_case(b)
}

/// A value without the spaces and tabs around it.
pub(crate) fn trim(value: &[u8]) -> &[u8] {
    let blank = |b: &u8| matches!(b, b' ' | b'\t');
    let start = value.iter().position(|b| !blank(b)).unwrap_or(value.len());
    let end = value.iter().rposition(|b| !blank(b)).map_or(start, |at| at + 1);
    &value[start..end]
}

/// The members of a comma-separated list.
pub(crate) fn members(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|b| *b == b',').map(trim).filter(|member| !member.is_empty())
}

/// What the connection-level fields of a head say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Connection {
    pub(crate) close: bool,
    pub(crate) keep_alive: bool,
    pub(crate) upgrade: bool,
    /// It names fields besides the standard ones, which must not be passed on either.
    pub(crate) names_others: bool,
}

/// Collected while the fields are read once.
#[derive(Default)]
pub(crate) struct Framed {
    length: Option<u64>,
    chunked: bool,
    pub(crate) connection: Connection,
}

impl Framed {
    /// Takes one field into account. `Ok(true)`: it is about framing or the connection.
    ///
    /// # Errors
    /// More than one Content-Length, one that is not digits only, a Transfer-Encoding that is not exactly `chunked`.
    pub(crate) fn see(&mut self, header: &Header<'_>) -> Result<bool, Refusal> {
        let name = header.name;
        match name.len() {
            10 if is(name, "connection") => self.connection.see(header.value),
            14 if is(name, "content-length") => {
                if self.length.replace(length(header.value)?).is_some() {
                    return Err(Refusal::bad("more than one Content-Length"));
                }
            }
            17 if is(name, "transfer-encoding") => {
                if self.chunked {
                    return Err(Refusal::bad("more than one Transfer-Encoding"));
                }
                if !trim(header.value).eq_ignore_ascii_case(b"chunked") {
                    return Err(Refusal::with(501, "a Transfer-Encoding that is not exactly chunked"));
                }
                self.chunked = true;
            }
            14 | 17 => {
                refuse_look_alike(name)?;
                return Ok(false);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// The framing that the fields tell, if they tell any.
    ///
    /// # Errors
    /// Content-Length beside Transfer-Encoding.
    pub(crate) fn framing(&self) -> Result<Option<Framing>, Refusal> {
        match (self.length, self.chunked) {
            (Some(_), true) => Err(Refusal::bad("Content-Length beside Transfer-Encoding")),
            (None, true) => Ok(Some(Framing::Chunked)),
            (Some(length), false) => Ok(Some(Framing::Length(length))),
            (None, false) => Ok(None),
        }
    }
}

impl Connection {
    fn see(&mut self, value: &[u8]) {
        for member in members(value) {
            match member {
                m if m.eq_ignore_ascii_case(b"close") => self.close = true,
                m if m.eq_ignore_ascii_case(b"keep-alive") => self.keep_alive = true,
                m if m.eq_ignore_ascii_case(b"upgrade") => self.upgrade = true,
                _ => self.names_others = true,
            }
        }
    }
}

/// Digits only: no sign, no list, no blank inside, less than 2^63.
fn length(value: &[u8]) -> Result<u64, Refusal> {
    let digits = trim(value);
    let wrong = Refusal::bad("a Content-Length that is not a number");
    if digits.is_empty() || digits.len() > 18 {
        return Err(wrong);
    }
    digits.iter().try_fold(
        0u64,
        |sum, b| {
            if b.is_ascii_digit() { Ok(sum * 10 + u64::from(b - b'0')) } else { Err(wrong) }
        },
    )
}

/// `timeout=N` of a Keep-Alive field, in whole seconds up to a day.
pub(crate) fn keep_alive_timeout(value: &[u8]) -> Option<Span> {
    let seconds = members(value).find_map(|member| {
        let (name, seconds) = member.split_at_checked(b"timeout=".len())?;
        name.eq_ignore_ascii_case(b"timeout=").then_some(seconds)
    })?;
    length(seconds).ok().map(|seconds| Span::secs(seconds.min(86_400)))
}

/// `Content_Length` is `Content-Length` to servers that map names to variables.
fn refuse_look_alike(name: &str) -> Result<(), Refusal> {
    let dashed = |real: &str| {
        name.bytes().zip(real.bytes()).all(|(b, real)| b.to_ascii_lowercase() == real || b == b'_' && real == b'-')
    };
    if name.len() == 14 && dashed("content-length") || name.len() == 17 && dashed("transfer-encoding") {
        return Err(Refusal::bad("a header name with an underscore that some servers take for a framing header"));
    }
    Ok(())
}

/// Fields that end at this hop, whatever Connection says (RFC 9110 §7.6.1), Connection itself excepted.
pub(crate) fn ends_here(name: &str) -> bool {
    match name.len() {
        2 => is(name, "te"),
        7 => is(name, "upgrade"),
        10 => is(name, "keep-alive") || is(name, "connection"),
        14 => is(name, "http2-settings"),
        16 => is(name, "proxy-connection"),
        _ => false,
    }
}

/// Whether one of the Connection fields names this field. Never true for those that carry trust or framing
/// (CVE-2022-31813: a client must not be able to strip them).
pub(crate) fn nominated(headers: &[Header<'_>], name: &str) -> bool {
    let kept =
        ["host", "content-length", "transfer-encoding", "authorization", "cookie", "x-forwarded-for", "forwarded"];
    if kept.iter().any(|k| is(name, k)) || name.len() > 2 && name[..2].eq_ignore_ascii_case("x-") {
        return false;
    }
    headers
        .iter()
        .filter(|h| is(h.name, "connection"))
        .any(|h| members(h.value).any(|m| m.eq_ignore_ascii_case(name.as_bytes())))
}

/// Copies the lines of `headers` that `keep` wants from `head` to `to`, whole runs at a time.
///
/// `headers` are slices of `head`, in order; `first` is where the first line begins, `end` where the last one has ended.
pub(crate) fn copy_lines(
    head: &[u8],
    headers: &[Header<'_>],
    (first, end): (usize, usize),
    to: &mut Vec<u8>,
    mut keep: impl FnMut(&Header<'_>) -> bool,
) {
    let start_of = |h: &Header<'_>| h.name.as_ptr() as usize - head.as_ptr() as usize;
    let mut run = first;
    for (index, header) in headers.iter().enumerate() {
        if keep(header) {
            continue;
        }
        let line = start_of(header);
        to.extend_from_slice(&head[run..line]);
        run = headers.get(index + 1).map_or(end, start_of);
    }
    to.extend_from_slice(&head[run..end]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_keep_alive_field_says_how_long() {
        for (value, timeout) in [
            ("timeout=5, max=1000", Some(5)),
            ("max=100,Timeout= 60", Some(60)),
            ("timeout=999999", Some(86_400)),
            ("timeout=-1", None),
            ("max=5", None),
            ("", None),
        ] {
            assert_eq!(keep_alive_timeout(value.as_bytes()), timeout.map(Span::secs), "{value}");
        }
    }
}
