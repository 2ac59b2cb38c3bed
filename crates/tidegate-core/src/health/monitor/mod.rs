//! The monitor of one server: when it is probed, and what the verdicts make of its phase.
//!
//! ```text
//!            ok                        failed                    fall failures, or 2 strong ones
//! unknown ─────────► up ◄───────────────────────► suspect ────────────────────────► down
//!                    ▲ │                 ok                                          │
//!          rise good │ │ peer-limit                                                  │ rise good probes in a row,
//!           probes   │ ▼                                                             ▼ the last one a canary
//!                 degraded                       up ◄──────────────────────── recovering
//!                                                      slow start is over
//! ```
//!
//! - **Unknown**: nothing was found out yet; what is not known to be bad is used. Probes go fast. The first good one makes it
//!   up at once.
//! - **Up**: one probe per interval. **Suspect**: something failed; probes go fast. One good probe clears it, and so does
//!   traffic that is answered, unless the failures were strong ones.
//! - A **weak** failure does not count when traffic was answered within the last interval. An **inconclusive** verdict neither
//!   counts nor clears; ten of them in a row are told as an alarm: the monitor is blind.
//! - **Degraded**: it lives, and takes no more connections from us. Those that stand go on; the limit is learned
//!   ([`PeerLimit`](super::peer_limit::PeerLimit)) and stays when the phase is up again.
//! - **Down**: the first probes at the interval, then less and less often, at least once in five intervals. After the first good
//!   one they go fast again.
//! - **Recovering**: it gets a tenth of its limit at first, and all of it at the end of the slow start. A failure makes it
//!   suspect, as when it is up.
//!
//! A connect of traffic that failed (inquired into like a probe) makes the next probe come at once, and counts itself, at most
//! once per fast interval: a burst of calls is one piece of evidence.
//!
//! What [`Pool`](super::Pool) knows reaches a monitor as [`Event::Freeze`] (failures say nothing while it lasts) and
//! [`Event::Eject`] (down until a canary succeeds).

mod handover;
mod pace;
mod phase;
mod view;

use super::evidence::Evidence;
use super::fault::{Cause, Verdict, Weight};
use super::peer_limit::PeerLimit;
use super::settings::Settings;
use super::standing::Standing;
use crate::rng::Rng;
use crate::time::{Nanos, Span};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

pub use handover::Findings;
pub use view::{Report, View};

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The probe that was asked for has ended.
    ProbeEnded {
        /// What it says.
        verdict: Verdict,
        /// Why.
        evidence: Evidence,
    },
    /// A connect of traffic was inquired into.
    DialEnded {
        /// What it says.
        verdict: Verdict,
        /// Why.
        evidence: Evidence,
    },
    /// A call was answered.
    Answered,
    /// The time that [`Monitor::next_wake`] named has come.
    Wake,
    /// The fault seems to be our own, or no longer so.
    Freeze(Freeze),
    /// Its traffic fails where that of others does not: it is down for so long, and then until a canary succeeds.
    Eject(Span),
    /// Ends an ejection at once: the others need its help.
    Restore,
    /// The pool begins to suspect itself: a server that went down so short a time ago was not proven down.
    TakeBack(Span),
}

/// Which failures say nothing, because the fault seems to be our own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Freeze {
    /// All say what they say.
    Off,
    /// Weak ones: we are known to be slow, or short of ports. A server that says no is still believed.
    Weak,
    /// All: too much failed at once.
    All,
}

/// Something that the driver must do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Probe the server. One probe is in flight at a time.
    Probe {
        /// From a fresh port, over a connection of its own; else whatever is cheapest.
        fresh: bool,
        /// A whole exchange, as a client would do it: the server takes calls again when this succeeds.
        canary: bool,
    },
    /// The server stands like this from now on.
    Stand(Standing),
}

/// Reports that are kept for whoever asks why.
const REPORTS_MAX: usize = 16;
/// Inconclusive verdicts in a row after which the monitor is blind.
const BLIND: u32 = 10;

/// What is known of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum State {
    Unknown,
    Up,
    Suspect,
    Degraded,
    Down,
}

/// See the module.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Monitor {
    settings: Settings,
    rng: Rng,
    state: State,
    since: Nanos,
    /// Failures in a row that count, good probes in a row, inconclusive verdicts in a row.
    weak: u32,
    strong: u32,
    good: u32,
    blind: u32,
    /// Strong failures in a row that were refusals.
    refusals: u32,
    /// Probes since it is down.
    tries: u32,
    /// When the next probe is due, and since when one is in flight.
    due: Nanos,
    probing: Option<Nanos>,
    answered: Option<Nanos>,
    /// When a connect of traffic last counted as a failure.
    dialled: Option<Nanos>,
    limit: Option<PeerLimit>,
    /// Since when it gets back its limit.
    ramp: Option<Nanos>,
    /// Until when it is ejected; a canary follows.
    ejected: Option<Nanos>,
    /// It is down, and refused one connect after another.
    gone: bool,
    frozen: Freeze,
    /// What was said last.
    stands: Standing,
    reports: VecDeque<Report>,
}

impl Monitor {
    /// A monitor of a server of which nothing is known. `seed`: of its jitter.
    ///
    /// # Errors
    /// The settings are none.
    pub fn new(settings: Settings, seed: u64, now: Nanos) -> Result<Monitor, super::SettingsError> {
        settings.check()?;
        Ok(Monitor {
            settings,
            rng: Rng::new(seed),
            state: State::Unknown,
            since: now,
            weak: 0,
            strong: 0,
            good: 0,
            blind: 0,
            refusals: 0,
            tries: 0,
            due: now,
            probing: None,
            answered: None,
            dialled: None,
            limit: None,
            ramp: None,
            ejected: None,
            gone: false,
            frozen: Freeze::Off,
            stands: Standing::UP,
            reports: VecDeque::new(),
        })
    }

