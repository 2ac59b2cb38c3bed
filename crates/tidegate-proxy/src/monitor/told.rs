//! What monitors know, for status and explanations.

use crate::clock;
use serde_json::{Value, json};
use tidegate_core::health::{Report, View};

/// One monitor, with its last verdicts.
pub(crate) fn data(view: &View) -> Value {
    json!({
        "phase": view.phase.word(),
        "since_s": view.since.as_secs_f64(),
        "known": view.known,
        "blind": view.blind,
        "frozen": view.frozen,
        "ejected_s": view.ejected.map(|span| span.as_secs_f64()),
        "limit": view.limit,
        "next_s": view.next.as_secs_f64(),
        "text": sentence(view),
        "verdicts": view.reports.iter().map(verdict).collect::<Vec<_>>(),
    })
}

/// In a sentence.
pub(crate) fn sentence(view: &View) -> String {
    let blind = if view.blind { "; ten verdicts in a row said nothing (probe-blind)" } else { "" };
    let limit = view.limit.map(|limit| format!("; takes about {limit} connections from here")).unwrap_or_default();
    format!("{}{limit}{blind}", view.why)
}

fn verdict(report: &Report) -> Value {
    json!({
        "at_s": clock::unix_seconds(report.at),
        "of": if report.probe { "probe" } else { "connect" },
        "verdict": report.verdict.to_string(),
        "vetoed": report.vetoed,
        "text": report.evidence.to_string(),
    })
}
