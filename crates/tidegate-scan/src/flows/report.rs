//! What there is to say about captures, for programs.

use std::collections::BTreeMap;

use serde::Serialize;
use tidegate_core::flow::{Note, Outcome, State};
use tidegate_core::time::Nanos;

use super::census::Census;
use super::desk::{Desk, SECOND, kept};
use super::each::FlowLine;
use super::files::{FileLine, Files};
use super::find::sides::{Withheld, one_sided, withhold};
use super::found::{BucketLine, Found};
use super::look::Live;
use super::sink::Flows;
use super::summary::Summary;

/// A report. Times are nanoseconds since 1970, seconds likewise.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// The version of this form.
    pub format: u32,
    /// The captures.
    pub files: Vec<FileLine>,
    /// The earliest packet; 0 without packets.
    pub from: u64,
    /// The latest one.
    pub to: u64,
    /// Packets of TCP, and word that one could not be delivered.
    pub packets: u64,
    /// Packets that no flow was looked up for: too many hosts.
    pub unplaced: u64,
    /// Flows that were seen, each incarnation of a tuple by itself.
    pub flows: u64,
    /// Flows that stand and are not over.
    pub live: u64,
    /// Flows that stand, by state.
    pub states: BTreeMap<&'static str, u64>,
    /// All flows by how they ended, in Zeek's words.
    pub conn_states: BTreeMap<&'static str, u64>,
    /// Packets by what they meant.
    pub notes: BTreeMap<&'static str, u64>,
    /// Second, connections that were opened, answered, established, refused in it. Points are further apart in long captures.
    pub handshakes: Vec<[u64; 5]>,
    /// Second, connections whose handshake was not over then.
    pub half_open: Vec<[u64; 2]>,
    /// The fullest ranges of source ports.
    pub buckets: Vec<BucketLine>,
    /// What went wrong, the worst first.
    pub found: Vec<Found>,
    /// What is not told, and why.
    pub withheld: Vec<Withheld>,
    /// Flows that were given up for others.
    pub evicted: u64,
    /// Segments of flows that there was no room for.
    pub refused: u64,
    /// Bytes of memory for each flow that stands; `None` without flows.
    pub bytes_per_flow: Option<f64>,
    /// Every flow, if [`Options::each`](super::Options::each) asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub each: Option<Vec<FlowLine>>,
}

/// Makes the report.
pub(super) fn report(flows: &Flows) -> Report {
    let desk = &flows.desk;
    let (census, files) = close(flows);
    let sum = Summary {
        from: desk.base.unwrap_or(0),
        to: desk.span.1,
        packets: desk.packets,
        flows: desk.flows,
        one_sided: one_sided(&census),
        census: &census,
        leaps: desk.leaps(),
        gaps: desk.notes.of(Note::Gap),
        hosts: &desk.hosts,
        ladders: &desk.ladders,
        all: flows,
    };
    let (mut found, withheld) = withhold(desk.findings.find(&sum), &sum);
    let (files, places) = files.lines();
    found.iter_mut().for_each(|found| renumber(found, &places));
    found.sort_by_key(|found| (std::cmp::Reverse((found.severity, found.confidence)), found.first));
    let counts =
        |state: State| flows.tables().fold(0, |sum: u64, table| sum.saturating_add(at(table.counts().states, state)));
    let each = desk.each.as_ref().map(|each| {
        let mut lines = each.lines(&desk.hosts, flows.live().map(|live| (live.key, live.flow, live.cold)));
        lines.iter_mut().for_each(|line| line.renumber(&places));
        lines
    });
    let (bytes, standing) = flows.tables().fold((0_usize, 0_usize), |(bytes, standing), table| {
        (bytes.saturating_add(table.bytes()), standing.saturating_add(table.len()))
    });
    Report {
        format: 1,
        files,
        from: desk.span.0,
        to: desk.span.1,
        packets: desk.packets,
        unplaced: desk.unplaced,
        flows: desk.flows,
        live: State::ALL
            .into_iter()
            .filter(|state| !state.over())
            .fold(0, |sum, state| sum.saturating_add(counts(state))),
        states: State::ALL.map(|state| (state.name(), counts(state))).into_iter().filter(|(_, n)| *n > 0).collect(),
        conn_states: census.conn_states(),
        notes: desk.notes.words(),
        handshakes: handshakes(desk),
        half_open: half_open(flows),
        buckets: desk.findings.buckets(&sum),
        found,
        withheld,
        evicted: flows
            .tables()
            .fold(0, |sum, table| table.counts().evicted.iter().fold(sum, |sum, n| sum.saturating_add(*n))),
        refused: desk.refused,
        bytes_per_flow: (standing > 0).then(|| bytes as f64 / standing as f64),
        each,
    }
}

fn handshakes(desk: &Desk) -> Vec<[u64; 5]> {
    let counts = |(number, counts): (u64, [i32; 4])| {
        let [opened, answered, established, refused] = counts.map(|count| u64::from(count.unsigned_abs()));
        [desk.handshakes.begins(number), opened, answered, established, refused]
    };
    desk.handshakes.windows().map(counts).collect()
}

/// How many handshakes were not over at the end of each point of time. One that never got further counts for as long as Linux
/// keeps it.
fn half_open(flows: &Flows) -> Vec<[u64; 2]> {
    let mut series = flows.desk.half_open.clone();
    for live in flows.live().filter(|live| live.flow.state().half_open()) {
        let kept = kept(live.flow).0;
        if kept < flows.desk.span.1 {
            series.add(kept / SECOND, 1, 1);
        }
    }
    // Below zero where time goes back: a handshake may be over before it begins.
    let mut open = 0_i64;
    let mut level = |counts: [i32; 2]| {
        let [more, less] = counts.map(i64::from);
        open = open.saturating_add(more).saturating_sub(less);
        u64::try_from(open).unwrap_or(0)
    };
    series.windows().map(|(number, counts)| [series.begins(number), level(counts)]).collect()
}

fn at(counts: [u64; State::ALL.len()], state: State) -> u64 {
    counts.get(state as usize).copied().unwrap_or(0)
}

/// Counts those that stand with those that are gone.
fn close(flows: &Flows) -> (Census, Files) {
    let (mut census, mut files) = (flows.desk.census.clone(), flows.desk.files.clone());
    for live in flows.live() {
        census.count(live.flow, live.cold);
        let file = u32::from(live.cold.file);
        files.state(file, live.flow.state());
        if let Some(outcome) = pending(&live, flows.desk.span.1) {
            files.outcome(file, outcome);
        }
    }
    (census, files)
}

/// How a SYN came out that waits in the shadow of a flow at the end.
pub(super) fn pending(live: &Live<'_>, end: u64) -> Option<Outcome> {
    let mut flow = *live.flow;
    flow.lapse(Nanos(end))
}

/// Frames name files by the order in which they were seen; from here on by their place in the report.
fn renumber(found: &mut Found, places: &[u32]) {
    let frames = found.frames.iter_mut().map(|frame| &mut frame.file);
    let rows = found.ladder.iter_mut().flat_map(|ladder| &mut ladder.rows).map(|row| &mut row.file);
    frames.chain(rows).for_each(|file| *file = place(*file, places));
}

fn place(file: u32, places: &[u32]) -> u32 {
    places.get(file as usize).copied().unwrap_or(file)
}

impl FlowLine {
    fn renumber(&mut self, places: &[u32]) {
        (self.first.file, self.last.file) = (place(self.first.file, places), place(self.last.file, places));
    }
}
