//! TLS handshakes that failed, by what both sides send in clear.
//!
//! - A fatal alert before the ciphers change; of TLS 1.3, the server's before its hello only. Confidence high.
//! - The client's hello answered with a RST, a FIN or something that is not TLS, or not at all: for 10 s (what curl and most
//!   load balancers' health monitors wait at least), or until the client left after a second or more.
//! - A request of HTTP where other clients are answered in TLS, and that is refused (400, an alert, a close).
//! - TLS 1.3: what the client encrypts first, or the server's answer to its last word, is as short as an alert, and one side
//!   leaves. Low confidence.
//! - One side leaves between the server's hello and the end of the handshake: scanners and health monitors do so, too. A
//!   notice, of low confidence.
//!
//! A kind is critical from 10 failures that are half of the hellos that these servers got, a warning from 10 failures or a tenth
//! of the hellos, else a notice; these are ours. Where bytes are missing nothing is judged: a flow with a hole in its handshake
//! is left alone, and in a capture that lost packets confidence is low for what rests on silence.

use std::collections::BTreeMap;

use serde_json::json;
use tidegate_core::flow::{Key, Note, Role, State};

use super::cases::{Cases, Verdict, percent};
use super::groups::Groups;
use crate::capture::flag;
use crate::capture::tls::{Hello, records};
use crate::flows::cold::eager;
use crate::flows::found::{Found, Frame};
use crate::flows::look::{Bucket, Ended, Look};
use crate::flows::summary::Summary;
use talk::{Kind, Said, Stage, Then, request};
use tally::{Failure, Server, confidence, severity};

mod talk;
mod tally;

/// Handshakes under way that are followed, at most; later ones are not judged. About 200 bytes each.
const TALKS_MAX: usize = 1 << 15;
/// Servers, and kinds of failure by server, at most.
const GROUPS: usize = 4096;
/// Kinds that are told, at most.
const KINDS_MAX: usize = 8;
/// Packets of a flow after which its handshake counts as done.
const PACKETS_MAX: u32 = 64;
/// Milliseconds without an answer after which there is none.
const SILENCE: u32 = 10_000;

/// What is remembered.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tls {
    talks: BTreeMap<Key, Talk>,
    servers: Groups<(u32, u16), Server, GROUPS>,
    failures: Groups<(Kind, u32, u16), Failure, GROUPS>,
    unjudged: u64,
}

/// A handshake under way.
#[derive(Clone, Debug)]
struct Talk {
    stage: Stage,
    bucket: Bucket,
    ms: u32,
    at: tidegate_core::time::Nanos,
    frame: Frame,
    name: Option<Box<str>>,
    newest: u16,
    /// The server was heard before the hello: there was a way back.
    heard: bool,
}

impl Tls {
    /// Whether such a segment is to be shown: what the machine made of it, and its flags.
    pub fn wants(note: Note, _flags: u8) -> bool {
        !matches!(note, Note::Invalid(_) | Note::Late | Note::Orphan | Note::Keepalive)
    }

    /// Looks at a segment.
    pub fn note(&mut self, look: &mut Look<'_, '_>) {
        if !Self::wants(look.step.note, look.tcp.flags) || look.flow.is_none() {
            return;
        }
        if look.cold.eager & eager::TLS == 0 {
            self.begin(look);
            return;
        }
        let Some(talk) = self.talks.get_mut(&look.key) else { return };
        let missing = matches!(look.step.note, Note::Hole | Note::Gap) || look.cold.packets > PACKETS_MAX;
        let then = if missing { Then::Over } else { talk.stage.hear(&said(look, talk.ms)) };
        let (before, bucket) = (talk.stage, talk.bucket);
        match then {
            Then::Wait(stage) => talk.stage = stage,
            Then::Over => self.end(look),
            Then::Failed(Kind::Unanswered) if !talk.heard => self.end(look),
            Then::Failed(kind) => {
                let talk = talk.clone();
                let failure = self.failures.of((kind, bucket.server, bucket.port));
                failure.add(&talk);
                failure.cases.see(look);
                failure.cases.show(talk.frame);
                self.end(look);
            }
        }
        if matches!(before, Stage::Asked | Stage::AskedAgain) {
            self.answered(look, bucket);
        }
    }

    /// An incarnation is no longer in the table.
    pub fn over(&mut self, ended: &Ended) {
        let Some(talk) = self.talks.remove(&ended.key) else { return };
        if talk.silent(ended.ms) {
            self.failures.of(talk.unanswered()).count(&talk);
        }
    }

    /// Takes over what another shard remembers.
    pub fn absorb(&mut self, other: Self) {
        self.talks.extend(other.talks);
        self.servers.absorb(other.servers, Server::absorb);
        self.failures.absorb(other.failures, Failure::absorb);
        self.unjudged = self.unjudged.saturating_add(other.unjudged);
    }

