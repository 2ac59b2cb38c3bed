//! Half-open connections: how many, and which side is at fault.
//!
//! A connection hangs when it stays half-open for 3 s: by then its first packet was repeated twice (RFC 6298 §2.1 and §5.5: after
//! 1 and 3 s). It was never answered at all, and the server is at fault, its backlog, or what stands before it; or the SYN-ACK was
//! not acknowledged, and the client is (invented addresses, or answers that go astray). Both are counted per server port in
//! windows of 10 s, by the time of the first SYN.
//!
//! - **notice**: 5 of a window's new connections hang, and they are at least half of them.
//! - **warning**: 20 do.
//! - **critical**: besides, 128 are half-open at the end of a window: the backlog of a listening socket in Linux before 5.4
//!   (`net.core.somaxconn`; 4096 since). In the gauge a connection stays for as long as Linux keeps it
//!   (`nf_conntrack_tcp_timeout_syn_sent` and `_syn_recv`).
//!
//! Withheld where the capture shows no answer to anybody, and for a server whose clients go on as if it had answered: one
//! direction was not captured. What a SYN flood pushed out of a full table counts as hanging.

use serde_json::{Map, json};
use std::collections::BTreeMap;
use tidegate_core::flow::{Flow, Invalid, Note, State, profile};
use tidegate_core::time::Nanos;

use super::groups::{Groups, Weight};
use super::sample::Sample;
use super::series::Series;
use crate::capture::flag;
use crate::flows::cold::{Cold, bit};
use crate::flows::found::{Confidence, Firsts, Found, Frame, GROUPS_MAX, Group, Severity};
use crate::flows::look::{Bucket, Ended, Leaving, Look};
use crate::flows::summary::Summary;

/// Half-open for so long: it hangs. Milliseconds.
const HANGS: u32 = 3_000;
/// Width of a window, in milliseconds.
const WINDOW: u32 = 10_000;
/// So many hang in a window: a notice.
const SOME: u64 = 5;
/// A warning.
const MANY: u64 = 20;
/// So many half-open at once: critical.
const BACKLOG: u64 = 128;
/// Server ports that are told apart, at most: 20 KB each when something happens in a thousand windows.
const TARGETS: usize = 4096;

/// New connections.
const OPENED: usize = 0;
/// Those of them that hang without an answer.
const UNANSWERED: usize = 1;
/// Those of them that hang without the client's last word.
const UNACKNOWLEDGED: usize = 2;
/// Half-open connections more, or less.
const CHANGE: usize = 3;

/// A server's host and port.
type Server = (u32, u16);

/// What is remembered.
#[derive(Clone, Debug, Default)]
pub(crate) struct HalfOpen {
    targets: Groups<Server, Target, TARGETS>,
}

#[derive(Clone, Debug, Default)]
struct Target {
    windows: Series<4, WINDOW, 1024>,
    opened: u64,
    /// Clients went on though no answer was seen.
    astray: u64,
    /// Repeated SYNs of connections that hang.
    repeated: u64,
    /// How often each client hangs.
    clients: Sample<u32, u32, 64>,
    frames: Firsts,
}

impl Weight for Target {
    fn weight(&self) -> u64 {
        self.opened
    }
}

impl HalfOpen {
    /// Whether such a segment is to be shown: what the machine made of it, and its flags.
    pub fn wants(note: Note, flags: u8) -> bool {
        let on = flags & (flag::SYN | flag::RST | flag::ACK) == flag::ACK;
        match note {
            Note::Opened | Note::Renewed | Note::Established | Note::RetrySucceeded => true,
            Note::Invalid(Invalid::Unexpected) => on,
            _ => false,
        }
    }

    /// Looks at a segment.
    pub fn note(&mut self, look: &mut Look<'_, '_>) {
        if look.flow.is_none() {
            return;
        }
        match look.step.note {
            Note::Opened | Note::Renewed => {
                let target = self.targets.of(server(look.bucket));
                target.windows.add(look.ms, OPENED, 1);
                target.opened = target.opened.saturating_add(1);
            }
            Note::Established | Note::RetrySucceeded => self.gauge(look.bucket, look.cold, Some(look.ms)),
            Note::Invalid(_) if look.step.before == State::SynSent => {
                let target = self.targets.of(server(look.bucket));
                target.astray = target.astray.saturating_add(1);
            }
            _ => {}
        }
    }

