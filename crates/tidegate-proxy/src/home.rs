//! What all connections of one service share on the thread that serves them.

use crate::buffer::Buffers;
use crate::service::Service;
use crate::timers::Timers;
use std::rc::Rc;
use std::sync::Arc;

/// One service on one shard.
pub(crate) struct Home {
    pub(crate) service: Arc<Service>,
    pub(crate) timers: Rc<Timers>,
    pub(crate) buffers: Rc<Buffers>,
}

impl Home {
    pub(crate) fn new(service: Arc<Service>, timers: Rc<Timers>) -> Rc<Home> {
        let max = usize::try_from(service.setup().io.buffers_max_bytes).unwrap_or(usize::MAX);
        Rc::new(Home { service, timers, buffers: Buffers::new(max) })
    }
}
