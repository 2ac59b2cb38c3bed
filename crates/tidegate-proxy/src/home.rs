//! What all connections of one service share on the thread that serves them.

use crate::buffer::Buffers;
use crate::handshake::Pending;
use crate::passthrough;
use crate::service::Service;
use crate::timers::Timers;
use std::rc::Rc;
use std::sync::Arc;
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
}

impl Home {
    pub(crate) fn new(service: Arc<Service>, timers: Rc<Timers>) -> Rc<Home> {
        let max = usize::try_from(service.setup().io.buffers_max_bytes).unwrap_or(usize::MAX);
        Rc::new(Home {
            service,
            timers,
            buffers: Buffers::new(max),
            pending: Pending::default(),
            passthrough: passthrough::Shared::default(),
            pressure: Box::new(|| 0),
            crypto: Semaphore::new(1),
        })
    }
}
