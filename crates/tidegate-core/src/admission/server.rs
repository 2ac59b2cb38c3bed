//! The servers of the pool: slots, phase, and when to try one that is down again.
//!
//! A server is `up` until a connect to it fails; then it is `down` and takes one call at a time, one per retry interval,
//! until a connection stands again. Connects that fail have sent nothing, so their calls are simply held again.

use super::event::ServerId;
use super::plan::ServerPlan;
use super::snapshot::{Phase, ServerSnapshot};
use crate::time::{Nanos, Span};

/// One server.
#[derive(Clone, Debug)]
pub(super) struct Server {
    pub name: String,
    pub limit: u32,
    pub in_flight: u32,
    /// Whether the reserved slot of the probes is taken.
    pub probing: bool,
    pub orphans: u32,
    pub admitted: u64,
    pub in_flight_max: u32,
    /// Down since a connect failed: when one call may try.
    pub down: Option<Retry>,
}

/// How a server that is down is tried.
#[derive(Clone, Copy, Debug)]
pub(super) struct Retry {
    pub at: Nanos,
    /// A call is trying now.
    pub trying: bool,
}

impl Server {
    pub fn new(plan: &ServerPlan) -> Server {
        Server {
            name: plan.name.clone(),
            limit: plan.limit,
            in_flight: 0,
            probing: false,
            orphans: 0,
            admitted: 0,
            in_flight_max: 0,
            down: None,
        }
    }

    /// Calls in flight that count against the limit.
    pub fn load(&self) -> u32 {
        self.in_flight - u32::from(self.probing)
    }

    /// Whether it may take one more call now.
    pub fn has_slot(&self, now: Nanos) -> bool {
        let reachable = self.down.is_none_or(|retry| !retry.trying && retry.at <= now);
        reachable && self.load() < self.limit
    }

    /// Takes a slot; `reserved` for the probes' own.
    pub fn take(&mut self, now: Nanos, reserved: bool, retry: Span) {
        self.in_flight += 1;
        self.admitted += 1;
        self.probing |= reserved;
        self.in_flight_max = self.in_flight_max.max(self.in_flight);
        if let Some(down) = &mut self.down {
            *down = Retry { at: now + retry, trying: true };
        }
    }

    /// Gives a slot back.
    pub fn give_back(&mut self, reserved: bool, orphan: bool) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.probing &= !reserved;
        self.orphans = self.orphans.saturating_sub(u32::from(orphan));
        if let Some(down) = &mut self.down {
            down.trying = false;
        }
    }

    /// A connect failed: down, to be tried again at `at`. A later failure of an earlier connect changes nothing.
    pub fn failed(&mut self, at: Nanos) {
        self.down.get_or_insert(Retry { at, trying: false });
    }

    pub fn snapshot(&self, maintenance: bool, draining: bool) -> ServerSnapshot {
        let phase = match (draining, maintenance, self.down) {
            (true, _, _) => Phase::Draining,
            (_, true, _) => Phase::Maintenance,
            (_, _, Some(_)) => Phase::Down,
            _ => Phase::Up,
        };
        ServerSnapshot {
            name: self.name.clone(),
            phase,
            limit: self.limit,
            in_flight: self.in_flight,
            orphans: self.orphans,
            admitted: self.admitted,
            in_flight_max: self.in_flight_max,
        }
    }
}

/// The server with the smallest part of its limit in use that `fits`.
pub(super) fn least_loaded(servers: &[Server], fits: impl Fn(ServerId, &Server) -> bool) -> Option<ServerId> {
    let ids = servers.iter().enumerate().map(|(index, server)| (ServerId(index as u16), server));
    let load = |server: &Server| u64::from(server.in_flight) * 65_536 / u64::from(server.limit.max(1));
    ids.filter(|(id, server)| fits(*id, server)).min_by_key(|(id, server)| (load(server), *id)).map(|(id, _)| id)
}
