//! How a server that has begun anew is let back to work: batch by batch.
//!
//! A server that has just started is cold, and everybody wants to log in at once. So for a while clients may open sessions
//! only in batches ([`Batches`]): the next batch begins when the last one is in, and it is larger when response times are
//! back. Calls of sessions that are open already always pass, within the limit.
//!
//! **When a server has begun anew.** It was down, and a connect succeeds again; it answers after three failures in a row
//! (failed connects, broken connections), or after a time of silence with calls in flight; the driver says so; a planned
//! restart is over; or the gate itself has just begun, and knows nothing of the server. An answer to a call that was sent
//! before the first failure shows that it has not. Until it answers again, a server that failed three times or is silent is
//! *suspect*: one client at a time may open a session, so that somebody finds out.
//!
//! **Cold.** Batches begin with the first client that opens a session. If none does within the time that a client waits,
//! nobody was cut off, and there is no need of batches.
//!
//! Its sessions are dead only where that is sure: the driver says that it began anew, or it refused one try after another
//! and then came back. A connect that times out, or silence, can be the network's fault, and then the sessions live.

mod batch;
mod hooks;

use super::event::{ClientKey, SessionKey};
use super::snapshot::RecoveryView;
use crate::time::{Nanos, Span};
use batch::{Batches, Terms};
use serde::{Deserialize, Serialize};

/// Failures in a row after which a server may have begun anew.
const FAILURES: u32 = 3;
/// A connect that fails within this part of the plan's silence was refused; a later one got no answer at all.
const REFUSED_WITHIN: f64 = 0.1;

/// What is known of one server's last beginning.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Recovery {
    stage: Stage,
    /// Failed connects and broken connections since it was heard of last.
    failures: u32,
    /// When the first of these was.
    failed: Nanos,
    /// Of these, the last connects that were all refused.
    refused: u32,
    /// When it was heard of last, or began to have something in flight again.
    heard: Nanos,
    /// Calls in flight that open a session.
    opening: u32,
    /// Number of the last batch of the recoveries before this one.
    batches: u32,
    /// Seconds per unit of work in the best batch so far.
    base: Option<f64>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
enum Stage {
    /// Whoever comes may come in.
    Open,
    /// It has begun anew; nobody has opened a session since.
    Cold(Nanos),
    /// Clients come in batch by batch.
    Batches(Batches),
}

impl Recovery {
    /// Of a server of which the gate has just learned; `base` is what an earlier run knew.
    pub fn new(base: Option<Span>, now: Nanos) -> Recovery {
        Recovery {
            stage: Stage::Cold(now),
            failures: 0,
            failed: now,
            refused: 0,
            heard: now,
            opening: 0,
            batches: 0,
            base: base.map(Span::as_secs_f64).filter(|base| *base > 0.0),
        }
    }

    /// It has begun anew.
    pub fn begin(&mut self, now: Nanos) {
        (self.failures, self.refused, self.heard) = (0, 0, now);
        self.turn(Stage::Cold(now));
    }

    /// The next stage. Batches of the next recovery count on from this one's: a call that was let in with one of these and
    /// ends later must not be taken for one of those.
    fn turn(&mut self, stage: Stage) {
        if let Stage::Batches(batches) = &self.stage {
            self.batches = batches.number();
        }
        self.stage = stage;
    }

    /// Whether something is wrong with it, with so much in flight.
    pub fn suspect(&self, now: Nanos, in_flight: u32, silence: Span) -> bool {
        self.failing() || (in_flight > 0 && now.since(self.heard) >= silence)
    }

    /// Whether nothing but failures was heard of it for a while.
    pub fn failing(&self) -> bool {
        self.failures >= FAILURES
    }

    /// Whether a client may open a session now.
    pub fn may_begin(&self, now: Nanos, in_flight: u32, silence: Span, least: u32) -> bool {
        let batch = match &self.stage {
            Stage::Open | Stage::Cold(_) => true,
            Stage::Batches(batches) => batches.may_begin(now, least),
        };
        batch && (self.opening == 0 || !self.suspect(now, in_flight, silence))
    }

