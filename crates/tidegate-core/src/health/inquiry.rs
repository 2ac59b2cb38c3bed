//! From attempts to a verdict.
//!
//! **Our own fault?** No port, no descriptor, no memory, forbidden, no link: inconclusive at once. A timer that fired late,
//! or a loop that lags, by more than half of the time that the server had: inconclusive, for it may have answered in time.
//!
//! **Silence** (timed out, unreachable) is a weak failure: the way there may be at fault. A server that keeps an old
//! connection from the same port may be silent too; where that can be, a fresh port is tried once.
//!
//! **An answer that is none** (TLS, HTTP, garbage) is a strong failure: it came from the other side.
//!
//! **A reset in the handshake** can be a closed port, a device at its limit, or an old connection from the same port, and
//! looks the same each time. So it is never believed alone: a fresh port is tried.
//!
//! - The fresh port is accepted: it was the old port (`collision`) if the other side may still hold that one, else a device
//!   near its limit (`peer-limit`), unless no connection stands at all: then the server has just come up.
//! - It is refused too, but connections stand on which the server was heard not long ago: a process that ends takes its
//!   connections with it, so this one lives and is at its limit (`peer-limit`). The same if as many connections stand as were
//!   the limit before.
//! - It is refused too, and there is another address of ours: that one is tried. Accepted: as above.
//! - Refused from two fresh ports, one of them never used: a strong failure.
//! - Refused only from ports that the other side may still hold: `collision`. One that could not be followed up is weak.
//!
//! At most three attempts.

use super::evidence::{Age, Evidence, FORGOTTEN};
use super::fault::{Around, Attempt, Blame, Cause, Fault, Verdict, Weight};
use crate::time::{Nanos, Span};
use std::net::IpAddr;

/// Attempts that an inquiry may take.
const ATTEMPTS_MAX: usize = 3;
/// No server is known that gives up on a client sooner.
const HASTE: Span = Span::secs(1);

/// What the caller does next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// The inquiry is over.
    Decided(Verdict, Evidence),
    /// Try the same server again, from a port of the headroom that was never used towards it, or longest ago.
    TryFresh,
    /// Try the same server again, from this address of ours, and a fresh port.
    TrySource(IpAddr),
}

/// One inquiry. See the module.
#[derive(Clone, Debug, Default)]
pub struct Inquiry {
    evidence: Evidence,
}

impl Inquiry {
    /// Nothing was tried yet.
    pub fn new() -> Inquiry {
        Inquiry::default()
    }

    /// An attempt has ended. After [`Next::Decided`] the inquiry is over, and begins anew with the next attempt.
    pub fn on_attempt(&mut self, now: Nanos, attempt: &Attempt, around: &Around) -> Next {
        self.evidence.note(now, attempt, around);
        match attempt.fault.blame() {
            Blame::Local(cause) => self.decide(self.without_retry(cause, around)),
            _ if lagged(attempt, around) => self.decide(Verdict::Inconclusive(Cause::LoopLag)),
            Blame::Nobody => self.decide(self.accepted(around)),
            Blame::Remote(Weight::Strong) => self.decide(Verdict::Failed(Weight::Strong)),
            Blame::Remote(Weight::Weak) if self.evidence.notes.len() == 1 && self.recent() => Next::TryFresh,
            Blame::Remote(Weight::Weak) => self.decide(self.by_refusals().unwrap_or(Verdict::Failed(Weight::Weak))),
            Blame::Ambiguous => self.refused(around),
        }
    }

    fn decide(&mut self, verdict: Verdict) -> Next {
        Next::Decided(verdict, std::mem::take(&mut self.evidence))
    }

    /// Whether the other side may still hold the port of the last attempt.
    fn recent(&self) -> bool {
        self.evidence.notes.last().is_some_and(|note| note.age == Age::Recent)
    }

    fn refused(&mut self, around: &Around) -> Next {
        let tries = self.evidence.notes.len();
        if tries == 1 {
            return Next::TryFresh;
        }
        let (fresh, never) = self.evidence.refusals();
        if fresh > 0 && alive(around) {
            return self.decide(Verdict::Inconclusive(Cause::PeerLimit));
        }
        let tried = |source: &IpAddr| self.evidence.notes.iter().any(|note| note.source == *source);
        if tries < ATTEMPTS_MAX {
            if let Some(other) = around.other_source.filter(|other| !tried(other)) {
                return Next::TrySource(other);
            }
            if fresh < 2 || never == 0 {
                return Next::TryFresh;
            }
        }
        self.decide(self.by_refusals().unwrap_or(Verdict::Inconclusive(Cause::Collision)))
    }

    /// What the refusals from fresh ports say, if there were any.
    fn by_refusals(&self) -> Option<Verdict> {
        match self.evidence.refusals() {
            (0, _) => None,
            (2.., 1..) => Some(Verdict::Failed(Weight::Strong)),
            _ => Some(Verdict::Failed(Weight::Weak)),
        }
    }

    /// What an accepted connection says after others were not.
    fn accepted(&self, around: &Around) -> Verdict {
        let failed = || self.evidence.notes.iter().filter(|note| note.fault != Fault::None);
        if failed().any(|note| note.age == Age::Recent) {
            Verdict::Inconclusive(Cause::Collision)
        } else if failed().next().is_some() && around.open > 0 {
            Verdict::Inconclusive(Cause::PeerLimit)
        } else {
            Verdict::Ok
        }
    }

    /// A local fault. If it only kept refusals from being followed up, these stand for what they are worth.
    fn without_retry(&self, cause: Cause, around: &Around) -> Verdict {
        self.by_refusals().filter(|_| !alive(around)).unwrap_or(Verdict::Inconclusive(cause))
    }
}

/// Whether a server that refuses must be alive nevertheless. A process that ends takes its connections with it, but a machine
/// that vanished does not: so something must have been heard on them before a device would have forgotten them.
fn alive(around: &Around) -> bool {
    let heard = around.heard.is_some_and(|ago| ago < FORGOTTEN);
    let at_limit = around.learned_limit.is_some_and(|limit| around.open >= cap_of(limit));
    around.open > 0 && (heard || at_limit)
}

/// At most so many connections where `limit` were once too many: 0.95 of it, at least one.
pub(super) fn cap_of(limit: u32) -> u32 {
    ((u64::from(limit) * 95 / 100) as u32).max(1)
}

/// Whether we were too slow ourselves to judge.
fn lagged(attempt: &Attempt, around: &Around) -> bool {
    let lag = attempt.late.max(around.loop_lag);
    let had = attempt.took - attempt.late;
    let slow = lag.0 > had.0 / 2;
    slow && (attempt.fault == Fault::TimedOut || (attempt.fault.needs_haste() && lag >= HASTE))
}
