//! Batches of clients that open sessions at a server that has begun anew.
//!
//! A batch lets in as many clients as the *cap* says, in order of seniority, and no more than so many have an incomplete
//! session at any time, stragglers of earlier batches included. A session is complete when it has settled, when it has done
//! four fifths of the work that sessions usually do before they settle, or when its client has sent nothing for a while
//! after an answer: clients that want more of a server ask at once.
//!
//! - The next batch begins when four fifths of the last one are complete, so that a slow client stops nobody. It is half as
//!   large again, unless work took more than 1.6 times as long as in the best batch; then it is as large as the last one.
//!   If that one took no longer, waiting does not make the server faster, and the cap goes on rising.
//! - A batch that meets an overload (busy, timed out, broken), or is not in within the time that a client waits,
//!   has failed: the next one is half as large and begins a while later.
//! - The last batch is the one with which the cap is at four fifths of what the server served well before, or after which
//!   nobody waits.
//!
//! Where the limit is learned it stays with the estimator how much the server is given to do at once; it must see its limit
//! used to judge it. So a batch there has at least five clients per slot: when four fifths are complete, each slot has one.

use super::Member;
use crate::admission::event::{ClientKey, SessionKey};
use crate::admission::snapshot::RecoveryView;
use crate::time::{Nanos, Span};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The first cap, of what was served well before, and its bounds.
const FIRST: f64 = 0.25;
const FIRST_BOUNDS: (f64, f64) = (2.0, 16.0);
/// From one batch to the next.
const GROWTH: f64 = 1.5;
const FAILED: f64 = 0.5;
/// At this part of what was served well before, the server is back.
const BACK: f64 = 0.8;
/// Above this multiple of the best time per unit of work response times are not back yet.
const SLOW: f64 = 1.6;
/// A batch that took less than this times as long as the slow one before it: the server gets no faster by waiting.
const NO_SLOWER: f64 = 1.1;

/// What the plan says that batches need.
#[derive(Clone, Copy, Debug)]
pub(in crate::admission) struct Terms {
    /// How long a client waits: a batch must be in by then.
    pub patience: Span,
    /// How long nobody is let in after a failure, and how long a recovery lasts at least.
    pub pause: Span,
    /// A session is complete when so long nothing was heard of it.
    pub quiet: Span,
}

/// See the module.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::admission) struct Batches {
    since: Nanos,
    /// The limit with which the server was served well before.
    good: u32,
    cap: f64,
    /// The number of the first batch, and of this one.
    first: u32,
    number: u32,
    /// Clients let in with this batch, and those of them that are complete.
    begun: u32,
    complete: u32,
    /// From when on clients are let in, and when the first one was.
    opens: Nanos,
    began: Nanos,
    /// Calls in flight that open a session; open sessions that are not complete; when they will be, if nothing is heard.
    opening: u32,
    sessions: BTreeMap<SessionKey, Open>,
    quiet: BTreeSet<(Nanos, SessionKey)>,
    /// Service time and work of this batch's answers, and time per unit in the last batch, if that was slow.
    seconds: f64,
    units: f64,
    slow: Option<f64>,
    /// All work answered, in thousandths of a unit.
    work: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Open {
    client: ClientKey,
    batch: u32,
    in_flight: u32,
    /// Its key in `quiet`.
    until: Nanos,
}

impl Batches {
    pub fn new(now: Nanos, number: u32, good: u32) -> Batches {
        Batches {
            since: now,
            good,
            cap: (f64::from(good) * FIRST).clamp(FIRST_BOUNDS.0, FIRST_BOUNDS.1),
            first: number,
            number,
            begun: 0,
            complete: 0,
            opens: now,
            began: now,
            opening: 0,
            sessions: BTreeMap::new(),
            quiet: BTreeSet::new(),
            seconds: 0.0,
            units: 0.0,
            slow: None,
            work: 0,
        }
    }

    pub fn number(&self) -> u32 {
        self.number
    }

    /// Whether the server is back already.
    pub fn over(&self) -> bool {
        self.cap >= BACK * f64::from(self.good)
    }

    fn size(&self, least: u32) -> u32 {
        (self.cap as u32).max(least)
    }

    /// Clients with an incomplete session.
    pub fn incomplete(&self) -> u32 {
        self.opening + self.sessions.len() as u32
    }

    pub fn may_begin(&self, now: Nanos, least: u32) -> bool {
        now >= self.opens && self.begun.max(self.incomplete()) < self.size(least)
    }

    /// A client is let in; gives the number of its batch.
    pub fn enter(&mut self, now: Nanos) -> u32 {
        if self.begun == 0 {
            self.began = now;
        }
        self.begun += 1;
        self.opening += 1;
        self.number
    }

    /// The call that opens a session has ended. `opened`: with a session that is not complete. `reached`: its server has
    /// dealt with it.
    pub fn entered(&mut self, now: Nanos, batch: u32, opened: Option<Member>, reached: bool, terms: Terms) {
        if batch < self.first {
            return; // of an earlier recovery
        }
        self.opening = self.opening.saturating_sub(1);
        if let Some(member) = opened {
            self.finish(member.session); // a server may give the session that the client has
            let until = now + terms.quiet;
            let open = Open { client: member.client, batch: member.batch, in_flight: 0, until };
            self.sessions.insert(member.session, open);
            self.quiet.insert((until, member.session));
        } else if batch == self.number {
            self.complete += u32::from(reached);
            self.begun = self.begun.saturating_sub(u32::from(!reached));
        }
    }

