//! Resets, and who really sent them.
//!
//! **Not the peer.** A RST is compared with what its sender said before, after Weaver, Sommer and Paxson, "Detecting Forged TCP
//! Reset Packets" (NDSS 2009): it came over more hops or fewer, while all earlier packets of that side came over one number of
//! hops; its IP number was copied from the packet that it answers; or that side goes on, 10 ms later or more, as
//! if it had sent none. A SYN that was refused is compared with the SYN-ACKs of the same server port. One sign is of medium
//! confidence, two are high; a copied number alone is none. The window is not compared: a kernel that has no socket sends 0.
//!
//! **A BIG-IP**, which writes behind its packets why it sent a reset: certain.
//!
//! **Nobody.** ICMP says that segments could not be delivered, and why. A packet that is too big does not count.
//!
//! A warning from 10 cases on, or a tenth of all resets (of all flows, for ICMP); else a notice. These are ours.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde_json::json;
use tidegate_core::flow::{Key, Note};

use super::cases::{Cases, Verdict, group};
use super::groups::Groups;
use crate::capture::flag;
use crate::flows::cold::{bit, eager};
use crate::flows::found::{Confidence, Found, Severity};
use crate::flows::look::{Ended, Look, Undelivered};
use crate::flows::summary::Summary;
use causes::Causes;
use forged::{Forged, Open, Ttls};
use origin::{Evidence, unreachable};

mod causes;
mod forged;
mod origin;

/// Resets whose sender may go on, at most; later ones are judged by their headers alone.
const OPEN_MAX: usize = 1 << 15;
/// Groups of each kind, at most.
const GROUPS: usize = 4096;
/// Milliseconds after which a packet of the sender was not under way before its RST.
const UNDER_WAY: u32 = 10;
/// Milliseconds after which nothing is made of a RST.
const FORGET: u32 = 60_000;

/// What is remembered.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reset {
    resets: u64,
    open: BTreeMap<Key, Open>,
    forged: Groups<(u32, u8), Forged, GROUPS>,
    refused: Groups<(u32, u16, u8), Cases, GROUPS>,
    answers: Groups<(u32, u16), Ttls, GROUPS>,
    causes: Causes,
    unreachable: Groups<(IpAddr, u32, u16, u8), Cases, GROUPS>,
    undelivered_flows: u64,
    cleared: u32,
}

impl Reset {
    /// Whether such a segment is to be shown: what the machine made of it, and its flags.
    pub fn wants(note: Note, flags: u8) -> bool {
        flags & flag::RST != 0 || matches!(note, Note::Answered | Note::Late | Note::Quiet)
    }

    /// Looks at a segment.
    pub fn note(&mut self, look: &mut Look<'_, '_>) {
        if look.tcp.flags & flag::RST != 0 {
            self.resets = self.resets.saturating_add(1);
            self.causes.note(look);
            if look.flow.is_some() {
                self.reset(look);
            }
            return;
        }
        if look.step.note == Note::Answered {
            let (server, port) = look.key.at(look.side);
            self.answers.of((server, port)).add(look.packet.ttl);
        }
        if look.cold.eager & eager::RESET != 0 && look.tcp.flags & flag::SYN == 0 || look.step.note == Note::Answered {
            self.went_on(look);
        }
    }

    /// An incarnation is no longer in the table.
    pub fn over(&mut self, ended: &Ended) {
        self.open.remove(&ended.key);
    }

    /// Hears that a segment could not be delivered.
    pub fn unreachable(&mut self, word: &Undelivered<'_, '_>) {
        let told = word.unreachable;
        if unreachable(told.code, word.packet.source.is_ipv6()).is_none() {
            return;
        }
        let (host, port) = word.key.at(word.side.other());
        self.unreachable.of((word.packet.source, host, port, told.code)).add(word.at, word.ms, word.frame);
        self.undelivered_flows = self.undelivered_flows.saturating_add(u64::from(word.flow.is_some()));
    }

    /// Takes over what another shard remembers.
    pub fn absorb(&mut self, other: Self) {
        self.resets = self.resets.saturating_add(other.resets);
        self.undelivered_flows = self.undelivered_flows.saturating_add(other.undelivered_flows);
        self.open.extend(other.open);
        self.forged.absorb(other.forged, Forged::absorb);
        self.refused.absorb(other.refused, Cases::absorb);
        self.answers.absorb(other.answers, Ttls::absorb);
        self.unreachable.absorb(other.unreachable, Cases::absorb);
        self.causes.absorb(other.causes);
    }

    /// What it comes to.
    pub fn find(&self, sum: &Summary<'_>) -> Vec<Found> {
        [self.not_the_peer(sum), self.causes.found(self.resets, sum), self.nobody(sum)].into_iter().flatten().collect()
    }

