//! What all connections of one service share on the thread that serves them.

use crate::buffer::Buffers;
use crate::handshake::Pending;
use crate::passthrough;
use crate::service::Service;
use crate::timers::Timers;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use tidegate_core::limit::{RETRIES_AT_ONCE, Retries};
use tokio::sync::Semaphore;

/// One service on one shard.
pub(crate) struct Home {
    pub(crate) service: Arc<Service>,
    pub(crate) timers: Rc<Timers>,
    pub(crate) buffers: Rc<Buffers>,
    /// Handshakes that are not over.
    pub(crate) pending: Pending,
    /// What connections whose TLS is not opened share.
    pub(crate) passthrough: passthrough::Shared,
    /// How near to used up is what all services share and connections need (ports), in thousandths.
    pub(crate) pressure: Box<dyn Fn() -> u32>,
    /// One step of cryptography at a time.
    pub(crate) crypto: Semaphore,
    /// How many requests may be sent again …
    pub(crate) retries: RefCell<Retries>,
    /// … and how many of them at the same time.
    pub(crate) retrying: Semaphore,
    /// Requests under way that may well have to be: each keeps its share of the budget.
    risky: Cell<u32>,
}

/// One of them. Dropped, it is over.
pub(crate) struct Risk<'h>(&'h Cell<u32>);

impl Drop for Risk<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

impl Home {
    pub(crate) fn new(service: Arc<Service>, timers: Rc<Timers>) -> Rc<Home> {
        let max = usize::try_from(service.setup().io.buffers_max_bytes).unwrap_or(usize::MAX);
        let retries = Retries::new(timers.now());
        Rc::new(Home {
            timers,
            buffers: Buffers::new(max),
            pending: Pending::default(),
            passthrough: passthrough::Shared::default(),
            pressure: {
                let way = service.way.clone();
                Box::new(move || way.ports.fullest_milli())
            },
            crypto: Semaphore::new(1),
            retries: RefCell::new(retries),
            retrying: Semaphore::new(RETRIES_AT_ONCE),
            risky: Cell::new(0),
            service,
        })
    }

    /// Whether one more request could be sent again now.
    pub(crate) fn may_retry(&self) -> bool {
        self.retrying.available_permits() > 0 && self.retries.borrow_mut().may(self.timers.now(), self.risky.get())
    }

    /// A request that may well have to be sent again begins.
    pub(crate) fn risk(&self) -> Risk<'_> {
        self.risky.set(self.risky.get() + 1);
        Risk(&self.risky)
    }
}
