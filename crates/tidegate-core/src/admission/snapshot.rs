//! The machine's counters and gauges as plain data: what `status`, metrics and tests read.

use super::event::Class;
use super::machine::Machine;
use super::server::Server;
use crate::health::Standing;
use crate::limit::LimitView;
use crate::reason::{Reason, words};
use crate::time::{Nanos, Span};
use serde::{Deserialize, Serialize};

words! {
    /// The phase of a server.
    Phase {
        /// It answers.
        Up = "up",
        /// Something is wrong, not proven yet.
        Suspect = "suspect",
        /// It answers, but takes no new connections.
        Degraded = "degraded",
        /// It cannot be reached; one call at a time tries.
        Down = "down",
        /// It is back; clients are let in batch by batch.
        Recovering = "recovering",
        /// It takes no new calls; those in flight end.
        Draining = "draining",
        /// The operator has announced a planned restart.
        Maintenance = "maintenance",
    }
}

/// How many calls met which fate, since the machine began.
///
/// Conservation, at any moment: `arrived = admitted + turned_away (sum) + client_gone + held + pending`, where `pending`
/// are calls in flight whose connection does not stand yet (they may be held again).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Calls that arrived.
    pub arrived: u64,
    /// Calls that reached a server.
    pub admitted: u64,
    /// Calls turned away, by [`Reason`] (index: `reason as usize`).
    pub turned_away: [u64; Reason::ALL.len()],
    /// Calls whose client left while they were held.
    pub client_gone: u64,
    /// Calls that were held when they arrived.
    pub held: u64,
    /// Calls whose client left after they were admitted; the slot stayed taken.
    pub orphaned: u64,
    /// Calls held again because their server could not be reached.
    pub held_again: u64,
    /// Calls that the server did not answer within the upstream timeout.
    pub expired: u64,
    /// Calls that the server answered.
    pub answered: u64,
    /// Overload answers.
    pub overload: u64,
    /// Broken connections and garbage.
    pub broken: u64,
    /// Requests whose client left before they were whole.
    pub incomplete: u64,
    /// Long polls whose slot was given back while the server kept them.
    #[serde(default)]
    pub parked: u64,
    /// Failed connects.
    pub connect_failed: u64,
    /// Connects that our own side could not make, or that a server at its limit did not take.
    #[serde(default)]
    pub not_connected: u64,
    /// In observe mode: calls that would have been held.
    pub would_hold: u64,
    /// In observe mode: calls that would have been turned away.
    pub would_turn_away: u64,
    /// `Done` or `ClientGone` for a call that the machine does not know (a defect of the driver, or a late one).
    pub unknown_call: u64,
    /// Sessions opened through the gate.
    pub sessions_opened: u64,
    /// Sessions that settled.
    pub sessions_settled: u64,
}

impl Counters {
    /// All calls turned away.
    pub fn turned_away_total(&self) -> u64 {
        self.turned_away.iter().sum()
    }
}

/// A server that is let back to work batch by batch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RecoveryView {
    /// The number of the batch, from 1.
    pub batch: u32,
    /// Clients that it may hold.
    pub size: u32,
    /// Clients let in with it so far.
    pub begun: u32,
    /// Of these, clients whose sessions are complete.
    pub complete: u32,
    /// Since when the server recovers.
    pub since: Span,
}

/// One server, now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServerSnapshot {
    /// Its name.
    pub name: String,
    /// Its phase.
    pub phase: Phase,
    /// Its limit.
    pub limit: u32,
    /// Why the limit is what it is.
    pub why: LimitView,
    /// How far its recovery is, while it recovers.
    pub recovery: Option<RecoveryView>,
    /// Calls in flight, orphans and probes included.
    pub in_flight: u32,
    /// Of these, calls whose client has left.
    pub orphans: u32,
    /// Calls that reached it, ever.
    pub admitted: u64,
    /// Most that was ever in flight.
    pub in_flight_max: u32,
    /// It is used only while no other can be reached.
    pub standby: bool,
    /// How its monitor says that it stands, if it has one.
    pub standing: Option<Standing>,
}

/// The machine, now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// When.
    pub now: Nanos,
    /// Since the beginning.
    pub counters: Counters,
    /// Held calls by class (index: `class as usize`).
    pub held: [u32; 6],
    /// Calls in flight whose connection does not stand yet.
    pub pending: u32,
    /// Longest time that a call now held has waited.
    pub oldest: Span,
    /// Measured rate of completed work, in thousandths of a unit per second; 0: not known yet.
    pub rate_milli: u64,
    /// Time until all that is held now, with its follow-ups, is in, when a rate is known.
    pub all_in: Option<Span>,
    /// Sessions that are open, not settled, and still expected to go on.
    pub sessions_unsettled: u32,
    /// Sessions that are settled: their clients are connected.
    pub sessions_settled: u32,
    /// Clients that asked for a session and have none that is settled: what is still to come in.
    pub remaining: u32,
    /// The servers, in the plan's order.
    pub servers: Vec<ServerSnapshot>,
    /// Maintenance is on.
    pub maintenance: bool,
    /// Everything passes.
    pub bypass: bool,
    /// The service is shutting down.
    pub draining: bool,
}

impl Machine {
    /// Whether calls are held, or a server is let back to work batch by batch: then clients had better ask for less.
    pub fn pressed(&self, now: Nanos) -> bool {
        self.queues.total() > 0 || self.servers.iter().any(|server| server.recovery.view(now, 0).is_some())
    }

    /// Calls held, and the sum of the servers' limits: two gauges that cost nothing to ask for.
    pub fn held_and_limit(&self) -> (u32, u32) {
        (self.queues.total(), self.servers.iter().map(|server| server.limit).sum())
    }

    /// Counters and gauges.
    pub fn snapshot(&self, now: Nanos) -> Snapshot {
        let held = |index: u32| self.calls.get(index).map(|call| call.arrived);
        let oldest = self.queues.iter().filter_map(held).min();
        let (sessions_unsettled, sessions_settled) = self.sessions.counts();
        let terms = self.terms();
        let phase = |server: &Server| match (self.draining, self.maintenance) {
            (true, _) => Phase::Draining,
            (_, true) => Phase::Maintenance,
            _ => server.phase(now, self.plan.silence),
        };
        Snapshot {
            now,
            counters: self.counters.clone(),
            held: std::array::from_fn(|class| self.queues.count(Class::ALL[class])),
            pending: self.pending,
            oldest: oldest.map_or(Span::ZERO, |arrived| now.since(arrived)),
            rate_milli: self.rate.per_second(now).unwrap_or(0.0) as u64,
            all_in: self.all_in(now),
            sessions_unsettled,
            sessions_settled,
            remaining: self.clients.unconnected(),
            servers: self.servers.iter().map(|server| server.snapshot(now, terms, phase(server))).collect(),
            maintenance: self.maintenance,
            bypass: self.bypass,
            draining: self.draining,
        }
    }
}
