//! The scanner of logs, as Python holds it.

use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use std::path::PathBuf;

use crate::progress::Progress;

pyo3::create_exception!(_core, ScanError, PyException, "A plan of a scan cannot be used: message and hint.");

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
        let progress = Progress::new(progress);
        let scanned =
            py.detach(|| self.scanner.scan(&paths, stdin, threads, &|read, total| progress.tell(read, total)));
        match (scanned, progress.failed()) {
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
