//! The header of a line, whatever wrote it: time, severity, host, program, process, and where its message begins.
//!
//! Layers, each optional: what tools put before a line (`strip`), a syslog frame (`frame`), a time, a severity, a
//! program. A message may begin with a whole header again, because a relay has wrapped it: what is inside holds.

use super::cursor::Cursor;
use super::time::{self, Stamp};
use super::{frame, odd, words};

/// Headers inside headers, at most.
const NESTED: usize = 4;

/// A header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Head<'a> {
    /// When.
    pub time: Option<Stamp>,
    /// How bad, as one of a few words.
    pub severity: Option<&'static str>,
    /// Whose, where a syslog frame tells it.
    pub host: Option<&'a [u8]>,
    /// Which program, as written.
    pub program: Option<&'a [u8]>,
    /// Which process, thread or world, as written.
    pub pid: Option<&'a [u8]>,
    /// The line goes on with what an earlier one has begun.
    pub more: bool,
    /// Further lines of its kind may carry headers of their own: written by ESXi 8, or sent as syslog.
    pub framed: bool,
    /// Where the message begins.
    pub body: usize,
}

impl Head<'_> {
    /// Whether two lines may come from one process of one host: nothing that both tell differs.
    pub fn same_source(&self, other: &Head<'_>) -> bool {
        let same = |a: Option<&[u8]>, b: Option<&[u8]>| a.zip(b).is_none_or(|(a, b)| a.eq_ignore_ascii_case(b));
        same(self.program, other.program) && same(self.pid, other.pid) && same(self.host, other.host)
    }

    /// Whether a header inside a message is the true one, which a relay has wrapped, or a doubled one. Text that only
    /// looks like one must not hold: the programs have to be akin, or a whole header has to stand in a syslog frame.
    fn wraps(&self, inner: &Head<'_>) -> bool {
        let akin = match (self.program, inner.program) {
            (Some(outer), Some(inner)) => {
                let shared = outer.len().min(inner.len());
                outer.iter().zip(inner).take(shared).all(|(a, b)| a.eq_ignore_ascii_case(b))
                    || outer.starts_with(b"vmk")
            }
            _ => true,
        };
        let told = inner.program.is_some() || inner.severity.is_some();
        told && (akin || (self.host.is_some() && inner.time.is_some() && inner.program.is_some()))
    }

    /// What the inner header tells holds, but for the names of the logs that the vmkernel's lines are copied to.
    fn take(&mut self, inner: &Self) {
        let copied = self.program.is_some_and(|outer| outer.starts_with(b"vmk"));
        *self = Head {
            time: inner.time.or(self.time),
            severity: inner.severity.or(self.severity),
            host: inner.host.or(self.host),
            program: if copied { self.program } else { inner.program.or(self.program) },
            pid: inner.pid.or(self.pid),
            more: self.more || inner.more,
            framed: self.framed || inner.framed,
            body: inner.body,
        };
    }
}

/// The header of a line that begins at `at`, if there is one.
pub fn head(line: &[u8], at: usize, now: i64) -> Option<Head<'_>> {
    let mut cursor = Cursor::new(line, at);
    let mut head = Head::default();
    if !layer(&mut cursor, &mut head, now, true) {
        return None;
    }
    cursor.spaces();
    for _ in 1..NESTED {
        // What a marked line holds is text, whatever it looks like.
        if head.more {
            break;
        }
        let (mut here, mut inner) = (cursor, Head::default());
        if !layer(&mut here, &mut inner, now, false) || !head.wraps(&inner) {
            break;
        }
        head.take(&inner);
        here.spaces();
        cursor = here;
    }
    // `-->` after a header: one line of a longer record, sent by itself.
    head.more |= arrow(cursor.rest());
    head.body = cursor.at;
    Some(head)
}

/// Whether a text begins with the mark of a line that goes on.
pub fn arrow(text: &[u8]) -> bool {
    text.starts_with(b"-->") || text.starts_with(b"--&gt;")
}

/// One header: a syslog frame, a time, or at least a severity with a program. `first`: nothing is read yet.
fn layer<'a>(cursor: &mut Cursor<'a>, head: &mut Head<'a>, now: i64, first: bool) -> bool {
    let mut here = *cursor;
    let priority = frame::priority(&mut here, head);
    if priority && frame::rfc_5424(&mut here, head) {
        *cursor = here;
        return true;
    }
    if !priority
        && first
        && (odd::bracketed(&mut here, head) || odd::access(&mut here, head) || odd::named(&mut here, head))
    {
        *cursor = here;
        return true;
    }
    let old = time::month_day(&mut here, now);
    if let Some(stamp) = old.or_else(|| time::date_time(&mut here)) {
        head.time = Some(stamp);
        after_time(&mut here, head, priority, old.is_some());
        *cursor = here;
        return true;
    }
    if let Some(stamp) = time::split(&mut here, odd::before_clock) {
        head.time = Some(stamp);
        here.spaces();
        words::esxi_8(&mut here, head);
        *cursor = here;
        return true;
    }
    let told =
        words::esxi_8(&mut here, head) || words::classic(&mut here, head, false) || words::vmkernel(&mut here, head);
    *cursor = here;
    told || priority
}

/// What stands between a time and the message.
fn after_time<'a>(cursor: &mut Cursor<'a>, head: &mut Head<'a>, priority: bool, old: bool) {
    cursor.eat(b":");
    if cursor.spaces() == 0 {
        odd::nearby(cursor, head);
        return;
    }
    let _told = words::esxi_8(cursor, head)
        || words::classic(cursor, head, true)
        || words::vmkernel(cursor, head)
        || odd::in_brackets(cursor, head)
        || (!old && frame::tag(cursor, head))
        || frame::host_and_tag(cursor, head, priority || old)
        || odd::nearby(cursor, head);
}
