//! The limit of a server of which nobody knows how much it can serve: found by trying, in small steps, and kept.
//!
//! A level is a limit with the rate of work measured while it was full: slots taken by calls that make progress, divided by
//! the time per unit of work. The best level known so far is *proven*.
//!
//! - **Search** (slow start): one step up, measure, compare. As long as a step up brings at least half of what it would
//!   bring on an idle server, the next one is a fifth larger; with less, a tenth; with next to nothing the search is over.
//!   A step that gets *less* done is taken back at once, and the range between is halved.
//! - **Search back**: a server that has begun anew is searched from a third of its best limit on (a quarter, where nothing was
//!   to be seen there). If it was clearly slower at its best limit than unloaded, its response times tell how near that is: as
//!   long as they lie below the straight line from the one to the other, steps double, up to the limit that was best.
//! - **Steady**: stay, measure again and again. If the same limit gets a fifth less done than it did, the server has
//!   changed: begin the search anew, lower. Every so often **probe** one small step up or, in turn, down: keep it if it
//!   pays, else go back and wait until what it cost is paid before the next one.
//! - At any time: when a quarter of what is in flight is overdue while others are answered the last step up is taken back
//!   at once (**stalled**); a few calls that make no progress at all take the limit down by as many; two overload outcomes
//!   among ten take it down by 0.3 (**overload**), at most once per round; calls that take too large a part of their
//!   clients' patience because the server is loaded take it down by 0.1 (**slow**). A limit that nobody has needed for a
//!   while is forgotten down to twice what was needed (**idle**).
//!
//! Steps are small because of how servers fail: one whose working set no longer fits, or whose lock convoys, can lose
//! everything within a quarter past its knee, and shows nothing before it. A fifth more never reaches that. The rate is
//! compared, not the latency, because the answers of such a server look as quick as ever (failing latency controllers are
//! told of in Netflix concurrency-limits #137); latency against an unsaturated base only guards. All lengths of time are in
//! rounds (the time that a call holds its slot) and in the plan's window, so a server is judged on its own scale.

mod guard;
mod measure;
mod steps;

use crate::limit::level::Level;
use crate::limit::overdue::InFlight;
use crate::limit::view::{LimitCause, LimitMode, LimitView};
use crate::limit::window::Window;
use crate::time::{Nanos, Span};
use measure::LOADED;
use serde::{Deserialize, Serialize};

/// A remembered limit is begun with at this part of it: it may be out of date. At a server that showed load at its limit a
/// third, so that it is not too much for one with a third of the capacity; at one that showed nothing (or of which that is not
/// known) a quarter, since there the first call too many may be the end.
const TELLING: u32 = 3;
const SILENT: u32 = 4;
/// … within these.
const REMEMBERED: (u32, u32) = (1, 16);
/// Scatter that is assumed until calls have shown theirs.
const SCATTER: f64 = 0.5;

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
enum Mode {
    /// `doubt`: the step seemed to bring nothing; it is measured twice before that is believed.
    Search { doubt: bool },
    /// So many more windows until the next probe.
    Steady { left: u32 },
    /// One step from `from`, up or down.
    Probe { from: Level },
}

/// What the plan says that the estimator needs.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// Least length of a steady window.
    pub window: Span,
    /// How long clients wait for an answer.
    pub patience: Span,
}

/// A search has just begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooEarly;

/// See the module.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Adaptive {
    /// Where the search begins while nothing is known.
    first: u32,
    most: u32,
    limit: u32,
    cause: LimitCause,
    changed: Nanos,
    mode: Mode,
    /// When the search began: with the first call.
    began: Nanos,
    /// Which limit a call was admitted under.
    epoch: u32,
    window: Window,
    in_flight: InFlight,
    proven: Option<Level>,
    /// A limit that got less done than the proven one.
    bad: Option<u32>,
    best: Option<u32>,
    /// Seconds per unit of work there; unknown of an earlier run.
    best_unit: Option<f64>,
    /// The best limit before the server began anew and seconds per unit there, while the search goes back to it.
    earlier: Option<(u32, f64)>,
    /// Since when a step that did not pay costs work, and which share of it; until it is known what it cost in all.
    loss: Option<(Nanos, f64)>,
    /// Whether the last probe went up.
    went_up: bool,
    base: Option<f64>,
    unit: Option<f64>,
    round: f64,
    /// How far calls of equal work are apart (coefficient of variation).
    scatter: f64,
    /// Samples behind the base, and whether they are enough.
    base_samples: f64,
    base_known: bool,
    /// Somebody waits, and no slot is free.
    full: bool,
    /// The last ten outcomes, one bit each: overload.
    outcomes: u16,
    /// No further step down before this.
    grace: Nanos,
    looked: Nanos,
    /// Most in flight since then, and before.
    peak: (Nanos, u32),
}

