//! From one plan to the next: bind what is new, then swap, then say what became of held calls.

use super::io::{self, Command};
use super::{Inherited, LearnedByService, Served, Shared, State};
use crate::clock;
use crate::error::GateError;
use crate::plan::{FORMAT, Plan, ServicePlan};
use crate::service::Service;
use crate::setup::Setup;
use serde::Serialize;
use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use tidegate_core::admission::{Learned, Machine, Snapshot};

/// What a change of plan did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ApplyReport {
    /// Format of this report.
    pub format: u32,
    /// One entry per service of the old and the new plan.
    pub services: Vec<ServiceChange>,
}

/// What it did to one service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ServiceChange {
    /// Its name.
    pub name: String,
    /// `kept`, `moved` (listens elsewhere), `added` or `removed`.
    pub change: &'static str,
    /// Calls that were held before the change.
    pub held_before: u32,
    /// Calls that are still in line.
    pub held_after: u32,
    /// Calls that were turned away by the change.
    pub turned_away: u64,
    /// Calls that were admitted by the change.
    pub admitted: u64,
}

/// Sockets for the services that need a new one: all, or none.
pub(super) fn bind_all(
    plan: &Plan,
    kept: &[(String, SocketAddr)],
    inherited: &mut Inherited,
) -> Result<BTreeMap<String, TcpListener>, GateError> {
    let mut bound = BTreeMap::new();
    for (index, service) in plan.services.iter().enumerate() {
        if kept.iter().any(|(name, listen)| *name == service.name && *listen == service.listen) {
            continue;
        }
        let handed = inherited.take(&service.name, service.listen);
        let socket = handed.map_or_else(|| io::bind(service.listen), Ok).map_err(|error| {
            let message = format!("services[{index}].listen {} cannot be bound: {error}", service.listen);
            GateError::new("bind", message, hint(&error))
        })?;
        bound.insert(service.name.clone(), socket);
    }
    Ok(bound)
}

fn hint(error: &std::io::Error) -> &'static str {
    match error.kind() {
        std::io::ErrorKind::AddrInUse => "stop what listens there (ss -ltnp shows it), or choose another address",
        std::io::ErrorKind::AddrNotAvailable => "the address must be one of this machine's own",
        std::io::ErrorKind::PermissionDenied => "ports below 1024 need CAP_NET_BIND_SERVICE",
        _ => "choose another address",
    }
}

/// Puts `plan` in force.
pub(super) fn swap(
    shared: &Shared,
    plan: &Plan,
    learned: &LearnedByService,
    mut bound: BTreeMap<String, TcpListener>,
    state: &mut State,
) -> Result<ApplyReport, GateError> {
    let served = shared.served();
    let mut services = Vec::new();
    let (mut next, mut listening) = (Vec::new(), Vec::new());
    for service in &plan.services {
        let known = served.iter().find(|s| *s.service.name == service.name && !s.service.stopping());
        let socket = bound.remove(&service.name);
        let address = socket.as_ref().and_then(|s| s.local_addr().ok());
        let (runtime, change) = match known {
            Some(known) => (known.service.clone(), update(&known.service, service, socket.is_some())?),
            None => added(shared, service, learned.get(&service.name), state)?,
        };
        let address = address.or(known.map(|k| k.address)).unwrap_or(service.listen);
        let second = match &socket {
            Some(socket) => socket.try_clone().ok().map(Arc::new),
            None => known.and_then(|k| k.socket.clone()),
        };
        listening.extend(socket.map(|socket| Command::Listen(runtime.clone(), socket)));
        services.push(change);
        next.push(Served { service: runtime, address, socket: second });
    }
    for gone in served.iter().filter(|s| !next.iter().any(|n| Arc::ptr_eq(&n.service, &s.service))) {
        services.push(removed(shared, &gone.service));
    }
    shared.way.health.apply(&next, state.health())?;
    shared.set_served(next);
    // Only now: the first call must not meet a server that is known to be down.
    listening.into_iter().for_each(|command| shared.shard.send(command));
    Ok(ApplyReport { format: FORMAT, services })
}

fn added(
    shared: &Shared,
    plan: &ServicePlan,
    learned: Option<&Learned>,
    state: &mut State,
) -> Result<(Arc<Service>, ServiceChange), GateError> {
    let setup = Setup::new(plan, None)?;
    let machine = Machine::new(plan.admission.clone(), learned, clock::now())
        .map_err(|error| GateError::plan(format_args!("services[{}].admission", plan.name), error))?;
    let change = ServiceChange {
        name: plan.name.clone(),
        change: "added",
        held_before: 0,
        held_after: 0,
        turned_away: 0,
        admitted: 0,
    };
    let service = Service::new(&plan.name, setup, machine, shared.way.clone());
    state.give(&service);
    Ok((service, change))
}

fn update(service: &Service, plan: &ServicePlan, moved: bool) -> Result<ServiceChange, GateError> {
    let setup = Setup::new(plan, Some(&service.setup()))?;
    let (before, after) = service
        .apply(setup, plan.admission.clone())
        .map_err(|error| GateError::plan(format_args!("services[{}].admission", plan.name), error))?;
    Ok(compare(service, &before, &after, if moved { "moved" } else { "kept" }))
}

fn removed(shared: &Shared, service: &Arc<Service>) -> ServiceChange {
    shared.shard.send(Command::Unlisten(service.clone()));
    let (before, after) = service.stop();
    compare(service, &before, &after, "removed")
}

fn compare(service: &Service, before: &Snapshot, after: &Snapshot, change: &'static str) -> ServiceChange {
    let (held_before, held_after) = (before.held.iter().sum::<u32>(), after.held.iter().sum::<u32>());
    let turned_away = after.counters.turned_away_total() - before.counters.turned_away_total();
    ServiceChange {
        name: service.name.to_string(),
        change,
        held_before,
        held_after,
        turned_away,
        admitted: u64::from(held_before).saturating_sub(u64::from(held_after) + turned_away),
    }
}
