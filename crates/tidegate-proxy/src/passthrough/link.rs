//! A passthrough connection's end at the server, counted.

use crate::home::Home;
use crate::pool::Server;
use crate::stream::{Sock, Stream};
use std::rc::Rc;
use std::sync::Arc;

/// Dropped, it is closed.
pub(super) struct Link {
    pub(super) stream: Stream,
    pub(super) server: Arc<Server>,
    home: Rc<Home>,
    busy: bool,
}

impl Link {
    /// A connection that was just made, for a turn that is in progress.
    pub(super) fn new(home: &Rc<Home>, server: &Arc<Server>, sock: Sock) -> Link {
        server.stats.open_conns.add(1);
        server.stats.connects.add(1);
        let mut link = Link { stream: Stream::plain(sock), server: server.clone(), home: home.clone(), busy: false };
        link.set_busy(true);
        link
    }

    /// Whether a turn is in progress on it.
    pub(super) fn set_busy(&mut self, busy: bool) {
        match (self.busy, busy) {
            (false, true) => {
                self.server.stats.open_requests.add(1);
                self.home.passthrough.in_use.add();
            }
            (true, false) => {
                self.server.stats.open_requests.sub(1);
                self.home.passthrough.in_use.sub();
            }
            _ => {}
        }
        self.busy = busy;
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.set_busy(false);
        self.server.stats.open_conns.sub(1);
    }
}
