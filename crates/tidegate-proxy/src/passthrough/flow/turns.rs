//! What tells when a slot is needed on a connection: the records of its TLS, or nothing but its beginning.

use crate::passthrough::opening::Opening;
use crate::wire::record::NotTls;
use crate::wire::turns::{Learned, Over, Take, Then, Tracker};
use tidegate_core::time::Nanos;

/// See [`Tracker`] for what each answer means.
pub(in crate::passthrough) enum Turns {
    /// TLS that is not opened.
    Tls(Box<Tracker>),
    /// Bytes of which nothing is known.
    Opaque(Opening),
}

impl Turns {
    /// Nothing is known of the bytes: they pass as they come, and each side may end alone.
    pub(super) fn are_opaque(&self) -> bool {
        matches!(self, Turns::Opaque(_))
    }

    pub(super) fn admitted(&mut self, now: Nanos) {
        match self {
            Turns::Tls(tracker) => tracker.admitted(now),
            Turns::Opaque(_) => {} // never asks
        }
    }

    pub(super) fn client(&mut self, now: Nanos, bytes: &[u8], learned: &mut Learned) -> Result<Take, NotTls> {
        match self {
            Turns::Tls(tracker) => tracker.client(now, bytes, learned),
            Turns::Opaque(opening) => {
                opening.client(now);
                Ok(Take { bytes: bytes.len(), then: Then::More })
            }
        }
    }

    pub(super) fn server(&mut self, now: Nanos, bytes: &[u8], learned: &mut Learned) -> Result<Option<Over>, NotTls> {
        match self {
            Turns::Tls(tracker) => tracker.server(now, bytes, learned),
            Turns::Opaque(opening) => Ok(opening.server()),
        }
    }

    pub(super) fn next_wake(&self, learned: &Learned) -> Option<Nanos> {
        match self {
            Turns::Tls(tracker) => tracker.next_wake(learned),
            Turns::Opaque(opening) => opening.next_wake(),
        }
    }

    pub(super) fn wake(&mut self, now: Nanos, learned: &mut Learned) -> Option<Over> {
        match self {
            Turns::Tls(tracker) => tracker.wake(now, learned),
            Turns::Opaque(opening) => opening.wake(now),
        }
    }
}
