//! The handle, as Python holds it.

use crate::error::raised;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use std::time::Duration;
use tidegate_proxy::{ExplainQuery, GateError};

/// A running gate: a thread for the traffic and one for health, metrics and switches.
#[pyclass(frozen, module = "tidegate._core")]
pub struct Gate(tidegate_proxy::Gate);

/// Longest drain that may be asked for: a day. Keeps the conversion to a duration from overflowing.
const DRAIN_MAX_S: f64 = 86_400.0;

fn told<T>(py: Python<'_>, result: Result<T, GateError>) -> PyResult<T> {
    result.map_err(|error| raised(py, &error))
}

fn json<T: serde::Serialize>(report: &T) -> PyResult<String> {
    serde_json::to_string(report).map_err(|error| PyValueError::new_err(error.to_string()))
}

#[pymethods]
impl Gate {
    /// Check the plan, bind everything, start with what was learned; on GateError nothing is bound.
    #[staticmethod]
    #[pyo3(signature = (plan, learned=None))]
    fn start(py: Python<'_>, plan: &[u8], learned: Option<&[u8]>) -> PyResult<Gate> {
        told(py, py.detach(|| tidegate_proxy::Gate::start(plan, learned))).map(Gate)
    }

    /// Swap the plan whole; return a report as JSON.
    fn apply(&self, py: Python<'_>, plan: &[u8]) -> PyResult<String> {
        json(&told(py, py.detach(|| self.0.apply(plan)))?)
    }

    /// Return (service, "HOST:PORT") for every service, as bound.
    fn addresses(&self) -> Vec<(String, String)> {
        self.0.addresses().into_iter().map(|(service, address)| (service, address.to_string())).collect()
    }

    /// Return what each service has learned as JSON.
    fn learned(&self, py: Python<'_>) -> String {
        py.detach(|| self.0.learned_json())
    }

    /// Return the state as JSON.
    fn status(&self, py: Python<'_>) -> String {
        py.detach(|| self.0.status_json())
    }

    /// Return the newest decisions as JSON.
    fn explain(&self, py: Python<'_>, query: &[u8]) -> PyResult<String> {
        let query: ExplainQuery =
            serde_json::from_slice(query).map_err(|error| PyValueError::new_err(error.to_string()))?;
        Ok(py.detach(|| self.0.explain_json(&query)))
    }

    /// Return the metrics in Prometheus' text format.
    fn metrics(&self, py: Python<'_>) -> String {
        py.detach(|| self.0.metrics_text())
    }

    /// Announce or end a planned restart.
    #[pyo3(signature = (service, on))]
    fn maintenance(&self, py: Python<'_>, service: Option<&str>, on: bool) -> PyResult<()> {
        told(py, py.detach(|| self.0.maintenance(service, on)))
    }

    /// Let everything pass, or end that.
    #[pyo3(signature = (service, on))]
    fn bypass(&self, py: Python<'_>, service: Option<&str>, on: bool) -> PyResult<()> {
        told(py, py.detach(|| self.0.bypass(service, on)))
    }

    /// Drain, waiting at most so many seconds; return a report as JSON.
    fn drain(&self, py: Python<'_>, deadline_s: f64) -> PyResult<String> {
        if !(0.0..=DRAIN_MAX_S).contains(&deadline_s) {
            return Err(PyValueError::new_err(format!(
                "deadline_s must be 0 to {DRAIN_MAX_S} seconds, not {deadline_s}"
            )));
        }
        json(&py.detach(|| self.0.drain(Duration::from_secs_f64(deadline_s))))
    }

    /// End the gate at once; a second call does nothing.
    fn close(&self, py: Python<'_>) {
        py.detach(|| self.0.close());
    }
}

/// Refuse what Gate.start would refuse, binding nothing.
#[pyfunction]
pub fn check_plan(py: Python<'_>, plan: &[u8]) -> PyResult<()> {
    told(py, py.detach(|| tidegate_proxy::check_plan(plan)))
}

/// Refuse what was learned if a gate with this plan may not begin with it.
#[pyfunction]
pub fn check_learned(py: Python<'_>, plan: &[u8], learned: &[u8]) -> PyResult<()> {
    told(py, py.detach(|| tidegate_proxy::check_learned(plan, learned)))
}
