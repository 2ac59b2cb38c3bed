//! How many connects to one server may be in progress at once. Who comes later waits in order.

use super::Shared;
use crate::pool::Server;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// The connects to one server.
#[derive(Default)]
pub(super) struct HalfOpen {
    open: u32,
    next: u64,
    waiting: BTreeMap<u64, Waker>,
}

impl HalfOpen {
    fn wake_first(&self) {
        self.waiting.first_key_value().into_iter().for_each(|(_, waker)| waker.wake_by_ref());
    }
}

/// A connect, or the wait for its turn. Given back when dropped.
pub(super) struct Connecting<'a> {
    shared: &'a Shared,
    server: Arc<str>,
    number: u64,
    open: bool,
}

impl<'a> Connecting<'a> {
    /// Gets in line at `server`.
    pub(super) fn new(shared: &'a Shared, server: &Server) -> Connecting<'a> {
        let mut all = shared.half_open.borrow_mut();
        let line = all.entry(server.name.clone()).or_default();
        let number = line.next;
        line.next += 1;
        Connecting { shared, server: server.name.clone(), number, open: false }
    }

    /// Ready when it may begin: it is the first in line and fewer than `max` are in progress.
    pub(super) fn poll(&mut self, cx: &Context<'_>, max: u32) -> Poll<()> {
        let mut all = self.shared.half_open.borrow_mut();
        let Some(line) = all.get_mut(&self.server).filter(|_| !self.open) else { return Poll::Ready(()) };
        let first = line.waiting.first_key_value().is_none_or(|(first, _)| *first >= self.number);
        if !first || line.open >= max {
            line.waiting.insert(self.number, cx.waker().clone());
            return Poll::Pending;
        }
        line.waiting.remove(&self.number);
        line.open += 1;
        self.open = true;
        if line.open < max {
            line.wake_first();
        }
        Poll::Ready(())
    }
}

impl Drop for Connecting<'_> {
    fn drop(&mut self) {
        if let Some(line) = self.shared.half_open.borrow_mut().get_mut(&self.server) {
            line.open -= u32::from(self.open);
            line.waiting.remove(&self.number);
            line.wake_first();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_too_many_waits_in_order() {
        let shared = Shared::default();
        let server = Server::new(("a", "127.0.0.1:1"), None, None, None, Arc::default());
        let cx = Context::from_waker(Waker::noop());
        let mut all: Vec<_> = (0..4).map(|_| Connecting::new(&shared, &server)).collect();
        assert!(all[0].poll(&cx, 2).is_ready());
        assert!(all[1].poll(&cx, 2).is_ready());
        assert!(all[2].poll(&cx, 2).is_pending());
        assert!(all[3].poll(&cx, 2).is_pending());
        assert!(all[0].poll(&cx, 2).is_ready(), "asked again");
        drop(all.remove(1));
        assert!(all[2].poll(&cx, 2).is_pending(), "the other one was first");
        assert!(all[1].poll(&cx, 2).is_ready());
        drop(all.remove(1));
        assert!(all[1].poll(&cx, 2).is_ready());
        drop(all);
        let lines = shared.half_open.borrow();
        assert!(lines["a"].open == 0 && lines["a"].waiting.is_empty());
    }
}
