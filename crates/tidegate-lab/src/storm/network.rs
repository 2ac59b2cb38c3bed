//! The network of the hosts: it can be cut, which ends every connection and refuses new ones for a while.

use std::cell::Cell;
use tidegate_sim::time::Nanos;
use tokio::sync::watch;

/// What all hosts connect over.
pub struct Network {
    cuts: watch::Sender<u64>,
    until: Cell<Nanos>,
}

impl Default for Network {
    fn default() -> Network {
        Network { cuts: watch::Sender::new(0), until: Cell::new(Nanos(0)) }
    }
}

impl Network {
    /// Ends every connection; nobody can connect before `until`.
    pub fn cut(&self, until: Nanos) {
        self.until.set(until);
        self.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// Whether nobody can connect at `now`.
    pub fn is_cut(&self, now: Nanos) -> bool {
        now < self.until.get()
    }

    /// Tells of cuts from now on.
    pub fn cuts(&self) -> watch::Receiver<u64> {
        self.cuts.subscribe()
    }
}
