//! Resets, and who really sent them.
//!
//! **Not the peer.** A RST is compared with what its sender said before, after Weaver, Sommer and Paxson, "Detecting Forged TCP
//! Reset Packets" (NDSS 2009): it came over at least two hops more or less, while all earlier packets of that side came over
//! one number of hops; its IP number was copied from the packet that it answers; or that side goes on, 10 ms later or more, as
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
use tidegate_core::flow::{Key, Note, Side};

use super::cases::{Cases, Verdict, group};
use super::groups::{Groups, Weight};
use crate::capture::{f5, flag};
use crate::flows::cold::{bit, eager};
use crate::flows::found::{Confidence, Found, Frame, Group, Severity};
use crate::flows::look::{Ended, Look, Undelivered};
use crate::flows::summary::Summary;
use origin::{Evidence, Ip, hops, unreachable};

mod origin;

/// Resets whose sender may go on, at most; later ones are judged by their headers alone.
const OPEN_MAX: usize = 1 << 15;
/// Groups of each kind, at most.
const GROUPS: usize = 4096;
/// Causes of F5, at most: their words are part of its software.
const CAUSES_MAX: usize = 256;
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
    refused: Groups<(u32, u16, u8), Refused, GROUPS>,
    answers: Groups<(u32, u16), Ttls, GROUPS>,
    causes: BTreeMap<String, Cause>,
    unreachable: Groups<(IpAddr, u32, u16, u8), Cases, GROUPS>,
    undelivered_flows: u64,
    cleared: u32,
}

/// A RST whose sender may go on.
#[derive(Clone, Copy, Debug)]
struct Open {
    side: Side,
    host: u32,
    ip: Ip,
    ms: u32,
    at: tidegate_core::time::Nanos,
    frame: Frame,
    evidence: Evidence,
    /// It fits no connection: it may be late word of an earlier one. One sign is not enough, then.
    stray: bool,
}

/// Resets in the name of one host that came over one number of hops.
#[derive(Clone, Debug, Default)]
struct Forged {
    cases: Cases,
    usual: Ttls,
    copied: u64,
    went_on: u64,
    sure: u64,
}

impl Open {
    fn enough(&self) -> bool {
        if self.stray { self.evidence.sure() } else { self.evidence.enough() }
    }
}

/// Refused SYNs of one server port, by the hops left in the refusal.
#[derive(Clone, Debug, Default)]
struct Refused(Cases);

/// Hops left in packets: the fewest and the most. `None`: there were no packets.
#[derive(Clone, Copy, Debug, Default)]
struct Ttls(Option<(u8, u8)>, u32);

/// Resets with one cause.
#[derive(Clone, Debug, Default)]
struct Cause {
    cases: Cases,
    peer: u64,
    senders: Groups<(u32, u16), u32, 64>,
}

impl Weight for Forged {
    fn weight(&self) -> u64 {
        self.cases.count()
    }
}

impl Weight for Refused {
    fn weight(&self) -> u64 {
        self.0.count()
    }
}

