//! Where the machine learns how long its clients wait, and keeps what it has learned from doing harm.

use super::call::Call;
use super::event::KindKey;
use super::machine::Machine;
use super::server::Server;
use super::snapshot::Phase;
use crate::reason::Reason;
use crate::time::{Nanos, Span};

/// Beyond the margin a client is given at least this long.
const LEAST: Span = Span::secs(1);

impl Machine {
    /// How long a client of this kind waits, and whether that is less than the plan says. Never so little that no call
    /// would be in time, never longer than the gate waits itself.
    pub(super) fn patience_of(&self, kind: KindKey) -> (Span, bool) {
        let (least, most) = (self.plan.margin + LEAST, self.plan.upstream_timeout);
        let known = self.patience.of(kind).map(|learned| learned.max(least).min(most.max(least)));
        let wait = known.unwrap_or(self.plan.client_timeout);
        (wait, wait < self.plan.client_timeout)
    }

    /// The client of a call has left.
    pub(super) fn left(&mut self, now: Nanos, index: u32) {
        let moment = self.plan.limit_window.mul_f64(0.1);
        let there = |call: &&Call| call.in_flight().is_none_or(|at| !at.orphan);
        if let Some(call) = self.calls.get(index).filter(there) {
            self.patience.left(now, call.kind, now.since(call.arrived), moment);
        }
    }

    /// A call has been answered while its client was still there.
    pub(super) fn waited(&mut self, now: Nanos, call: &Call) {
        self.patience.ended(now, call.kind, now.since(call.arrived), false, self.plan.client_timeout);
    }

    /// A call is turned away while its client is still there.
    pub(super) fn given_up(&mut self, now: Nanos, call: &Call, reason: Reason) {
        let late = call.hurried && matches!(reason, Reason::Deadline | Reason::TooLate);
        let up = |server: &Server| server.phase(now, self.plan.silence) == Phase::Up;
        let idle = |server: &Server| server.load() * 2 < server.limit;
        let in_vain = late && self.servers.iter().any(|server| up(server) && idle(server));
        self.patience.ended(now, call.kind, now.since(call.arrived), in_vain, self.plan.client_timeout);
    }
}
