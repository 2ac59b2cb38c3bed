//! What the shell counts itself: connections, and what was refused before the machine could know of it.

use crate::clock;
use crate::stream::Ending;
use crate::vcenter::answer::Judged;
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tidegate_core::limit::tasks::StaleGateway;
use tidegate_core::reason::Reason;
use tidegate_core::words;

words! {
    /// Why a request went over a new connection.
    Connects {
        /// No connection was idle.
        NoneIdle = "none-idle",
        /// It must not be sent twice, and no idle connection was young enough to be sure of.
        Unproven = "unproven",
        /// Connections are not shared: `pool_scope = "never"`.
        NeverShared = "never-shared",
        /// It is sent again.
        Again = "again",
    }
}

words! {
    /// Why a request could be sent again.
    Again {
        /// Not one byte of it had been taken.
        Unsent = "unsent",
        /// Its method may be repeated (RFC 9110 §9.2.2), and a connection that had served before was closed under it.
        Stale = "stale",
    }
}

/// A counter or gauge that several threads read.
#[derive(Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }
    /// Keeps the larger of the two.
    pub(crate) fn at_least(&self, n: u64) {
        self.0.fetch_max(n, Ordering::Relaxed);
    }
    pub(crate) fn sub(&self, n: u64) {
        self.0.fetch_sub(n, Ordering::Relaxed);
    }
    pub(crate) fn set(&self, n: u64) {
        self.0.store(n, Ordering::Relaxed);
    }
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Why the gate closed a connection whose bytes it does not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reaped {
    /// No byte had passed for as long as the plan says.
    Idle,
    /// No byte had passed for some time, and connections or ports were nearly used up.
    IdlePressed,
    /// One side had ended, and the other was silent.
    HalfClosed,
}

impl Reaped {
    pub(crate) const ALL: [Reaped; 3] = [Reaped::Idle, Reaped::IdlePressed, Reaped::HalfClosed];

    /// Its word in status and metrics.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Reaped::Idle => "idle",
            Reaped::IdlePressed => "idle-pressed",
            Reaped::HalfClosed => "half-closed",
        }
    }
}

/// The shapes in which a vCenter says that something is not authenticated, and their words in metrics.
const NOT_AUTHENTICATED: [(Judged, &str); 3] = [
    (Judged::OwnSessionDead, "session"),
    (Judged::EmptyInventory, "empty-inventory"),
    (Judged::StaleGateway, "stale-gateway"),
];

/// Of one service.
#[derive(Default)]
pub(crate) struct ServiceStats {
    /// Client connections open now.
    pub(crate) open_conns: Count,
    /// Client connections whose handshake is not over.
    pub(crate) arriving: Count,
    /// Requests being handled now, held ones included.
    pub(crate) open_requests: Count,
    /// Connections accepted since the start.
    pub(crate) accepted: Count,
    /// Connections closed at once because of `connections_max` or a lack of file descriptors.
    pub(crate) connections_dropped: Count,
    /// Calls refused before the machine saw them, by reason (`bad-request`, `memory`, `handshake`).
    refused: [Count; Reason::ALL.len()],
    /// Connections that said nothing, or not all of a head, in time.
    pub(crate) silent: Count,
    closed: [Count; Reaped::ALL.len()],
    /// Connections whose bytes are not read that were in use at once, at most, within the last minute.
    pub(crate) in_use_max: Count,
    /// Connections ended by a defect of the gate (a panic).
    pub(crate) panics: Count,
    /// Bytes relayed from clients to servers.
    pub(crate) bytes_in: Count,
    /// Bytes relayed from servers to clients.
    pub(crate) bytes_out: Count,
    /// Requests sent again.
    retries: [Count; Again::ALL.len()],
    /// Requests that might have been sent again, had not too many been already.
    pub(crate) retries_refused: Count,
    /// Long polls that wait at a server.
    pub(crate) long_polls: Count,
    /// Answers of a vCenter by which something was not authenticated, by shape.
    judged: [Count; 3],
    /// Of these, the ones of a gateway behind it, for the alert.
    stale_gateway: Mutex<StaleGateway>,
    /// Buffers lent now, in bytes.
    pub(crate) buffer_bytes: Count,
}

impl ServiceStats {
    pub(crate) fn refuse(&self, reason: Reason) {
        self.refused[reason as usize].add(1);
    }

    pub(crate) fn retry(&self, why: Again) {
        self.retries[why as usize].add(1);
    }

    pub(crate) fn retries(&self, why: Again) -> u64 {
        self.retries[why as usize].get()
    }

    /// What an answer of a vCenter said of its session.
    pub(crate) fn judged(&self, judged: Judged) {
        let shape = NOT_AUTHENTICATED.iter().position(|(shape, _)| *shape == judged);
        shape.and_then(|at| self.judged.get(at)).into_iter().for_each(|count| count.add(1));
        if judged == Judged::StaleGateway {
            self.stale().note(clock::now());
        }
    }

    fn stale(&self) -> MutexGuard<'_, StaleGateway> {
        self.stale_gateway.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a gateway behind the vCenter refused so often lately that somebody should look (KB 440879).
    pub(crate) fn stale_gateway_alert(&self) -> bool {
        self.stale().raised(clock::now())
    }

    /// Answers by which something was not authenticated, by the word of the shape.
    pub(crate) fn not_authenticated(&self) -> impl Iterator<Item = (&'static str, u64)> {
        NOT_AUTHENTICATED.iter().zip(&self.judged).map(|((_, word), count)| (*word, count.get()))
    }

    pub(crate) fn close(&self, why: Reaped) {
        self.closed[why as usize].add(1);
    }

    pub(crate) fn closed(&self, why: Reaped) -> u64 {
        self.closed[why as usize].get()
    }

    pub(crate) fn refused(&self, reason: Reason) -> u64 {
        self.refused[reason as usize].get()
    }
}

/// Of one server.
#[derive(Default)]
pub(crate) struct ServerStats {
    /// Connections open now, idle ones included.
    pub(crate) open_conns: Count,
    /// Requests on them now.
    pub(crate) open_requests: Count,
    /// Of these, those that calls may share or have now: idle, in use, or being made. Neither tunnels nor connections that
    /// rest with the one client that authenticated on them.
    pub(crate) places: Count,
    /// The most of them at once.
    pub(crate) places_max: Count,
    /// Connections that broke, or could not be made.
    pub(crate) connections_dropped: Count,
    /// Connections made since the start, all.
    pub(crate) connects: Count,
    /// Of these, those for a request, by why none was reused.
    connects_by: [Count; Connects::ALL.len()],
    /// Requests answered over a connection that had served before.
    pub(crate) reuses: Count,
    /// Idle connections on which the server spoke unasked.
    pub(crate) unasked: Count,
    /// Connections that are over, by how they ended.
    ended: [Count; Ending::ALL.len()],
}

impl ServerStats {
    pub(crate) fn connect(&self, why: Connects) {
        self.connects.add(1);
        self.connects_by[why as usize].add(1);
    }

    pub(crate) fn connected(&self, why: Connects) -> u64 {
        self.connects_by[why as usize].get()
    }

    pub(crate) fn end(&self, ending: Ending) {
        self.ended[ending as usize].add(1);
    }

    pub(crate) fn ended(&self, ending: Ending) -> u64 {
        self.ended[ending as usize].get()
    }
}
