//! What one member holds: its records are matched here, and what matches is kept within limits.

use crate::dump::Dumps;
use crate::plan::{Plan, Tally, User};
use crate::record::{Record, Stamp, Zone, shown};
use crate::tally::Tallied;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// Matches of one mark that are kept.
pub const MARKS: usize = 1_000;
/// Matches of one tally that are counted in a record: as many as it has lines.
const EVERY: usize = 400;
/// Records that a literal may still belong to.
const OPEN: usize = 4;
/// So much of a record is shown as evidence, in bytes.
const SHOWN: usize = 16 << 10;

/// A record that a signature was met in.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Hit {
    /// The signature, by its number until results are written.
    #[serde(skip)]
    pub number: usize,
    /// The signature.
    pub signature: String,
    /// The member.
    pub member: usize,
    /// The line at which the record begins, from 1.
    pub line: u64,
    /// The place at which it begins, in bytes from 0.
    pub offset: u64,
    /// Nanoseconds since 1970.
    pub time: Option<i64>,
    /// `record`, `neighbour` or `none`.
    pub time_source: &'static str,
    /// `utc`, `offset` or `none`.
    pub zone: &'static str,
    /// From a syslog frame.
    pub host: Option<String>,
    /// As written.
    pub program: Option<String>,
    /// As written.
    pub pid: Option<String>,
    /// One of a few words.
    pub severity: Option<&'static str>,
    /// The named groups of its regexes.
    pub fields: BTreeMap<String, String>,
    /// Header and body, without control characters.
    pub record: Option<String>,
    /// Whether the record is longer than a record may be.
    pub truncated: bool,
}

/// A match of a mark.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Marked {
    /// The mark, by its number until results are written.
    #[serde(skip)]
    pub number: usize,
    /// The mark.
    pub mark: String,
    /// The member.
    pub member: usize,
    /// The line at which the record begins, from 1.
    pub line: u64,
    /// Nanoseconds since 1970.
    pub time: Option<i64>,
    /// The named groups of its regex.
    pub fields: BTreeMap<String, String>,
    /// Header and body, without control characters.
    pub record: String,
}

/// How much was left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Cut {
    /// Hits.
    pub hits: u64,
    /// Matches of marks.
    pub marks: u64,
    /// Keys of tallies, and values and minutes inside them: counted once for each record that was left out.
    pub keys: u64,
    /// Dumps, and parts of dumps.
    pub dumps: u64,
    /// Captures.
    pub captures: u64,
}

/// A record that was assembled, and who has looked at it.
struct Open {
    record: Record,
    origin: u64,
    line: u64,
    time: Option<i64>,
    time_source: &'static str,
    zone: &'static str,
    told: BTreeSet<User>,
}

/// What one member holds.
pub struct Findings {
    plan: Arc<Plan>,
    open: VecDeque<Open>,
    current: usize,
    /// Hits, in order of the literals that led to them.
    pub hits: Vec<Hit>,
    /// Hits of each signature so far.
    evidence: Vec<usize>,
    /// Matches of marks.
    pub marks: Vec<Marked>,
    marked: Vec<usize>,
    /// One for each tally of the plan.
    pub tallies: Vec<Tallied>,
    /// Dumps.
    pub dumps: Dumps,
    /// What was left out.
    pub cut: Cut,
}

impl Findings {
    /// Nothing yet.
    pub fn new(plan: Arc<Plan>) -> Findings {
        Findings {
            open: VecDeque::new(),
            current: 0,
            hits: Vec::new(),
            evidence: vec![0; plan.signatures.len()],
            marks: Vec::new(),
            marked: vec![0; plan.marks.len()],
            tallies: plan.tallies.iter().map(|_| Tallied::default()).collect(),
            dumps: Dumps::new(Arc::clone(&plan)),
            plan,
            cut: Cut::default(),
        }
    }

    /// Shows the next bytes to those that hand out whole texts.
    pub fn dump(&mut self, block: &[u8]) {
        self.dumps.data(block);
    }

    /// Whether a place is in a record that is open; it becomes the current one.
    pub fn holds(&mut self, place: u64) -> bool {
        let inside = |open: &Open| {
            let place = place.checked_sub(open.origin).and_then(|place| usize::try_from(place).ok());
            place.is_some_and(|place| open.record.holds(place))
        };
        match self.open.iter().rposition(inside) {
            Some(at) => self.current = at,
            None => return false,
        }
        true
    }

