//! A lease that ends when it is dropped, with the ending that was noted on it.

use super::{Ports, resent};
use crate::clock;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tidegate_core::ledger::{Ending, Lease};
use tidegate_core::time::{Nanos, Span};

/// Two lifetimes of a segment (RFC 9293: 2 min each; what is implemented: 1 min): for so long the other side may hold what
/// it has closed in TIME_WAIT.
const HELD: Span = Span::secs(120);

/// Holds one port. Drop it after its socket, so that the port is not leased again while the kernel still has it.
pub(crate) struct Guard {
    ports: Arc<Ports>,
    lease: Lease,
    last_use: Option<(Nanos, Ending)>,
    ending: Ending,
    /// The other side held an earlier connection from this port when this one came.
    collided: bool,
}

impl Guard {
    /// Noted on it: nothing was sent.
    pub(super) fn new(ports: Arc<Ports>, lease: Lease) -> Guard {
        let last_use = ports.ledger().last_use(&lease);
        Guard { ports, lease, last_use, ending: Ending::Never, collided: false }
    }

    /// What is held.
    pub(crate) fn lease(&self) -> &Lease {
        &self.lease
    }

    /// How the use of this tuple before ended, and when: evidence for or against a collision. `None`: never used.
    pub(crate) fn last_use(&self) -> Option<(Nanos, Ending)> {
        self.last_use
    }

    /// The connection is established.
    ///
    /// A peer in TIME_WAIT may answer a SYN with an acknowledgement of what was before: then the kernel resets that and sends
    /// the SYN again, after a second or three. A port that was in use a short time ago and needed that rests when it is
    /// released, however that ends.
    pub(crate) fn connected(&mut self, tcp: &impl AsFd) {
        self.ports.ledger().connected(&self.lease);
        let held = self.last_use.is_some_and(|(at, ending)| {
            clock::now().since(at) < HELD && !matches!(ending, Ending::Foreign | Ending::Refused)
        });
        if held && resent::segments(tcp) > 0 {
            self.collided = true;
            self.ports.slow_collisions.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How the lease will have ended when this is dropped.
    pub(crate) fn ends(&mut self, ending: Ending) {
        self.ending = ending;
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let ending = if self.collided { Ending::Collision } else { self.ending };
        self.ports.ledger().release(clock::now(), &self.lease, ending);
    }
}
