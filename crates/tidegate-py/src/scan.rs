//! The scanner of logs, as Python holds it.

use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::{Duration, Instant};

pyo3::create_exception!(_core, ScanError, PyException, "A plan of a scan cannot be used: message and hint.");

/// From one report of the progress to the next.
const TELL: Duration = Duration::from_millis(100);

fn refused(py: Python<'_>, error: &tidegate_scan::ScanError) -> PyErr {
    let refused = ScanError::new_err((error.message.clone(), error.hint.clone()));
    for (name, value) in [("message", &error.message), ("hint", &error.hint)] {
        if let Err(failed) = refused.value(py).setattr(name, value) {
            return failed;
        }
    }
    refused
}

/// A plan that is ready to be used, any number of times, by any number of threads.
#[pyclass(module = "tidegate._core", frozen)]
pub struct Scanner {
    scanner: tidegate_scan::Scanner,
}

/// When the progress was told last, and what went wrong then.
struct Telling {
    told: Option<Instant>,
    failed: Option<PyErr>,
}

#[pymethods]
impl Scanner {
    #[new]
    fn new(py: Python<'_>, plan: &[u8]) -> PyResult<Scanner> {
        let made = py.detach(|| tidegate_scan::Scanner::new(plan));
        made.map(|scanner| Scanner { scanner }).map_err(|error| refused(py, &error))
    }

    #[pyo3(signature = (paths, *, stdin=false, threads=2, progress=None))]
    fn scan(
        &self,
        py: Python<'_>,
        paths: Vec<PathBuf>,
        stdin: bool,
        threads: usize,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<String> {
        let telling = Mutex::new(Telling { told: None, failed: None });
        let caller = std::thread::current().id();
        let tell = |read: u64, total: u64| {
            let Ok(mut telling) = telling.try_lock() else { return true };
            if telling.failed.is_some() {
                return false;
            }
            // Python is told by its own thread alone: signals come to no other, and nothing waits for the GIL.
            if std::thread::current().id() != caller || telling.told.is_some_and(|told| told.elapsed() < TELL) {
                return true;
            }
            telling.told = Some(Instant::now());
            telling.failed = Python::attach(|py| heed(py, progress.as_ref(), read, total)).err();
            telling.failed.is_none()
        };
        let scanned = py.detach(|| self.scanner.scan(&paths, stdin, threads, &tell));
        let failed = telling.into_inner().ok().and_then(|telling| telling.failed);
        match (scanned, failed) {
            (Ok(result), None) => Ok(result),
            (_, Some(failed)) => Err(failed),
            (Err(_), None) => Err(refused(py, &tidegate_scan::ScanError::new("The scan was ended.", ""))),
        }
    }

    #[pyo3(signature = (name, data, cut=None))]
    fn scan_text(&self, py: Python<'_>, name: &str, data: &[u8], cut: Option<usize>) -> String {
        py.detach(|| self.scanner.scan_text(name, data, cut))
    }
}

/// Tells how far the scan is, and lets a signal end it.
fn heed(py: Python<'_>, progress: Option<&Py<PyAny>>, read: u64, total: u64) -> PyResult<()> {
    py.check_signals()?;
    progress.map_or(Ok(()), |progress| progress.call1(py, (read, total)).map(drop))
}
