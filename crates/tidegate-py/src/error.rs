//! One exception for each error of Rust.

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

pyo3::create_exception!(_core, SpecError, PyException, "A spec or a policy cannot be played: message, path and hint.");

/// The exception for a spec that cannot be played. Its three parts are `args`, and attributes of the same names.
pub fn refused(py: Python<'_>, error: &tidegate_sim::error::SpecError) -> PyErr {
    let message = error.to_string();
    let refused = SpecError::new_err((message.clone(), error.path.clone(), error.hint.clone()));
    for (name, value) in [("message", &message), ("path", &error.path), ("hint", &error.hint)] {
        if let Err(failed) = refused.value(py).setattr(name, value) {
            return failed;
        }
    }
    refused
}
