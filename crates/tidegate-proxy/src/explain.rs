//! Why a call met its fate: one record per call, kept in a bounded ring, told newest first.

use crate::clock;
use crate::stats::Connects;
use crate::why;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;
use tidegate_core::admission::{CallId, Class, Role};
use tidegate_core::limit::tasks::Why;
use tidegate_core::reason::{End, Reason};
use tidegate_core::time::{Nanos, Span};

/// Calls that are remembered per service after they ended.
pub(crate) const KEPT: usize = 2048;
/// Longest operation name that is kept; longer ones are cut.
const LABEL: usize = 46;

/// A short text without an allocation of its own.
#[derive(Clone, Copy)]
pub(crate) struct Label {
    len: u8,
    bytes: [u8; LABEL],
}

impl Label {
    /// The first bytes of `parts`, one after the other; what is not printable ASCII becomes `?`.
    pub(crate) fn new(parts: &[&[u8]]) -> Label {
        let mut label = Label { len: 0, bytes: [0; LABEL] };
        for byte in parts.iter().flat_map(|part| part.iter()).take(LABEL) {
            label.bytes[label.len as usize] = if (0x20..0x7f).contains(byte) { *byte } else { b'?' };
            label.len += 1;
        }
        label
    }

    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.len as usize]).unwrap_or_default()
    }
}

/// Who a client is, in words.
#[derive(Clone)]
pub(crate) enum ClientName {
    /// By address.
    Addr(IpAddr),
    /// By certificate subject or user name.
    Text(Arc<str>),
}

impl std::fmt::Display for ClientName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ClientName::Addr(address) => address.fmt(f),
            ClientName::Text(text) => f.write_str(text),
        }
    }
}

/// What a call to a vCenter has waited for before it asked for a place at the server.
#[derive(Clone, Copy, Default)]
pub(crate) struct Before {
    /// So long for a session there.
    pub(crate) session: Span,
    /// So long for a task slot …
    pub(crate) slot: Span,
    /// … because of this.
    pub(crate) why: Option<Why>,
}

/// What is known of a call to a vCenter before it comes to the machine.
#[derive(Clone, Default)]
pub(crate) struct Past {
    /// Who it is by its session.
    pub(crate) user: Option<Arc<str>>,
    /// What it has waited for.
    pub(crate) before: Before,
}

impl Past {
    /// The record of a call that has it.
    pub(crate) fn of(&self, record: Record) -> Record {
        Record { user: self.user.clone(), before: self.before, ..record }
    }
}

/// What is remembered of one call.
#[derive(Clone)]
pub(crate) struct Record {
    /// `None`: it has not come to the machine.
    pub(crate) call: Option<CallId>,
    pub(crate) at: Nanos,
    pub(crate) client: ClientName,
    /// Who it is by its session at a vCenter, where the gate knows that.
    pub(crate) user: Option<Arc<str>>,
    pub(crate) operation: Label,
    pub(crate) role: Role,
    pub(crate) class: Option<Class>,
    /// How many were in front when it was held; `None`: never held.
    pub(crate) ahead: Option<u32>,
    pub(crate) predicted: Option<Span>,
    /// When it was admitted or turned away.
    pub(crate) decided: Option<Nanos>,
    pub(crate) reason: Option<Reason>,
    /// More about the reason, in a word.
    pub(crate) detail: Option<&'static str>,
    pub(crate) retry_after: Option<Span>,
    pub(crate) before: Before,
    /// What it waits for now, before it comes to the machine.
    pub(crate) awaits: Option<&'static str>,
    pub(crate) server: Option<Arc<str>>,
    /// Why it went there over a new connection; `None`: it did not, or never does.
    pub(crate) connects: Option<Connects>,
    /// In observe mode: it would have been turned away for this, or held.
    pub(crate) observed: Option<Option<Reason>>,
    pub(crate) end: Option<End>,
    pub(crate) status: u16,
}

impl Record {
    /// A call that has just arrived: nothing is decided yet.
    pub(crate) fn new(call: Option<CallId>, at: Nanos, client: ClientName, operation: Label, role: Role) -> Record {
        Record {
            call,
            at,
            client,
            user: None,
            operation,
            role,
            class: None,
            ahead: None,
            predicted: None,
            decided: None,
            reason: None,
            detail: None,
            retry_after: None,
            before: Before::default(),
            awaits: None,
            server: None,
            connects: None,
            observed: None,
            end: None,
            status: 0,
        }
    }
}

/// The last calls of one service.
#[derive(Default)]
pub(crate) struct Ring {
    records: VecDeque<Record>,
}

impl Ring {
    pub(crate) fn push(&mut self, record: Record) {
        if self.records.len() == KEPT {
            self.records.pop_front();
        }
        self.records.push_back(record);
    }

    /// Newest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Record> {
        self.records.iter().rev()
    }
}

/// What is asked of the ring.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ExplainQuery {
    /// Only this client, or this user of a vCenter, as it is printed.
    pub client: Option<String>,
    /// Only this call.
    pub call: Option<u64>,
    /// Only this service.
    pub service: Option<String>,
    /// At most this many, newest first; `None`: 50. Never more than 2048 per service.
    pub limit: Option<usize>,
}

impl ExplainQuery {
    pub(crate) fn wants(&self, record: &Record) -> bool {
        self.call.is_none_or(|call| record.call == Some(CallId(call)))
            && self
                .client
                .as_ref()
                .is_none_or(|client| record.client.to_string() == *client || record.user.as_deref() == Some(client))
    }
}

