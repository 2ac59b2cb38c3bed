//! The text of one member, in blocks of any size: searched, and hits handed to a [`Findings`].
//!
//! What is found does not depend on how the text was cut: a literal is looked into when all that its record may need is
//! there, and everything else is tied to places of the whole text. Between blocks at most [`HOLD`] bytes are kept.

use crate::findings::Findings;
use crate::needle::{Found, LONGEST};
use crate::plan::Plan;
use crate::record::{self, AHEAD, BACK, Stamp};
use std::sync::Arc;

/// Searched at a time: what is searched is still in the cache when its lines are counted.
const CHUNK: usize = 128 << 10;
/// Text before the place that is searched next.
const BEFORE: usize = BACK + LONGEST;
/// Small blocks are put together until they are this much.
const HOLD: usize = BEFORE + AHEAD + (1 << 20);
/// Times are sampled once in this many bytes, for what the member covers.
const SAMPLE: u64 = 1 << 20;
/// A sample looks at this many bytes.
const SAMPLED: usize = 16 << 10;
/// The begin of a member, by which it is told what it is.
const HEAD: usize = 4 << 10;

/// What is known of a member when it ends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// Bytes that were read.
    pub bytes: u64,
    /// Line ends in them, and one for a last line without an end.
    pub lines: u64,
    /// The earliest time that was sampled.
    pub first: Option<i64>,
    /// The latest time that was sampled.
    pub last: Option<i64>,
    /// Whether it begins like a text.
    pub text: bool,
}

impl Span {
    fn sample(&mut self, stamp: Option<Stamp>) {
        if let Some(Stamp { ns, .. }) = stamp {
            self.first = Some(self.first.map_or(ns, |first| first.min(ns)));
            self.last = Some(self.last.map_or(ns, |last| last.max(ns)));
        }
    }
}

/// Scans one member.
pub struct TextScan {
    plan: Arc<Plan>,
    now: i64,
    findings: Findings,
    /// Text that is still needed, from `base` on.
    held: Vec<u8>,
    base: u64,
    /// Everything before has been searched, its lines are counted.
    done: u64,
    lines: u64,
    /// The next place to sample a time at, and the newest time that was met.
    sample: u64,
    newest: Option<Stamp>,
    /// Begins of lines that are known to have no header, or no time, near enough before them.
    bare: Option<u64>,
    timeless: Option<u64>,
    ended: bool,
    last_byte: u8,
    span: Span,
    found: Vec<Found>,
}

impl TextScan {
    /// Begins with nothing. `now`: nanoseconds since 1970, for years that logs leave out.
    pub fn new(plan: Arc<Plan>, now: i64) -> TextScan {
        TextScan {
            findings: Findings::new(Arc::clone(&plan)),
            plan,
            now,
            held: Vec::new(),
            base: 0,
            done: 0,
            lines: 0,
            sample: 0,
            newest: None,
            bare: None,
            timeless: None,
            ended: false,
            last_byte: b'\n',
            span: Span::default(),
            found: Vec::new(),
        }
    }

    /// Reads the next bytes.
    pub fn data(&mut self, block: &[u8]) {
        self.span.bytes += block.len() as u64;
        self.last_byte = block.last().copied().unwrap_or(self.last_byte);
        self.findings.dump(block);
        let mut block = block;
        if self.held.is_empty() && block.len() > HOLD {
            // A mapped file: searched where it is. Its last bytes are held for the end.
            self.search(block);
            let keep = self.kept(block.len());
            self.held.extend_from_slice(block.get(keep..).unwrap_or_default());
            self.base += keep as u64;
            return;
        }
        while !block.is_empty() {
            let (now, later) = block.split_at(block.len().min(HOLD.saturating_sub(self.held.len())));
            self.held.extend_from_slice(now);
            block = later;
            if self.held.len() >= HOLD {
                self.turn();
            }
        }
    }

    /// There is no more: what is found, and what is known of the member.
    pub fn end(mut self) -> (Findings, Span) {
        self.ended = true;
        self.turn();
        self.span.lines = self.lines + u64::from(self.last_byte != b'\n');
        self.findings.end();
        (self.findings, self.span)
    }

    /// Searches what is held, and lets go of what is not needed any more.
    fn turn(&mut self) {
        let held = std::mem::take(&mut self.held);
        self.search(&held);
        self.held = held;
        let keep = self.kept(self.held.len());
        self.held.drain(..keep);
        self.base += keep as u64;
    }