impl Adaptive {
    /// A limit of at most `most`, begun at `first`; `remembered`: the best limit and the base (seconds per unit) of an
    /// earlier run, which is begun low.
    pub fn new((first, most): (u32, u32), remembered: Option<(u32, f64)>, now: Nanos) -> Adaptive {
        let begin = remembered.map_or(first, |(limit, _)| (limit / SILENT).clamp(REMEMBERED.0, REMEMBERED.1));
        Adaptive {
            first,
            most,
            limit: begin.clamp(1, most),
            cause: if remembered.is_some() { LimitCause::Remembered } else { LimitCause::Start },
            changed: now,
            mode: Mode::Search { doubt: false },
            began: now,
            epoch: 0,
            window: Window::default(),
            in_flight: InFlight::default(),
            proven: None,
            bad: None,
            best: remembered.map(|(limit, _)| limit),
            best_unit: None,
            earlier: None,
            loss: None,
            went_up: false,
            base: remembered.map(|(_, base)| base),
            unit: None,
            round: 0.0,
            scatter: SCATTER,
            base_samples: 0.0,
            base_known: remembered.is_some(),
            full: false,
            outcomes: 0,
            grace: now,
            looked: now,
            peak: (now, 0),
        }
    }

    /// The limit now, ≥ 1.
    pub fn limit(&self) -> u32 {
        self.limit
    }

    /// Seconds per unit of work now.
    pub fn unit(&self) -> Option<f64> {
        self.unit
    }

    /// Units of work per second with the limit full, once the search has told or has had `patience` to.
    ///
    /// `Err` while it is too early to say: a search may find several times as much within seconds.
    pub fn rate(&self, now: Nanos, patience: Span) -> Result<Option<f64>, TooEarly> {
        let searching = matches!(self.mode, Mode::Search { .. });
        if searching && self.in_flight.len() > 0 && now.since(self.began) < patience {
            return Err(TooEarly);
        }
        Ok(self.proven.map(|level| level.rate))
    }

    /// Time per unit now as a multiple of the base.
    pub fn ratio(&self) -> Option<f64> {
        Some(self.unit? / self.base.filter(|base| *base > 0.0)?)
    }

    /// The limit that was proven last, and the base: what a later run may begin with.
    pub fn remember(&self) -> Option<(u32, f64)> {
        Some((self.best?, self.base.filter(|_| self.base_known)?))
    }

    /// A new beginning and a new bound.
    pub fn bound(&mut self, (first, most): (u32, u32), now: Nanos) {
        (self.first, self.most) = (first, most);
        if self.limit > most {
            self.set(now, most, LimitCause::Start);
        }
    }

    /// The server began anew: search from low on; the base stays, a cold cache is not a new one.
    pub fn restarted(&mut self, now: Nanos) {
        let loaded = |unit: &f64| self.base.is_some_and(|base| *unit > LOADED * base);
        let earlier = self.best.zip(self.best_unit.filter(loaded));
        let part = if earlier.is_some() { TELLING } else { SILENT };
        let first = self.best.map_or(self.first, |best| (best / part).clamp(REMEMBERED.0, REMEMBERED.1));
        self.search_from(now, first.min(self.limit), LimitCause::Restarted);
        self.earlier = earlier;
        // What was in flight has died with it: there is nothing to recover from, and what it met is not the new one's fault.
        self.outcomes = 0;
        if self.in_flight.len() <= self.limit {
            self.grace = now;
        }
        // A slot is taken for as much less time as a unit of work takes on a server that is not loaded.
        self.round /= self.ratio().map_or(1.0, |ratio| ratio.max(1.0));
    }

    /// A unit of work is not what it was: what was measured in such units says nothing more; the limit stays.
    pub fn rescaled(&mut self, now: Nanos) {
        (self.base, self.base_samples, self.base_known) = (None, 0.0, false);
        (self.unit, self.best_unit, self.scatter) = (None, None, SCATTER);
        self.search_from(now, self.limit, self.cause);
    }

