//! The results of all members, put together in the order of the members, whatever thread read them and when.

use crate::content::Content;
use crate::dump::ALL;
use crate::findings::{Cut, Findings, Hit, MARKS, Marked};
use crate::flows::Report;
use crate::plan::{FORMAT, Plan};
use crate::source::{Desk, Ended, Member, Reader, Trouble};
use crate::tally::{Count, Tallied};
use crate::text::Span;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Reports of captures that are kept.
const CAPTURES: usize = 1_000;

/// A member, as results tell it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Told {
    index: usize,
    path: String,
    bytes: u64,
    lines: u64,
    first: Option<i64>,
    last: Option<i64>,
    ended: &'static str,
    why: String,
    text: bool,
    capture: bool,
}

#[derive(Serialize)]
struct ToldCapture {
    member: usize,
    report: Report,
}

#[derive(Serialize)]
struct ToldTally<'a> {
    tally: &'a str,
    key: BTreeMap<&'a str, &'a str>,
    total: u64,
    first: Option<i64>,
    last: Option<i64>,
    by: &'a BTreeMap<String, u64>,
    minutes: Vec<(i64, u64)>,
}

#[derive(Serialize)]
struct ToldDump {
    dump: String,
    member: usize,
    text: String,
    truncated: bool,
}

#[derive(PartialEq, Eq, PartialOrd, Ord, Serialize)]
struct ToldTrouble {
    path: String,
    what: &'static str,
    detail: String,
}

#[derive(Serialize)]
struct Result<'a> {
    format: u32,
    members: &'a [Told],
    hits: &'a [Hit],
    tallies: Vec<ToldTally<'a>>,
    marks: &'a [Marked],
    dumps: &'a [ToldDump],
    captures: &'a [ToldCapture],
    troubles: &'a [ToldTrouble],
    cut: Cut,
}

/// A member that is read, waiting for those before it.
struct Waiting {
    told: Told,
    findings: Part,
}

/// What is kept of a member's findings.
struct Part {
    hits: Vec<Hit>,
    marks: Vec<Marked>,
    tallies: Vec<Tallied>,
    dump: Option<(Vec<usize>, Vec<u8>)>,
    capture: Option<Report>,
    cut: Cut,
}

#[derive(Default)]
struct Gathered {
    /// The member whose turn it is.
    next: usize,
    waiting: BTreeMap<usize, Waiting>,
    members: Vec<Told>,
    hits: Vec<Hit>,
    evidence: Vec<usize>,
    marks: Vec<Marked>,
    marked: Vec<usize>,
    tallies: Vec<Tallied>,
    dumps: Vec<ToldDump>,
    dumped: usize,
    captures: Vec<ToldCapture>,
    troubles: Vec<ToldTrouble>,
    cut: Cut,
}

/// Makes a reader for each member, and results of what they find.
pub struct Collector {
    plan: Arc<Plan>,
    gathered: Arc<Mutex<Gathered>>,
}

fn lock(gathered: &Mutex<Gathered>) -> MutexGuard<'_, Gathered> {
    // A reader that panicked has changed nothing by halves that the others need.
    gathered.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Collector {
    /// Nothing is read yet.
    pub fn new(plan: Arc<Plan>) -> Collector {
        let gathered = Gathered {
            evidence: vec![0; plan.signatures.len()],
            marked: vec![0; plan.marks.len()],
            tallies: plan.tallies.iter().map(|_| Tallied::default()).collect(),
            ..Gathered::default()
        };
        Collector { plan, gathered: Arc::new(Mutex::new(gathered)) }
    }

    /// All results, as JSON (format 1).
    pub fn json(&self) -> String {
        let mut gathered = lock(&self.gathered);
        while let Some((_, waiting)) = gathered.waiting.pop_first() {
            gathered.add(&self.plan, waiting);
        }
        gathered.troubles.sort();
        let tallies = self.plan.tallies.iter().zip(&gathered.tallies);
        let each = |(tally, tallied): (&'_ crate::plan::Tally, &'_ Tallied)| -> Vec<_> {
            let keys = tallied.keys.iter();
            keys.map(|(key, count)| (tally.id.clone(), tally.key.clone(), key.clone(), count.clone())).collect()
        };
        let counts: Vec<(String, Vec<String>, Vec<String>, Count)> = tallies.flat_map(each).collect();
        let result = Result {
            format: FORMAT,
            members: &gathered.members,
            hits: &gathered.hits,
            tallies: counts.iter().map(|(tally, names, key, count)| told_tally(tally, names, key, count)).collect(),
            marks: &gathered.marks,
            dumps: &gathered.dumps,
            captures: &gathered.captures,
            troubles: &gathered.troubles,
            cut: gathered.cut,
        };
        // Nothing in it can fail to be written: all keys are texts.
        serde_json::to_string(&result).unwrap_or_default()
    }
}

