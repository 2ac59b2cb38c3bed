//! Storms in virtual time, as Python asks for them.

use crate::error::refused;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use std::time::{Duration, Instant};
use tidegate_sim::error::SpecError;
use tidegate_sim::policy::PolicySpec;
use tidegate_sim::run;
use tidegate_sim::spec::Spec;

/// From one report of the progress to the next.
const TELL: Duration = Duration::from_millis(100);

/// Play a spec under a policy; return a report as JSON.
#[pyfunction]
#[pyo3(signature = (spec, policy, progress=None))]
pub fn simulate(py: Python<'_>, spec: &[u8], policy: Policy, progress: Option<Py<PyAny>>) -> PyResult<String> {
    let (mut told, mut failed) = (Instant::now(), None);
    let mut tell = |share: f64| {
        if told.elapsed() < TELL {
            return true;
        }
        told = Instant::now();
        failed = Python::attach(|py| heed(py, progress.as_ref(), share)).err();
        failed.is_none()
    };
    let began = Instant::now();
    let played = py.detach(|| {
        let policy = PolicySpec::parse(policy.bytes())?;
        run::simulate(Spec::parse(spec)?, &policy, &mut tell)
    });
    let report = played.map_err(|error| refused(py, &error))?;
    match (report, failed) {
        (Some(mut report), None) => {
            report.wall_s = Some(began.elapsed().as_secs_f64());
            serde_json::to_string(&report).map_err(|error| PyValueError::new_err(error.to_string()))
        }
        (_, failed) => Err(failed.unwrap_or_else(|| PyValueError::new_err("the run was ended"))),
    }
}

/// Tells how far the run is, and lets a signal end it.
fn heed(py: Python<'_>, progress: Option<&Py<PyAny>>, share: f64) -> PyResult<()> {
    py.check_signals()?;
    progress.map_or(Ok(()), |progress| progress.call1(py, (share,)).map(drop))
}

/// A policy: its name, or JSON.
#[derive(FromPyObject)]
pub enum Policy {
    /// As text.
    Text(String),
    /// As bytes.
    Bytes(Vec<u8>),
}

impl Policy {
    fn bytes(&self) -> &[u8] {
        match self {
            Policy::Text(text) => text.as_bytes(),
            Policy::Bytes(bytes) => bytes,
        }
    }
}

/// Refuse what simulate would refuse, playing nothing.
#[pyfunction]
pub fn check_spec(py: Python<'_>, spec: &[u8]) -> PyResult<()> {
    let check = || -> Result<(), SpecError> { Spec::parse(spec).map(drop) };
    py.detach(check).map_err(|error| refused(py, &error))
}
