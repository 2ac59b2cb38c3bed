//! From a place to the record around it.

use super::body;
use super::head::Head;
use super::line::{Kind, Line, unmarked};
use super::stretch::Stretch;
use super::time::Stamp;

/// A record begins at most this many bytes before a literal in it.
pub const BACK: usize = 48 << 10;
/// And ends at most this many bytes after it.
pub const AHEAD: usize = 68 << 10;
/// A record has at most this many bytes.
const BYTES: usize = 64 << 10;
/// A record has at most this many lines.
const LINES: usize = 400;
/// Lines before a literal's own.
const LINES_BACK: usize = 300;
/// Lines of other programs that may stand between two lines of a record.
const FOREIGN: usize = 8;
/// Lines that are looked at to see whether a record goes on after a foreign one.
const PEEK: usize = 4;

/// A record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// Where it begins.
    pub start: usize,
    /// The lines it has, as begins and ends, in order; neighbours are one.
    pub spans: Vec<(usize, usize)>,
    /// When.
    pub time: Option<Stamp>,
    /// How bad.
    pub severity: Option<&'static str>,
    /// Which host, from a syslog frame.
    pub host: Option<String>,
    /// Which program.
    pub program: Option<String>,
    /// Which process.
    pub pid: Option<String>,
    /// The header as written, cleaned.
    pub header: String,
    /// The body.
    pub body: String,
    /// Whether it is longer than a record may be.
    pub truncated: bool,
}

impl Record {
    /// Whether a place is in one of its lines.
    pub fn holds(&self, at: usize) -> bool {
        self.spans.iter().any(|(from, to)| (*from..*to).contains(&at))
    }
}

