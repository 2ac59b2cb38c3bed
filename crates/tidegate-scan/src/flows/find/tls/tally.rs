//! What servers were asked, and what failed.

use std::collections::BTreeSet;

use serde_json::json;

use super::super::cases::{Cases, group};
use super::super::groups::Weight;
use super::Talk;
use super::talk::Kind;
use crate::capture::tls::version;
use crate::flows::found::{Confidence, Group, Severity};
use crate::flows::summary::Summary;

/// Names of a group, at most: the first of the alphabet.
const NAMES_MAX: usize = 5;
/// What a server was asked.
#[derive(Clone, Debug, Default)]
pub(super) struct Server {
    pub asked: u64,
    pub agreed: u64,
    pub plain: u64,
    pub version: u16,
}

/// Failures of one kind at one server.
#[derive(Clone, Debug, Default)]
pub(super) struct Failure {
    pub cases: Cases,
    names: BTreeSet<Box<str>>,
    /// The newest version that any of the clients takes, and the newest that none of them goes beyond: equal if all are alike.
    newest: u16,
    oldest: u16,
}

impl Weight for Server {
    fn weight(&self) -> u64 {
        self.asked
    }
}

impl Weight for Failure {
    fn weight(&self) -> u64 {
        self.cases.count()
    }
}

impl Server {
    pub fn absorb(&mut self, other: Self) {
        self.asked = self.asked.saturating_add(other.asked);
        self.agreed = self.agreed.saturating_add(other.agreed);
        self.plain = self.plain.saturating_add(other.plain);
        self.version = self.version.max(other.version);
    }
}

impl Failure {
    /// One more, of which nothing but the hello is to be shown.
    pub fn count(&mut self, talk: &Talk) {
        self.add(talk);
        self.cases.add(talk.at, talk.ms, talk.frame);
    }

    pub fn add(&mut self, talk: &Talk) {
        self.names.extend(talk.name.clone());
        self.range(talk.newest, talk.newest);
        self.fit();
    }

    fn range(&mut self, oldest: u16, newest: u16) {
        self.oldest = if self.oldest == 0 || oldest == 0 { self.oldest.max(oldest) } else { self.oldest.min(oldest) };
        self.newest = self.newest.max(newest);
    }

    pub fn group(&self, who: String, server: &Server) -> Group {
        let mut facts = vec![("hellos", json!(server.asked)), ("server_hellos", json!(server.agreed))];
        let versions = [
            ("server_agrees_to", server.version),
            ("clients_take_up_to", self.newest),
            ("oldest_client_takes_up_to", self.oldest),
        ];
        let known = versions.into_iter().filter(|(_, number)| *number != 0);
        facts.extend(known.map(|(name, number)| (name, json!(version(number)))));
        if !self.names.is_empty() {
            facts.push(("names", json!(self.names)));
        }
        group(who, self.cases.count(), facts)
    }

    fn fit(&mut self) {
        while self.names.len() > NAMES_MAX {
            self.names.pop_last();
        }
    }

    pub fn absorb(&mut self, other: Self) {
        self.cases.absorb(other.cases);
        self.names.extend(other.names);
        self.range(other.oldest, other.newest);
        self.fit();
    }
}

/// How bad so many failures are, of so many hellos.
pub(super) fn severity(kind: Kind, failed: u64, asked: u64) -> Severity {
    let tenths = failed.saturating_mul(10);
    match kind {
        Kind::Left(_) => Severity::Notice,
        Kind::Sealed(_) if failed < 3 => Severity::Notice,
        _ if failed >= 10 && tenths >= asked.saturating_mul(5) => Severity::Critical,
        _ if failed >= 10 || tenths >= asked => Severity::Warning,
        _ => Severity::Notice,
    }
}

/// How sure a kind of failure is.
pub(super) fn confidence(kind: Kind, sum: &Summary<'_>) -> Confidence {
    match kind {
        Kind::Alert(..) | Kind::Plain => Confidence::High,
        Kind::Sealed(_) | Kind::Left(_) => Confidence::Low,
        _ if sum.gaps > 0 => Confidence::Low,
        Kind::NotTls => Confidence::High,
        Kind::Reset | Kind::Closed | Kind::Unanswered => Confidence::Medium,
    }
}