    fn reset(&mut self, look: &mut Look<'_, '_>) {
        let ip = (look.packet.ttl, look.packet.id);
        let (host, port) = look.key.at(look.side);
        let same = look.cold.ip(look.side);
        if look.step.note == Note::Refused && same.is_none() {
            self.refused.of((host, port, ip.0)).see(look);
        }
        // A host that still has the old connection of its peer is reset by that peer, and goes on by right.
        if look.step.note == Note::OldPeerReset || self.open.get(&look.key).is_some_and(|open| open.side == look.side) {
            return;
        }
        let varies = look.cold.has(bit::TTL_VARIES, look.side);
        let evidence = Evidence::of(ip, same.filter(|_| !varies), look.cold.ip(look.side.other()));
        let (ms, at, frame, stray) = (look.ms, look.at, look.frame, matches!(look.step.note, Note::Invalid(_)));
        let open = Open { side: look.side, host, ip, ms, at, frame, evidence, stray };
        if open.enough() {
            self.forged.of((host, ip.0)).count(&open, None, same.map(|(ttl, _)| ttl));
        }
        if self.room(ms) {
            look.cold.eager |= eager::RESET;
            self.open.insert(look.key, open);
        }
    }

    /// The sender of a RST speaks again.
    fn went_on(&mut self, look: &mut Look<'_, '_>) {
        let Some(open) = self.open.get(&look.key).filter(|open| open.side == look.side) else { return };
        if look.ms.saturating_sub(open.ms) < UNDER_WAY || matches!(look.step.note, Note::Invalid(_)) {
            return;
        }
        let mut open = *open;
        let before = Some(open.evidence).filter(|_| open.enough());
        let later = Evidence::of(open.ip, Some((look.packet.ttl, look.packet.id)), None);
        open.evidence = open.evidence.and(Evidence { went_on: true, ..later });
        if open.enough() {
            let forged = self.forged.of((open.host, open.ip.0));
            forged.count(&open, before, Some(look.packet.ttl));
            forged.cases.show(look.frame);
        }
        look.cold.eager &= !eager::RESET;
        self.open.remove(&look.key);
    }

    /// Whether there is room for one more that may go on.
    fn room(&mut self, now: u32) -> bool {
        if self.open.len() >= OPEN_MAX && now.saturating_sub(self.cleared) >= FORGET {
            self.open.retain(|_, open| now.saturating_sub(open.ms) < FORGET);
            self.cleared = now;
        }
        self.open.len() < OPEN_MAX
    }

    fn not_the_peer(&self, sum: &Summary<'_>) -> Option<Found> {
        let (mut cases, mut groups, mut sure) = (Cases::default(), Vec::new(), 0u64);
        for ((host, ttl), forged) in self.forged.heaviest() {
            cases.absorb(forged.cases.clone());
            sure = sure.saturating_add(forged.sure);
            groups.push(forged.group(sum.hosts.name(host), ttl));
        }
        for ((server, port, ttl), refused) in self.refused.heaviest() {
            let usual = self.answers.get((server, port)).copied().unwrap_or_default();
            if usual.beyond(ttl) {
                cases.absorb(refused.clone());
                groups.push(Forged::refused(refused, usual).group(sum.hosts.socket(server, port), ttl));
            }
        }
        let confidence = if sure > 0 { Confidence::High } else { Confidence::Medium };
        let verdict = verdict(severity(cases.count(), self.resets), confidence, "not sent by the peer, it seems");
        cases.found(verdict, sum, [("resets", json!(self.resets)), ("two_signs", json!(sure))], groups)
    }

    fn nobody(&self, sum: &Summary<'_>) -> Option<Found> {
        let (mut cases, mut groups) = (Cases::default(), Vec::new());
        for ((by, host, port, code), one) in self.unreachable.heaviest() {
            cases.absorb(one.clone());
            let words = unreachable(code, by.is_ipv6()).unwrap_or("unreachable");
            let facts = [("icmp_code", json!(code)), ("says", json!(by.to_string()))];
            groups.push(group(format!("{}: {words}", sum.hosts.socket(host, port)), one.count(), facts));
        }
        let known = self.undelivered_flows;
        let confidence = if known > 0 { Confidence::High } else { Confidence::Medium };
        let verdict = verdict(severity(cases.count(), sum.flows), confidence, "not delivered, says ICMP");
        cases.found(verdict, sum, [("of_known_flows", json!(known))], groups)
    }
}

fn severity(count: u64, of: u64) -> Severity {
    if count >= 10 || count.saturating_mul(10) >= of { Severity::Warning } else { Severity::Notice }
}

fn verdict(severity: Severity, confidence: Confidence, outcome: &str) -> Verdict {
    Verdict { finding: "reset-origin", severity, confidence, outcome: outcome.to_owned() }
}

#[cfg(test)]
mod tests;
