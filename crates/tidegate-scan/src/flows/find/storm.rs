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
//! Clients are counted, sampled for how often and how they come back ([`Times`], [`Retries`]) and for the name that they ask for
//! in TLS, and the heaviest of them and of their networks (/24; single hosts where addresses are no plain IPv4) are named.

use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use tidegate_core::flow::{Key, Note, Role, State};

use super::groups::{Groups, Weight};
use super::retries::{Retries, attempts};
use super::sample::Sample;
use super::series::Series;
use super::shape::Times;
use crate::capture::flag;
use crate::capture::tls::{Hello, records};
use crate::flows::cold::bit;
use crate::flows::found::{Confidence, Firsts, Found, GROUPS_MAX, Group, Severity};
use crate::flows::look::{Ended, Look};
use crate::flows::summary::Summary;

/// Width of a window, in milliseconds.
const WINDOW: u32 = 10_000;
/// Windows before one that it is compared with: a minute.
const BEFORE: usize = 6;
/// New connections of a window that can be a storm.
const MANY: u64 = 100;
/// So many times the average before.
const TIMES: f64 = 4.0;
/// So many standard deviations above it.
const DEVIATIONS: f64 = 6.0;
/// Server ports that are told apart, at most: about 35 KB each when all its clients come in turn.
const TARGETS: usize = 2048;
/// Clients, and networks of them, that are told apart per server port, at most.
const CLIENTS: usize = 512;
/// Names that clients asked for, as far as they are told.
const NAMES: usize = 5;

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

#[derive(Clone, Debug, Default)]
struct Target {
    windows: Series<2, WINDOW, 1024>,
    came: u64,
    clients: Sample<u32, Client, 128>,
    hosts: Groups<u32, u32, CLIENTS>,
    nets: Groups<u32, u32, CLIENTS>,
    first: Firsts,
    failed: Firsts,
}

/// A client of the sample.
#[derive(Clone, Debug, Default)]
struct Client {
    came: u32,
    times: Times,
    /// The name that it asked for first, in its TLS hello; milliseconds since the first packet.
    name: Option<(u32, Box<str>)>,
}

impl Client {
    fn absorb(&mut self, other: Self) {
        self.came = self.came.saturating_add(other.came);
        self.times.absorb(other.times);
        self.named(other.name);
    }

    fn named(&mut self, name: Option<(u32, Box<str>)>) {
        self.name = [self.name.take(), name].into_iter().flatten().min();
    }
}

impl Weight for Target {
    fn weight(&self) -> u64 {
        self.came
    }
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
        let frames = if target.failed.frames().is_empty() { &target.first } else { &target.failed };
        let fails = !sum.one_sided && judged.failed.saturating_mul(5) >= judged.came;
        Found {
            finding: "connection-storm",
            severity: if fails { Severity::Critical } else { Severity::Warning },
            confidence: match judged.z {
                _ if sum.one_sided => Confidence::Low,
                Some(z) if z >= DEVIATIONS && judged.windows_before >= BEFORE / 2 => Confidence::High,
                _ => Confidence::Medium,
            },
            outcome: Some(if fails { "server does not keep up" } else { "served" }.to_owned()),
            count: judged.came,
            first: sum.at(judged.begins),
            last: sum.at(judged.ends).min(sum.to),
            frames: frames.frames(),
            groups: target.groups(sum),
            facts,
            timeline: judged.line.iter().map(|(ms, came)| [sum.at(*ms) / 1_000_000_000, *came]).collect(),
            ladder: None,
        }
    }
}

impl Target {
    fn come(&mut self, look: &Look<'_, '_>) {
        let client = look.bucket.client;
        self.windows.add(look.ms, CAME, 1);
        self.came = self.came.saturating_add(1);
        for (groups, key) in [(&mut self.hosts, client), (&mut self.nets, net(client))] {
            let count = groups.of(key);
            *count = count.saturating_add(1);
        }
        if let Some(kept) = self.clients.of(client) {
            kept.came = kept.came.saturating_add(1);
            kept.times.add(look.ms);
        }
        self.first.add(look.frame);
    }

    fn fail(&mut self, look: &Look<'_, '_>) {
        self.windows.add(look.ms, FAILED, 1);
        self.failed.add(look.frame);
    }

    fn absorb(&mut self, other: Self) {
        self.windows.absorb(other.windows);
        self.came = self.came.saturating_add(other.came);
        self.clients.absorb(other.clients, Client::absorb);
        let add = |mine: &mut u32, other: u32| *mine = mine.saturating_add(other);
        self.hosts.absorb(other.hosts, add);
        self.nets.absorb(other.nets, add);
        self.first.absorb(other.first);
        self.failed.absorb(other.failed);
    }

    /// The names that most clients of the sample asked for, and how many did.
    fn names(&self) -> Value {
        let mut names: BTreeMap<&str, u64> = BTreeMap::new();
        for (_, name) in self.clients.each().filter_map(|(_, client)| client.name.as_ref()) {
            let count = names.entry(name).or_default();
            *count = count.saturating_add(1);
        }
        let mut names: Vec<(&str, u64)> = names.into_iter().collect();
        names.sort_by_key(|(name, count)| (std::cmp::Reverse(*count), *name));
        names.into_iter().take(NAMES).map(|(name, count)| (name.to_owned(), json!(count))).collect::<Map<_, _>>().into()
    }

