//! The limit of a server of which nobody knows how much it can serve: found by trying, in small steps, and kept.
//!
//! A level is a limit with the rate of work measured while it was full: slots taken by calls that make progress, divided by
//! the time per unit of work. The best level known so far is *proven*.
//!
//! - **Search** (slow start): one step up, measure, compare. As long as a step up brings at least half of what it would
//!   bring on an idle server, the next one is a fifth larger; with less, a tenth; with next to nothing the search is over.
//!   A step that gets *less* done is taken back at once, and the range between is halved.
//! - **Steady**: stay, measure again and again. If the same limit gets a fifth less done than it did, the server has
//!   changed: begin the search anew, lower. Every so often **probe** one small step up or, in turn, down: keep it if it
//!   pays, else go back and wait twice as long before the next one.
//! - At any time: when a quarter of what is in flight is overdue while others are answered the last step up is taken back
//!   at once (**stalled**); two overload outcomes among ten take the limit down by 0.3 (**overload**), at most once per
//!   round; calls that take too large a part of their clients' patience because the server is loaded take it down by 0.1
//!   (**slow**). A limit that nobody has needed for a while is forgotten down to twice what was needed (**idle**).
//!
//! Steps are small because of how servers fail: one whose working set no longer fits, or whose lock convoys, can lose
//! everything within a quarter past its knee, and shows nothing before it. A fifth more never reaches that. The rate is
//! compared, not the latency, because the answers of such a server look as quick as ever (failing latency controllers are
//! told of in Netflix concurrency-limits #137); latency against an unsaturated base only guards. All lengths of time are in
//! rounds (the time that a call holds its slot) and in the plan's window, so a server is judged on its own scale.

use super::level::{Level, Verdict, compare, samples_for};
use super::overdue::InFlight;
use super::view::{LimitCause, LimitMode, LimitView};
use super::window::{Reading, Window};
use crate::time::{Nanos, Span};
use serde::{Deserialize, Serialize};