/// One call as JSON.
#[derive(Serialize)]
pub(crate) struct Told<'a> {
    at_s: f64,
    service: &'a str,
    call: Option<u64>,
    client: String,
    user: Option<&'a str>,
    operation: &'a str,
    class: Option<Class>,
    role: Role,
    decision: &'static str,
    reason: Option<Reason>,
    detail: Option<&'static str>,
    /// All of it, `before` included.
    waited_s: f64,
    /// Of that, what it waited for a session at the vCenter, and for a task slot there.
    waited_session_s: f64,
    waited_task_slot_s: f64,
    task_slot_reason: Option<Why>,
    waits_for: Option<&'static str>,
    ahead: Option<u32>,
    predicted_s: Option<f64>,
    retry_after_s: Option<f64>,
    server: Option<&'a str>,
    /// Why its connection was a new one.
    new_connection: Option<Connects>,
    would_have: Option<String>,
    end: Option<String>,
    status: Option<u16>,
    text: String,
}

/// A record in words, as of `now`.
pub(crate) fn tell<'a>(service: &'a str, record: &'a Record, now: Nanos) -> Told<'a> {
    let waited = record.decided.unwrap_or(now).since(record.at).as_secs_f64();
    let before = &record.before;
    let decision = match (record.reason, record.decided, record.ahead) {
        (Some(_), ..) => "turned-away",
        (None, Some(_), _) => "admitted",
        (None, None, _) => "held",
    };
    Told {
        at_s: clock::unix_seconds(record.at),
        service,
        call: record.call.map(|call| call.0),
        client: record.client.to_string(),
        user: record.user.as_deref(),
        operation: record.operation.as_str(),
        class: record.class,
        role: record.role,
        decision,
        reason: record.reason,
        detail: record.detail,
        waited_s: waited + before.session.as_secs_f64() + before.slot.as_secs_f64(),
        waited_session_s: before.session.as_secs_f64(),
        waited_task_slot_s: before.slot.as_secs_f64(),
        task_slot_reason: before.why,
        waits_for: record.awaits,
        ahead: record.ahead,
        predicted_s: record.predicted.map(Span::as_secs_f64),
        retry_after_s: record.retry_after.map(Span::as_secs_f64),
        server: record.server.as_deref(),
        new_connection: record.connects,
        would_have: record.observed.map(|o| o.map_or("held".to_string(), |r| format!("turned-away: {r}"))),
        end: record.end.map(|end| end.to_string()),
        status: (record.status > 0).then_some(record.status),
        text: sentence(record, decision, waited),
    }
}

fn sentence(record: &Record, decision: &str, waited: f64) -> String {
    let what = match &record.user {
        Some(user) => format!("{} of {user} at {}", record.operation.as_str(), record.client),
        None => format!("{} of {}", record.operation.as_str(), record.client),
    };
    let mut waits = before(&record.before, record.awaits, waited);
    match record.ahead {
        Some(ahead) => waits.push(format!("waited {waited:.3} s behind {ahead} calls")),
        None if waits.is_empty() => waits.push("did not wait".to_string()),
        None => {}
    }
    let queue = waits.join(", then ");
    let fate = match (decision, record.reason, &record.server) {
        ("turned-away", Some(reason), _) => {
            let after = record.retry_after.map_or(0.0, Span::as_secs_f64);
            let detail = record.detail.map_or(String::new(), |detail| format!(": {detail}"));
            format!("and was turned away ({reason}{detail}), to come back after {after:.1} s")
        }
        ("admitted", _, Some(server)) => format!("and went to {server}{}", record.connects.map_or("", because)),
        ("held", ..) if record.end.is_none() => "and is still held".to_string(),
        _ => "and was not sent".to_string(),
    };
    let observed = match record.observed {
        Some(Some(reason)) => format!(" (enforcing would have turned it away: {reason})"),
        Some(None) => " (enforcing would have held it)".to_string(),
        None => String::new(),
    };
    let end = match record.end {
        Some(end) => format!("; ended by {} at step {}", end.who, end.step),
        None => String::new(),
    };
    format!("{what} {queue} {fate}{observed}{end}")
}

/// What it waited for before it came to the machine, or waits for now.
fn before(before: &Before, awaits: Option<&str>, waited: f64) -> Vec<String> {
    let slot = || match before.why {
        Some(why) => format!(" for a task slot ({why}: {})", why::slot(why)),
        None => " for a task slot".to_string(),
    };
    let mut waits = Vec::new();
    if before.session > Span::ZERO {
        waits.push(format!("waited {:.3} s for a session at the vCenter", before.session.as_secs_f64()));
    }
    if before.slot > Span::ZERO {
        waits.push(format!("waited {:.3} s{}", before.slot.as_secs_f64(), slot()));
    }
    match awaits {
        Some("session") => waits.push(format!("has waited {waited:.3} s for a session at the vCenter")),
        Some(_) => waits.push(format!("has waited {waited:.3} s{}", slot())),
        None => {}
    }
    waits
}

fn because(why: Connects) -> &'static str {
    match why {
        Connects::NoneIdle => " over a new connection: no connection was idle",
        Connects::Unproven => " over a new connection: it must not be sent twice, and no idle one was proven to live",
        Connects::NeverShared => " over a new connection: its service shares none",
        Connects::Again => " over a new connection: it was sent again",
    }
}
