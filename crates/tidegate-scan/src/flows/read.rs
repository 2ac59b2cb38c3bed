//! From captures to reports: all of them together, or each by itself.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use serde::Serialize;

use super::report::Report;
use super::sink::{Flows, Options};
use crate::Progress;
use crate::capture::{self, Capture, File, Packet, Sink};
use crate::source::{Ended, Input, Stopped, Trouble};

/// Reports that are made of one call, paths of other files that are named, and troubles that are told, at most.
const MOST: usize = 1000;
/// Shards, at most.
const SHARDS_MAX: u32 = 64;

/// What belongs to one report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// All captures, their packets in the order of time.
    Together,
    /// Each capture.
    Each,
}

/// What came of reading.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Analysis {
    /// The reports: one, or one for each capture in the order in which they were found (1000 at most).
    pub reports: Vec<Report>,
    /// Captures after the first thousand, of which none was made.
    pub unreported: u64,
    /// What is no capture.
    pub not_captures: NotCaptures,
    /// What is wrong with what was to be read, 1000 at most.
    pub troubles: Vec<TroubleLine>,
}

/// Files that are no captures.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct NotCaptures {
    /// How many there are.
    pub count: u64,
    /// The first 1000 of them.
    pub paths: Vec<String>,
}

/// Something about the inputs that the reader must know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TroubleLine {
    /// What it is about.
    pub path: String,
    /// A word for programs: see [`Trouble::what`].
    pub what: &'static str,
    /// One sentence for people.
    pub detail: String,
}

/// Reads captures and tells what is in them.
///
/// `shards` is how many threads share the flows of a single plain file that is read [`How::Together`]; more than 64 are 64.
/// Several files are merged, and each is read by a thread of its own, whatever this says. The report is the same, as long as
/// nothing was given up for lack of room.
///
/// # Errors
///
/// [`Stopped`] after `progress` said false.
pub fn analyse(
    inputs: &[Input],
    how: How,
    options: &Options,
    shards: u32,
    progress: Progress<'_>,
) -> Result<Analysis, Stopped> {
    match (how, inputs) {
        (How::Each, _) => each(inputs, options, progress),
        (How::Together, [Input::Path(path)]) if shards > 1 && path.is_file() => {
            sharded(path, options, shards.min(SHARDS_MAX), progress)
        }
        (How::Together, [_]) => one(inputs, options, progress),
        (How::Together, _) => {
            let sink = Mutex::new(Collector::new(How::Together, Flows::new(options), *options));
            capture::read_merged(inputs, &sink, progress)?;
            Ok(sink.into_inner().unwrap_or_else(PoisonError::into_inner).analysis())
        }
    }
}

/// The report of a capture whose bytes are there already.
pub fn analyse_bytes(name: &str, bytes: &[u8], options: &Options) -> Report {
    let mut flows = Flows::new(options);
    let mut capture = Capture::new(0, name.to_owned());
    capture.data(bytes, |batch| flows.packets(batch));
    flows.end(capture.end(Ended::Whole));
    flows.finish()
}

fn one(inputs: &[Input], options: &Options, progress: Progress<'_>) -> Result<Analysis, Stopped> {
    Ok(read(inputs, Collector::new(How::Together, Flows::new(options), *options), progress)?.analysis())
}

fn each(inputs: &[Input], options: &Options, progress: Progress<'_>) -> Result<Analysis, Stopped> {
    Ok(read(inputs, Collector::new(How::Each, Flows::new(options), *options), progress)?.analysis)
}

/// Every shard reads the file by itself, and steps its own flows.
fn sharded(path: &Path, options: &Options, shards: u32, progress: Progress<'_>) -> Result<Analysis, Stopped> {
    let input = [Input::Path(path.to_owned())];
    let stopped = AtomicBool::new(false);
    // One of them tells how far it is; the others are about as far, and stop with it.
    let loud = |read, all| {
        let on = progress(read, all);
        stopped.fetch_or(!on, SeqCst);
        on
    };
    let (input, loud, silent): (&[Input], Progress<'_>, Progress<'_>) = (&input, &loud, &|_, _| !stopped.load(SeqCst));
    let work = |shard: u32, progress: Progress<'_>| {
        read(input, Collector::new(How::Together, Flows::shard(options, shard, shards), *options), progress)
    };
    thread::scope(|scope| {
        let work = &work;
        let others: Vec<_> = (1..shards).map(|shard| scope.spawn(move || work(shard, silent))).collect();
        let mut first = work(0, loud)?;
        for other in others {
            // A thread that panicked has said so; what the others saw is told.
            if let Ok(other) = other.join() {
                first.flows.absorb(other?.flows);
            }
        }
        Ok(first.analysis())
    })
}

fn read(inputs: &[Input], collector: Collector, progress: Progress<'_>) -> Result<Collector, Stopped> {
    let sink = Arc::new(Mutex::new(collector));
    capture::read(inputs, &sink, progress)?;
    // Nobody else has it once it was read.
    let sink = Arc::into_inner(sink).map(|sink| sink.into_inner().unwrap_or_else(PoisonError::into_inner));
    sink.ok_or(Stopped)
}

/// Takes what is read, and makes a report of each capture if it is to.
struct Collector {
    how: How,
    options: Options,
    flows: Flows,
    analysis: Analysis,
}

impl Collector {
    fn new(how: How, flows: Flows, options: Options) -> Collector {
        Collector { how, options, flows, analysis: Analysis::default() }
    }

    /// The one report of all.
    fn analysis(mut self) -> Analysis {
        self.analysis.reports.push(self.flows.finish());
        self.analysis
    }

    fn other(&mut self, path: String) {
        let others = &mut self.analysis.not_captures;
        others.count = others.count.saturating_add(1);
        if others.paths.len() < MOST {
            others.paths.push(path);
        }
    }
}

impl Sink for Collector {
    fn packets(&mut self, batch: &[Packet<'_>]) {
        self.flows.packets(batch);
    }

    fn end(&mut self, file: File) {
        if file.format.is_none() {
            return self.other(file.path);
        }
        self.flows.end(file);
        if self.how == How::Together {
            return;
        }
        let flows = std::mem::replace(&mut self.flows, Flows::new(&self.options));
        if self.analysis.reports.len() < MOST {
            self.analysis.reports.push(flows.finish());
        } else {
            self.analysis.unreported = self.analysis.unreported.saturating_add(1);
        }
    }

    fn trouble(&mut self, trouble: Trouble) {
        let Trouble { path, what, detail } = trouble;
        if self.analysis.troubles.len() < MOST {
            self.analysis.troubles.push(TroubleLine { path, what, detail });
        }
    }
}