    /// The heaviest networks, or the heaviest hosts if a network has one only.
    fn groups(&self, sum: &Summary<'_>) -> Vec<Group> {
        let hosts = self.hosts.heaviest();
        let group = |(key, count): (u32, &u32)| {
            let of: Vec<_> = hosts.iter().filter(|(host, _)| net(*host) == key).collect();
            let who = match of.as_slice() {
                [(only, _)] => sum.hosts.name(*only),
                _ => format!("{}/24", sum.hosts.name(key)),
            };
            let share = f64::from(*count) * 1000.0 / self.came.max(1) as f64;
            let mut facts = Map::new();
            facts.insert("clients".to_owned(), json!(of.len()));
            facts.insert("share_percent".to_owned(), json!(share.round() / 10.0));
            if let Some((heaviest, came)) = of.first() {
                facts.insert("heaviest".to_owned(), json!(sum.hosts.name(*heaviest)));
                facts.insert("heaviest_connections".to_owned(), json!(came));
            }
            Group { who, count: u64::from(*count), facts }
        };
        self.nets.heaviest().into_iter().take(GROUPS_MAX).map(group).collect()
    }
}

/// The network of a client: its /24, or itself if its number is no plain IPv4 address.
fn net(client: u32) -> u32 {
    if client < 0xf000_0000 { client & 0xffff_ff00 } else { client }
}

/// A storm, from its first window to its last.
#[derive(Clone, Debug, PartialEq)]
struct Judged {
    /// Milliseconds since the first packet.
    begins: u32,
    ends: u32,
    came: u64,
    failed: u64,
    /// The most in a window, and how wide that is in seconds.
    most: u64,
    seconds: f64,
    /// The average of windows before it, how many those are, and how improbable the first window is.
    before: f64,
    windows_before: usize,
    z: Option<f64>,
    /// Of all windows: when, and how many came.
    line: Vec<(u32, u64)>,
}

/// The first storm of a server port, if there is one. `end`: of the capture. `answers`: failures can be seen.
fn judge(windows: &Series<2, WINDOW, 1024>, end: u32, answers: bool) -> Option<Judged> {
    let many = MANY.saturating_mul(windows.wider());
    let positive = |sum: i32| u64::try_from(sum).unwrap_or(0);
    let at = |number: u32| windows.at(number).map(positive);
    let z = |number: u32, came: u64| {
        let (before, count) = average(windows, number);
        let deviation = (before.max(1.0) * (1.0 + 1.0 / count as f64)).sqrt();
        (before, count, (count > 0).then(|| (came as f64 - before) / deviation))
    };
    let begins = windows.windows().find_map(|(number, lanes)| {
        let [came, failed] = lanes.map(positive);
        let (before, count, z) = z(number, came);
        let sudden = z.is_some_and(|z| z >= DEVIATIONS && came as f64 >= TIMES * before);
        let fails = answers && failed.saturating_mul(2) >= came;
        (came >= many && (sudden || fails)).then_some((number, came, before, count, z))
    });
    let (first, came, before, windows_before, z) = begins?;
    let last = windows.number(end);
    let goes_on = |number: &u32| at(*number).first().is_some_and(|more| more.saturating_mul(2) >= came);
    let storm = || (first..=last).take_while(goes_on).map(|number| (number, at(number)));
    let sum = |lane: usize| storm().filter_map(|(_, lanes)| lanes.get(lane).copied()).fold(0, u64::saturating_add);
    let final_one = storm().last().map_or(first, |(number, _)| number);
    Some(Judged {
        begins: windows.begins(first),
        ends: windows.begins(final_one.saturating_add(1)),
        came: sum(CAME),
        failed: sum(FAILED),
        most: storm().filter_map(|(_, lanes)| lanes.first().copied()).max().unwrap_or(came),
        seconds: windows.width() as f64 / 1000.0,
        before,
        windows_before,
        z,
        line: windows.windows().map(|(number, [came, _])| (windows.begins(number), positive(came))).collect(),
    })
}

/// What the minute before a window had on average per window, and of how many windows that is.
fn average(windows: &Series<2, WINDOW, 1024>, number: u32) -> (f64, usize) {
    let first = number.saturating_sub(BEFORE as u32);
    let count = number.saturating_sub(first);
    let all =
        (first..number).map(|number| u64::try_from(windows.at(number)[CAME]).unwrap_or(0)).fold(0, u64::saturating_add);
    (all as f64 / f64::from(count.max(1)), count as usize)
}

fn facts(target: &Target, judged: &Judged) -> BTreeMap<&'static str, Value> {
    let mut often: Vec<u32> = target.clients.each().map(|(_, client)| client.came).collect();
    often.sort_unstable();
    let tenths = |number: f64| json!((number * 10.0).round() / 10.0);
    let mut facts = BTreeMap::from([
        ("connections", json!(judged.came)),
        ("failed_percent", tenths(judged.failed.min(judged.came) as f64 * 100.0 / judged.came.max(1) as f64)),
        ("most_per_s", tenths(judged.most as f64 / judged.seconds)),
        ("before_per_s", json!(judged.z.map(|_| (judged.before / judged.seconds * 10.0).round() / 10.0))),
        ("times_before", json!(judged.z.map(|_| (judged.most as f64 / judged.before.max(1.0)).round()))),
        ("z", json!(judged.z.map(f64::round))),
        ("clients", json!(target.clients.distinct())),
        ("clients_estimated", json!(!target.clients.whole())),
        ("clients_by_server_name", target.names()),
        ("connections_per_client_median", json!(often.get(often.len() / 2))),
    ]);
    facts.extend(super::retries::comebacks(target.clients.each().map(|(_, client)| &client.times)));
    facts
}

#[cfg(test)]
mod tests;
