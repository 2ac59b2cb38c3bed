//! Why a call met its fate: one record per call, kept in a bounded ring, told newest first.

use crate::clock;
use crate::stats::Connects;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;
use tidegate_core::admission::{CallId, Class, Role};
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

/// What is remembered of one call.
#[derive(Clone)]
pub(crate) struct Record {
    pub(crate) call: CallId,
    pub(crate) at: Nanos,
    pub(crate) client: ClientName,
    pub(crate) operation: Label,
    pub(crate) role: Role,
    pub(crate) class: Option<Class>,
    /// How many were in front when it was held; `None`: never held.
    pub(crate) ahead: Option<u32>,
    pub(crate) predicted: Option<Span>,
    /// When it was admitted or turned away.
    pub(crate) decided: Option<Nanos>,
    pub(crate) reason: Option<Reason>,
    pub(crate) retry_after: Option<Span>,
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
    pub(crate) fn new(call: CallId, at: Nanos, client: ClientName, operation: Label, role: Role) -> Record {
        Record {
            call,
            at,
            client,
            operation,
            role,
            class: None,
            ahead: None,
            predicted: None,
            decided: None,
            reason: None,
            retry_after: None,
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
    /// Only this client, as it is printed.
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
        self.call.is_none_or(|call| record.call.0 == call)
            && self.client.as_ref().is_none_or(|client| record.client.to_string() == *client)
    }
}

/// One call as JSON.
#[derive(Serialize)]
pub(crate) struct Told<'a> {
    at_s: f64,
    service: &'a str,
    call: u64,
    client: String,
    operation: &'a str,
    class: Option<Class>,
    role: Role,
    decision: &'static str,
    reason: Option<Reason>,
    waited_s: f64,
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
    let decision = match (record.reason, record.decided, record.ahead) {
        (Some(_), ..) => "turned-away",
        (None, Some(_), _) => "admitted",
        (None, None, _) => "held",
    };
    Told {
        at_s: clock::unix_seconds(record.at),
        service,
        call: record.call.0,
        client: record.client.to_string(),
        operation: record.operation.as_str(),
        class: record.class,
        role: record.role,
        decision,
        reason: record.reason,
        waited_s: waited,
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
    let what = format!("{} of {}", record.operation.as_str(), record.client);
    let queue = match record.ahead {
        Some(ahead) => format!("waited {waited:.3} s behind {ahead} calls"),
        None => "did not wait".to_string(),
    };
    let fate = match (decision, record.reason, &record.server) {
        ("turned-away", Some(reason), _) => {
            let after = record.retry_after.map_or(0.0, Span::as_secs_f64);
            format!("and was turned away ({reason}), to come back after {after:.1} s")
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

fn because(why: Connects) -> &'static str {
    match why {
        Connects::NoneIdle => " over a new connection: no connection was idle",
        Connects::Unproven => " over a new connection: it must not be sent twice, and no idle one was proven to live",
        Connects::NeverShared => " over a new connection: its service shares none",
        Connects::Again => " over a new connection: it was sent again",
    }
}
