//! Replaying a trace, as Python asks for it.

use pyo3::exceptions::{PyException, PyValueError};
use pyo3::prelude::*;
use std::fs::File;
use std::io::BufReader;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use tidegate_core::trace;

pyo3::create_exception!(_core, TraceError, PyException, "A trace cannot be replayed: message and hint.");

/// Replay the trace in a file; return what was found as JSON.
#[pyfunction]
pub fn replay(py: Python<'_>, path: PathBuf) -> PyResult<String> {
    let played = py.detach(|| {
        // The checksum finds accidents. A machine that somebody made up may hold nonsense that it trips over.
        catch_unwind(AssertUnwindSafe(|| trace::replay(|| File::open(&path).map(BufReader::new))))
    });
    let report = match played {
        Ok(Ok(report)) => report,
        Ok(Err(error)) => return Err(TraceError::new_err((error.to_string(), error.hint()))),
        Err(_) => {
            let message = "the machine in the trace does not hold together";
            return Err(TraceError::new_err((message, "record a trace with `tidegate gate record FILE`")));
        }
    };
    serde_json::to_string(&report).map_err(|error| PyValueError::new_err(error.to_string()))
}
