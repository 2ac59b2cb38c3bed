//! Resets of a BIG-IP, which writes behind its packets why it sent them.

use std::collections::BTreeMap;

use serde_json::json;

use super::super::cases::{Cases, group};
use super::super::groups::Groups;
use super::{severity, verdict};
use crate::capture::f5;
use crate::flows::found::{Confidence, Found, Group, Severity};
use crate::flows::look::Look;
use crate::flows::summary::Summary;

/// Causes of F5, at most: their words are part of its software.
const CAUSES_MAX: usize = 256;

/// Resets by their cause.
#[derive(Clone, Debug, Default)]
pub(super) struct Causes(BTreeMap<String, Cause>);

/// Resets with one cause.
#[derive(Clone, Debug, Default)]
struct Cause {
    cases: Cases,
    peer: u64,
    senders: Groups<(u32, u16), u32, 64>,
}

impl Causes {
    fn of(&mut self, words: &str) -> Option<&mut Cause> {
        if !self.0.contains_key(words) && self.0.len() >= CAUSES_MAX {
            return None;
        }
        Some(self.0.entry(words.to_owned()).or_default())
    }

    /// Looks at a RST.
    pub fn note(&mut self, look: &Look<'_, '_>) {
        let Some(told) = f5::cause(look.packet.trailer) else { return };
        if let Some(cause) = self.of(told.words) {
            cause.cases.see(look);
            cause.peer = cause.peer.saturating_add(u64::from(told.peer));
            let sender = cause.senders.of(look.key.at(look.side));
            *sender = sender.saturating_add(1);
        }
    }

    /// Those of another part.
    pub fn absorb(&mut self, other: Self) {
        for (words, cause) in other.0 {
            if let Some(mine) = self.of(&words) {
                mine.absorb(cause);
            }
        }
    }

    /// What they come to, of so many resets.
    pub fn found(&self, resets: u64, sum: &Summary<'_>) -> Option<Found> {
        let (mut cases, mut passed_on) = (Cases::default(), 0u64);
        let mut groups: Vec<Group> = Vec::new();
        for (words, cause) in &self.0 {
            cases.absorb(cause.cases.clone());
            passed_on = passed_on.saturating_add(cause.peer);
            let senders = cause.senders.heaviest();
            let senders: Vec<String> =
                senders.iter().map(|((host, port), _)| sum.hosts.socket(*host, *port)).take(3).collect();
            let facts = [("sent_as", json!(senders)), ("passed_on_from_the_other_side", json!(cause.peer))];
            groups.push(group(words.clone(), cause.cases.count(), facts));
        }
        // What it only passes on is not its own doing.
        let severity = match cases.count().saturating_sub(passed_on) {
            0 => Severity::Notice,
            own => severity(own, resets),
        };
        let verdict = verdict(severity, Confidence::High, "sent by a BIG-IP, which says why");
        cases.found(verdict, sum, [("resets", json!(resets))], groups)
    }
}

impl Cause {
    fn absorb(&mut self, other: Self) {
        self.cases.absorb(other.cases);
        self.peer = self.peer.saturating_add(other.peer);
        self.senders.absorb(other.senders, |mine, more| *mine = mine.saturating_add(more));
    }
}