    /// A call with so much work (thousandths of a unit) was admitted; gives the epoch to be handed back with its answer.
    pub fn begin(&mut self, now: Nanos, call: u32, work: u64) -> u32 {
        if self.in_flight.len() == 0 && self.proven.is_none() {
            self.began = now;
        }
        self.in_flight.begin(now, call, work);
        self.peak.1 = self.peak.1.max(self.in_flight.len());
        if self.in_flight.len() > self.limit || now < self.grace {
            return self.epoch.wrapping_sub(1); // in other company than this limit's
        }
        self.window.begin(now);
        self.epoch
    }

    /// The call admitted at `since` has given its slot back.
    pub fn end(&mut self, since: Nanos, call: u32) {
        self.in_flight.end(since, call);
    }

    /// A call with so many units of work was answered in time.
    pub fn answered(&mut self, epoch: u32, units: f64, service: Span) {
        self.outcomes <<= 1;
        let (seconds, units) = (service.as_secs_f64(), units.max(1e-6));
        // A call that was not one of this limit still says how long a unit takes, until the first one of it says so.
        let weight = (units / 10.0).min(0.1);
        let unit = seconds / units;
        let known = *self.unit.get_or_insert(unit);
        self.unit = Some(known + weight * (unit.min(4.0 * known) - known));
        if epoch == self.epoch && self.full {
            self.window.add(seconds, units, self.unit);
        }
    }

    /// Whether the limit is full and somebody waits. Only then its rate says something.
    pub fn full(&mut self, full: bool) {
        if self.full && !full {
            self.window = Window::default();
            self.epoch = self.epoch.wrapping_add(1);
        }
        self.full = full;
    }

    /// Looks at how things are, and changes the limit if it must. For when a call has ended.
    pub fn judge(&mut self, now: Nanos, terms: Terms) {
        self.forget_when_idle(now, terms);
        if self.guard(now, terms) {
            return;
        }
        if self.full
            && let Some(reading) = self.ripe(now, terms)
        {
            self.decide(now, &reading, terms);
        }
    }

    /// Looks whether calls in flight are stuck; true when the limit went down. For when anything happens: where nothing
    /// ends, calls end too late to tell.
    pub fn guard(&mut self, now: Nanos, terms: Terms) -> bool {
        let next = self.looked + Span::from_secs_f64(self.round / 4.0).min(terms.window);
        if self.limit < 2 || now < self.grace || now < next {
            return false;
        }
        self.looked = now;
        if self.stalled(now, terms) {
            self.back(now, terms);
        } else if let Some(starved) = self.starved(now, terms) {
            self.feed(now, starved, terms);
        } else {
            return false;
        }
        true
    }

    /// As data.
    pub fn view(&self, now: Nanos, terms: Terms) -> LimitView {
        let window = terms.window.as_secs_f64().max(3.0 * self.round);
        let (mode, next) = match self.mode {
            Mode::Search { .. } => (LimitMode::SlowStart, None),
            Mode::Steady { left } => {
                let wait = Span::from_secs_f64(f64::from(left) * window);
                (LimitMode::Steady, Some((self.probe(), wait)))
            }
            Mode::Probe { .. } => (LimitMode::Steady, None),
        };
        LimitView {
            mode,
            cause: self.cause,
            since: now.since(self.changed),
            best: self.best,
            base: self.base.filter(|_| self.base_known).map(Span::from_secs_f64),
            unit: self.unit.map(Span::from_secs_f64),
            rate_milli: self.proven.map(|level| (level.rate * 1000.0) as u64),
            next,
        }
    }

    fn set(&mut self, now: Nanos, limit: u32, cause: LimitCause) {
        let limit = limit.clamp(1, self.most);
        if limit != self.limit {
            self.changed = now;
            self.cause = cause;
        }
        if limit < self.limit {
            // What is in flight needs time to recover, and would be taken for the next stall.
            self.grace = now + Span::from_secs_f64(3.0 * self.round);
        }
        self.limit = limit;
        self.epoch = self.epoch.wrapping_add(1);
        self.window = Window::default();
    }

    fn search_from(&mut self, now: Nanos, limit: u32, cause: LimitCause) {
        self.mode = Mode::Search { doubt: false };
        self.began = now;
        (self.proven, self.bad, self.loss, self.earlier) = (None, None, None, None);
        self.set(now, limit, cause);
    }
}
