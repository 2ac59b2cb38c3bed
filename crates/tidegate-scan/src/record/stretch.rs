//! A stretch of a text, line by line in both directions. Lines end at line feeds and at NULs.

use super::line::{Kind, Line};
use super::time::Stamp;

/// A time is looked for in so many lines.
const LINES: usize = 300;

/// A stretch of a text, and the years that its times leave out.
pub struct Stretch<'t> {
    /// All that may be looked at.
    pub text: &'t [u8],
    /// For years that are left out.
    pub now: i64,
}

impl<'t> Stretch<'t> {
    /// Where the line around a place begins.
    pub fn begin(&self, at: usize) -> usize {
        let before = self.text.get(..at).unwrap_or_default();
        memchr::memrchr2(b'\n', 0, before).map_or(0, |end| end + 1)
    }

    /// Where the line that begins at `begin` ends, without its end.
    pub fn end(&self, begin: usize) -> usize {
        let rest = self.text.get(begin..).unwrap_or_default();
        memchr::memchr2(b'\n', 0, rest).map_or(self.text.len(), |length| begin + length)
    }

    pub fn line(&self, begin: usize) -> Line<'t> {
        Line::new(self.text.get(begin..self.end(begin)).unwrap_or_default(), self.now)
    }

    /// The line before. Two NULs are the end of a text.
    pub fn previous(&self, begin: usize) -> Option<usize> {
        let end = begin.checked_sub(1)?;
        let torn = self.text.get(end) == Some(&0) && end > 0 && self.text.get(end - 1) == Some(&0);
        (!torn).then(|| self.begin(end))
    }

    /// The line after.
    pub fn next(&self, begin: usize) -> Option<usize> {
        let end = self.end(begin);
        let torn = self.text.get(end) == Some(&0) && self.text.get(end + 1) == Some(&0);
        (end + 1 < self.text.len() && !torn).then_some(end + 1)
    }
}

/// The time of the last header that begins before `at`. `bare`: the begin of a line that has none near enough.
pub fn time_before(text: &[u8], at: usize, now: i64, bare: Option<usize>) -> Option<Stamp> {
    let stretch = Stretch { text, now };
    let mut at = stretch.begin(at);
    for _ in 0..LINES {
        if Some(at) == bare {
            return None;
        }
        at = stretch.previous(at)?;
        if let Kind::Head(head) | Kind::More(head) = stretch.line(at).kind(now)
            && head.time.is_some()
        {
            return head.time;
        }
    }
    None
}

/// The time of the first header in a text, which may begin inside a line unless it is `whole`.
pub fn time_at_or_after(text: &[u8], whole: bool, now: i64) -> Option<Stamp> {
    let stretch = Stretch { text, now };
    let mut at = if whole { Some(0) } else { stretch.next(0) };
    for _ in 0..LINES {
        let begin = at?;
        if let Kind::Head(head) | Kind::More(head) = stretch.line(begin).kind(now)
            && head.time.is_some()
        {
            return head.time;
        }
        at = if stretch.text.get(stretch.end(begin)..).is_some_and(|rest| rest.len() > 1) {
            Some(stretch.end(begin) + 1)
        } else {
            None
        };
    }
    None
}
