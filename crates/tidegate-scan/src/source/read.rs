//! What is read: the inputs in order, by one thread that finds the members and others that help it.

use std::io::Cursor;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::sync_channel;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use super::descend::{Descent, Place};
use super::folder::{Folder, Search};
use super::run::{Progress, Run};
use super::stdin::Stdin;
use super::stream::{Feed, FromFile};
use super::text::Job;
use super::{Desk, Limits};

/// Each holds a block and more; one thread finds the members, and keeps no more than this many busy.
const THREADS: usize = 64;
/// Who waits for the others tells the progress this often.
const TELL: Duration = Duration::from_millis(20);

/// Something to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A file, or all files below a folder.
    Path(PathBuf),
    /// Bytes that are there already.
    Bytes {
        /// What they are called.
        name: String,
        /// All of them.
        bytes: Vec<u8>,
    },
    /// Standard input, to its end.
    Stdin,
}

/// The progress said that there is to be no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("reading was stopped")]
pub struct Stopped;

/// Reads everything below the inputs, in order, and tells it to the desk; whatever is wrong is told to it as well.
///
/// `threads` is how many read at a time, this one included; more than 64 are 64. `progress` is told how many bytes of the inputs were read, and
/// how many there are (0: not known), with every block; it comes from any thread, and from the caller's at least every 20 ms. False stops the run: members that are
/// open end there, and no more are opened.
///
/// # Errors
///
/// [`Stopped`] after `progress` said false.
pub fn read(
    inputs: &[Input],
    limits: &Limits,
    threads: usize,
    desk: &dyn Desk,
    progress: Progress<'_>,
) -> Result<(), Stopped> {
    let threads = threads.min(THREADS);
    let groups = groups(inputs, limits);
    let bytes = groups.iter().map(Group::bytes).try_fold(0_u64, |sum, bytes| Some(sum.saturating_add(bytes?)));
    let run = Run::new(desk, limits, progress, bytes.unwrap_or(0));
    let (jobs, queue) = sync_channel::<Job<'_>>(threads.saturating_add(1));
    let queue = Mutex::new(queue);
    let (caller, ended) = (thread::current(), AtomicUsize::new(0));
    let help = || {
        let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        while let Ok(job) = next() {
            job.run(&run);
        }
        ended.fetch_add(1, SeqCst);
        caller.unpark();
    };
    thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(help);
        }
        let mut descent = Descent::new(&run, (threads > 1).then_some(jobs));
        for group in groups {
            one(&mut descent, &run, group);
        }
        // Without this, nobody would know that there are no more jobs.
        drop(descent);
        help();
        // The caller may be the only one whom a signal comes to: it goes on to ask whether there is to be more.
        while ended.load(SeqCst) < threads.max(1) {
            let _ = run.go_on();
            thread::park_timeout(TELL);
        }
    });
    run.close();
    if run.stopped() { Err(Stopped) } else { Ok(()) }
}

/// Inputs that are read as one: parts of a file may have been named one by one.
enum Group<'i> {
    Files(Search),
    Bytes(&'i str, &'i [u8]),
    Stdin,
}

impl Group<'_> {
    fn bytes(&self) -> Option<u64> {
        match self {
            Self::Files(search) => Some(search.bytes),
            Self::Bytes(_, bytes) => Some(bytes.len() as u64),
            Self::Stdin => None,
        }
    }
}

fn groups<'i>(inputs: &'i [Input], limits: &Limits) -> Vec<Group<'i>> {
    let mut groups = Vec::new();
    for input in inputs {
        match (input, groups.last_mut()) {
            (Input::Path(path), Some(Group::Files(search))) => search.add(path),
            (Input::Path(path), _) => {
                let mut search = Search::new(limits.members);
                search.add(path);
                groups.push(Group::Files(search));
            }
            (Input::Bytes { name, bytes }, _) => groups.push(Group::Bytes(name, bytes)),
            (Input::Stdin, _) => groups.push(Group::Stdin),
        }
    }
    groups
}

fn one<'r>(descent: &mut Descent<'r>, run: &'r Run<'r>, group: Group<'r>) {
    match group {
        Group::Files(search) => descent.walk(&Place::top(""), &mut Folder::new(run, search.found)),
        Group::Bytes(name, bytes) => {
            let place = Place { size: Some(bytes.len() as u64), ..Place::top(name) };
            descent.file(&place, Cursor::new(bytes));
        }
        Group::Stdin => {
            let place = Place::top("stdin");
            let stream = FromFile::new(run, place.meter.clone(), Stdin::new(run), None);
            descent.stream(&place, Feed::Own(Box::new(stream)));
        }
    }
}