    /// What it comes to.
    pub fn find(&self, sum: &Summary<'_>) -> Vec<Found> {
        let mut failures = self.failures.clone();
        for talk in self.talks.values().filter(|talk| talk.silent(sum.ms(sum.to))) {
            failures.of(talk.unanswered()).count(talk);
        }
        let mut kinds: BTreeMap<Kind, Vec<(u32, u16, &Failure)>> = BTreeMap::new();
        for ((kind, server, port), failure) in failures.heaviest() {
            let speaks_tls = self.servers.get((server, port)).is_some_and(|server| server.agreed > 0);
            if kind != Kind::Plain || speaks_tls {
                kinds.entry(kind).or_default().push((server, port, failure));
            }
        }
        let mut found: Vec<Found> =
            kinds.iter().filter_map(|(kind, failures)| self.found(*kind, failures, sum)).collect();
        found.sort_by_key(|found| std::cmp::Reverse((found.severity, found.count)));
        found.truncate(KINDS_MAX);
        found
    }

    /// Begins to follow a handshake, if this is one.
    fn begin(&mut self, look: &mut Look<'_, '_>) {
        let responder_spoke = look.cold.has(crate::flows::cold::bit::DATA, look.side.other());
        if look.role != Role::Initiator || look.tcp.data.is_empty() || responder_spoke {
            return;
        }
        let (stage, name, newest) = match records(look.tcp.data).next().and_then(|record| record.hello()) {
            Some(Hello::Client(hello)) => (Stage::Asked, hello.name.map(Box::from), hello.newest),
            None if request(look.tcp.data) => (Stage::Plain, None, 0),
            _ => return,
        };
        let server = self.servers.of((look.bucket.server, look.bucket.port));
        let count = if stage == Stage::Plain { &mut server.plain } else { &mut server.asked };
        *count = count.saturating_add(1);
        if self.talks.len() >= TALKS_MAX {
            self.unjudged = self.unjudged.saturating_add(1);
            return;
        }
        look.cold.eager |= eager::TLS;
        let heard = look.cold.ip(look.side.other()).is_some();
        let (bucket, ms, at, frame) = (look.bucket, look.ms, look.at, look.frame);
        self.talks.insert(look.key, Talk { stage, bucket, ms, at, frame, name, newest, heard });
    }

    fn end(&mut self, look: &mut Look<'_, '_>) {
        look.cold.eager &= !eager::TLS;
        self.talks.remove(&look.key);
    }

    /// Counts a server's hello, if this segment has it.
    fn answered(&mut self, look: &Look<'_, '_>, bucket: Bucket) {
        if look.role != Role::Responder {
            return;
        }
        let hello = records(look.tcp.data).find_map(|record| record.hello());
        if let Some(Hello::Server(hello)) = hello.filter(|hello| matches!(hello, Hello::Server(told) if !told.retry)) {
            let server = self.servers.of((bucket.server, bucket.port));
            server.agreed = server.agreed.saturating_add(1);
            server.version = server.version.max(hello.version);
        }
    }

    fn found(&self, kind: Kind, failures: &[(u32, u16, &Failure)], sum: &Summary<'_>) -> Option<Found> {
        let (mut cases, mut all) = (Cases::default(), Server::default());
        for (server, port, failure) in failures {
            cases.absorb(failure.cases.clone());
            all.absorb(self.servers.get((*server, *port)).cloned().unwrap_or_default());
        }
        let asked = if kind == Kind::Plain { all.plain.saturating_add(all.asked) } else { all.asked };
        let (severity, confidence) = (severity(kind, cases.count(), asked), confidence(kind, sum));
        let facts = [
            ("hellos", json!(all.asked)),
            ("server_hellos", json!(all.agreed)),
            ("failed_percent", percent(cases.count(), asked)),
            ("servers", json!(failures.len())),
            ("not_judged", json!(self.unjudged)),
        ];
        let groups = failures.iter().map(|(server, port, failure)| {
            let told = self.servers.get((*server, *port)).cloned().unwrap_or_default();
            failure.group(sum.hosts.socket(*server, *port), &told)
        });
        let verdict = Verdict { finding: "handshake-failed", severity, confidence, outcome: kind.to_string() };
        cases.found(verdict, sum, facts, groups.collect())
    }
}

impl Talk {
    /// Whether its hello was not answered by a time, in milliseconds since the first packet, though it could have been.
    fn silent(&self, now: u32) -> bool {
        self.stage == Stage::Asked && self.heard && now.saturating_sub(self.ms) >= SILENCE
    }

    fn unanswered(&self) -> (Kind, u32, u16) {
        (Kind::Unanswered, self.bucket.server, self.bucket.port)
    }
}

fn said<'a>(look: &Look<'a, '_>, asked: u32) -> Said<'a> {
    let flags = look.tcp.flags;
    let reset = flags & flag::RST != 0 && look.step.after == State::Closed;
    Said {
        by: look.role,
        data: look.tcp.data,
        cut: look.tcp.data.len() < look.tcp.length as usize,
        leaves: if reset { flag::RST } else { flags & flag::FIN },
        age: look.ms.saturating_sub(asked),
    }
}

#[cfg(test)]
mod tests;
