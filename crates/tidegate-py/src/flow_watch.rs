//! Flows of an interface as they pass, as Python asks for them.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::os::fd::RawFd;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tidegate_scan::capture::{Live, Sink, Skip};
use tidegate_scan::flows::{Flows, Options, Report};

/// Seconds, at most, for which it reads before Python is told: nobody can stop it sooner.
const READ_MAX_S: f64 = 60.0;

/// What is known of the flows that pass an interface.
#[pyclass(frozen, module = "tidegate._core")]
pub struct FlowWatch(Mutex<Watching>);

struct Watching {
    live: Live,
    flows: Flows,
}

/// What is told of it.
#[derive(Serialize)]
struct Told {
    /// Packets that were looked at.
    packets: u64,
    /// What else came, by the reason why it was not looked at.
    skipped: BTreeMap<&'static str, u64>,
    report: Report,
}

impl FlowWatch {
    fn lock(&self) -> MutexGuard<'_, Watching> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl FlowWatch {
    #[new]
    fn new() -> FlowWatch {
        FlowWatch(Mutex::new(Watching { live: Live::default(), flows: Flows::new(&Options::default()) }))
    }

    fn read(&self, py: Python<'_>, socket: RawFd, seconds: f64) -> PyResult<bool> {
        if !(0.0..=READ_MAX_S).contains(&seconds) {
            return Err(PyValueError::new_err(format!("seconds must be 0 to {READ_MAX_S}, not {seconds}")));
        }
        let read = py.detach(|| {
            let mut watching = self.lock();
            let Watching { live, flows } = &mut *watching;
            let until = Instant::now() + Duration::from_secs_f64(seconds);
            live.read(socket, until, |batch| flows.packets(batch))
        });
        match read {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::Interrupted => py.check_signals().map(|()| true),
            Err(error) if error.kind() == ErrorKind::NetworkDown => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    fn report(&self, py: Python<'_>) -> PyResult<String> {
        let told = py.detach(|| {
            let watching = self.lock();
            let skipped = watching.live.skipped().each();
            let told = Told {
                packets: watching.live.packets(),
                skipped: skipped.map(|(skip, count): (Skip, u64)| (skip.word(), count)).collect(),
                report: watching.flows.report(),
            };
            serde_json::to_string(&told)
        });
        told.map_err(|error| PyValueError::new_err(error.to_string()))
    }
}