    /// Whether bulk work has to wait for clients that want in.
    pub fn keeps_bulk_out(&self, waiting: bool) -> bool {
        matches!(&self.stage, Stage::Batches(batches) if waiting || batches.incomplete() > 0)
    }

    /// A connect to it, or a connection, failed.
    fn failed(&mut self, now: Nanos) {
        if self.failures == 0 {
            self.failed = now;
        }
        self.failures = self.failures.saturating_add(1);
    }

    /// Whether a call of so long ago came before the failures: when it gets somewhere, its server has not begun anew.
    fn outlived(&self, since: Nanos) -> bool {
        self.failures > 0 && since < self.failed
    }

    /// A connect to it failed that was tried at `since`.
    fn connect_failed(&mut self, now: Nanos, since: Nanos, silence: Span) {
        self.failed(now);
        let after = now.since(since);
        self.refused = if after < silence.mul_f64(REFUSED_WITHIN) { self.refused + 1 } else { 0 };
    }

    /// Its monitor has found that it is down; `refused`: because it refused one try after another.
    pub fn told_down(&mut self, now: Nanos, refused: bool) {
        if self.failures == 0 {
            self.failed = now;
        }
        self.failures = self.failures.max(FAILURES);
        self.refused = if refused { FAILURES } else { self.refused };
    }

    /// Whether it has refused one try after another.
    pub fn refused(&self) -> bool {
        self.refused >= FAILURES
    }

    /// It was heard of. True when that was in doubt.
    fn heard(&mut self, now: Nanos, in_flight: u32, silence: Span) -> bool {
        let suspect = self.suspect(now, in_flight, silence);
        (self.failures, self.refused, self.heard) = (0, 0, now);
        suspect
    }

    /// A call was admitted that opens a session: the number of the batch that it belongs to.
    fn enter(&mut self, now: Nanos, good: u32, patience: Span) -> Option<u32> {
        self.opening += 1;
        if let Stage::Cold(since) = self.stage {
            let batches = Batches::new(now, self.batches.wrapping_add(1), good);
            let none = now.since(since) > patience || batches.over();
            self.stage = if none { Stage::Open } else { Stage::Batches(batches) };
        }
        let Stage::Batches(batches) = &mut self.stage else { return None };
        Some(batches.enter(now))
    }

    /// The batches, while there are any.
    fn batches(&mut self) -> Option<&mut Batches> {
        match &mut self.stage {
            Stage::Batches(batches) => Some(batches),
            Stage::Open | Stage::Cold(_) => None,
        }
    }

    /// Looks whether the batch is in, has failed, or was the last one.
    fn judge(&mut self, now: Nanos, waiting: bool, least: u32, terms: Terms) {
        let Stage::Batches(batches) = &mut self.stage else { return };
        if batches.judge(now, waiting, least, terms, &mut self.base) {
            self.turn(Stage::Open);
        }
    }

    /// The moments at which [`Recovery::judge`] may see something new though nothing has happened.
    fn moments(&self, terms: Terms) -> impl Iterator<Item = Nanos> {
        let batches = match &self.stage {
            Stage::Batches(batches) => Some(batches.moments(terms)),
            Stage::Open | Stage::Cold(_) => None,
        };
        batches.into_iter().flatten()
    }

    /// Work done since the recovery began, in thousandths of a unit per second.
    pub fn rate(&self, now: Nanos) -> Option<f64> {
        match &self.stage {
            Stage::Batches(batches) => batches.rate(now),
            Stage::Open | Stage::Cold(_) => None,
        }
    }

    /// How far it is, while clients come in batch by batch.
    pub fn view(&self, now: Nanos, least: u32) -> Option<RecoveryView> {
        match &self.stage {
            Stage::Batches(batches) => Some(batches.view(now, least)),
            Stage::Open | Stage::Cold(_) => None,
        }
    }
}

/// A session that was opened in a batch.
#[derive(Clone, Copy, Debug)]
struct Member {
    client: ClientKey,
    session: SessionKey,
    batch: u32,
}
