//! What windows of half-open connections come to.

use serde_json::json;
use std::collections::BTreeMap;

use super::{Server, Target, WINDOW};
use crate::flows::find::cases::group;
use crate::flows::found::{Confidence, Firsts, Found, GROUPS_MAX, Group, Severity};
use crate::flows::summary::Summary;

/// So many hang in a window: a notice.
const SOME: u64 = 5;
/// A warning.
const MANY: u64 = 20;
/// So many half-open at once: critical. So many that hang in a window fill a backlog: then a tenth is enough.
const BACKLOG: u64 = 128;

/// What the capture shows of anybody. What it shows of nobody may not have been captured.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shown {
    /// Answers.
    pub answers: bool,
    /// Packets without SYN.
    pub others: bool,
}

/// What the windows of a server port say.
#[derive(Clone, Debug, Default)]
pub(super) struct Judged {
    pub severity: Option<Severity>,
    pub confidence: Option<Confidence>,
    /// Connections that hang, in windows that say so.
    pub hang: u64,
    unanswered: u64,
    unacknowledged: u64,
    /// The most that hang in a window.
    most: u64,
    /// The most that are half-open at the end of a window.
    peak: u64,
    /// By window: when it begins in milliseconds since the first packet, and how many hang.
    line: Vec<(u64, u64)>,
}

/// `None`: nothing to tell, or not to be told from what was captured.
pub(super) fn judge(target: &Target, shown: Shown) -> Option<Judged> {
    let mut judged = Judged::default();
    let (mut open, wider) = (0i64, target.windows.wider());
    for (number, lanes) in target.windows.windows() {
        let [opened, unanswered, unacknowledged, change] = lanes;
        open = open.saturating_add(i64::from(change));
        judged.peak = judged.peak.max(u64::try_from(open).unwrap_or(0));
        let [opened, unanswered, unacknowledged] = [opened, unanswered, unacknowledged].map(count);
        let hang = unanswered.saturating_add(unacknowledged);
        let (some, flood) = (hang >= SOME.saturating_mul(wider), hang >= BACKLOG.saturating_mul(wider));
        let share = hang.saturating_mul(if flood { 10 } else { 2 }) >= opened;
        if !some || !share {
            continue;
        }
        judged.most = judged.most.max(hang);
        judged.hang = judged.hang.saturating_add(hang);
        judged.unanswered = judged.unanswered.saturating_add(unanswered);
        judged.unacknowledged = judged.unacknowledged.saturating_add(unacknowledged);
        judged.line.push((target.windows.begins(number), hang));
    }
    let many = judged.most >= MANY.saturating_mul(wider);
    let confidence = confidence(target, &judged, shown);
    judged.confidence = Some(confidence);
    judged.severity = Some(match (many, judged.peak >= BACKLOG) {
        _ if confidence == Confidence::Low => Severity::Notice,
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

/// How sure it is that what is missing was never sent.
fn confidence(target: &Target, judged: &Judged, shown: Shown) -> Confidence {
    let (repeated, hang, shown) = if judged.of_server() {
        (target.repeated, judged.unanswered, shown.answers)
    } else {
        (target.repeated_answers, judged.unacknowledged, shown.others)
    };
    let waits = repeated.saturating_mul(2) >= hang;
    match (waits || shown, judged.of_server() && judged.unanswered >= target.opened) {
        (true, false) => Confidence::High,
        (true, true) => Confidence::Medium,
        (false, _) if judged.invented(target) => Confidence::Medium,
        (false, _) => Confidence::Low,
    }
}

impl Judged {
    /// The server is at fault.
    fn of_server(&self) -> bool {
        self.unanswered >= self.unacknowledged
    }

    /// Clients do not exist: whoever invents addresses does not use one twice, nor repeats a SYN that is not answered. That a
    /// quarter of the clients is missing is four standard deviations of their estimate.
    fn invented(&self, target: &Target) -> bool {
        let once = target.clients.distinct().saturating_mul(4) >= self.hang.saturating_mul(3);
        let waits = self.of_server() && target.repeated.saturating_mul(10) >= self.hang;
        !waits && once && self.most >= MANY
    }

    /// How it came, in words, and who is at fault.
    fn outcome(&self, target: &Target) -> (&'static str, &'static str) {
        match (self.of_server(), self.unanswered >= target.opened, self.invented(target)) {
            (_, _, true) => ("clients invented", "clients"),
            (true, true, _) => ("server silent", "server"),
            (true, false, _) => ("server drops SYNs", "server"),
            (false, ..) => ("clients silent", "clients"),
        }
    }
}

pub(super) fn found(judged: &[(Server, &Target, Judged)], sum: &Summary<'_>, dropped: u64) -> Option<Found> {
    let (server, target, worst) = judged.first()?;
    let (outcome, fault) = worst.outcome(target);
    let mut line: BTreeMap<u64, u64> = BTreeMap::new();
    let mut frames = Firsts::default();
    for (_, target, judged) in judged {
        frames.absorb(target.frames.clone());
        for (ms, hang) in &judged.line {
            let sum = line.entry(sum.window(*ms, WINDOW)).or_default();
            *sum = sum.saturating_add(*hang);
        }
    }
    let of = |part: fn(&Judged) -> u64| judged.iter().fold(0u64, |all, (.., one)| all.saturating_add(part(one)));
    let times = || judged.iter().flat_map(|(.., one)| one.line.iter().map(|(ms, _)| *ms));
    Some(Found {
        finding: "half-open",
        severity: worst.severity?,
        confidence: worst.confidence?,
        outcome: Some(outcome.to_owned()),
        count: of(|one| one.hang),
        first: sum.at(times().min()?),
        last: sum.at(times().max()?.saturating_add(target.windows.width())).min(sum.to),
        frames: frames.frames(),
        groups: judged
            .iter()
            .take(GROUPS_MAX)
            .map(|(server, target, one)| of_server(*server, target, one, sum))
            .collect(),
        facts: BTreeMap::from([
            ("server", json!(sum.hosts.socket(server.0, server.1))),
            ("at_fault", json!(fault)),
            ("unanswered", json!(of(|one| one.unanswered))),
            ("unacknowledged", json!(of(|one| one.unacknowledged))),
            ("most_half_open", json!(worst.peak)),
            ("most_per_window", json!(worst.most)),
            ("window_s", json!(target.windows.width() / 1000)),
            ("clients", json!(target.clients.distinct().min(of(|one| one.hang)))),
            ("clients_estimated", json!(!target.clients.whole())),
            ("servers", json!(judged.len())),
            ("cut", json!(dropped)),
        ]),
        timeline: line.into_iter().map(|(second, hang)| [second, hang]).collect(),
        ladder: None,
    })
}

fn of_server(server: Server, target: &Target, judged: &Judged, sum: &Summary<'_>) -> Group {
    let (outcome, fault) = judged.outcome(target);
    let facts = [
        ("outcome", json!(outcome)),
        ("at_fault", json!(fault)),
        ("opened", json!(target.opened)),
        ("unanswered", json!(judged.unanswered)),
        ("unacknowledged", json!(judged.unacknowledged)),
        ("repeated_syns", json!(target.repeated)),
        ("most_half_open", json!(judged.peak)),
        ("clients", json!(target.clients.distinct().min(judged.hang))),
    ];
    group(sum.hosts.socket(server.0, server.1), judged.hang, facts)
}
