//! Flows that speak after a silence, and what becomes of them.

use serde_json::json;
use tidegate_core::flow::Side;
use tidegate_core::time::Nanos;

use super::super::cases::{Cases, group};
use super::super::groups::{Groups, Weight};
use super::{GROUPS, verdict};
use crate::flows::found::{Confidence, Found, Frame, Severity};
use crate::flows::look::Look;
use crate::flows::summary::Summary;

/// Segments without an answer after which there is none.
const TRIES: u16 = 3;
/// Milliseconds for the same.
const PATIENCE: u32 = 10_000;

/// A flow that spoke after a silence.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wake {
    pub server: (u32, u16),
    pub side: Side,
    pub silence: u64,
    pub ms: u32,
    pub at: Nanos,
    pub frame: Frame,
    pub tries: u16,
}

/// What silences did to the flows with a server port. Times are milliseconds.
#[derive(Clone, Debug, Default)]
pub(super) struct Server {
    pub resets: Cases,
    pub losses: Cases,
    killed: Option<(u64, u64)>,
    lived: u64,
    lived_longest: u64,
}

impl Weight for Server {
    fn weight(&self) -> u64 {
        self.resets.count().saturating_add(self.losses.count())
    }
}

impl Wake {
    /// Whether there is no answer by a time, in milliseconds since the first packet.
    pub fn unanswered(&self, now: u32) -> bool {
        self.tries >= TRIES && now.saturating_sub(self.ms) >= PATIENCE
    }
}

impl Server {
    /// The answer was a reset.
    pub fn reset(&mut self, wake: &Wake, answer: &Look<'_, '_>) {
        self.resets.see(answer);
        self.resets.show(wake.frame);
        self.kill(wake.silence, wake.silence);
    }

    /// The flow went on.
    pub fn lived(&mut self, wake: &Wake) {
        self.lived = self.lived.saturating_add(1);
        self.lived_longest = self.lived_longest.max(wake.silence);
    }

    /// There was no answer.
    pub fn lost(&mut self, wake: &Wake) {
        self.losses.add(wake.at, wake.ms, wake.frame);
        self.kill(wake.silence, wake.silence);
    }

    fn kill(&mut self, shortest: u64, longest: u64) {
        let (least, most) = self.killed.unwrap_or((shortest, longest));
        self.killed = Some((least.min(shortest), most.max(longest)));
    }

    /// That of another part.
    pub fn absorb(&mut self, other: Self) {
        self.resets.absorb(other.resets);
        self.losses.absorb(other.losses);
        if let Some((shortest, longest)) = other.killed {
            self.kill(shortest, longest);
        }
        self.lived = self.lived.saturating_add(other.lived);
        self.lived_longest = self.lived_longest.max(other.lived_longest);
    }

    /// Whether every silence that a flow lived through was shorter than every one that it did not.
    fn consistent(&self) -> bool {
        self.killed.is_some_and(|(shortest, _)| shortest > self.lived_longest)
    }
}

/// What silences did, of one kind.
pub(super) fn did(
    servers: &Groups<(u32, u16), Server, GROUPS>,
    sum: &Summary<'_>,
    outcome: &str,
    of: impl Fn(&Server) -> &Cases,
) -> Option<Found> {
    let (mut all, mut groups, mut plain, mut many) = (Cases::default(), Vec::new(), true, false);
    for ((server, port), told) in servers.heaviest().into_iter().filter(|(_, told)| of(told).count() > 0) {
        let cases = of(told);
        all.absorb(cases.clone());
        plain &= told.consistent();
        many |= told.consistent() && cases.count() >= 3;
        let mut facts =
            vec![("lived_through", json!(told.lived)), ("lived_longest_s", json!(told.lived_longest / 1000))];
        if let Some((shortest, longest)) = told.killed {
            facts.extend([("killed_shortest_s", json!(shortest / 1000)), ("killed_longest_s", json!(longest / 1000))]);
        }
        groups.push(group(sum.hosts.socket(server, port), cases.count(), facts));
    }
    let severity = if many { Severity::Warning } else { Severity::Notice };
    let confidence = match (plain, many, sum.gaps) {
        (true, true, 0) => Confidence::High,
        (true, _, 0) => Confidence::Medium,
        _ => Confidence::Low,
    };
    all.found(verdict(severity, confidence, outcome.to_owned()), sum, [], groups)
}
