//! Connections that nobody uses but their keepalives.
//!
//! A keepalive repeats the last byte before the sender's next one, or none (RFC 9293 §3.8.4), and a bare ACK answers it. A flow
//! counts that stands when the report is made, whose keepalives were answered, and that carried no data for 300 s: longer than
//! most pools keep a connection that is not used, and what Avi lets one be idle. A probe of a closed window (RFC 9293 §3.8.6.1)
//! looks like a keepalive; its answer says that the window is closed, and does not count.
//!
//! A warning when there are 10 such flows that are half of all that stand, or 1,000 of them; else a notice. These are ours.

use std::collections::BTreeMap;

use serde_json::json;
use tidegate_core::flow::{Note, Side, State};

use super::cases::{group, percent};
use super::groups::{Groups, Weight};
use crate::capture::flag;
use crate::flows::cold::{bit, eager};
use crate::flows::found::{Confidence, Firsts, Found, GROUPS_MAX, Group, Severity};
use crate::flows::look::{Ended, Live, Look};
use crate::flows::summary::Summary;

/// Milliseconds without data.
const UNUSED: u32 = 300_000;
/// Groups, at most.
const GROUPS: usize = 4096;

/// What is remembered: flows themselves remember the rest.
#[derive(Clone, Debug, Default)]
pub(crate) struct Keepalive {
    frames: Firsts,
}

/// Flows of one server port that stand.
#[derive(Clone, Copy, Debug, Default)]
struct Standing {
    live: u64,
    unused: u64,
    keepalives: u64,
    /// Milliseconds.
    longest: u32,
}

impl Weight for Standing {
    fn weight(&self) -> u64 {
        self.unused
    }
}

impl Keepalive {
    /// Whether such a segment is to be shown: what the machine made of it, and its flags.
    pub fn wants(note: Note, flags: u8) -> bool {
        matches!(note, Note::Keepalive | Note::Quiet) && flags & (flag::SYN | flag::FIN | flag::RST) == 0
    }

    /// Looks at a segment.
    pub fn note(&mut self, look: &mut Look<'_, '_>) {
        if !Self::wants(look.step.note, look.tcp.flags) {
            return;
        }
        let (own, others) = match look.side {
            Side::Low => (eager::ASKED, eager::ASKED << 1),
            Side::High => (eager::ASKED << 1, eager::ASKED),
        };
        if look.cold.eager & others != 0 {
            look.cold.eager &= !others;
            if look.tcp.length <= 1 && look.tcp.window != 0 {
                look.cold.set(bit::KEPT);
            }
        }
        if look.step.note == Note::Keepalive {
            look.cold.eager |= own;
            if look.ms.saturating_sub(look.cold.data) > UNUSED {
                self.frames.add(look.frame);
            }
        }
    }

    /// An incarnation is no longer in the table.
    pub fn over(&mut self, _ended: &Ended) {}

    /// Takes over what another shard remembers.
    pub fn absorb(&mut self, other: Self) {
        self.frames.absorb(other.frames);
    }

    /// What it comes to.
    pub fn find(&self, sum: &Summary<'_>) -> Vec<Found> {
        let (mut all, mut first) = (Standing::default(), sum.to);
        let mut groups = Groups::<(u32, u16), Standing, GROUPS>::default();
        for live in sum.live().filter(|live| stands(live)) {
            let one = Standing::of(&live, sum.ms(sum.to));
            groups.of((live.bucket.server, live.bucket.port)).absorb(one);
            all.absorb(one);
            if one.unused > 0 {
                first = first.min(sum.at(live.cold.data.saturating_add(UNUSED)));
            }
        }
        if all.unused == 0 {
            return Vec::new();
        }
        let many = all.unused >= 1000 || all.unused >= 10 && all.unused.saturating_mul(2) >= all.live;
        let told = groups.heaviest().into_iter().filter(|(_, standing)| standing.unused > 0).take(GROUPS_MAX);
        vec![Found {
            finding: "keepalive-only",
            severity: if many { Severity::Warning } else { Severity::Notice },
            confidence: Confidence::High,
            outcome: None,
            count: all.unused,
            first,
            last: sum.to,
            frames: self.frames.frames(),
            groups: told.map(|((server, port), standing)| standing.group(sum.hosts.socket(server, port))).collect(),
            facts: BTreeMap::from([
                ("live", json!(all.live)),
                ("keepalive_only", json!(all.unused)),
                ("keepalive_only_percent", percent(all.unused, all.live)),
                ("longest_without_data_s", json!(all.longest / 1000)),
            ]),
            timeline: Vec::new(),
            ladder: None,
        }]
    }
}

impl Standing {
    /// That of one flow, at a time in milliseconds since the first packet.
    fn of(live: &Live<'_>, now: u32) -> Standing {
        let without = now.saturating_sub(live.cold.data);
        if without <= UNUSED || !live.cold.is(bit::KEPT) {
            return Standing { live: 1, ..Standing::default() };
        }
        Standing { live: 1, unused: 1, keepalives: u64::from(live.cold.keepalives), longest: without }
    }

    fn absorb(&mut self, other: Self) {
        self.live = self.live.saturating_add(other.live);
        self.unused = self.unused.saturating_add(other.unused);
        self.keepalives = self.keepalives.saturating_add(other.keepalives);
        self.longest = self.longest.max(other.longest);
    }

    fn group(&self, who: String) -> Group {
        let facts = [
            ("live", json!(self.live)),
            ("keepalive_only_percent", percent(self.unused, self.live)),
            ("keepalives", json!(self.keepalives)),
            ("longest_without_data_s", json!(self.longest / 1000)),
        ];
        group(who, self.unused, facts)
    }
}

/// Whether a flow is one that could carry data.
fn stands(live: &Live<'_>) -> bool {
    live.flow.both_heard() && matches!(live.flow.state(), State::Established | State::MidStream | State::CloseWait)
}

#[cfg(test)]
mod tests;
