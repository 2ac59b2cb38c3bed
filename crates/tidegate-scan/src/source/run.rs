//! What everything that reads shares, whatever the thread: budgets, progress, the wish to stop, what was wrong.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use super::stream::Fault;
use super::{Desk, Limits, Trouble};

/// Troubles of one kind that are told one by one; the others are counted.
const TOLD_EACH: u64 = 100;

/// Told (bytes of the inputs read, bytes in all or 0); false: stop.
pub(super) type Progress<'a> = &'a (dyn Fn(u64, u64) -> bool + Sync);

pub(super) struct Run<'a> {
    pub(super) desk: &'a dyn Desk,
    pub(super) limits: &'a Limits,
    progress: Progress<'a>,
    inputs: u64,
    read: AtomicU64,
    work: AtomicU64,
    stopped: AtomicBool,
    held: AtomicUsize,
    troubles: Mutex<BTreeMap<&'static str, (u64, String)>>,
}

impl<'a> Run<'a> {
    pub(super) fn new(desk: &'a dyn Desk, limits: &'a Limits, progress: Progress<'a>, inputs: u64) -> Self {
        let (read, work) = (AtomicU64::new(0), AtomicU64::new(0));
        let (stopped, held) = (AtomicBool::new(false), AtomicUsize::new(0));
        Self { desk, limits, progress, inputs, read, work, stopped, held, troubles: Mutex::default() }
    }

    /// Bytes of the inputs that came in so far.
    pub(super) fn read(&self) -> u64 {
        self.read.load(Relaxed)
    }

    pub(super) fn stopped(&self) -> bool {
        self.stopped.load(Relaxed)
    }

    /// So many bytes of an input came in.
    pub(super) fn came_in(&self, count: usize) -> Result<(), Fault> {
        self.read.fetch_add(count as u64, Relaxed);
        self.unpacked(count)
    }

    /// So many bytes were unpacked, in whatever layer.
    pub(super) fn unpacked(&self, count: usize) -> Result<(), Fault> {
        self.work.fetch_add(count as u64, Relaxed);
        self.go_on()
    }

    /// Tells the progress; a fault when there is to be no more.
    pub(super) fn go_on(&self) -> Result<(), Fault> {
        let read = self.read();
        if self.stopped() {
            return Err(Fault::Stopped);
        }
        if !(self.progress)(if self.inputs == 0 { read } else { read.min(self.inputs) }, self.inputs) {
            self.stopped.store(true, Relaxed);
            return Err(Fault::Stopped);
        }
        if self.work.load(Relaxed) > self.limits.total_bytes {
            let why = format!("More than {} bytes came in or were unpacked in all.", self.limits.total_bytes);
            return Err(Fault::Budget(why));
        }
        Ok(())
    }

    /// So many packed bytes are held in memory from now on.
    pub(super) fn hold(&self, bytes: usize) {
        self.held.fetch_add(bytes, Relaxed);
    }

    pub(super) fn let_go(&self, bytes: usize) {
        self.held.fetch_sub(bytes, Relaxed);
    }

    pub(super) fn held(&self) -> usize {
        self.held.load(Relaxed)
    }

    /// Something is wrong. The hundredth of its kind is the last that is told by itself.
    pub(super) fn trouble(&self, path: &str, what: &'static str, detail: impl Into<String>) {
        let mut troubles = self.troubles.lock().unwrap_or_else(PoisonError::into_inner);
        let (count, last) = troubles.entry(what).or_default();
        *count += 1;
        if *count <= TOLD_EACH {
            self.desk.trouble(Trouble { path: path.to_owned(), what, detail: detail.into() });
        } else {
            path.clone_into(last);
        }
    }

    /// Tells how many troubles were only counted.
    pub(super) fn close(&self) {
        let troubles = self.troubles.lock().unwrap_or_else(PoisonError::into_inner);
        for (what, (count, last)) in troubles.iter().filter(|(_, (count, _))| *count > TOLD_EACH) {
            let detail = format!("And {} more like the {TOLD_EACH} before; the last is this one.", count - TOLD_EACH);
            self.desk.trouble(Trouble { path: last.clone(), what, detail });
        }
    }
}
