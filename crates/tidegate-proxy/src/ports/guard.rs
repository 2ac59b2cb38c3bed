//! A lease that ends when it is dropped, with the ending that was noted on it.

use super::Ports;
use crate::clock;
use std::sync::Arc;
use tidegate_core::ledger::{Ending, Lease};
use tidegate_core::time::Nanos;

/// Holds one port. Drop it after its socket, so that the port is not leased again while the kernel still has it.
pub(crate) struct Guard {
    ports: Arc<Ports>,
    lease: Lease,
    last_use: Option<(Nanos, Ending)>,
    ending: Ending,
}

impl Guard {
    /// Noted on it: nothing was sent.
    pub(super) fn new(ports: Arc<Ports>, lease: Lease) -> Guard {
        let last_use = ports.ledger().last_use(&lease);
        Guard { ports, lease, last_use, ending: Ending::Never }
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
    pub(crate) fn connected(&mut self) {
        self.ports.ledger().connected(&self.lease);
    }

    /// How the lease will have ended when this is dropped.
    pub(crate) fn ends(&mut self, ending: Ending) {
        self.ending = ending;
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.ports.ledger().release(clock::now(), &self.lease, self.ending);
    }
}