    /// An incarnation is no longer in the table.
    pub fn over(&mut self, ended: &Ended) {
        let hangs = ended.how == Leaving::Evicted || ended.ms.saturating_sub(ended.cold.first) >= HANGS;
        if hangs {
            self.hang(ended.bucket, &ended.flow, &ended.cold, (ended.at, ended.ms));
        }
    }

    /// Takes over what another shard remembers.
    pub fn absorb(&mut self, other: Self) {
        self.targets.absorb(other.targets, |mine, other| {
            mine.windows.absorb(other.windows);
            mine.opened = mine.opened.saturating_add(other.opened);
            mine.astray = mine.astray.saturating_add(other.astray);
            mine.repeated = mine.repeated.saturating_add(other.repeated);
            mine.clients.absorb(other.clients, |times, more| *times = times.saturating_add(more));
            mine.frames.absorb(other.frames);
        });
    }

    /// What it comes to.
    pub fn find(&self, sum: &Summary<'_>) -> Vec<Found> {
        let mut all = self.clone();
        let end = (Nanos(sum.to), sum.ms(sum.to));
        for live in sum.live.iter().filter(|live| end.1.saturating_sub(live.cold.first) >= HANGS) {
            all.hang(live.bucket, live.flow, live.cold, end);
        }
        let mut judged: Vec<(Server, &Target, Judged)> = all
            .targets
            .heaviest()
            .into_iter()
            .filter_map(|(server, target)| Some((server, target, judge(target)?)))
            .collect();
        judged.sort_by_key(|(server, _, judged)| (std::cmp::Reverse((judged.severity, judged.hang)), *server));
        found(&judged, sum, all.targets.dropped()).into_iter().collect()
    }

    /// A flow that never got further, if it is one.
    fn hang(&mut self, bucket: Bucket, flow: &Flow, cold: &Cold, (at, ms): (Nanos, u32)) {
        let answered = cold.has(bit::HEARD, flow.initiator().other());
        let lane = match flow.state() {
            State::SynSent if !answered => UNANSWERED,
            State::SynReceived if cold.has(bit::SYN, flow.initiator()) => UNACKNOWLEDGED,
            _ => return,
        };
        let gone = flow.overdue(at, &profile::LINUX).map(|late| ms.saturating_sub(millis(late.0)));
        self.gauge(bucket, cold, gone);
        let target = self.targets.of(server(bucket));
        target.windows.add(cold.first, lane, 1);
        target.repeated = target.repeated.saturating_add(u64::from(cold.tries.saturating_sub(1)));
        if let Some(times) = target.clients.of(bucket.client) {
            *times = times.saturating_add(1);
        }
        let frame = Frame { number: u64::from(cold.first), file: u32::from(cold.file), frame: u64::from(cold.frame) };
        target.frames.add(frame);
    }

    /// It was half-open from its first packet on, and is no more from then on.
    fn gauge(&mut self, bucket: Bucket, cold: &Cold, gone: Option<u32>) {
        if gone.is_some_and(|gone| gone / WINDOW == cold.first / WINDOW) {
            return;
        }
        let target = self.targets.of(server(bucket));
        target.windows.add(cold.first, CHANGE, 1);
        if let Some(gone) = gone {
            target.windows.add(gone, CHANGE, -1);
        }
    }
}

fn server(bucket: Bucket) -> Server {
    (bucket.server, bucket.port)
}

fn millis(nanos: u64) -> u32 {
    u32::try_from(nanos / 1_000_000).unwrap_or(u32::MAX)
}

/// What the windows of a server port say.
#[derive(Clone, Debug, Default)]
struct Judged {
    severity: Option<Severity>,
    /// Connections that hang, in windows that say so.
    hang: u64,
    unanswered: u64,
    unacknowledged: u64,
    /// The most that hang in a window.
    most: u64,
    /// The most that are half-open at the end of a window.
    peak: u64,
    /// By window: when it begins in milliseconds since the first packet, and how many hang.
    line: Vec<(u32, u64)>,
}

