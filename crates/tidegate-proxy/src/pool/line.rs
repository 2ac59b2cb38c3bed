//! One connection to a server from its making to its end, and the place that it takes.

use super::Key;
use crate::stats::ServerStats;
use crate::stream::Stream;
use std::sync::Arc;

/// A place among the connections that a server may have. Dropped, it is free again.
pub(crate) struct Place(Arc<ServerStats>);

impl Place {
    pub(super) fn take(stats: &Arc<ServerStats>) -> Place {
        stats.places.add(1);
        stats.places_max.at_least(stats.places.get());
        Place(stats.clone())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.places.sub(1);
    }
}

/// An open connection. Dropped, it is closed: by a FIN, or by a reset after [`Line::drop_port`].
pub(super) struct Line {
    pub(super) stream: Stream,
    /// What must be equal for it to be used again.
    pub(super) key: Key,
    /// Requests that were sent on it.
    pub(super) requests: u32,
    /// Its place; none while it is a tunnel, or rests with the one client that it is bound to.
    pub(super) place: Option<Place>,
    stats: Arc<ServerStats>,
}

impl Line {
    /// It was just made.
    pub(super) fn new(stats: &Arc<ServerStats>, key: Key, stream: Stream, place: Place) -> Line {
        stats.open_conns.add(1);
        Line { stream, key, requests: 1, place: Some(place), stats: stats.clone() }
    }

    /// Closes an idle connection by a reset, so that no TIME_WAIT holds its port. The server has nothing to say any more.
    pub(super) fn drop_port(mut self) {
        self.stream.reset();
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.stats.open_conns.sub(1);
        self.stats.end(self.stream.ending());
    }
}