/// First limit of a server of which nothing is known. One call alone shows nothing of concurrency, more may be too many.
const FIRST: u32 = 2;
/// A remembered limit is begun with at a quarter of it, within these: it may be out of date.
const REMEMBERED: (u32, u32) = (2, 16);
/// Less than this of its own earlier rate, at the same limit and beyond error: the server has changed.
const FELL: f64 = 0.2;
/// Windows before the next probe …
const PROBE_AFTER: u32 = 4;
/// … and after one that cost work: so many times the time that was lost, so that probing costs an eighth at the most.
const PRICE: f64 = 8.0;
/// Scatter that is assumed until calls have shown theirs.
const SCATTER: f64 = 0.5;
/// Samples after which a base is sure enough that only a lower one changes it.
const BASE_SAMPLES: f64 = 100.0;
/// A base is left behind by so much per window in which the server was half idle; any window may lower it.
const BASE_RISE: f64 = 0.002;
/// Above this multiple of the base a server counts as loaded.
const LOADED: f64 = 1.6;
/// Loaded calls may take this part of their clients' patience.
const PATIENCE: f64 = 0.3;
/// Windows without need after which a limit is forgotten.
const IDLE_WINDOWS: f64 = 60.0;

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
    /// Since when a step that did not pay costs work, and which share of it; until it is known what it cost in all.
    loss: Option<(Nanos, f64)>,
    /// Whether the last probe went up.
    went_up: bool,
    base: Option<f64>,
    unit: Option<f64>,
    round: f64,
    /// How far calls of equal work are apart (coefficient of variation).
    scatter: f64,
    /// Samples behind the base.
    base_samples: f64,
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
    /// A limit of at most `most`, begun low; `remembered`: the best limit and the base (seconds per unit) of an earlier run.
    pub fn new(most: u32, remembered: Option<(u32, f64)>, now: Nanos) -> Adaptive {
        let first = remembered.map_or(FIRST, |(limit, _)| (limit / 4).clamp(REMEMBERED.0, REMEMBERED.1));
        Adaptive {
            most,
            limit: first.clamp(1, most),
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
            loss: None,
            went_up: false,
            base: remembered.map(|(_, base)| base),
            unit: None,
            round: 0.0,
            scatter: SCATTER,
            base_samples: if remembered.is_some() { BASE_SAMPLES } else { 0.0 },
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

    /// The best limit that was ever proven, and the base: what a later run may begin with.
    pub fn remember(&self) -> Option<(u32, f64)> {
        Some((self.best?, self.base?))
    }

    /// A new bound.
    pub fn bound(&mut self, most: u32, now: Nanos) {
        self.most = most;
        if self.limit > most {
            self.set(now, most, LimitCause::Start);
        }
    }

    /// The server began anew: search from low on; the base stays, a cold cache is not a new one.
    pub fn restarted(&mut self, now: Nanos) {
        let first = self.best.map_or(FIRST, |best| (best / 4).clamp(REMEMBERED.0, REMEMBERED.1));
        self.search_from(now, first.min(self.limit), LimitCause::Restarted);
    }

    /// A call with so much work (thousandths of a unit) was admitted; gives the epoch to be handed back with its end.
    pub fn begin(&mut self, now: Nanos, call: u32, work: u64) -> u32 {
        if self.in_flight.len() == 0 && self.proven.is_none() {
            self.began = now;
        }
        self.in_flight.begin(now, call, work);
        self.peak.1 = self.peak.1.max(self.in_flight.len());
        if self.in_flight.len() <= self.limit {
            self.window.begin(now);
        }
        self.epoch
    }

    /// The call admitted at `since` has given its slot back.
    pub fn end(&mut self, since: Nanos, call: u32) {
        self.in_flight.end(since, call);
    }

    /// It was answered in time. Says how the server does.
    pub fn answered(&mut self, epoch: u32, work: u64, service: Span) {
        self.outcomes <<= 1;
        let (seconds, units) = (service.as_secs_f64(), work.max(1) as f64 / 1000.0);
        // A call that was not one of this limit still says how long a unit takes, until the first one of it says so.
        let weight = (units / 10.0).min(0.1);
        let unit = seconds / units;
        let known = *self.unit.get_or_insert(unit);
        self.unit = Some(known + weight * (unit.min(4.0 * known) - known));
        if epoch == self.epoch && self.full {
            self.window.add(seconds, units, self.unit);
        }
    }

    /// Its outcome was an overload: refused, broken, timed out, busy.
    pub fn overload(&mut self, now: Nanos, terms: Terms) {
        self.outcomes = self.outcomes << 1 | 1;
        if (self.outcomes & 0x3ff).count_ones() < 2 || now < self.grace {
            return;
        }
        self.outcomes = 0;
        self.mode = Mode::Steady { left: PROBE_AFTER };
        self.proven = None;
        self.lower(now, 0.7, LimitCause::Overload, terms);
    }

    /// Whether the limit is full and somebody waits. Only then its rate says something.
    pub fn full(&mut self, full: bool) {
        if self.full && !full {
            self.window = Window::default();
            self.epoch = self.epoch.wrapping_add(1);
        }
        self.full = full;
    }

    /// Looks at how things are, and changes the limit if it must.
    pub fn judge(&mut self, now: Nanos, terms: Terms) {
        self.forget_when_idle(now, terms);
        if now >= self.grace && now >= self.looked + Span::from_secs_f64(self.round / 4.0) {
            self.looked = now;
            if self.stalled(now, terms) {
                return self.back(now, terms);
            }
        }
        if self.full
            && let Some(reading) = self.ripe(now, terms)
        {
            self.decide(now, &reading, terms);
        }
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
            base: self.base.map(Span::from_secs_f64),
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
        self.limit = limit;
        self.epoch = self.epoch.wrapping_add(1);
        self.window = Window::default();
    }

    fn lower(&mut self, now: Nanos, factor: f64, cause: LimitCause, terms: Terms) {
        let limit = (f64::from(self.limit) * factor) as u32;
        self.set(now, limit.min(self.limit.saturating_sub(1)), cause);
        self.grace = now + Span::from_secs_f64((3.0 * self.round).max(terms.window.as_secs_f64() / 2.0));
    }

    fn search_from(&mut self, now: Nanos, limit: u32, cause: LimitCause) {
        self.mode = Mode::Search { doubt: false };
        self.began = now;
        (self.proven, self.bad, self.loss) = (None, None, None);
        self.set(now, limit, cause);
    }

    fn settle(&mut self, now: Nanos, level: Level, cause: LimitCause) {
        self.proven = Some(level);
        self.best = Some(level.limit);
        self.mode = Mode::Steady { left: PROBE_AFTER };
        self.set(now, level.limit, cause);
    }

    /// The limit that a probe would try: one step up and one step down in turn.
    fn probe(&self) -> u32 {
        // The step that the most samples anybody would wait for can tell from none.
        let step = (f64::from(self.limit) * (0.16 * self.scatter).clamp(0.0625, 0.2)) as u32;
        let step = step.max(1);
        if self.went_up && self.limit > 1 { self.limit - step } else { (self.limit + step).min(self.most) }
    }

    /// Calls in flight that are overdue; a quarter of all of them, and at least two (four where calls scatter), is a stall.
    fn overdue(&self, now: Nanos, terms: Terms) -> u32 {
        let slack = terms.window.mul_f64(0.02);
        self.unit.map_or(0, |unit| self.in_flight.overdue(now, unit, self.scatter, slack))
    }

    fn stalled(&self, now: Nanos, terms: Terms) -> bool {
        let overdue = self.overdue(now, terms);
        let least = 2 + (2.0 * self.scatter.min(1.0)) as u32;
        self.limit > 1 && overdue >= least && overdue * 4 >= self.in_flight.len()
    }

    /// Takes the last step up back or, if there was none, goes down and searches anew.
    fn back(&mut self, now: Nanos, terms: Terms) {
        let from = match self.mode {
            Mode::Probe { from } => Some(from),
            Mode::Search { .. } => self.proven,
            Mode::Steady { .. } => None,
        };
        match from.filter(|level| level.limit < self.limit) {
            Some(level) => {
                self.bad = Some(self.limit);
                self.fail(now, level, 1.0, LimitCause::Stalled);
            }
            None => {
                let limit = (f64::from(self.limit) * 0.7) as u32;
                self.search_from(now, limit.max(1), LimitCause::Stalled);
            }
        }
        self.grace = now + Span::from_secs_f64((3.0 * self.round).max(terms.window.as_secs_f64() / 2.0));
    }

    /// A step did not pay, and cost a share of the work: back to `level`; a search goes on between it and the step.
    fn fail(&mut self, now: Nanos, level: Level, share: f64, cause: LimitCause) {
        self.loss = Some((self.changed, share.max(0.0)));
        if matches!(self.mode, Mode::Search { .. })
            && let Some(bad) = self.bad
            && bad > level.limit + 1
        {
            self.mode = Mode::Search { doubt: false };
            self.proven = Some(level);
            return self.set(now, level.limit.midpoint(bad), cause);
        }
        self.settle(now, level, cause);
    }

    /// What was seen at this limit, once it is enough.
    fn ripe(&self, now: Nanos, terms: Terms) -> Option<Reading> {
        let reading = self.window.read(now, &self.in_flight, self.scatter)?;
        let loaded = self.loaded(&reading);
        let (rounds, window, least) = match self.mode {
            Mode::Steady { .. } => (3.0, 1.0, samples_for(reading.scatter, 2.5).max(20)),
            Mode::Probe { .. } | Mode::Search { doubt: true } => {
                (1.5, 0.1, samples_for(reading.scatter, 6.0).max(self.limit).max(8))
            }
            Mode::Search { doubt: false } => {
                let step = if loaded { 5.0 } else { 1.6 };
                (1.5, 0.1, samples_for(reading.scatter, step).max(self.limit / 2).max(4))
            }
        };
        let age = self.window.age(now).as_secs_f64();
        let enough = reading.samples >= least
            && age >= rounds * reading.round
            && age >= window * terms.window.as_secs_f64()
            && self.window.seconds() >= 0.4 * f64::from(self.limit) * reading.round;
        // What cannot be explained by scatter need not be waited for.
        let collapsed = reading.samples >= 8 && self.fell(self.level(now, &reading, terms), 4.0);
        (enough || collapsed).then_some(reading)
    }

    fn loaded(&self, reading: &Reading) -> bool {
        self.base.is_some_and(|base| reading.unit > LOADED * base)
    }

    fn level(&self, now: Nanos, reading: &Reading, terms: Terms) -> Level {
        let working = self.limit.saturating_sub(self.overdue(now, terms)).max(1);
        Level { limit: self.limit, rate: f64::from(working) / reading.unit, error: reading.error }
    }

    /// Whether the limit that is settled on gets clearly less done than it did.
    fn fell(&self, level: Level, errors: f64) -> bool {
        let Some(proven) = self.proven.filter(|proven| proven.limit == level.limit) else { return false };
        let steady = matches!(self.mode, Mode::Steady { .. });
        steady && (proven.rate / level.rate).ln() > FELL.max(errors * proven.error.hypot(level.error))
    }

    /// Any window may lower the base if it is clear; a first one is put together from the first samples, whatever they say.
    fn rebase(&mut self, reading: &Reading) {
        let samples = f64::from(reading.samples);
        let enough = BASE_SAMPLES * reading.scatter.min(1.0).powi(2);
        match self.base {
            Some(base) if self.base_samples < enough => {
                let share = samples / (samples + self.base_samples);
                self.base = Some(base + share * (reading.unit - base));
                self.base_samples += samples;
            }
            Some(base) if reading.unit * (1.0 + 3.0 * reading.error) < base => self.base = Some(reading.unit),
            Some(_) => {}
            None => (self.base, self.base_samples) = (Some(reading.unit), samples),
        }
    }

    fn decide(&mut self, now: Nanos, reading: &Reading, terms: Terms) {
        (self.round, self.scatter, self.unit) = (reading.round, reading.scatter, Some(reading.unit));
        self.rebase(reading);
        let level = self.level(now, reading, terms);
        let loaded = self.loaded(reading);
        if loaded && self.limit > 1 && reading.round > PATIENCE * terms.patience.as_secs_f64() {
            self.mode = Mode::Steady { left: PROBE_AFTER };
            self.proven = None;
            return self.lower(now, 0.9, LimitCause::Slow, terms);
        }
        match self.mode {
            Mode::Search { doubt } => self.searched(now, level, loaded, doubt),
            Mode::Steady { left } => self.stayed(now, level, left, terms),
            Mode::Probe { from } => self.probed(now, level, loaded, from),
        }
    }

    fn searched(&mut self, now: Nanos, level: Level, loaded: bool, doubt: bool) {
        let Some(proven) = self.proven.filter(|proven| proven.limit < level.limit) else {
            return self.step_up(now, level, Verdict::Fast);
        };
        match compare(proven, level, loaded) {
            Verdict::Loss => {
                self.bad = Some(level.limit);
                self.fail(now, proven, 1.0 - level.rate / proven.rate, LimitCause::NoGain);
            }
            Verdict::Flat if !doubt => self.mode = Mode::Search { doubt: true },
            Verdict::Flat => {
                let better = if level.rate > 1.01 * proven.rate { level } else { proven };
                self.settle(now, better, LimitCause::NoGain);
            }
            gain => self.step_up(now, level, gain),
        }
    }

    /// The level is proven: the next step up.
    fn step_up(&mut self, now: Nanos, level: Level, gain: Verdict) {
        self.proven = Some(level);
        self.best = Some(level.limit);
        let factor = if gain == Verdict::Fast { 1.2 } else { 1.1 };
        let next = match self.bad.filter(|bad| *bad > level.limit) {
            Some(bad) => level.limit.midpoint(bad),
            None => ((f64::from(level.limit) * factor) as u32).max(level.limit + 1).min(self.most),
        };
        if next <= level.limit {
            return self.settle(now, level, LimitCause::Gained);
        }
        self.mode = Mode::Search { doubt: false };
        self.set(now, next, LimitCause::Gained);
    }

    fn stayed(&mut self, now: Nanos, level: Level, left: u32, terms: Terms) {
        let proven = self.proven.filter(|proven| proven.limit == level.limit).unwrap_or(level);
        if self.fell(level, 3.0) {
            let limit = (f64::from(self.limit) * 0.7) as u32;
            return self.search_from(now, limit.max(1), LimitCause::Fell);
        }
        let proven = proven.and(level);
        self.proven = Some(proven);
        self.best = Some(proven.limit);
        let left = left.max(self.wait_for_loss(now, terms));
        self.window = Window::default();
        let next = self.probe();
        if left > 1 || next == self.limit {
            self.mode = Mode::Steady { left: left.saturating_sub(1).max(1) };
            return;
        }
        self.went_up = next > self.limit;
        self.mode = Mode::Probe { from: proven };
        let cause = self.cause;
        self.set(now, next, cause);
    }

    /// The first window after a step that did not pay: windows to wait until its price is paid.
    fn wait_for_loss(&mut self, now: Nanos, terms: Terms) -> u32 {
        let Some((since, share)) = self.loss.take() else { return 0 };
        let window = self.window.age(now).max(terms.window).as_secs_f64();
        (PRICE * share * now.since(since).as_secs_f64() / window) as u32
    }

    fn probed(&mut self, now: Nanos, level: Level, loaded: bool, from: Level) {
        if level.limit > from.limit {
            match compare(from, level, loaded) {
                Verdict::Flat | Verdict::Loss => {
                    self.fail(now, from, 1.0 - level.rate / from.rate, LimitCause::NoGain);
                }
                gain => {
                    (self.bad, self.loss) = (None, None);
                    self.step_up(now, level, gain);
                }
            }
        } else if loaded && compare(level, from, true) == Verdict::Flat || level.rate >= from.rate {
            self.settle(now, level, LimitCause::NoGain); // as much done with less in flight
        } else {
            self.settle(now, from, LimitCause::Gained);
        }
    }

    fn forget_when_idle(&mut self, now: Nanos, terms: Terms) {
        let (since, peak) = self.peak;
        if now.since(since) < terms.window.mul_f64(IDLE_WINDOWS) {
            return;
        }
        self.peak = (now, self.in_flight.len());
        if self.full || peak * 2 >= self.limit {
            return;
        }
        if let Some(unit) = self.unit {
            self.base = self.base.map(|base| base.max(unit.min(base * (1.0 + BASE_RISE * IDLE_WINDOWS))));
        }
        if self.limit > FIRST.max(2 * peak) {
            self.search_from(now, FIRST.max(2 * peak), LimitCause::Idle);
        }
    }
}
