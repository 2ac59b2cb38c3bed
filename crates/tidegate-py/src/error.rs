//! One Rust error, one Python exception.

use pyo3::exceptions::PyException;
use pyo3::prelude::*;

pyo3::create_exception!(
    _core,
    GateError,
    PyException,
    "The gate refused a plan or could not start: slug, message and hint."
);

/// The exception for an error of the gate. Its three parts are `args`, and attributes of the same names.
pub fn raised(py: Python<'_>, error: &tidegate_proxy::GateError) -> PyErr {
    let raised = GateError::new_err((error.slug, error.message.clone(), error.hint.clone()));
    let parts = [("slug", error.slug), ("message", &error.message), ("hint", &error.hint)];
    for (name, value) in parts {
        if let Err(failed) = raised.value(py).setattr(name, value) {
            return failed;
        }
    }
    raised
}
