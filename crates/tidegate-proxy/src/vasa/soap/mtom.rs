//! The first part of a `multipart/related` message (MTOM, RFC 2387): it holds the envelope.

/// Longest boundary (RFC 2046, 5.1.1).
const BOUNDARY_MAX: usize = 70;
/// Most bytes of headers of a part.
const PART_HEAD_MAX: usize = 2048;

pub(super) enum Boundary {
    /// Not multipart.
    None,
    Bad,
    Some(Vec<u8>),
}

pub(super) enum Part<'a> {
    NeedMore,
    /// The content so far; its end has not come.
    Open(&'a [u8]),
    /// All of the content.
    Whole(&'a [u8]),
    Bad(&'static str),
}

/// The `boundary` parameter of a multipart content type.
pub(super) fn boundary(content_type: &[u8]) -> Boundary {
    let mut parameters = Parameters { rest: content_type };
    let kind = parameters.next().unwrap_or_default();
    if !kind.get(..10).is_some_and(|k| k.eq_ignore_ascii_case(b"multipart/")) {
        return Boundary::None;
    }
    let mut found = None;
    for parameter in parameters {
        let Some(equals) = memchr::memchr(b'=', parameter) else { continue };
        if !parameter[..equals].trim_ascii().eq_ignore_ascii_case(b"boundary") {
            continue;
        }
        let value = parameter[equals + 1..].trim_ascii();
        let value = value.strip_prefix(b"\"").and_then(|v| v.strip_suffix(b"\"")).unwrap_or(value);
        let fine = (1..=BOUNDARY_MAX).contains(&value.len())
            && value.iter().all(|b| (b' '..=b'~').contains(b) && !matches!(b, b'"' | b'\\'))
            && !value.ends_with(b" ");
        if !fine || found.is_some() {
            return Boundary::Bad;
        }
        found = Some(value.to_vec());
    }
    found.map_or(Boundary::Bad, Boundary::Some)
}

/// The pieces of a header value between semicolons, those in quotes aside.
struct Parameters<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Parameters<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        let (mut quoted, mut escaped) = (false, false);
        let end = self.rest.iter().position(|b| {
            let ends = *b == b';' && !quoted;
            quoted ^= *b == b'"' && !escaped;
            escaped = quoted && *b == b'\\' && !escaped;
            ends
        });
        let (piece, rest) = match end {
            Some(at) => (&self.rest[..at], &self.rest[at + 1..]),
            None => (self.rest, &[][..]),
        };
        self.rest = rest;
        Some(piece.trim_ascii())
    }
}

/// What stands between the first delimiter line with its headers and the next delimiter.
pub(super) fn first_part<'a>(body: &'a [u8], boundary: &[u8]) -> Part<'a> {
    let delimiter = [b"--".as_slice(), boundary].concat();
    let start = if body.starts_with(&delimiter) {
        Some(0)
    } else {
        find(body, &[b"\r\n", delimiter.as_slice()].concat()).map(|at| at + 2)
    };
    let Some(start) = start else { return Part::NeedMore };
    let after = &body[start + delimiter.len()..];
    let line_end = find(after, b"\r\n");
    // What is wrong is told as soon as it is there, so that the same message is refused alike however it comes in.
    let line = line_end.map_or(after.strip_suffix(b"\r").unwrap_or(after), |end| &after[..end]);
    if line.iter().take(PART_HEAD_MAX).any(|b| !matches!(b, b' ' | b'\t')) {
        return Part::Bad("a first boundary line with something behind it");
    }
    if line.len() > PART_HEAD_MAX {
        return Part::Bad("a boundary line that does not end");
    }
    let Some(line_end) = line_end else { return Part::NeedMore };
    // The blank line that ends the headers may follow at once: keep the CRLF of the boundary line in the search.
    let head = &after[line_end..];
    let Some(head_end) = find(head, b"\r\n\r\n") else {
        return if head.len() > PART_HEAD_MAX + 3 {
            Part::Bad("a first part with endless headers")
        } else {
            Part::NeedMore
        };
    };
    if head_end > PART_HEAD_MAX {
        return Part::Bad("a first part with endless headers");
    }
    if !plainly_encoded(&head[..head_end]) {
        return Part::Bad("a first part in a transfer encoding");
    }
    let content = &head[head_end + 4..];
    match find(content, &[b"\r\n", delimiter.as_slice()].concat()) {
        Some(end) => Part::Whole(&content[..end]),
        None => Part::Open(content),
    }
}

/// Whether no header of the part says base64 or quoted-printable.
fn plainly_encoded(head: &[u8]) -> bool {
    head.split(|b| *b == b'\n').all(|line| {
        let Some(colon) = memchr::memchr(b':', line) else { return true };
        if !line[..colon].trim_ascii().eq_ignore_ascii_case(b"content-transfer-encoding") {
            return true;
        }
        let value = line[colon + 1..].trim_ascii();
        [b"binary".as_slice(), b"8bit", b"7bit"].iter().any(|plain| value.eq_ignore_ascii_case(plain))
    })
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    memchr::memmem::find(haystack, needle)
}
