//! Source ports of the whole process: the ledger of the core behind a mutex of its own, and the sockets that it is about.
//!
//! - [`Ports::begin`]: lease a port, bind to it, begin to connect. What it gives back holds the lease.
//! - `host`: what the kernel's settings say; `route`: which address of ours a route takes; `sockets`: who uses which port.
//! - `watch`: every ten seconds the ledger meets the kernel's list.
//!
//! The mutex is held for one call into the ledger and never under another lock (decision 0009).

pub(crate) mod begin;
mod guard;
mod host;
mod resent;
mod route;
mod settings;
mod sockets;
#[cfg(test)]
mod tests;
mod watch;

pub(crate) use guard::Guard;
pub(crate) use watch::watch;

use crate::clock;
use crate::error::GateError;
use crate::plan::{FORMAT, PortsPlan};
use route::Routes;
use serde_json::{Value, json};
use settings::Found;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tidegate_core::ledger::{Carried, CarriedError, Lease, Ledger, LedgerView, NoPort, Use, Watermark};

/// All source ports of this process.
pub(crate) struct Ports {
    ledger: Mutex<Ledger>,
    routes: Mutex<Routes>,
    /// What the operator should know of the ports that are used.
    warnings: Mutex<Vec<String>>,
    /// Where the kernel's list came from last.
    listed_by: Mutex<Option<&'static str>>,
    /// Connects whose SYN went out again, from a port that was used a short time before.
    slow_collisions: AtomicU64,
}

impl Ports {
    /// Every port free.
    ///
    /// # Errors
    /// What is wrong with the plan, or a source that is not ours.
    pub(crate) fn new(plan: &PortsPlan) -> Result<Arc<Ports>, GateError> {
        let Found { settings, warnings } = settings::find(plan)?;
        let ledger = Ledger::new(settings).map_err(settings::refuse)?;
        Ok(Arc::new(Ports {
            ledger: Mutex::new(ledger),
            routes: Mutex::default(),
            warnings: Mutex::new(warnings),
            listed_by: Mutex::default(),
            slow_collisions: AtomicU64::new(0),
        }))
    }

    /// Whether [`apply`](Ports::apply) would take this.
    ///
    /// # Errors
    /// As [`Ports::new`].
    pub(crate) fn check(plan: &PortsPlan) -> Result<(), GateError> {
        settings::find(plan)?.settings.check().map_err(settings::refuse)
    }

    /// Another plan. Leases live on.
    ///
    /// # Errors
    /// As [`Ports::new`]; nothing has changed then.
    pub(crate) fn apply(&self, plan: &PortsPlan) -> Result<(), GateError> {
        let Found { settings, warnings } = settings::find(plan)?;
        self.ledger().apply(clock::now(), settings).map_err(settings::refuse)?;
        *self.warnings.lock().unwrap_or_else(PoisonError::into_inner) = warnings;
        Ok(())
    }

    /// A port to `destination`; `from`: from this address of ours alone.
    ///
    /// # Errors
    /// Why there is none.
    fn lease(&self, destination: SocketAddr, from: Option<IpAddr>, usage: Use) -> Result<Lease, NoPort> {
        let now = clock::now();
        if let Some(source) = from {
            return self.ledger().lease_from(now, destination, source, usage);
        }
        let wanted = self.ledger().lease(now, destination, None, usage);
        if !matches!(wanted, Err(NoPort::NoSource { .. })) {
            return wanted;
        }
        let route = self.routes.lock().unwrap_or_else(PoisonError::into_inner).source(now, destination);
        self.ledger().lease(now, destination, route, usage)
    }

    /// Another configured address of ours than these from which `destination` may be reached.
    pub(crate) fn other_source(&self, destination: SocketAddr, tried: &[IpAddr]) -> Option<IpAddr> {
        self.ledger().other_source(destination, tried)
    }

    /// How full the traffic ports to `destination` are.
    pub(crate) fn pressure(&self, destination: SocketAddr) -> Watermark {
        self.ledger().pressure(clock::now(), destination)
    }

    /// How full the fullest bucket is.
    pub(crate) fn fullest(&self) -> Watermark {
        self.ledger().fullest(clock::now())
    }

    /// The same in thousandths, as far as watermarks tell.
    pub(crate) fn fullest_milli(&self) -> u32 {
        let fullest = self.fullest();
        Watermark::PER_CENT.iter().find(|(_, mark)| *mark == fullest).map_or(0, |(per_cent, _)| per_cent * 10)
    }

    /// What the next process must know.
    pub(crate) fn export(&self) -> Carried {
        self.ledger().export(clock::now())
    }

    /// Takes over what the process before this one exported.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub(crate) fn import(&self, carried: &Carried) -> Result<(), CarriedError> {
        self.ledger().import(clock::now(), carried)
    }

    /// Every bucket.
    pub(crate) fn view(&self) -> LedgerView {
        self.ledger().view(clock::now())
    }

    /// What the operator should know of the ports that are used.
    pub(crate) fn warnings(&self) -> Vec<String> {
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Connects that were slow because the other side still held the port, so that the SYN went out again.
    pub(crate) fn slow_collisions(&self) -> u64 {
        self.slow_collisions.load(Ordering::Relaxed)
    }

    /// Everything, as `/ports` tells it.
    pub(crate) fn told(&self) -> Value {
        let settings = self.ledger().settings().clone();
        let view = self.view();
        json!({
            "format": FORMAT,
            "ranges": settings.ports.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "headroom": settings.headroom,
            "sources": settings.sources,
            "generation": view.generation,
            "listed_by": *self.listed_by.lock().unwrap_or_else(PoisonError::into_inner),
            "warnings": self.warnings(),
            "buckets": view.buckets,
            "evicted_total": view.evicted_total,
            "no_port_total": view.no_port_total,
            "slow_collisions_total": self.slow_collisions(),
        })
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
