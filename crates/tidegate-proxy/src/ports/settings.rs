//! From the plan and the machine to the ledger's settings.

use super::host::Host;
use crate::error::GateError;
use crate::plan::PortsPlan;
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, UdpSocket};
use tidegate_core::ledger::{Settings, SettingsError};

/// What the ledger will work with.
pub(super) struct Found {
    pub(super) settings: Settings,
    pub(super) warnings: Vec<String>,
}

/// Looks at this machine.
///
/// # Errors
/// A source is not an address of ours.
pub(super) fn find(plan: &PortsPlan) -> Result<Found, GateError> {
    for (index, source) in plan.sources.iter().enumerate() {
        ours(index, *source)?;
    }
    let host = Host::read();
    let ranges = if plan.ranges.is_empty() { host.beside() } else { plan.ranges.clone() };
    let warnings = host.warnings(&ranges);
    // A process that comes after a crash must begin with other ports than that one did: the peers hold its tuples.
    let seed = RandomState::new().hash_one(0);
    Ok(Found { settings: Settings::new(plan.sources.clone(), ranges, plan.headroom, seed), warnings })
}

/// What the ledger says of its settings, as an error of the gate.
pub(super) fn refuse(error: SettingsError) -> GateError {
    GateError::new("plan", format!("ports: {error}"), "correct [gate.ports], then check it again")
}

fn ours(index: usize, source: IpAddr) -> Result<(), GateError> {
    if source.is_unspecified() || source.is_multicast() {
        let message = format!("ports.sources[{index}] {source} is no single address");
        return Err(GateError::new("plan", message, "name an address of this machine, or leave sources out"));
    }
    UdpSocket::bind((source, 0)).map(drop).map_err(|error| {
        let message = format!("ports.sources[{index}] {source} is not an address of this machine: {error}");
        GateError::new("plan", message, "`ip address` lists what it has; leave sources out to let the route choose")
    })
}
