//! From one process to the next: what a monitor knows, as ages, because two processes have two clocks.

use super::{Freeze, Monitor, REPORTS_MAX, Report, State};
use crate::health::peer_limit::PassedLimit;
use crate::time::{Nanos, Span};
use serde::{Deserialize, Serialize};

/// What one monitor tells the next. Probes in flight are not in it: the next one begins with one of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Findings {
    state: State,
    /// For how long.
    since: Span,
    weak: u32,
    strong: u32,
    good: u32,
    refusals: u32,
    tries: u32,
    limit: Option<PassedLimit>,
    /// For how long it gets back its limit.
    ramp: Option<Span>,
    /// For how long it stays ejected.
    ejected: Option<Span>,
    gone: bool,
    /// How long ago each was; their own times are by the clock of the process that wrote them.
    reports: Vec<(Span, Report)>,
}

impl Monitor {
    /// What is to be known of the server; `None`: nothing was found out yet.
    pub(in crate::health) fn pass_on(&self, now: Nanos) -> Option<Findings> {
        (self.state != State::Unknown).then(|| Findings {
            state: self.state,
            since: now.since(self.since),
            weak: self.weak,
            strong: self.strong,
            good: self.good,
            refusals: self.refusals,
            tries: self.tries,
            limit: self.limit.map(|limit| limit.pass_on(now)),
            ramp: self.ramp.map(|since| now.since(since)),
            ejected: self.ejected.map(|until| until.since(now)),
            gone: self.gone,
            reports: self.reports.iter().map(|report| (now.since(report.at), report.clone())).collect(),
        })
    }

    /// Goes on from there: the server stands as it stood until a probe, which comes at once, says otherwise.
    pub(in crate::health) fn take_over(&mut self, now: Nanos, found: Findings) {
        (self.state, self.since) = (found.state, now - found.since);
        (self.weak, self.strong, self.good) = (found.weak, found.strong, found.good);
        (self.refusals, self.tries, self.gone) = (found.refusals, found.tries, found.gone);
        self.limit = found.limit.map(|limit| limit.taken_over(now));
        self.ramp = found.ramp.map(|ago| now - ago);
        self.ejected = found.ejected.map(|left| now + left);
        (self.frozen, self.probing) = (Freeze::Off, None);
        self.due = self.ejected.unwrap_or(now).max(now);
        let too_many = found.reports.len().saturating_sub(REPORTS_MAX);
        self.reports = found.reports.into_iter().skip(too_many).map(|(ago, report)| report.moved(now - ago)).collect();
        self.stands = self.standing(now);
    }

    /// Since when it is in its phase.
    pub(in crate::health) fn since(&self) -> Nanos {
        self.since
    }

    /// Whether it is ejected, rather than found to be down.
    pub(in crate::health) fn is_ejected(&self) -> bool {
        self.state == State::Down && self.ejected.is_some()
    }
}

impl Report {
    /// The same by another clock, by which it was made at `at`.
    fn moved(mut self, at: Nanos) -> Report {
        for note in &mut self.evidence.notes {
            note.at = at - self.at.since(note.at);
        }
        self.at = at;
        self
    }
}