    /// New settings; what is known stays. A probe in flight is forgotten, and another one due: nobody tells how it ended.
    ///
    /// # Errors
    /// The settings are none; nothing was changed.
    pub fn apply(&mut self, now: Nanos, settings: Settings) -> Result<(), super::SettingsError> {
        settings.check()?;
        self.settings = settings;
        let due = if self.probing.take().is_some() { now } else { now + settings.interval };
        self.due = self.due.min(due);
        Ok(())
    }

    /// All failures say what they say, without anything to be done about it now.
    pub(super) fn thaw(&mut self) {
        self.frozen = Freeze::Off;
    }

    /// Takes an event and says what to do.
    pub fn on_event(&mut self, now: Nanos, event: Event, out: &mut Vec<Action>) {
        match event {
            Event::ProbeEnded { verdict, evidence } => {
                let Some(began) = self.probing.take() else { return }; // it was given up before
                self.tries = self.tries.saturating_add(u32::from(self.state == State::Down));
                self.judge(now, verdict, evidence, true);
                self.due = self.due_after(began).max(now);
            }
            Event::DialEnded { verdict, evidence } => self.dialled(now, verdict, evidence),
            Event::Answered => self.answered(now),
            Event::Wake => self.give_up_probe(now),
            Event::Freeze(frozen) => self.frozen = frozen,
            Event::Eject(span) => self.eject(now, span),
            Event::Restore => self.restore(now),
            Event::TakeBack(span) => self.take_back(now, span),
        }
        self.end_event(now, out);
    }

    /// Says what has changed, and probes if it is time.
    fn end_event(&mut self, now: Nanos, out: &mut Vec<Action>) {
        if self.ramp.is_some_and(|since| now.since(since) >= self.settings.slow_start) {
            self.ramp = None;
        }
        let stands = self.standing(now);
        if self.stands != stands {
            self.stands = stands;
            out.push(Action::Stand(stands));
        }
        if self.probing.is_none() && now >= self.due {
            self.probing = Some(now);
            let canary = self.state == State::Down && self.good + 1 >= self.settings.rise;
            let fresh = self.state != State::Up || self.limit.is_some();
            out.push(Action::Probe { fresh, canary });
        }
    }

    fn dialled(&mut self, now: Nanos, verdict: Verdict, evidence: Evidence) {
        match verdict {
            Verdict::Ok => self.answered(now),
            Verdict::Failed(_) => {
                let counts = self.dialled.is_none_or(|last| now.since(last) >= self.settings.fast);
                if counts && self.state != State::Down {
                    (self.dialled, self.due) = (Some(now), self.due.min(now));
                    self.judge(now, verdict, evidence, false);
                }
            }
            Verdict::Inconclusive(Cause::PeerLimit) => self.judge(now, verdict, evidence, false),
            Verdict::Inconclusive(_) => {}
        }
    }

    /// Traffic got through.
    fn answered(&mut self, now: Nanos) {
        if self.hear(now) {
            self.turn(now, State::Up);
        }
    }

    /// Notes that traffic got through; true when that changes the phase.
    pub(super) fn hear(&mut self, now: Nanos) -> bool {
        (self.answered, self.weak) = (Some(now), 0);
        self.state == State::Suspect && self.strong == 0
    }

    /// A probe whose end was never told: whoever runs it has lost it.
    fn give_up_probe(&mut self, now: Nanos) {
        if self.probing.is_some_and(|since| now >= self.lost(since)) {
            self.probing = None;
            self.judge(now, Verdict::Inconclusive(Cause::LoopLag), Evidence::default(), true);
            self.due = now;
        }
    }

    fn judge(&mut self, now: Nanos, verdict: Verdict, evidence: Evidence, probe: bool) {
        let vetoed = verdict == Verdict::Failed(Weight::Weak) && self.traffic_lives(now);
        let refused = verdict == Verdict::Failed(Weight::Strong) && evidence.refusals().0 > 0;
        let open = evidence.open;
        let verdict = match verdict {
            Verdict::Failed(Weight::Weak) if self.frozen != Freeze::Off => Verdict::Inconclusive(Cause::SelfSuspicion),
            Verdict::Failed(_) if self.frozen == Freeze::All => Verdict::Inconclusive(Cause::SelfSuspicion),
            verdict => verdict,
        };
        self.report(Report { at: now, verdict, evidence, probe, vetoed });
        if !matches!(verdict, Verdict::Inconclusive(_)) {
            self.blind = 0;
        }
        match verdict {
            Verdict::Ok => self.well(now),
            Verdict::Failed(_) if vetoed => {}
            Verdict::Failed(weight) => self.ill(now, weight, refused),
            Verdict::Inconclusive(cause) => {
                if cause == Cause::PeerLimit {
                    self.blind = 0; // it lives: so much was seen
                    self.at_limit(now, open);
                } else {
                    self.blind = self.blind.saturating_add(1);
                }
            }
        }
    }

    fn report(&mut self, report: Report) {
        // What is known to be well needs no more than its last word.
        if report.verdict == Verdict::Ok && self.reports.back().is_some_and(|last| last.verdict == Verdict::Ok) {
            self.reports.pop_back();
        }
        self.reports.push_back(report);
        if self.reports.len() > REPORTS_MAX {
            self.reports.pop_front();
        }
    }
}