    /// A call of a session was admitted.
    pub fn goes_on(&mut self, session: SessionKey) {
        if let Some(open) = self.sessions.get_mut(&session) {
            open.in_flight += 1;
            self.quiet.remove(&(open.until, session));
        }
    }

    /// A call of a session has ended; `complete`: with it the session is.
    pub fn went_on(&mut self, now: Nanos, session: SessionKey, complete: bool, terms: Terms) {
        let Some(open) = self.sessions.get_mut(&session) else { return };
        open.in_flight = open.in_flight.saturating_sub(1);
        if complete {
            self.finish(session);
        } else if open.in_flight == 0 {
            open.until = now + terms.quiet;
            self.quiet.insert((open.until, session));
        }
    }

    /// A call was answered.
    pub fn answered(&mut self, session: Option<SessionKey>, work: u64, service: Span) {
        self.work += work;
        if session.is_none_or(|session| self.sessions.contains_key(&session)) {
            self.seconds += service.as_secs_f64();
            self.units += work as f64 / 1000.0;
        }
    }

    /// Completes the sessions of which nothing was heard, unless their clients have something `held`.
    pub fn fall_quiet(&mut self, now: Nanos, terms: Terms, held: impl Fn(ClientKey) -> bool) {
        while let Some(&(until, session)) = self.quiet.first().filter(|first| first.0 <= now) {
            self.quiet.remove(&(until, session));
            match self.sessions.get_mut(&session) {
                Some(open) if held(open.client) => {
                    open.until = now + terms.quiet;
                    self.quiet.insert((open.until, session));
                }
                _ => self.finish(session),
            }
        }
    }

    fn finish(&mut self, session: SessionKey) {
        if let Some(open) = self.sessions.remove(&session) {
            self.quiet.remove(&(open.until, session));
            self.complete += u32::from(open.batch == self.number);
        }
    }

    /// An overload was met by a call admitted at `admitted`; what came before this batch is not its fault.
    pub fn overload(&mut self, now: Nanos, admitted: Nanos, terms: Terms) {
        if self.begun > 0 && admitted >= self.began {
            self.fail(now, terms);
        }
    }

    fn fail(&mut self, now: Nanos, terms: Terms) {
        self.cap = (self.cap * FAILED).max(1.0);
        self.turn(now + terms.pause);
    }

    /// The next batch, from `opens` on.
    fn turn(&mut self, opens: Nanos) {
        self.number = self.number.wrapping_add(1);
        (self.begun, self.complete, self.seconds, self.units) = (0, 0, 0.0, 0.0);
        (self.opens, self.began) = (opens, opens);
    }

    /// Four fifths are complete: how large is the next one?
    fn grow(&mut self, now: Nanos, base: &mut Option<f64>) {
        let unit = Some(self.seconds / self.units).filter(|_| self.units > 0.0);
        let slow = unit.filter(|unit| base.is_some_and(|base| *unit > SLOW * base));
        let no_slower = slow.zip(self.slow).is_some_and(|(now, before)| now < NO_SLOWER * before);
        if slow.is_none() || no_slower {
            self.cap *= GROWTH;
        }
        self.slow = slow;
        *base = unit.map(|unit| base.map_or(unit, |base| base.min(unit))).or(*base);
        self.turn(now);
    }

    /// Looks whether the batch is in or has failed; true when it was the last one.
    pub fn judge(&mut self, now: Nanos, waiting: bool, least: u32, terms: Terms, base: &mut Option<f64>) -> bool {
        if now < self.opens {
            return false;
        }
        if self.begun >= self.size(least) && self.complete * 5 >= self.begun * 4 {
            self.grow(now, base);
        } else if now >= self.began + terms.patience {
            match self.incomplete() {
                0 if !waiting => return true,
                0 => self.began = now, // nobody could be let in
                _ => self.fail(now, terms),
            }
        }
        let calm = !waiting && self.incomplete() == 0 && now.since(self.since) >= terms.pause;
        calm || self.over()
    }

    /// When [`Batches::judge`] may see something new though nothing has happened.
    pub fn moments(&self, terms: Terms) -> [Nanos; 4] {
        let quiet = self.quiet.first().map_or(Nanos::NEVER, |first| first.0);
        [quiet, self.opens, self.began + terms.patience, self.since + terms.pause]
    }

    pub fn rate(&self, now: Nanos) -> Option<f64> {
        let seconds = now.since(self.since).as_secs_f64();
        Some(self.work as f64 / seconds).filter(|rate| *rate > 0.0 && rate.is_finite())
    }

    pub fn view(&self, now: Nanos, least: u32) -> RecoveryView {
        RecoveryView {
            batch: self.number - self.first + 1,
            size: self.size(least),
            begun: self.begun,
            complete: self.complete,
            since: now.since(self.since),
        }
    }
}
