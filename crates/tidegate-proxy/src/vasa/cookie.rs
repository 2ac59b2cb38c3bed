//! The session of a request, from its `Cookie` lines, and of an answer, from its `Set-Cookie` lines.
//!
//! Clients in the field are careless here: some put the value in quotes, some send a whole `Set-Cookie` value back with
//! its attributes, and some join two of them with a comma. All of these are read; commas and semicolons within quotes
//! belong to the value.

/// The value of the first cookie called `name` in `lines` (values of `Cookie`), without quotes; never empty.
pub fn requested<'a>(lines: impl IntoIterator<Item = &'a [u8]>, name: &str) -> Option<&'a [u8]> {
    all(lines, name).next()
}

/// All of them.
pub(crate) fn all<'a>(lines: impl IntoIterator<Item = &'a [u8]>, name: &str) -> impl Iterator<Item = &'a [u8]> {
    pieces(lines).filter_map(move |piece| value_of(piece, name))
}

/// Every cookie in `lines` (values of `Cookie`) as its name, and as it was written.
pub(crate) fn pairs<'a>(lines: impl IntoIterator<Item = &'a [u8]>) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
    pieces(lines).filter_map(|piece| Some((split(piece)?.0, piece.trim_ascii())))
}

fn pieces<'a>(lines: impl IntoIterator<Item = &'a [u8]>) -> impl Iterator<Item = &'a [u8]> {
    lines.into_iter().flat_map(|line| Pieces { rest: line, comma: true })
}

/// What an answer says about the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetSession<'a> {
    /// Use this one from now on.
    Opened(&'a [u8]),
    /// Forget it: an empty value, `Max-Age` of zero or less, or an expiry in 1970.
    Closed,
}

/// What the last line that sets a cookie called `name` says (`lines`: values of `Set-Cookie`): clients keep the last.
pub fn set<'a>(lines: impl IntoIterator<Item = &'a [u8]>, name: &str) -> Option<SetSession<'a>> {
    lines.into_iter().filter_map(|line| set_by(line, name)).last()
}

fn set_by<'a>(line: &'a [u8], name: &str) -> Option<SetSession<'a>> {
    let mut pieces = Pieces { rest: line, comma: false };
    let (key, value) = split(pieces.next()?)?;
    if key != name.as_bytes() {
        return None;
    }
    let closed = value.is_empty() || pieces.any(expires_at_once);
    Some(if closed { SetSession::Closed } else { SetSession::Opened(value) })
}

fn expires_at_once(attribute: &[u8]) -> bool {
    let Some((key, value)) = split(attribute) else { return false };
    if key.eq_ignore_ascii_case(b"max-age") {
        value.starts_with(b"-") || (!value.is_empty() && value.iter().all(|b| *b == b'0'))
    } else {
        // Servers that delete a cookie set its expiry to the beginning of Unix time.
        key.eq_ignore_ascii_case(b"expires") && memchr::memmem::find(value, b"1970").is_some()
    }
}

fn value_of<'a>(piece: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let (key, value) = split(piece)?;
    (key == name.as_bytes() && !value.is_empty()).then_some(value)
}

/// `key = "value"` as key and value, without blanks and quotes.
fn split(piece: &[u8]) -> Option<(&[u8], &[u8])> {
    let equals = memchr::memchr(b'=', piece)?;
    let value = piece[equals + 1..].trim_ascii();
    let unquoted = value.strip_prefix(b"\"").and_then(|v| v.strip_suffix(b"\"")).unwrap_or(value);
    Some((piece[..equals].trim_ascii(), unquoted))
}

/// The pieces of a line between semicolons (and commas), those in quotes aside.
struct Pieces<'a> {
    rest: &'a [u8],
    comma: bool,
}