fn told_tally<'a>(tally: &'a str, names: &'a [String], key: &'a [String], count: &'a Count) -> ToldTally<'a> {
    ToldTally {
        tally,
        key: names.iter().map(String::as_str).zip(key.iter().map(String::as_str)).collect(),
        total: count.total,
        first: count.first,
        last: count.last,
        by: &count.by,
        minutes: count.minutes.iter().map(|(minute, records)| (*minute, *records)).collect(),
    }
}

impl Gathered {
    /// Adds what can be added in order.
    fn put(&mut self, plan: &Plan, waiting: Waiting) {
        self.waiting.insert(waiting.told.index, waiting);
        while let Some(waiting) = self.waiting.remove(&self.next) {
            self.next += 1;
            self.add(plan, waiting);
        }
    }

    fn add(&mut self, plan: &Plan, waiting: Waiting) {
        let Waiting { told, findings } = waiting;
        self.cut.hits += findings.cut.hits;
        self.cut.marks += findings.cut.marks;
        self.cut.keys += findings.cut.keys;
        self.cut.dumps += findings.cut.dumps;
        for mut hit in findings.hits {
            if self.hits.len() >= plan.keep.hits {
                self.cut.hits += 1;
                continue;
            }
            hit.member = told.index;
            if let Some(shown) = self.evidence.get_mut(hit.number) {
                *shown += 1;
                hit.record = hit.record.filter(|_| *shown <= plan.keep.evidence);
            }
            self.hits.push(hit);
        }
        for mut mark in findings.marks {
            let Some(count) = self.marked.get_mut(mark.number).filter(|count| **count < MARKS) else {
                self.cut.marks += 1;
                continue;
            };
            *count += 1;
            mark.member = told.index;
            self.marks.push(mark);
        }
        for (tallied, more) in self.tallies.iter_mut().zip(findings.tallies) {
            self.cut.keys += tallied.merge(more, plan.keep.keys);
        }
        if let Some((numbers, bytes)) = findings.dump {
            self.dump(plan, told.index, &numbers, &bytes, findings.cut.dumps > 0);
        }
        match findings.capture {
            Some(_) if self.captures.len() >= CAPTURES => self.cut.captures += 1,
            Some(report) => self.captures.push(ToldCapture { member: told.index, report }),
            None => {}
        }
        self.members.push(told);
    }

    fn dump(&mut self, plan: &Plan, member: usize, numbers: &[usize], bytes: &[u8], truncated: bool) {
        for dump in numbers.iter().filter_map(|number| plan.dumps.get(*number)) {
            if self.dumped + bytes.len() > ALL {
                self.cut.dumps += 1;
                continue;
            }
            self.dumped += bytes.len();
            let text = String::from_utf8_lossy(bytes).into_owned();
            self.dumps.push(ToldDump { dump: dump.id.clone(), member, text, truncated });
        }
    }
}

/// Reads one member.
struct MemberScan {
    content: Content,
    member: Member,
    plan: Arc<Plan>,
    gathered: Arc<Mutex<Gathered>>,
}

impl Reader for MemberScan {
    fn data(&mut self, block: &[u8]) {
        self.content.data(block, &self.member.path);
    }

    fn end(self: Box<Self>, ended: Ended) {
        let MemberScan { content, member, plan, gathered } = *self;
        let (mut findings, span, capture) = content.end(&ended);
        findings.hits.sort_by(|a, b| (a.offset, &a.signature).cmp(&(b.offset, &b.signature)));
        let dump = findings.dumps.take();
        let Findings { hits, marks, tallies, cut, .. } = findings;
        let told = told(member, span, ended, capture.is_some());
        lock(&gathered).put(&plan, Waiting { told, findings: Part { hits, marks, tallies, dump, capture, cut } });
    }
}

fn told(member: Member, span: Span, ended: Ended, capture: bool) -> Told {
    let (ended, why) = match ended {
        Ended::Whole => ("whole", String::new()),
        Ended::Truncated(why) => ("truncated", why),
        Ended::Broken(why) => ("broken", why),
        Ended::Budget(why) => ("budget", why),
    };
    let Span { bytes, lines, first, last, text } = span;
    Told { index: member.index, path: member.path, bytes, lines, first, last, ended, why, text, capture }
}

impl Desk for Collector {
    fn open(&self, member: Member) -> Option<Box<dyn Reader>> {
        // No line was written after its file: an old bundle's years are those of its files.
        let modified = member.modified.and_then(|seconds| seconds.checked_mul(1_000_000_000));
        let now = modified.map_or(self.plan.now, |modified| modified.min(self.plan.now));
        let content = Content::new(Arc::clone(&self.plan), now);
        Some(Box::new(MemberScan {
            content,
            member,
            plan: Arc::clone(&self.plan),
            gathered: Arc::clone(&self.gathered),
        }))
    }

    fn trouble(&self, trouble: Trouble) {
        let Trouble { path, what, detail } = trouble;
        lock(&self.gathered).troubles.push(ToldTrouble { path, what, detail });
    }
}
