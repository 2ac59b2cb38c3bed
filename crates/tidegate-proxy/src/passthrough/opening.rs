//! When is a connection that nobody can read established? Its slot is given back then.
//!
//! With the server's first byte. A server that waits for its client says nothing at first, so a short silence ends the
//! establishment too: `settle` after the connection was made, or, once the client has spoken, `answer_max` after that. Such
//! an end is *estimated*. Nothing after it is admitted: a change of direction is no request where the protocol is unknown,
//! and to hold back bytes in the middle of a conversation could break it.

use crate::wire::turns::{Over, Settings};
use tidegate_core::time::Nanos;

/// The beginning of one connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Opening {
    settings: Settings,
    since: Nanos,
    spoke: bool,
    over: bool,
}

impl Opening {
    /// A connection that was made just now.
    pub(super) fn new(now: Nanos, settings: Settings) -> Opening {
        Opening { settings, since: now, spoke: false, over: false }
    }

    /// Bytes of the client go to the server.
    pub(super) fn client(&mut self, now: Nanos) {
        if !self.spoke {
            (self.spoke, self.since) = (true, now);
        }
    }

    /// Bytes of the server have come.
    pub(super) fn server(&mut self) -> Option<Over> {
        self.end(false)
    }

    /// Time has passed.
    pub(super) fn wake(&mut self, now: Nanos) -> Option<Over> {
        if self.next_wake().is_some_and(|at| at <= now) { self.end(true) } else { None }
    }

    /// When to look again.
    pub(super) fn next_wake(&self) -> Option<Nanos> {
        let silence = if self.spoke { self.settings.answer_max } else { self.settings.settle };
        (!self.over).then_some(self.since + silence)
    }

    fn end(&mut self, estimated: bool) -> Option<Over> {
        (!std::mem::replace(&mut self.over, true)).then_some(Over { estimated })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_core::time::Span;

    const SETTINGS: Settings = Settings { settle: Span::millis(50), answer_max: Span::secs(2) };

    fn at(ms: u64) -> Nanos {
        Nanos(0) + Span::millis(ms)
    }

    #[test]
    fn the_servers_first_byte_ends_it_once() {
        let mut opening = Opening::new(at(0), SETTINGS);
        assert_eq!(opening.wake(at(49)), None);
        assert_eq!(opening.server(), Some(Over { estimated: false }));
        assert_eq!((opening.server(), opening.wake(at(100)), opening.next_wake()), (None, None, None));
    }

    #[test]
    fn silence_ends_it_later_when_the_client_has_spoken() {
        let mut opening = Opening::new(at(0), SETTINGS);
        assert_eq!(opening.next_wake(), Some(at(50)));
        opening.client(at(20));
        opening.client(at(30));
        assert_eq!(opening.next_wake(), Some(at(2020)));
        assert_eq!(opening.wake(at(2019)), None);
        assert_eq!(opening.wake(at(2020)), Some(Over { estimated: true }));
        assert_eq!(opening.server(), None);
    }
}