impl Weight for Ttls {
    fn weight(&self) -> u64 {
        u64::from(self.1)
    }
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
            self.cause(look);
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
        self.refused.absorb(other.refused, |mine, more| mine.0.absorb(more.0));
        self.answers.absorb(other.answers, Ttls::absorb);
        self.unreachable.absorb(other.unreachable, Cases::absorb);
        for (words, cause) in other.causes {
            if let Some(mine) = self.cause_of(&words) {
                mine.absorb(cause);
            }
        }
    }

    /// What it comes to.
    pub fn find(&self, sum: &Summary<'_>) -> Vec<Found> {
        [self.not_the_peer(sum), self.big_ip(sum), self.nobody(sum)].into_iter().flatten().collect()
    }

    fn cause_of(&mut self, words: &str) -> Option<&mut Cause> {
        if !self.causes.contains_key(words) && self.causes.len() >= CAUSES_MAX {
            return None;
        }
        Some(self.causes.entry(words.to_owned()).or_default())
    }

    fn cause(&mut self, look: &Look<'_, '_>) {
        let Some(told) = f5::cause(look.packet.trailer) else { return };
        if let Some(cause) = self.cause_of(told.words) {
            cause.cases.see(look);
            cause.peer = cause.peer.saturating_add(u64::from(told.peer));
            let sender = cause.senders.of(look.key.at(look.side));
            *sender = sender.saturating_add(1);
        }
    }

    fn reset(&mut self, look: &mut Look<'_, '_>) {
        let ip = (look.packet.ttl, look.packet.id);
        let (host, port) = look.key.at(look.side);
        let same = look.cold.ip(look.side);
        if look.step.note == Note::Refused && same.is_none() {
            self.refused.of((host, port, ip.0)).0.see(look);
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
                cases.absorb(refused.0.clone());
                let forged = Forged { cases: refused.0.clone(), usual, ..Forged::default() };
                groups.push(forged.group(sum.hosts.socket(server, port), ttl));
            }
        }
        let confidence = if sure > 0 { Confidence::High } else { Confidence::Medium };
        let verdict = verdict(severity(cases.count(), self.resets), confidence, "not sent by the peer, it seems");
        cases.found(verdict, sum, [("resets", json!(self.resets)), ("two_signs", json!(sure))], groups)
    }

    fn big_ip(&self, sum: &Summary<'_>) -> Option<Found> {
        let mut cases = Cases::default();
        let mut groups: Vec<Group> = Vec::new();
        for (words, cause) in &self.causes {
            cases.absorb(cause.cases.clone());
            let senders = cause.senders.heaviest();
            let senders: Vec<String> =
                senders.iter().map(|((host, port), _)| sum.hosts.socket(*host, *port)).take(3).collect();
            let facts = [("sent_as", json!(senders)), ("passed_on_from_the_other_side", json!(cause.peer))];
            groups.push(group(words.clone(), cause.cases.count(), facts));
        }
        let severity = severity(cases.count(), self.resets);
        let verdict = verdict(severity, Confidence::High, "sent by a BIG-IP, which says why");
        cases.found(verdict, sum, [("resets", json!(self.resets))], groups)
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

impl Forged {
    /// A case, or more evidence for one: `before` is what there was, if that was enough.
    fn count(&mut self, open: &Open, before: Option<Evidence>, usual: Option<u8>) {
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

    fn absorb(&mut self, other: Self) {
        self.cases.absorb(other.cases);
        self.usual.absorb(other.usual);
        for (mine, more) in
            [(&mut self.copied, other.copied), (&mut self.went_on, other.went_on), (&mut self.sure, other.sure)]
        {
            *mine = mine.saturating_add(more);
        }
    }

    fn group(&self, who: String, ttl: u8) -> Group {
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
    fn add(&mut self, ttl: u8) {
        self.absorb(Ttls(Some((ttl, ttl)), 1));
    }

    fn absorb(&mut self, other: Self) {
        self.1 = self.1.saturating_add(other.1);
        self.0 = match (self.0, other.0) {
            (Some((low, high)), Some((lower, higher))) => Some((low.min(lower), high.max(higher))),
            (mine, more) => mine.or(more),
        };
    }

    /// Whether a packet came over another number of hops than all of these, by more than two paths of one length differ.
    fn beyond(&self, ttl: u8) -> bool {
        let off =
            |(low, high): (u8, u8)| [low, high].iter().all(|end| Evidence::of((ttl, 0), Some((*end, 0)), None).hops);
        self.0.is_some_and(|(low, high)| !(low..=high).contains(&ttl) && off((low, high)))
    }
}

impl Cause {
    fn absorb(&mut self, other: Self) {
        self.cases.absorb(other.cases);
        self.peer = self.peer.saturating_add(other.peer);
        self.senders.absorb(other.senders, |mine, more| *mine = mine.saturating_add(more));
    }
}

fn severity(count: u64, of: u64) -> Severity {
    if count >= 10 || count.saturating_mul(10) >= of { Severity::Warning } else { Severity::Notice }
}

fn verdict(severity: Severity, confidence: Confidence, outcome: &str) -> Verdict {
    Verdict { finding: "reset-origin", severity, confidence, outcome: outcome.to_owned() }
}
