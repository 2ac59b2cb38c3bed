//! One line: cleaned of what terminals and tools put into it, and told apart by what it does to a record.

use super::cursor::Cursor;
use super::head::{self, Head};
use std::borrow::Cow;

const ESCAPE: u8 = 0x1B;
/// A prefix of grep is looked for in this many bytes.
const PREFIX: usize = 256;
/// And in so many places, so that a line made of colons costs no more than others.
const PLACES: usize = 24;

/// What a line does to a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind<'a> {
    /// It has a header: a record begins.
    Head(Head<'a>),
    /// It has a header and goes on with an earlier record of its source.
    More(Head<'a>),
    /// It begins with `-->`.
    Arrow,
    /// It is indented.
    Indent,
    /// There is nothing on it.
    Blank,
    /// Anything else.
    Bare,
}

/// A line, cleaned.
#[derive(Clone, Debug)]
pub struct Line<'a> {
    text: Cow<'a, [u8]>,
    /// Where it begins, behind a prefix of grep.
    from: usize,
    /// Whether grep has put something before it.
    pub prefixed: bool,
}

/// Escape sequences of terminals, carriage returns and NULs are kept out.
pub fn clean(raw: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr3(ESCAPE, b'\r', 0, raw).is_none() {
        return Cow::Borrowed(raw);
    }
    let mut text = Vec::with_capacity(raw.len());
    let mut bytes = raw.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            // Parameters, then one letter.
            ESCAPE if bytes.next_if_eq(&b'[').is_some() => {
                while bytes.next_if(|byte| (0x20..0x40).contains(byte)).is_some() {}
                bytes.next_if(|byte| (0x40..0x7F).contains(byte));
            }
            ESCAPE | b'\r' | 0 => {}
            byte => text.push(byte),
        }
    }
    Cow::Owned(text)
}

impl<'a> Line<'a> {
    /// Cleans a line and looks for a prefix.
    pub fn new(raw: &'a [u8], now: i64) -> Line<'a> {
        let text = clean(raw);
        let bom = if text.starts_with(b"\xEF\xBB\xBF") { 3 } else { 0 };
        if head::head(&text, bom, now).is_some() {
            return Line { text, from: bom, prefixed: false };
        }
        let from = prefix(&text, bom, now);
        Line { text, from: from.unwrap_or(bom), prefixed: from.is_some() }
    }

    /// What it does to a record.
    pub fn kind(&self, now: i64) -> Kind<'_> {
        if let Some(head) = head::head(&self.text, self.from, now) {
            return if head.more { Kind::More(head) } else { Kind::Head(head) };
        }
        let rest = self.rest(self.from);
        let blanks = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        let inside = rest.get(blanks..).unwrap_or_default();
        match inside {
            [] => Kind::Blank,
            text if head::arrow(text) => Kind::Arrow,
            _ if blanks == 0 => Kind::Bare,
            // An article's sample, set in from the margin: only with the data that all of these lines have.
            text if text.iter().take(96).any(|byte| *byte == b'@') => {
                let told = head::head(&self.text, self.from + blanks, now);
                let data = |head: &Head<'_>| self.rest(head.body).starts_with(b"[Originator@") && head.time.is_none();
                told.filter(data).map_or(Kind::Indent, Kind::Head)
            }
            _ => Kind::Indent,
        }
    }

    /// The text from a place on.
    pub fn rest(&self, from: usize) -> &[u8] {
        self.text.get(from..).unwrap_or_default()
    }

    /// The text of a line that goes on, without the mark for that, and without what grep has put before it if it has put
    /// such a thing before the `first` line.
    pub fn continued(&self, first: &Line<'_>) -> &[u8] {
        let behind = if first.prefixed && !self.prefixed { self.behind_prefix_of(first) } else { None };
        unmarked(self.rest(behind.unwrap_or(self.from)))
    }

    fn behind_prefix_of(&self, first: &Line<'_>) -> Option<usize> {
        let ends = |byte: &u8| matches!(byte, b':' | b'-');
        let prefix = first.text.get(..first.from)?.split_last().map(|(_, rest)| rest)?;
        let digits = prefix.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
        let name = prefix.get(..prefix.len() - digits)?;
        let name = name.split_last().map_or(name, |(_, rest)| rest);
        let mut here = Cursor::new(&self.text, 0);
        let named = name.is_empty() || (here.eat(name) && here.take(1, |byte| ends(&byte)).len() == 1);
        let numbered = digits == 0 || (here.number(9).is_some() && here.take(1, |byte| ends(&byte)).len() == 1);
        (named && numbered).then_some(here.at)
    }

    /// All of it, but for a prefix.
    pub fn whole(&self) -> &[u8] {
        self.rest(self.from)
    }
}

/// Text without `--> ` at its begin.
pub fn unmarked(text: &[u8]) -> &[u8] {
    let inside = text.trim_ascii_start();
    let rest = inside.strip_prefix(b"-->").or_else(|| inside.strip_prefix(b"--&gt;"));
    rest.map_or(text, |rest| rest.strip_prefix(b" ").unwrap_or(rest))
}

/// Where a line begins behind what grep puts before it: `25331:`, `hostd.log:25331:`, `hostd.log-25331-`, `hostd.log:`.
///
/// A number or a file name alone proves nothing: a header or `-->` must follow.
fn prefix(text: &[u8], bom: usize, now: i64) -> Option<usize> {
    let follows = |at: usize| {
        let rest = text.get(at..).unwrap_or_default();
        head::arrow(rest) || head::head(text, at, now).is_some()
    };
    let mut numbered = Cursor::new(text, bom);
    let number = numbered.number(9).is_some() && (numbered.eat(b":") || numbered.eat(b"-"));
    if number && follows(numbered.at) {
        return Some(numbered.at);
    }
    let mut file = Cursor::new(text, bom);
    let name = file.take(PREFIX, |byte| !byte.is_ascii_whitespace());
    let ends = name.iter().enumerate().filter(|(_, byte)| matches!(byte, b':' | b'-')).take(PLACES);
    let mut named = false;
    for (end, byte) in ends {
        named |= name.get(..end).unwrap_or_default().iter().any(|byte| matches!(byte, b'.' | b'/'));
        let mut here = Cursor::new(text, bom + end + 1);
        let number = here.number(9).is_some() && here.eat(&[*byte]);
        if named && number && follows(here.at) {
            return Some(here.at);
        }
        if named && *byte == b':' && follows(bom + end + 1) {
            return Some(bom + end + 1);
        }
    }
    None
}
