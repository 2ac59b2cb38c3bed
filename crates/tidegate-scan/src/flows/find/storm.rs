//! Connection storms: who comes, how fast, and how they retry.
//!
//! New connections (SYNs; repeated ones are retries) are counted per server port in windows of 10 s. A storm begins with a window
//!
//! - of 100 or more, which is 4 times what the minute before it had on average and improbable by chance: 6 standard deviations
//!   of a Poisson process with that average (z; the average is itself an estimate, which the deviation takes into account); or
//! - of 100 or more of which at least half fail: refused, or the SYN was repeated. This needs no time before it, but answers.
//!
//! and goes on while windows have half as many. It is a **warning**; **critical** if a fifth of it fails: the server does not
//! keep up, and every client that comes back makes it worse. Of a capture with one direction only the rate is judged, with low
//! confidence.
//!
//! Clients are counted, sampled for how often and how they come back ([`Retries`]) and for the name that they ask for
//! in TLS, and the heaviest of them and of their networks (/24; single hosts where addresses are no plain IPv4) are named.

use serde_json::json;
use tidegate_core::flow::{Key, Note, Role, State};

use judge::{Judged, judge};
use target::{Target, facts};

use super::groups::Groups;
use super::retries::{Retries, attempts};
use super::sample::Sample;
use crate::capture::flag;
use crate::capture::tls::{Hello, records};
use crate::flows::cold::bit;
use crate::flows::found::{Confidence, Found, Severity};
use crate::flows::look::{Ended, Look};
use crate::flows::summary::Summary;

/// Width of a window, in milliseconds.
const WINDOW: u64 = 10_000;
/// Server ports that are told apart, at most: about 35 KB each when all its clients come in turn.
const TARGETS: usize = 2048;
/// How the handshake of TLS begins.
const HELLO: &[u8] = &[22, 3];

/// New connections.
const CAME: usize = 0;
/// Of those that failed: by the time of the failure.
const FAILED: usize = 1;

/// A server's host and port.
type Server = (u32, u16);

/// What is remembered.
#[derive(Clone, Debug, Default)]
pub(crate) struct Storm {
    targets: Groups<Server, Target, TARGETS>,
    /// When SYNs were repeated, of a sample of connections.
    retries: Sample<(Key, u16), Retries, 1024>,
}

impl Storm {
    /// Whether such a segment is to be shown: what the machine made of it, and its flags.
    pub fn wants(note: Note, flags: u8) -> bool {
        let syn = flags & (flag::SYN | flag::ACK) == flag::SYN;
        let comes = matches!(note, Note::Opened | Note::Renewed | Note::NewAttempt | Note::Collision | Note::Again);
        comes && syn || matches!(note, Note::Refused | Note::Quiet)
    }

    /// Looks at a segment.
    pub fn note(&mut self, look: &mut Look<'_, '_>) {
        let server = (look.bucket.server, look.bucket.port);
        match look.step.note {
            note if look.before.copied(note, look.at) => {}
            Note::Opened | Note::Renewed | Note::NewAttempt | Note::Collision => self.targets.of(server).come(look),
            Note::Again if look.role == Role::Initiator && look.step.before == State::SynSent => {
                self.retry(look, server)
            }
            Note::Refused => self.targets.of(server).fail(look),
            Note::Quiet if look.role == Role::Initiator => self.name(look, server),
            _ => {}
        }
    }

    /// An incarnation is no longer in the table.
    pub fn over(&mut self, _ended: &Ended) {}

    /// Takes over what another shard remembers.
    pub fn absorb(&mut self, other: Self) {
        self.targets.absorb(other.targets, Target::absorb);
        self.retries.absorb(other.retries, Retries::absorb);
    }

    /// What it comes to: a finding for each server port, the three worst.
    pub fn find(&self, sum: &Summary<'_>) -> Vec<Found> {
        const WORST: usize = 3;
        let judge = |(server, target): (Server, &Target)| {
            let judged = judge(&target.windows, sum.ms(sum.to), !sum.one_sided)?;
            Some((server, judged.came, self.found(server, target, &judged, sum)))
        };
        let mut all: Vec<_> = self.targets.heaviest().into_iter().filter_map(judge).collect();
        all.sort_by_key(|(server, came, found)| (std::cmp::Reverse((found.severity, *came)), *server));
        all.into_iter().take(WORST).map(|(.., found)| found).collect()
    }

    /// Keeps the name in a hello, of clients in the sample. A connection without its SYN is not among those that are counted.
    fn name(&mut self, look: &Look<'_, '_>, server: Server) {
        if !look.tcp.data.starts_with(HELLO) || !look.cold.has(bit::SYN, look.side) {
            return;
        }
        let client = self.targets.get_mut(server).and_then(|target| target.clients.get_mut(look.bucket.client));
        if let Some(client) = client
            && let Some(Hello::Client(hello)) = records(look.tcp.data).next().and_then(|record| record.hello())
        {
            client.named(hello.name.map(|name| (look.ms, Box::from(name))));
        }
    }

    fn retry(&mut self, look: &Look<'_, '_>, server: Server) {
        // Its first retry: the connection failed once, however often it is tried.
        if look.cold.tries <= 2 {
            self.targets.of(server).fail(look);
        }
        let generation = look.flow.map_or(0, tidegate_core::flow::Flow::generation);
        if let Some(retries) = self.retries.of((look.key, generation)) {
            retries.add(server, look.cold.first, look.ms);
        }
    }

    fn found(&self, server: Server, target: &Target, judged: &Judged, sum: &Summary<'_>) -> Found {
        let mut facts = facts(target, judged);
        facts.extend(attempts(self.retries.each().map(|(_, retries)| retries), server));
        facts.insert("server", json!(sum.hosts.socket(server.0, server.1)));
        facts.insert("cut", json!(self.targets.dropped()));
        let fails = !sum.one_sided && judged.failed.saturating_mul(5) >= judged.came;
        let outcome = match (sum.one_sided, fails) {
            (true, _) => "answers not seen",
            (false, true) => "server does not keep up",
            (false, false) => "answered",
        };
        Found {
            finding: "connection-storm",
            severity: if fails { Severity::Critical } else { Severity::Warning },
            confidence: match (sum.one_sided, judged.sudden()) {
                (true, _) => Confidence::Low,
                (false, true) => Confidence::High,
                (false, false) => Confidence::Medium,
            },
            outcome: Some(outcome.to_owned()),
            count: judged.came,
            first: sum.at(judged.begins),
            last: sum.at(judged.ends).min(sum.to),
            frames: target.frames(judged.begins),
            groups: target.groups(sum),
            facts,
            timeline: judged.line.iter().map(|(ms, came)| [sum.window(*ms, WINDOW), *came]).collect(),
            ladder: None,
        }
    }
}

mod judge;
mod target;
#[cfg(test)]
mod tests;
