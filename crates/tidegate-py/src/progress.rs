//! How far a reading is, told to Python; what Python raises then ends it.

use pyo3::prelude::*;
use std::sync::Mutex;
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

/// From one report of the progress to the next.
const TELL: Duration = Duration::from_millis(100);

/// Tells Python how far it is, about ten times a second.
pub struct Progress {
    callback: Option<Py<PyAny>>,
    caller: ThreadId,
    telling: Mutex<Telling>,
}

/// When the progress was told last, and what went wrong then.
struct Telling {
    told: Option<Instant>,
    failed: Option<PyErr>,
}

impl Progress {
    /// Made in the thread that reads: it alone tells Python.
    pub fn new(callback: Option<Py<PyAny>>) -> Progress {
        Progress { callback, caller: thread::current().id(), telling: Mutex::new(Telling { told: None, failed: None }) }
    }

    /// So many bytes are read, of so many (0: unknown). False: it is to end.
    pub fn tell(&self, read: u64, total: u64) -> bool {
        let Ok(mut telling) = self.telling.try_lock() else { return true };
        if telling.failed.is_some() {
            return false;
        }
        // Python is told by its own thread alone: signals come to no other, and nothing waits for the GIL.
        if thread::current().id() != self.caller || telling.told.is_some_and(|told| told.elapsed() < TELL) {
            return true;
        }
        telling.told = Some(Instant::now());
        telling.failed = Python::attach(|py| self.heed(py, read, total)).err();
        telling.failed.is_none()
    }

    /// What Python raised.
    pub fn failed(self) -> Option<PyErr> {
        self.telling.into_inner().ok().and_then(|telling| telling.failed)
    }

    /// Tells how far it is, and lets a signal end it.
    fn heed(&self, py: Python<'_>, read: u64, total: u64) -> PyResult<()> {
        py.check_signals()?;
        self.callback.as_ref().map_or(Ok(()), |callback| callback.call1(py, (read, total)).map(drop))
    }
}