/// `None`: nothing to tell, or not to be told from what was captured.
fn judge(target: &Target) -> Option<Judged> {
    let mut judged = Judged::default();
    let mut open = 0i64;
    for (number, lanes) in target.windows.windows() {
        let [opened, unanswered, unacknowledged, change] = lanes;
        open = open.saturating_add(i64::from(change));
        judged.peak = judged.peak.max(u64::try_from(open).unwrap_or(0));
        let [opened, unanswered, unacknowledged] = [opened, unanswered, unacknowledged].map(count);
        let hang = unanswered.saturating_add(unacknowledged);
        if hang < SOME.saturating_mul(target.windows.wider()) || hang.saturating_mul(2) < opened {
            continue;
        }
        judged.most = judged.most.max(hang);
        judged.hang = judged.hang.saturating_add(hang);
        judged.unanswered = judged.unanswered.saturating_add(unanswered);
        judged.unacknowledged = judged.unacknowledged.saturating_add(unacknowledged);
        judged.line.push((target.windows.begins(number), hang));
    }
    let many = judged.most >= MANY.saturating_mul(target.windows.wider());
    judged.severity = Some(match (many, judged.peak >= BACKLOG) {
        (true, true) => Severity::Critical,
        (true, false) => Severity::Warning,
        (false, _) => Severity::Notice,
    });
    let astray = target.astray.saturating_mul(10) >= judged.hang;
    (judged.hang > 0 && !astray).then_some(judged)
}

fn count(sum: i32) -> u64 {
    u64::try_from(sum).unwrap_or(0)
}

/// How it came, in words, and who is at fault.
fn outcome(target: &Target, judged: &Judged) -> (&'static str, &'static str) {
    if judged.unanswered >= judged.unacknowledged {
        let silent = judged.unanswered >= target.opened;
        return (if silent { "server silent" } else { "server drops SYNs" }, "server");
    }
    // Whoever invents addresses does not use one twice.
    let once = target.clients.distinct().saturating_mul(10) >= judged.hang.saturating_mul(9);
    (if once && judged.most >= MANY { "clients invented" } else { "clients silent" }, "clients")
}

fn found(judged: &[(Server, &Target, Judged)], sum: &Summary<'_>, dropped: u64) -> Option<Found> {
    let (server, target, worst) = judged.first()?;
    let (outcome, fault) = outcome(target, worst);
    let answers = worst.unanswered < target.opened;
    let mut line: BTreeMap<u64, u64> = BTreeMap::new();
    let mut frames = Firsts::default();
    for (_, target, judged) in judged {
        frames.absorb(target.frames.clone());
        for (ms, hang) in &judged.line {
            let sum = line.entry(sum.at(*ms) / 1_000_000_000).or_default();
            *sum = sum.saturating_add(*hang);
        }
    }
    let of = |part: fn(&Judged) -> u64| judged.iter().fold(0u64, |all, (.., one)| all.saturating_add(part(one)));
    let times = || judged.iter().flat_map(|(.., one)| one.line.iter().map(|(ms, _)| *ms));
    let width = u32::try_from(target.windows.width()).unwrap_or(u32::MAX);
    Some(Found {
        finding: "half-open",
        severity: worst.severity?,
        confidence: if answers { Confidence::High } else { Confidence::Medium },
        outcome: Some(outcome.to_owned()),
        count: of(|one| one.hang),
        first: sum.at(times().min()?),
        last: sum.at(times().max()?.saturating_add(width)).min(sum.to),
        frames: frames.frames(),
        groups: judged.iter().take(GROUPS_MAX).map(|(server, target, one)| group(*server, target, one, sum)).collect(),
        facts: BTreeMap::from([
            ("server", json!(sum.hosts.socket(server.0, server.1))),
            ("at_fault", json!(fault)),
            ("unanswered", json!(of(|one| one.unanswered))),
            ("unacknowledged", json!(of(|one| one.unacknowledged))),
            ("most_half_open", json!(worst.peak)),
            ("most_per_window", json!(worst.most)),
            ("window_s", json!(target.windows.width() / 1000)),
            ("clients", json!(target.clients.distinct())),
            ("servers", json!(judged.len())),
            ("cut", json!(dropped)),
        ]),
        timeline: line.into_iter().map(|(second, hang)| [second, hang]).collect(),
        ladder: None,
    })
}

fn group(server: Server, target: &Target, judged: &Judged, sum: &Summary<'_>) -> Group {
    let (outcome, fault) = outcome(target, judged);
    let facts = [
        ("outcome", json!(outcome)),
        ("at_fault", json!(fault)),
        ("opened", json!(target.opened)),
        ("unanswered", json!(judged.unanswered)),
        ("unacknowledged", json!(judged.unacknowledged)),
        ("repeated_syns", json!(target.repeated)),
        ("most_half_open", json!(judged.peak)),
        ("clients", json!(target.clients.distinct())),
    ];
    let facts: Map<_, _> = facts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    Group { who: sum.hosts.socket(server.0, server.1), count: judged.hang, facts }
}

#[cfg(test)]
mod tests;
