//! What a monitor tells about itself.

use super::{BLIND, Freeze, Monitor, State};
use crate::admission::Phase;
use crate::health::evidence::Evidence;
use crate::health::fault::Verdict;
use crate::time::{Nanos, Span};
use serde::{Deserialize, Serialize};

/// One verdict that was reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// When.
    pub at: Nanos,
    /// What it was taken for.
    pub verdict: Verdict,
    /// Why.
    pub evidence: Evidence,
    /// Of a probe; else of a connect of traffic.
    pub probe: bool,
    /// It was weak and did not count: traffic had just been answered.
    pub vetoed: bool,
}

/// A monitor, now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    /// The phase of its server.
    pub phase: Phase,
    /// For how long.
    pub since: Span,
    /// Whether anything was found out yet.
    pub known: bool,
    /// Ten verdicts in a row or more said nothing: an alarm (`probe-blind`).
    pub blind: bool,
    /// Failures say nothing now, because the fault seems to be our own.
    pub frozen: bool,
    /// It is ejected, and a canary is tried after this.
    pub ejected: Option<Span>,
    /// At most so many connections are taken from us.
    pub limit: Option<u32>,
    /// Until the next probe; zero while one is in flight.
    pub next: Span,
    /// Why, in words.
    pub why: String,
    /// The last verdicts, oldest first; at most 16.
    pub reports: Vec<Report>,
}

impl Monitor {
    /// At most so many connections are taken from us, as learned.
    pub(in crate::health) fn limit(&self) -> Option<u32> {
        self.limit.map(|limit| limit.limit())
    }

    /// What it knows.
    pub fn view(&self, now: Nanos) -> View {
        View {
            phase: self.standing(now).phase,
            since: now.since(self.since),
            known: self.state != State::Unknown,
            blind: self.blind >= BLIND,
            frozen: self.frozen != Freeze::Off,
            ejected: self.ejected.map(|until| until.since(now)),
            limit: self.limit(),
            next: if self.probing.is_some() { Span::ZERO } else { self.due.since(now) },
            why: self.why(),
            reports: self.reports.iter().cloned().collect(),
        }
    }

    /// "down: 3 checks failed (refused from 2 fresh ports, 1 never used before)".
    fn why(&self) -> String {
        let word = match self.state {
            State::Unknown => return "nothing is known yet".into(),
            State::Up if self.ramp.is_some() => "recovering",
            State::Up => "up",
            State::Suspect => "suspect",
            State::Degraded => "degraded",
            State::Down if self.ejected.is_some() => {
                return "down: its calls failed where those of others did not".into();
            }
            State::Down => "down",
        };
        let failed = |report: &&Report| matches!(report.verdict, Verdict::Failed(_)) && !report.vetoed;
        let in_row = self.reports.iter().rev().take_while(|report| report.verdict != Verdict::Ok).filter(failed);
        let (count, last) = (in_row.clone().count(), self.reports.back());
        match (self.state, in_row.clone().next(), last) {
            (State::Degraded, _, Some(last)) => format!("{word}: at its limit of connections ({})", last.evidence),
            (State::Suspect | State::Down, Some(first), _) => {
                let checks = if count == 1 { "check" } else { "checks" };
                format!("{word}: {count} {checks} failed ({})", first.evidence)
            }
            (_, _, Some(last)) if last.verdict != Verdict::Ok => {
                format!("{word}: {} ({})", last.verdict, last.evidence)
            }
            _ => word.into(),
        }
    }
}
