//! The handle, as Python holds it.

use crate::error::raised;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use std::net::TcpListener;
use std::os::fd::IntoRawFd;
use std::time::Duration;
use tidegate_proxy::{ExplainQuery, GateError, Handed, Inherited, handed};

/// A running gate: a thread for the traffic and one for health, metrics and switches.
#[pyclass(frozen, module = "tidegate._core")]
pub struct Gate(tidegate_proxy::Gate);

/// Longest drain that may be asked for: a day. Keeps the conversion to a duration from overflowing.
const DRAIN_MAX_S: f64 = 86_400.0;

fn told<T>(py: Python<'_>, result: Result<T, GateError>) -> PyResult<T> {
    result.map_err(|error| raised(py, &error))
}

fn handed((service, listen, number): (String, String, i32)) -> PyResult<Handed> {
    let socket = handed::listener(number)?;
    let listen = listen.parse().map_err(|_| PyValueError::new_err(format!("{listen} is not an address")))?;
    Ok(Handed { service: Some(service).filter(|name| !name.is_empty()), listen, socket })
}

fn json<T: serde::Serialize>(report: &T) -> PyResult<String> {
    serde_json::to_string(report).map_err(|error| PyValueError::new_err(error.to_string()))
}

#[pymethods]
impl Gate {
    /// Check the plan, bind everything, start with what was learned; on GateError nothing is bound.
    ///
    /// `sockets`: (service or "", address, descriptor) of listening sockets, `admin` that of the admin's TCP socket; they
    /// are taken over, also when this fails.
    #[staticmethod]
    #[pyo3(signature = (plan, learned=None, sockets=None, admin=None, known=None, replaces=false))]
    fn start(
        py: Python<'_>,
        plan: &[u8],
        learned: Option<&[u8]>,
        sockets: Option<Vec<(String, String, i32)>>,
        admin: Option<i32>,
        known: Option<Vec<u8>>,
        replaces: bool,
    ) -> PyResult<Gate> {
        let sockets = sockets.unwrap_or_default().into_iter().map(handed).collect::<PyResult<Vec<_>>>()?;
        let admin = admin.map(handed::listener).transpose()?;
        let inherited = Inherited { sockets, admin, replaces, known };
        told(py, py.detach(|| tidegate_proxy::Gate::start_with(plan, learned, inherited))).map(Gate)
    }

    /// Return (service, address in the plan, descriptor) of every listening socket, the admin's TCP one as service "".
    ///
    /// The descriptors are the caller's to close.
    fn listeners(&self) -> PyResult<Vec<(String, String, i32)>> {
        let owned = |socket: TcpListener| socket.into_raw_fd();
        let admin = self.0.admin_listener().map(|socket| (String::new(), String::new(), owned(socket)));
        let all = self.0.listeners()?.into_iter();
        let all = all.map(|one| (one.service.unwrap_or_default(), one.listen.to_string(), owned(one.socket)));
        Ok(all.chain(admin).collect())
    }

    /// Return the sessions of each service, and the source ports in use, as JSON.
    fn known(&self, py: Python<'_>) -> String {
        py.detach(|| self.0.known_json())
    }

    /// Accept no more; serve who is here, close each with its next answer.
    fn retire(&self, py: Python<'_>) {
        py.detach(|| self.0.retire());
    }

    /// Give up slots that are not needed any more; return what is left as JSON.
    fn left(&self, py: Python<'_>) -> String {
        py.detach(|| self.0.left_json())
    }

    /// Note that the other process has gone: every slot is this one's.
    fn share_no_more(&self, py: Python<'_>) {
        py.detach(|| self.0.share_no_more());
    }

    /// Note how many slots of a server another process still uses.
    fn share(&self, py: Python<'_>, service: &str, server: &str, used: u32) {
        py.detach(|| self.0.share(service, server, used));
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

    /// Take a look at a vCenter's counters, as JSON.
    fn datastores(&self, py: Python<'_>, look: &str) -> PyResult<()> {
        told(py, py.detach(|| self.0.datastores(look)))
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