impl<'a> Iterator for Pieces<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        let separates = |b: u8| b == b';' || (self.comma && b == b',');
        let mut quoted = false;
        let mut end = self.rest.iter().position(|b| {
            quoted ^= *b == b'"';
            separates(*b) && !quoted
        });
        if quoted {
            // A quote that is never closed is an ordinary character.
            end = self.rest.iter().position(|b| separates(*b));
        }
        let (piece, rest) = match end {
            Some(at) => (&self.rest[..at], &self.rest[at + 1..]),
            None => (self.rest, &[][..]),
        };
        self.rest = rest;
        Some(piece)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NAME: &str = "VASASESSIONID";

    fn request<'a>(lines: &[&'a str]) -> Option<&'a [u8]> {
        requested(lines.iter().map(|l| l.as_bytes()), NAME)
    }

    fn answer<'a>(lines: &[&'a str]) -> Option<SetSession<'a>> {
        set(lines.iter().map(|l| l.as_bytes()), NAME)
    }

    #[test]
    fn finds_the_session_of_a_request() {
        let cases: &[(&[&str], Option<&str>)] = &[
            (&[], None),
            (&[""], None),
            (&["VASASESSIONID=417233"], Some("417233")),
            (&["a=b; VASASESSIONID=417233; c=d"], Some("417233")),
            (&["a=b", " VASASESSIONID = 417233 "], Some("417233")),
            (&["VASASESSIONID=\"417233\""], Some("417233")),
            (&["VASASESSIONID=\"41;72,33\"; b"], Some("41;72,33")),
            (&["VASASESSIONID=\"417233; b=c"], Some("\"417233")),
            (&["other=\"x; VASASESSIONID=1\"; VASASESSIONID=2"], Some("2")),
            (&["VASASESSIONID=1; VASASESSIONID=2"], Some("1")),
            (&["VASASESSIONID=; VASASESSIONID=2"], Some("2")),
            (&["x=\"1\"; Path=/; HttpOnly; Secure;, VASASESSIONID=2; Path=/"], Some("2")),
            (&["XVASASESSIONID=1; vasasessionid=2"], None),
            (&["VASASESSIONID"], None),
        ];
        for (lines, expected) in cases {
            assert_eq!(request(lines), expected.map(str::as_bytes), "{lines:?}");
        }
    }

    #[test]
    fn finds_the_session_of_an_answer() {
        use SetSession::{Closed, Opened};
        let cases: &[(&[&str], Option<SetSession>)] = &[
            (&[], None),
            (&["VASASESSIONID=884120"], Some(Opened(b"884120"))),
            (&["VASASESSIONID=\"884120\"; Path=/; HttpOnly; Secure;"], Some(Opened(b"884120"))),
            (&["JSESSIONID=1", "VASASESSIONID=2; Expires=Wed, 21 Oct 2037 07:28:00 GMT"], Some(Opened(b"2"))),
            (&["VASASESSIONID=1", "VASASESSIONID=2"], Some(Opened(b"2"))),
            (&["VASASESSIONID="], Some(Closed)),
            (&["VASASESSIONID=1; Max-Age=0"], Some(Closed)),
            (&["VASASESSIONID=1; max-age=-1"], Some(Closed)),
            (&["VASASESSIONID=1; Max-Age=10"], Some(Opened(b"1"))),
            (&["VASASESSIONID=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT"], Some(Closed)),
            (&["JSESSIONID=1; VASASESSIONID=2"], None),
        ];
        for (lines, expected) in cases {
            assert_eq!(answer(lines), *expected, "{lines:?}");
        }
    }

    proptest! {
        #[test]
        fn is_found_among_others(
            before in "([a-z]{1,5}=[a-z0-9]{0,5}; ?){0,4}", value in "[a-zA-Z0-9]{1,20}", quote: bool,
        ) {
            let line = if quote { format!("{before}{NAME}=\"{value}\"; z") } else { format!("{before}{NAME}={value}") };
            prop_assert_eq!(request(&[&line]), Some(value.as_bytes()));
        }

        #[test]
        fn never_panics(line in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = (requested([line.as_slice()], NAME), set([line.as_slice()], NAME));
        }
    }
}
