//! `maxConcurrentRequestsPerSession` in a provider's answers, lowered while it is under pressure.
//!
//! A provider tells each host how many calls it may have outstanding, in its answer to setContext. While others wait, one
//! is enough: it spares the provider and the queue. The number is replaced where it stands, so this works in a part of a
//! multipart answer as well; whatever does not look like an element with a number in it is left alone.

use memchr::{memchr, memmem};
use std::borrow::Cow;

const ELEMENT: &[u8] = b"maxConcurrentRequestsPerSession";
/// What it is lowered to.
const LEAST: u64 = 1;

/// The document with 1 in place of every larger number; never raised, never below 1.
pub fn lower(document: &[u8]) -> Cow<'_, [u8]> {
    let mut lowered: Vec<u8> = Vec::new();
    let mut copied = 0;
    for at in memmem::find_iter(document, ELEMENT) {
        let Some((start, end)) = number(document, at).filter(|(start, _)| *start >= copied) else { continue };
        lowered.extend_from_slice(document.get(copied..start).unwrap_or_default());
        lowered.extend_from_slice(LEAST.to_string().as_bytes());
        copied = end;
    }
    if copied == 0 {
        return Cow::Borrowed(document);
    }
    lowered.extend_from_slice(document.get(copied..).unwrap_or_default());
    Cow::Owned(lowered)
}

/// Where the number of the element stands whose name is at `at`, if it is one to be lowered.
fn number(document: &[u8], at: usize) -> Option<(usize, usize)> {
    let before = document.get(..at)?;
    let prefix = before.iter().rev().take_while(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(byte)).count();
    if before.get(before.len().checked_sub(prefix + 1)?) != Some(&b'<') || !matches!(before.last(), Some(b'<' | b':')) {
        return None;
    }
    let behind = document.get(at + ELEMENT.len()..)?;
    if !matches!(behind.first()?, b'>' | b' ' | b'\t' | b'\r' | b'\n') {
        return None;
    }
    let open =
        memchr(b'>', behind).filter(|open| !behind[..*open].contains(&b'<') && !behind[..*open].ends_with(b"/"))?;
    let text = behind.get(open + 1..)?;
    let text = text.get(..memchr(b'<', text)?)?;
    let digits = text.trim_ascii();
    let value: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    let start = at + ELEMENT.len() + open + 1 + (text.len() - text.trim_ascii_start().len());
    (value > LEAST && digits.iter().all(u8::is_ascii_digit)).then_some((start, start + digits.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lowered(text: &str) -> String {
        String::from_utf8(lower(text.as_bytes()).into_owned()).unwrap()
    }

    #[test]
    fn the_number_becomes_one_and_nothing_else_changes() {
        let before = "<v:return><d:maxBatchSize>1024</d:maxBatchSize><d:maxConcurrentRequestsPerSession>16\
                      </d:maxConcurrentRequestsPerSession><d:name>vp</d:name></v:return>";
        assert_eq!(lowered(before), before.replace(">16<", ">1<"));
        let plain = "<maxConcurrentRequestsPerSession a='b'> 5\n</maxConcurrentRequestsPerSession>";
        assert_eq!(lowered(plain), plain.replace(" 5\n", " 1\n"));
        assert_eq!(lowered(&before.repeat(3)), before.repeat(3).replace(">16<", ">1<"));
        assert_eq!(lowered(&lowered(before)), lowered(before));
    }

    #[test]
    fn it_is_never_raised() {
        for number in ["0", "1", "-4", "", "many", "1.5", "+7", "99999999999999999999999"] {
            let text = format!("<d:maxConcurrentRequestsPerSession>{number}</d:maxConcurrentRequestsPerSession>");
            assert_eq!(lowered(&text), text, "{number}");
        }
    }

    #[test]
    fn what_only_looks_like_it_is_left_alone() {
        for text in [
            "maxConcurrentRequestsPerSession>5<",
            "<d:maxConcurrentRequestsPerSession",
            "<d:maxConcurrentRequestsPerSession/>5<",
            "<d:maxConcurrentRequestsPerSession>5",
            "<d:maxConcurrentRequestsPerSessionToo>5</d:maxConcurrentRequestsPerSessionToo>",
            "<d:notmaxConcurrentRequestsPerSession>5</d:notmaxConcurrentRequestsPerSession>",
            "</d:maxConcurrentRequestsPerSession>5<",
            "<d:maxConcurrentRequestsPerSession a='<'>5<",
        ] {
            assert_eq!(lowered(text), text);
        }
    }
}
