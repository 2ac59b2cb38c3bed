//! How often something happened, when, and in which frames: what every finding of single events has to say.

use serde_json::{Value, json};
use tidegate_core::time::Nanos;

use super::groups::Weight;
use crate::flows::found::{Confidence, Firsts, Found, Frame, GROUPS_MAX, Group, Severity};
use crate::flows::look::Look;
use crate::flows::series::Series;
use crate::flows::summary::Summary;

/// Windows of a timeline, at most. They begin at a second each.
const WINDOWS_MAX: usize = 256;

/// What is said of cases.
pub(crate) struct Verdict {
    /// The last part of the rule's name.
    pub finding: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// How sure it is.
    pub confidence: Confidence,
    /// How it came out.
    pub outcome: String,
}

/// Cases of one kind. Bounded, and the same for any order and any parts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cases {
    count: u64,
    first: u64,
    last: u64,
    frames: Firsts,
    times: Series<1, 1000, WINDOWS_MAX>,
}

impl Weight for Cases {
    fn weight(&self) -> u64 {
        self.count
    }
}

impl Cases {
    /// One more, which this segment shows.
    pub fn see(&mut self, look: &Look<'_, '_>) {
        self.add(look.at, look.ms, look.frame);
    }

    /// One more, at a time (the same as milliseconds since the first packet), and a frame that shows it.
    pub fn add(&mut self, at: Nanos, ms: u32, frame: Frame) {
        self.span(at.0, at.0);
        self.count = self.count.saturating_add(1);
        self.times.add(ms, 0, 1);
        self.frames.add(frame);
    }

    /// Another frame of a case that was counted.
    pub fn show(&mut self, frame: Frame) {
        self.frames.add(frame);
    }

    /// Those of another part.
    pub fn absorb(&mut self, other: Self) {
        if other.count > 0 {
            self.span(other.first, other.last);
        }
        self.count = self.count.saturating_add(other.count);
        self.times.absorb(other.times);
        self.frames.absorb(other.frames);
    }

    /// How many.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The finding that they are, if there are any: with the worst of these groups, and these facts.
    pub fn found(
        &self,
        verdict: Verdict,
        sum: &Summary<'_>,
        facts: impl IntoIterator<Item = (&'static str, Value)>,
        mut groups: Vec<Group>,
    ) -> Option<Found> {
        groups.sort_by(|one, other| other.count.cmp(&one.count).then_with(|| one.who.cmp(&other.who)));
        groups.truncate(GROUPS_MAX);
        let second = |number| sum.at(self.times.begins(number)) / 1_000_000_000;
        let timeline = self.times.windows().map(|(number, [sum])| [second(number), u64::from(sum.unsigned_abs())]);
        (self.count > 0).then(|| Found {
            finding: verdict.finding,
            severity: verdict.severity,
            confidence: verdict.confidence,
            outcome: Some(verdict.outcome),
            count: self.count,
            first: self.first,
            last: self.last,
            frames: self.frames.frames(),
            groups,
            facts: facts.into_iter().collect(),
            timeline: timeline.collect(),
            ladder: None,
        })
    }

    fn span(&mut self, first: u64, last: u64) {
        self.first = if self.count == 0 { first } else { self.first.min(first) };
        self.last = self.last.max(last);
    }
}

/// Those who have cases in common, and what else is known of them.
pub(crate) fn group(who: String, count: u64, facts: impl IntoIterator<Item = (&'static str, Value)>) -> Group {
    Group { who, count, facts: facts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect() }
}

/// A part in percent of a whole, with one digit behind the point.
pub(crate) fn percent(part: u64, whole: u64) -> Value {
    json!(part.saturating_mul(1000).checked_div(whole).unwrap_or(0) as f64 / 10.0)
}
