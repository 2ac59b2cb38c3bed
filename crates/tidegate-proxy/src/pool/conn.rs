//! A connection to a server in the hands of one exchange.

use super::line::{Line, Place};
use super::{Key, Server};
use crate::stats::Connects;
use crate::stream::Stream;
use std::sync::Arc;
use tidegate_core::time::{Nanos, Span};

/// Dropped, it is closed.
pub(crate) struct ServerConn {
    line: Option<Line>,
    server: Arc<Server>,
    /// It has served a request before.
    pub(crate) reused: bool,
    /// A user has authenticated on it (NTLM, Negotiate): it belongs to one client's connection and dies with it.
    pub(crate) bound: bool,
    /// Since when it rests between two calls of the client that it is bound to.
    resting: Option<Nanos>,
    /// How long it had been idle before this exchange.
    pub(crate) idled: Span,
    /// The server may well close it under the request.
    pub(crate) risky: bool,
}

impl ServerConn {
    /// A connection that was just made in `place`.
    pub(crate) fn new(server: &Arc<Server>, key: Key, stream: Stream, place: Place, why: Connects) -> ServerConn {
        server.stats.connect(why);
        server.stats.open_requests.add(1);
        let line = Some(Line::new(&server.stats, key, stream, place));
        ServerConn {
            line,
            server: server.clone(),
            reused: false,
            bound: false,
            resting: None,
            idled: Span::ZERO,
            risky: false,
        }
    }

    /// One that was idle for `idled`.
    pub(super) fn again(server: &Arc<Server>, mut line: Line, idled: Span, risky: bool) -> ServerConn {
        server.stats.open_requests.add(1);
        line.requests += 1;
        line.stream.begin();
        let (line, server) = (Some(line), server.clone());
        ServerConn { line, server, reused: true, bound: false, resting: None, idled, risky }
    }

    /// The connection itself; `None` only after it was given back.
    pub(crate) fn stream(&mut self) -> Option<&mut Stream> {
        self.line.as_mut().map(|line| &mut line.stream)
    }

    pub(crate) fn server(&self) -> &Arc<Server> {
        &self.server
    }

    /// Keeps it between two calls of the one client that it is bound to.
    pub(crate) fn rest(mut self, now: Nanos) -> ServerConn {
        self.server.stats.open_requests.sub(1);
        self.leave_place();
        self.resting = Some(now);
        self
    }

    /// Takes it up again after [`ServerConn::rest`], for a call to `server`; `None` when it has ended or leads elsewhere.
    pub(crate) fn resume(mut self, server: &Arc<Server>, now: Nanos) -> Option<ServerConn> {
        let line = self.line.as_mut()?;
        if !Arc::ptr_eq(&self.server, server) || line.stream.stirred().is_some() {
            return None;
        }
        line.place = Some(server.reserve());
        line.requests += 1;
        line.stream.begin();
        self.server.stats.open_requests.add(1);
        self.idled = self.resting.take().map_or(Span::ZERO, |since| now.since(since));
        self.reused = true;
        Some(self)
    }

    /// From now on it counts as no connection that calls have: it is a tunnel, or rests.
    pub(crate) fn leave_place(&mut self) {
        self.line.iter_mut().for_each(|line| line.place = None);
    }

    /// Gives it back for the next call. Only after both messages were whole and not one byte is left over.
    pub(crate) fn give_back(mut self, now: Nanos) {
        let Some(line) = self.line.take() else { return };
        self.server.stats.open_requests.sub(1);
        self.server.put(line, now);
    }

    /// Closes it after both messages were whole: nothing is under way on it, so it need not hold a port.
    pub(crate) fn close(mut self) {
        if let Some(line) = self.line.take() {
            self.server.stats.open_requests.sub(1);
            line.drop_port();
        }
    }
}

impl Drop for ServerConn {
    fn drop(&mut self) {
        if self.line.is_some() {
            self.server.stats.open_requests.sub(u64::from(self.resting.is_none()));
        }
    }
}