impl Stretch<'_> {
    /// Where the record begins that the line at `here` belongs to, and whether it may have begun before.
    ///
    /// No line up to `bare` has a header near enough.
    fn owner(&self, here: usize, bare: Option<usize>) -> (usize, bool) {
        let own = self.line(here);
        let kind = own.kind(self.now);
        if matches!(kind, Kind::Head(_)) {
            return (here, false);
        }
        let mut earliest = matches!(kind, Kind::More(_)).then_some(here);
        let mut wanted = earliest.map(|_| own.clone());
        let mut only_arrows = kind == Kind::Arrow;
        let (mut at, mut foreign) = (here, 0);
        for _ in 0..LINES_BACK {
            let Some(previous) = self.previous(at).filter(|_| Some(at) != bare) else { break };
            at = previous;
            let line = self.line(at);
            let source = wanted.as_ref().map(|line| line.kind(self.now));
            match (line.kind(self.now), source) {
                (Kind::Head(head), None) => {
                    let other = only_arrows.then(|| self.before_interleaved(at, &head, &line)).flatten();
                    return (other.unwrap_or(at), false);
                }
                (Kind::Head(head), Some(Kind::More(source))) if head.same_source(&source) => return (at, false),
                (Kind::More(head), Some(Kind::More(source))) if head.same_source(&source) => earliest = Some(at),
                (Kind::More(_), None) => (wanted, earliest) = (Some(line.clone()), Some(at)),
                (Kind::Head(_) | Kind::More(_), _) => foreign += 1,
                (kind, _) => only_arrows &= kind == Kind::Arrow,
            }
            if foreign > FOREIGN {
                break;
            }
        }
        earliest.map_or_else(|| self.without_header(here), |at| (at, false))
    }

    /// An unfinished record before a whole line of another program: lines with `-->` after that are the first one's.
    fn before_interleaved(&self, at: usize, head: &Head<'_>, line: &Line<'_>) -> Option<usize> {
        let message = line.rest(head.body);
        if body::empty(message) || body::depth(message) > 0 {
            return None;
        }
        let mut begin = self.previous(at)?;
        let mut again = 0;
        for _ in 0..LINES_BACK {
            let before = self.line(begin);
            match before.kind(self.now) {
                Kind::Arrow => begin = self.previous(begin)?,
                // The same one has written in between before.
                Kind::Head(same) if again < FOREIGN && same.same_source(head) => {
                    again += 1;
                    begin = self.previous(begin)?;
                }
                Kind::Head(first) if !first.same_source(head) => {
                    let hollow = body::empty(before.rest(first.body)) && self.next(begin) == Some(at);
                    let open = hollow || body::depth(self.text.get(begin..at).unwrap_or_default()) > 0;
                    return open.then_some(begin);
                }
                _ => return None,
            }
        }
        None
    }

    /// Lines that go on belong to the line before them; any other line is a record of its own.
    fn without_header(&self, here: usize) -> (usize, bool) {
        let mut at = here;
        for _ in 0..LINES_BACK {
            if !matches!(self.line(at).kind(self.now), Kind::Arrow | Kind::Indent) {
                return (at, false);
            }
            let Some(previous) = self.previous(at) else { return (at, false) };
            if self.line(previous).kind(self.now) == Kind::Blank {
                return (at, false);
            }
            at = previous;
        }
        (at, true)
    }

    /// Whether a line of `source` goes on soon after the line at `at`.
    fn goes_on(&self, mut at: usize, source: &Head<'_>) -> bool {
        for _ in 0..PEEK {
            let Some(next) = self.next(at) else { return false };
            at = next;
            match self.line(at).kind(self.now) {
                Kind::More(head) if head.same_source(source) => return true,
                Kind::Head(head) if head.same_source(source) => return false,
                _ => {}
            }
        }
        false
    }

    /// The record that begins at `start`.
    fn record(&self, start: usize) -> Record {
        let mut record = Record { start, ..Record::default() };
        let first = self.line(start);
        let mut body = Vec::new();
        let head = match first.kind(self.now) {
            Kind::Head(head) | Kind::More(head) => {
                let own = |part: Option<&[u8]>| part.map(|part| super::shown(&String::from_utf8_lossy(part)));
                (record.time, record.severity) = (head.time, head.severity);
                (record.host, record.program, record.pid) = (own(head.host), own(head.program), own(head.pid));
                let header = first.whole();
                let length = header.len() - first.rest(head.body).len();
                record.header = String::from_utf8_lossy(header.get(..length).unwrap_or_default()).into_owned();
                body::push(&mut body, unmarked(first.rest(head.body)));
                Some(head)
            }
            _ => {
                body::push(&mut body, first.continued(&first));
                None
            }
        };
        record.spans.push((start, self.past(start)));
        // Lines with `-->` after this one belong to the empty header before it.
        let arrow = |at: usize| self.next(at).is_some_and(|next| self.line(next).kind(self.now) == Kind::Arrow);
        let lent =
            head.filter(|_| arrow(start)).and_then(|head| self.before_interleaved(start, &head, &first)).is_some();
        let hollow = head.is_some_and(|head| body::empty(first.rest(head.body)));
        let (mut at, mut foreign) = (start, 0);
        let mut lines = 1;
        while let Some(next) = self.next(at) {
            at = next;
            let line = self.line(at);
            let more = match (line.kind(self.now), &head) {
                (Kind::Head(other), Some(head)) => {
                    let different = !other.same_source(head);
                    let message = line.rest(other.body);
                    let whole = !body::empty(message) && body::depth(message) == 0;
                    let open = (hollow && lines == 1) || body::depth(&body) > 0;
                    if different && foreign < FOREIGN && open && whole && arrow(at) {
                        foreign += 1;
                        continue;
                    }
                    if different && head.framed && foreign < FOREIGN && self.goes_on(at, head) {
                        foreign += 1;
                        continue;
                    }
                    break;
                }
                (Kind::Head(_) | Kind::More(_), None) => break,
                (Kind::More(other), Some(head)) if other.same_source(head) => Some(other),
                (Kind::More(_), Some(_)) if foreign < FOREIGN => {
                    foreign += 1;
                    continue;
                }
                (Kind::More(_), Some(_)) => break,
                (Kind::Arrow, _) if lent => break,
                (Kind::Bare | Kind::Blank, None) if !screen(&body) => break,
                (Kind::Blank, None) => break,
                (_, Some(_)) if first.prefixed && line.whole() == b"--" => break,
                _ => None,
            };
            if lines == LINES || self.end(at) - start > BYTES {
                record.truncated = true;
                break;
            }
            lines += 1;
            let text = more.map_or_else(|| line.continued(&first), |head| unmarked(line.rest(head.body)));
            // A NUL is no end of line: it is taken out of the line that it stands in.
            if !body.is_empty() && self.text.get(at - 1) != Some(&0) {
                body.push(b'\n');
            }
            body::push(&mut body, text);
            let end = self.past(at);
            match record.spans.last_mut() {
                Some(last) if last.1 == at => last.1 = end,
                _ => record.spans.push((at, end)),
            }
        }
        record.truncated |= body.len() > BYTES;
        body.truncate(BYTES);
        record.body = String::from_utf8_lossy(body.trim_ascii_end()).into_owned();
        record
    }
}

/// Whether a text without headers is a purple screen, whose lines belong together.
fn screen(body: &[u8]) -> bool {
    memchr::memmem::find(body, b"@BlueScreen").is_some()
}

/// The record around `at`, a place in `text`, which begins `BACK` bytes before it, or where all of the text begins.
///
/// `whole`: the text begins there. `now`: for years that are left out. `bare`: the begin of a line before, if it is known
/// to have no header near enough, so that a long text without headers is not looked through again for every place.
pub fn assemble(text: &[u8], at: usize, whole: bool, now: i64, bare: Option<usize>) -> Record {
    let stretch = Stretch { text, now };
    let here = stretch.begin(at);
    // The begin of this line is too far away.
    let cut = here == 0 && !whole;
    let (start, more) = if cut { (0, true) } else { stretch.owner(here, bare) };
    let mut record = stretch.record(start);
    if !record.holds(at) {
        record = stretch.record(here);
    }
    record.truncated |= more;
    record
}