    /// A record is met, whose places count from `origin`; `near`: the time of one before it.
    pub fn open(&mut self, record: Record, origin: u64, line: u64, near: Option<Stamp>) {
        let (time, time_source) = match (record.time, near) {
            (Some(own), _) => (Some(own), "record"),
            (None, Some(near)) => (Some(near), "neighbour"),
            (None, None) => (None, "none"),
        };
        let zone = time.map_or(Zone::None, |stamp| stamp.zone).word();
        if self.open.len() == OPEN {
            self.open.pop_front();
        }
        let told = BTreeSet::new();
        self.open.push_back(Open { record, origin, line, time: time.map(|stamp| stamp.ns), time_source, zone, told });
        self.current = self.open.len() - 1;
    }

    /// Somebody's literal is in the current record.
    pub fn tell(&mut self, user: User) {
        let Some(open) = self.open.get_mut(self.current) else { return };
        if !open.told.insert(user) {
            return;
        }
        match user {
            User::Signature(number) => self.signature(number),
            User::Tally(number) => self.tally(number),
            User::Mark(number) => self.mark(number),
        }
    }

    fn signature(&mut self, number: usize) {
        let (Some(open), Some(signature)) = (self.open.get(self.current), self.plan.signatures.get(number)) else {
            return;
        };
        let record = &open.record;
        let program = record.program.as_ref().map(|program| program.to_ascii_lowercase());
        if program.is_some_and(|program| !signature.programs.is_empty() && !signature.programs.contains(&program)) {
            return;
        }
        let mut fields = BTreeMap::new();
        let all = signature.all.iter().all(|pattern| pattern.fields(&record.body, &mut fields));
        if !all || signature.not.iter().any(|pattern| pattern.is_match(&record.body)) {
            return;
        }
        if self.hits.len() >= self.plan.keep.hits {
            self.cut.hits += 1;
            return;
        }
        let shown = self.evidence.get_mut(number).is_some_and(|count| {
            *count += 1;
            *count <= self.plan.keep.evidence
        });
        self.hits.push(Hit {
            number,
            signature: signature.id.clone(),
            member: 0,
            line: open.line,
            offset: open.origin + record.start as u64,
            time: open.time,
            time_source: open.time_source,
            zone: open.zone,
            host: record.host.clone(),
            program: record.program.clone(),
            pid: record.pid.clone(),
            severity: record.severity,
            fields,
            record: shown.then(|| evidence(record)),
            truncated: record.truncated,
        });
    }

    fn tally(&mut self, number: usize) {
        let (Some(open), Some(tally)) = (self.open.get(self.current), self.plan.tallies.get(number)) else { return };
        let Tally { pattern, key, by, every, .. } = tally;
        for mut fields in pattern.every(&open.record.body, if *every { EVERY } else { 1 }) {
            let key: Vec<String> = key.iter().map(|name| fields.get(name).cloned().unwrap_or_default()).collect();
            let by = by.as_ref().and_then(|name| fields.remove(name));
            if let Some(tallied) = self.tallies.get_mut(number)
                && !tallied.count(key, by, open.time, self.plan.keep.keys)
            {
                self.cut.keys += 1;
            }
        }
    }

    fn mark(&mut self, number: usize) {
        let (Some(open), Some(mark)) = (self.open.get(self.current), self.plan.marks.get(number)) else { return };
        let Some(count) = self.marked.get_mut(number) else { return };
        for fields in mark.pattern.every(&open.record.body, MARKS + 1) {
            if *count >= MARKS {
                self.cut.marks += 1;
                break;
            }
            *count += 1;
            let (mark, record) = (mark.id.clone(), evidence(&open.record));
            self.marks.push(Marked { number, mark, member: 0, line: open.line, time: open.time, fields, record });
        }
    }

    /// The member ends.
    pub fn end(&mut self) {
        self.dumps.end();
        self.cut.dumps += self.dumps.cut;
        self.open.clear();
    }
}

/// A record as it is shown.
fn evidence(record: &Record) -> String {
    let mut text = shown(&format!("{}{}", record.header, record.body));
    if text.len() > SHOWN {
        let end = (0..=SHOWN).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default();
        text.truncate(end);
    }
    text
}
