//! tidegate-py BINDS: `tidegate._core`, the only crate that knows Python. Conversions and handles, no logic.
//!
//! Every call that may block lets go of Python's lock. Nothing here calls into Python from another thread, so the gate
//! goes on while Python is stuck; a simulation tells its caller's own thread how far it is. What Python sees is written down, with docstrings, in `src/tidegate/_core.pyi`.

mod error;
#[cfg(target_os = "linux")]
mod flow_watch;
mod flows;
mod gate;
mod limiter;
mod progress;
mod replay;
mod scan;
mod sim;

use pyo3::prelude::*;
use tidegate_core::admission::Class;
use tidegate_core::reason::{End, Reason, Step, Who};

/// The words for why a call is turned away, in order of declaration.
#[pyfunction]
fn reasons() -> Vec<&'static str> {
    Reason::ALL.iter().map(|reason| reason.word()).collect()
}

/// The words for the classes, in order of rank.
#[pyfunction]
fn classes() -> Vec<&'static str> {
    Class::ALL.iter().map(|class| class.word()).collect()
}

/// Every `who/step` with which a call may end.
#[pyfunction]
fn ends() -> Vec<String> {
    let steps = |who: &Who| Step::ALL.iter().map(|step| End { who: *who, step: *step }.to_string()).collect::<Vec<_>>();
    Who::ALL.iter().flat_map(steps).collect()
}

/// The compiled part of tidegate.
#[pymodule(gil_used = false)]
fn _core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add("build_profile", if cfg!(debug_assertions) { "dev" } else { "release" })?;
    module.add("build_info", option_env!("TIDEGATE_BUILD_INFO").unwrap_or("built outside a checkout"))?;
    module.add("GateError", module.py().get_type::<error::GateError>())?;
    module.add("SpecError", module.py().get_type::<error::SpecError>())?;
    module.add("TraceError", module.py().get_type::<replay::TraceError>())?;
    module.add("ScanError", module.py().get_type::<scan::ScanError>())?;
    module.add_class::<gate::Gate>()?;
    module.add_class::<limiter::Limiter>()?;
    module.add_class::<scan::Scanner>()?;
    #[cfg(target_os = "linux")]
    module.add_class::<flow_watch::FlowWatch>()?;
    module.add_function(wrap_pyfunction!(flows::analyse, module)?)?;
    module.add_function(wrap_pyfunction!(flows::analyse_bytes, module)?)?;
    module.add_function(wrap_pyfunction!(flows::is_capture, module)?)?;
    module.add_function(wrap_pyfunction!(flows::drill, module)?)?;
    module.add_function(wrap_pyfunction!(gate::check_plan, module)?)?;
    module.add_function(wrap_pyfunction!(gate::check_learned, module)?)?;
    module.add_function(wrap_pyfunction!(replay::replay, module)?)?;
    module.add_function(wrap_pyfunction!(sim::simulate, module)?)?;
    module.add_function(wrap_pyfunction!(sim::check_spec, module)?)?;
    module.add_function(wrap_pyfunction!(reasons, module)?)?;
    module.add_function(wrap_pyfunction!(classes, module)?)?;
    module.add_function(wrap_pyfunction!(ends, module)?)
}
