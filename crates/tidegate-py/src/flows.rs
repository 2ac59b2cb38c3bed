//! Flows of TCP, as Python asks for them.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use serde::Serialize;
use tidegate_core::flow;

/// Play the drill of KB 433412; return what it counted as JSON.
#[pyfunction]
pub fn drill(py: Python<'_>, seed: u64, flows: usize) -> PyResult<String> {
    to_json(&py.detach(|| flow::drill(seed, flows)))
}

fn to_json<T: Serialize>(value: &T) -> PyResult<String> {
    serde_json::to_string(value).map_err(|error| PyValueError::new_err(error.to_string()))
}
