//! Captures that do not show everything, and what is not told because of it.
//!
//! - **one-sided**: flows of which only one end was heard although the other must have spoken: its words are acknowledged, or a
//!   SYN-ACK answers what nobody saw. When no flow was heard from both ends and this is so for some (a warning), or no SYN was
//!   answered and none was repeated (a notice, from 10 flows on), one direction was not captured: findings that need both are
//!   withheld. When it is so for a fifth of at least 10 flows, it is a notice, and nothing is withheld.
//! - **drops**: bytes were acknowledged that nobody saw, so the capture lost packets. A notice; a warning from 1 % of the packets
//!   on.
//! - **Times** that lie further apart than can be counted (49 days), or a minute and more before the first packet, withhold what
//!   counts by time.
//!
//! The thresholds are ours.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::json;
use tidegate_core::flow::Note;

use crate::flows::census::Census;
use crate::flows::found::{Confidence, Firsts, Found, Severity};
use crate::flows::look::{Ended, Look};
use crate::flows::summary::Summary;

/// What needs both directions.
const NEEDS_BOTH: [&str; 5] = ["tuple-collision", "half-open", "keepalive-only", "handshake-failed", "idle-timeout"];
/// What counts by time.
const NEEDS_TIME: [&str; 4] = ["half-open", "port-exhaustion", "keepalive-only", "connection-storm"];
/// Fewer flows say nothing about directions.
const FLOWS_MIN: u64 = 10;

/// A finding that is not told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Withheld {
    /// Which.
    pub finding: &'static str,
    /// Why not.
    pub why: &'static str,
}

/// What is remembered.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sides {
    frames: Firsts,
    /// The first and the last gap, in nanoseconds since 1970.
    span: Option<(u64, u64)>,
}

impl Sides {
    /// Whether such a segment is to be shown: what the machine made of it, and its flags.
    pub fn wants(note: Note, _flags: u8) -> bool {
        note == Note::Gap
    }

    /// Looks at a segment.
    pub fn note(&mut self, look: &mut Look<'_, '_>) {
        if look.step.note == Note::Gap {
            self.frames.add(look.frame);
            let (first, last) = self.span.unwrap_or((look.at.0, look.at.0));
            self.span = Some((first.min(look.at.0), last.max(look.at.0)));
        }
    }

    /// An incarnation is no longer in the table.
    pub fn over(&mut self, _ended: &Ended) {}

    /// Takes over what another shard remembers.
    pub fn absorb(&mut self, other: Self) {
        self.frames.absorb(other.frames);
        let spans = [self.span, other.span];
        self.span = spans.into_iter().flatten().reduce(|one, next| (one.0.min(next.0), one.1.max(next.1)));
    }

    /// What it comes to.
    pub fn find(&self, sum: &Summary<'_>) -> Vec<Found> {
        one_direction(sum).into_iter().chain(self.drops(sum)).collect()
    }

    fn drops(&self, sum: &Summary<'_>) -> Option<Found> {
        let (first, last) = self.span?;
        let percent = percent(sum.gaps, sum.packets);
        let severity = if percent >= 1.0 { Severity::Warning } else { Severity::Notice };
        // In one direction only everything is acknowledged that nobody saw.
        (!sum.one_sided).then(|| Found {
            finding: "drops",
            severity,
            confidence: Confidence::High,
            outcome: None,
            count: sum.gaps,
            first,
            last,
            frames: self.frames.frames(),
            groups: Vec::new(),
            facts: BTreeMap::from([("gaps", json!(sum.gaps)), ("packets_percent", json!(percent))]),
            timeline: Vec::new(),
            ladder: None,
        })
    }
}

fn one_direction(sum: &Summary<'_>) -> Option<Found> {
    let census = sum.census;
    let all = census.both.saturating_add(census.one_sided);
    let many = all >= FLOWS_MIN && census.one_sided.saturating_mul(5) >= all;
    let (severity, confidence) = match (sum.one_sided, many) {
        (true, _) if census.one_sided > 0 => (Severity::Warning, Confidence::High),
        (true, _) if census.flows >= FLOWS_MIN => (Severity::Notice, Confidence::Low),
        (false, true) => (Severity::Notice, Confidence::High),
        _ => return None,
    };
    let facts = [
        ("flows", json!(census.flows)),
        ("both_sides", json!(census.both)),
        ("one_side", json!(census.one_sided)),
        ("one_side_percent", json!(percent(census.one_sided, all))),
    ];
    Some(Found {
        finding: "one-sided",
        severity,
        confidence,
        outcome: None,
        count: if sum.one_sided { census.flows } else { census.one_sided },
        first: sum.from,
        last: sum.to,
        frames: Vec::new(),
        groups: Vec::new(),
        facts: BTreeMap::from(facts),
        timeline: Vec::new(),
        ladder: None,
    })
}

/// With one decimal place; 0 of nothing.
fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { (part as f64 * 1000.0 / whole as f64).round() / 10.0 }
}

/// Whether no flow shows both directions. A server that answers nobody is another matter: then SYNs are repeated.
pub(crate) fn one_sided(census: &Census) -> bool {
    census.flows > 0 && census.both == 0 && (census.one_sided > 0 || census.unanswered == 0)
}

/// Leaves out what cannot be told from what was captured.
pub(crate) fn withhold(mut found: Vec<Found>, sum: &Summary<'_>) -> (Vec<Found>, Vec<Withheld>) {
    let reasons: [(bool, &'static str, &[&'static str]); 2] = [
        (sum.one_sided, "The capture shows one direction only.", &NEEDS_BOTH),
        (sum.leaps, "The times of the packets leap by weeks, or back behind the first one.", &NEEDS_TIME),
    ];
    let mut withheld = Vec::new();
    for (_, why, needs) in reasons.into_iter().filter(|(holds, ..)| *holds) {
        found.retain(|found| !needs.contains(&found.finding));
        withheld.extend(needs.iter().map(|finding| Withheld { finding, why }));
    }
    (found, withheld)
}
