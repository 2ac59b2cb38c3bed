//! A stretch of a text, line by line in both directions. Lines end at line feeds and at NULs, and where one frame of
//! syslog that tells its length follows another.

use super::frame;
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
    fn is_end(&self, at: usize) -> bool {
        self.text.get(at).is_some_and(|byte| matches!(byte, b'\n' | 0))
    }

    fn is_torn(&self, at: usize) -> bool {
        self.text.get(at..at + 2) == Some(&[0, 0])
    }

    /// Where the next frame begins, if one begins at `begin` and another follows it on the same line.
    fn next_frame(&self, begin: usize) -> Option<usize> {
        let after = begin + frame::counted(self.text.get(begin..)?)?;
        self.text.get(after..).and_then(frame::counted).map(|_| after)
    }

    /// Where the line around a place begins.
    pub fn begin(&self, at: usize) -> usize {
        let before = self.text.get(..at).unwrap_or_default();
        let mut begin = memchr::memrchr2(b'\n', 0, before).map_or(0, |end| end + 1);
        while let Some(next) = self.next_frame(begin).filter(|next| *next <= at) {
            begin = next;
        }
        begin
    }

    /// Where the line that begins at `begin` ends, without its end.
    pub fn end(&self, begin: usize) -> usize {
        let rest = self.text.get(begin..).unwrap_or_default();
        let end = memchr::memchr2(b'\n', 0, rest).map_or(self.text.len(), |length| begin + length);
        self.next_frame(begin).map_or(end, |next| next.min(end))
    }

    /// The same, with its end.
    pub fn past(&self, begin: usize) -> usize {
        let end = self.end(begin);
        end + usize::from(self.is_end(end))
    }

    /// The line that begins at `begin`.
    pub fn line(&self, begin: usize) -> Line<'t> {
        Line::new(self.text.get(begin..self.end(begin)).unwrap_or_default(), self.now)
    }

    /// The line before. Two NULs are the end of a text.
    pub fn previous(&self, begin: usize) -> Option<usize> {
        let last = begin.checked_sub(1)?;
        let torn = last.checked_sub(1).is_some_and(|before| self.is_torn(before));
        (!torn).then(|| self.begin(last))
    }

    /// The line after.
    pub fn next(&self, begin: usize) -> Option<usize> {
        let past = self.past(begin);
        let torn = past.checked_sub(1).is_some_and(|last| self.is_torn(last));
        (past < self.text.len() && !torn).then_some(past)
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
        at = Some(stretch.past(begin)).filter(|past| *past < text.len());
    }
    None
}
