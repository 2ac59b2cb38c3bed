//! Flows of TCP, as Python asks for them.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use serde::Serialize;
use std::path::PathBuf;
use tidegate_core::flow;
use tidegate_scan::capture;
use tidegate_scan::flows::{How, Options, analyse as read, analyse_bytes as read_bytes};
use tidegate_scan::source::Input;

use crate::progress::Progress;

/// Read captures; return what they say of TCP as JSON.
#[pyfunction]
#[pyo3(signature = (paths, *, stdin=false, together=true, each=false, shards=1, progress=None))]
pub fn analyse(
    py: Python<'_>,
    paths: Vec<PathBuf>,
    stdin: bool,
    together: bool,
    each: bool,
    shards: u32,
    progress: Option<Py<PyAny>>,
) -> PyResult<String> {
    let files = paths.into_iter().map(Input::Path);
    let inputs: Vec<Input> = files.chain(stdin.then_some(Input::Stdin)).collect();
    let how = if together { How::Together } else { How::Each };
    let progress = Progress::new(progress);
    let options = Options { each, ..Options::default() };
    let analysed = py.detach(|| read(&inputs, how, &options, shards, &|done, total| progress.tell(done, total)));
    match (analysed, progress.failed()) {
        (Ok(analysis), None) => to_json(&analysis),
        (_, Some(failed)) => Err(failed),
        (Err(stopped), None) => Err(PyValueError::new_err(stopped.to_string())),
    }
}

/// Read one capture that is there already; return its report as JSON.
#[pyfunction]
#[pyo3(signature = (name, data, *, each=false))]
pub fn analyse_bytes(py: Python<'_>, name: &str, data: &[u8], each: bool) -> PyResult<String> {
    to_json(&py.detach(|| read_bytes(name, data, &Options { each, ..Options::default() })))
}

/// Whether a file that begins with these bytes is a capture.
#[pyfunction]
pub fn is_capture(head: &[u8]) -> bool {
    capture::begins(head)
}

/// Play the drill of KB 433412; return what it counted as JSON.
#[pyfunction]
pub fn drill(py: Python<'_>, seed: u64, flows: usize) -> PyResult<String> {
    to_json(&py.detach(|| flow::drill(seed, flows)))
}

fn to_json<T: Serialize>(value: &T) -> PyResult<String> {
    serde_json::to_string(value).map_err(|error| PyValueError::new_err(error.to_string()))
}
