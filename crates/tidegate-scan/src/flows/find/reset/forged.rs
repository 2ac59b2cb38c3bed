//! Resets in the name of a host that did not send them, it seems.

use serde_json::json;
use tidegate_core::flow::Side;
use tidegate_core::time::Nanos;

use super::super::cases::{Cases, group};
use super::super::groups::Weight;
use super::origin::{Evidence, Ip, hops};
use crate::flows::found::{Frame, Group};

/// A RST whose sender may go on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Open {
    pub side: Side,
    pub host: u32,
    pub ip: Ip,
    pub ms: u32,
    pub at: Nanos,
    pub frame: Frame,
    pub evidence: Evidence,
    /// It fits no connection: it may be late word of an earlier one. One sign is not enough, then.
    pub stray: bool,
}

/// Resets in the name of one host that came over one number of hops.
#[derive(Clone, Debug, Default)]
pub(super) struct Forged {
    pub cases: Cases,
    pub usual: Ttls,
    copied: u64,
    went_on: u64,
    pub sure: u64,
}

impl Open {
    /// Whether what is known of it is enough to say so.
    pub fn enough(&self) -> bool {
        if self.stray { self.evidence.sure() } else { self.evidence.enough() }
    }
}

/// Hops left in packets: the fewest and the most. `None`: there were no packets.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ttls(Option<(u8, u8)>, u32);

impl Weight for Forged {
    fn weight(&self) -> u64 {
        self.cases.count()
    }
}

impl Weight for Ttls {
    fn weight(&self) -> u64 {
        u64::from(self.1)
    }
}

impl Forged {
    /// SYNs that were refused over one number of hops, where answers came over others.
    pub fn refused(cases: &Cases, usual: Ttls) -> Forged {
        Forged { cases: cases.clone(), usual, ..Forged::default() }
    }

    /// A case, or more evidence for one: `before` is what there was, if that was enough.
    pub fn count(&mut self, open: &Open, before: Option<Evidence>, usual: Option<u8>) {
        if before.is_none() {
            self.cases.add(open.at, open.ms, open.frame);
        }
        let was = before.unwrap_or_default();
        let more = |sum: &mut u64, now: bool, was: bool| *sum = sum.saturating_add(u64::from(now && !was));
        more(&mut self.copied, open.evidence.copied, was.copied);
        more(&mut self.went_on, open.evidence.went_on, was.went_on);
        more(&mut self.sure, open.evidence.sure(), was.sure());
        usual.into_iter().for_each(|ttl| self.usual.add(ttl));
    }

    /// Those of another part.
    pub fn absorb(&mut self, other: Self) {
        self.cases.absorb(other.cases);
        self.usual.absorb(other.usual);
        for (mine, more) in
            [(&mut self.copied, other.copied), (&mut self.went_on, other.went_on), (&mut self.sure, other.sure)]
        {
            *mine = mine.saturating_add(more);
        }
    }

    /// The group of those with such a number of hops left.
    pub fn group(&self, who: String, ttl: u8) -> Group {
        let mut facts = vec![("reset_ttl", json!(ttl)), ("reset_hops", json!(hops(ttl)))];
        if let Some((fewest, most)) = self.usual.0 {
            facts.push(("peer_ttl", if fewest == most { json!(most) } else { json!([fewest, most]) }));
            facts.push(("peer_hops", json!(hops(most))));
        }
        let counts = [("copied_ip_number", self.copied), ("peer_went_on", self.went_on)];
        facts.extend(counts.into_iter().filter(|(_, count)| *count > 0).map(|(name, count)| (name, json!(count))));
        group(who, self.cases.count(), facts)
    }
}

impl Ttls {
    /// One more packet.
    pub fn add(&mut self, ttl: u8) {
        self.absorb(Ttls(Some((ttl, ttl)), 1));
    }

    /// Those of another part.
    pub fn absorb(&mut self, other: Self) {
        self.1 = self.1.saturating_add(other.1);
        self.0 = match (self.0, other.0) {
            (Some((low, high)), Some((lower, higher))) => Some((low.min(lower), high.max(higher))),
            (mine, more) => mine.or(more),
        };
    }

    /// Whether a packet of another connection came over another number of hops than all of these. Paths may differ by one.
    pub fn beyond(&self, ttl: u8) -> bool {
        self.0.is_some_and(|(low, high)| !(low.saturating_sub(1)..=high.saturating_add(1)).contains(&ttl))
    }
}