    /// How much of a text of `length` bytes at `base` is not needed any more.
    fn kept(&self, length: usize) -> usize {
        let needed = self.done.saturating_sub(BEFORE as u64);
        usize::try_from(needed.saturating_sub(self.base)).unwrap_or(length).min(length)
    }

    /// Searches a text that begins at `base`, up to where records may lack their end.
    fn search(&mut self, text: &[u8]) {
        if self.base == 0 && self.done == 0 {
            self.begin(text);
        }
        let end = if self.ended { text.len() } else { text.len().saturating_sub(AHEAD + LONGEST) };
        let mut from = usize::try_from(self.done - self.base).unwrap_or(end);
        while from < end {
            // Chunks end at round places of the whole text.
            let at = self.base + from as u64;
            let round = CHUNK as u64 - at % CHUNK as u64;
            let to = end.min(from + round as usize);
            let mut found = std::mem::take(&mut self.found);
            self.plan.needles.find(text, from, to, &mut found);
            let (mut counted, mut lines) = (from, self.lines);
            for one in &found {
                lines += count(text, counted, one.at);
                counted = one.at;
                self.sampled(text, self.base + one.at as u64);
                self.look(text, *one, lines);
            }
            self.found = found;
            self.lines = lines + count(text, counted, to);
            from = to;
            self.done = self.base + to as u64;
        }
        self.sampled(text, self.done);
        if self.ended {
            let from = text.len().saturating_sub(SAMPLED);
            let tail = text.get(from..).unwrap_or_default();
            let whole = self.base == 0 && from == 0;
            self.span.sample(record::time_at_or_after(tail, whole, self.now));
            self.span.sample(record::time_before(tail, tail.len(), self.now, None));
        }
    }

    /// The first look: what it is, and when it begins.
    fn begin(&mut self, text: &[u8]) {
        let head = text.get(..text.len().min(HEAD)).unwrap_or_default();
        let odd = head.iter().filter(|byte| **byte < 0x20 && !matches!(byte, b'\n' | b'\r' | b'\t' | 0x1B)).count();
        self.span.text = odd * 50 <= head.len();
    }

    /// Samples times at round places that lie well before `at`.
    fn sampled(&mut self, text: &[u8], at: u64) {
        while self.sample + SAMPLED as u64 <= at {
            let from = usize::try_from(self.sample.saturating_sub(self.base)).unwrap_or(usize::MAX);
            if self.sample >= self.base
                && let Some(part) = text.get(from..from.saturating_add(SAMPLED))
            {
                let stamp = record::time_at_or_after(part, self.sample == 0, self.now);
                self.span.sample(stamp);
                self.newest = stamp.or(self.newest);
            }
            self.sample += SAMPLE;
        }
    }

    /// Looks at the record around a literal. `lines`: line ends before it.
    fn look(&mut self, text: &[u8], found: Found, lines: u64) {
        let place = self.base + found.at as u64;
        let Some(users) = self.plan.users.get(found.needle) else { return };
        if !self.findings.holds(place) {
            let from = found.at.saturating_sub(BACK);
            let to = text.len().min(found.at + AHEAD);
            let part = text.get(from..to).unwrap_or_default();
            let origin = self.base + from as u64;
            let inside = |place: Option<u64>| usize::try_from(place?.checked_sub(origin)?).ok();
            let record = record::assemble(part, found.at - from, origin == 0, self.now, inside(self.bare));
            let start = from + record.start;
            if record.header.is_empty() {
                self.bare = Some(origin + record.start as u64);
            }
            let line = 1 + if start <= found.at { lines - count(text, start, found.at) } else { lines };
            let near = if record.time.is_some() {
                None
            } else {
                let near = record::time_before(part, record.start, self.now, inside(self.timeless));
                if near.is_none() {
                    self.timeless = Some(origin + record.start as u64);
                }
                near.or(self.newest)
            };
            self.newest = record.time.or(self.newest);
            self.findings.open(record, origin, line, near);
        }
        for user in users {
            self.findings.tell(*user);
        }
    }
}

/// Line ends in a part of a text.
fn count(text: &[u8], from: usize, to: usize) -> u64 {
    memchr::memchr_iter(b'\n', text.get(from..to).unwrap_or_default()).count() as u64
}
