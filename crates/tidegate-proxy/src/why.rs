//! Why a server's limit is what it is, as data and in words.

use serde_json::{Value, json};
use std::fmt::Write;
use tidegate_core::admission::{RecoveryView, ServerSnapshot};
use tidegate_core::limit::tasks::Why;
use tidegate_core::limit::{LimitCause, LimitMode, LimitView};
use tidegate_core::time::Span;

/// The keys of a server in status that tell about its limit.
pub(crate) fn data(server: &ServerSnapshot) -> Value {
    let LimitView { mode, cause, since, best, base, unit, rate_milli, next } = &server.why;
    json!({
        "mode": mode,
        "cause": cause,
        "since_s": since.as_secs_f64(),
        "best": best,
        "base_s": base.map(Span::as_secs_f64),
        "unit_s": unit.map(Span::as_secs_f64),
        "rate": rate_milli.map(|milli| milli as f64 / 1000.0),
        "next": next.map(|(limit, wait)| json!({"limit": limit, "in_s": wait.as_secs_f64()})),
        "text": sentence(server),
    })
}

/// The recovery of a server in status.
pub(crate) fn recovery(view: &RecoveryView) -> Value {
    let RecoveryView { batch, size, begun, complete, since } = view;
    json!({"batch": batch, "size": size, "begun": begun, "complete": complete, "since_s": since.as_secs_f64()})
}

/// One sentence.
pub(crate) fn sentence(server: &ServerSnapshot) -> String {
    let why = &server.why;
    let mut text = format!("limit {}: ", server.limit);
    if why.mode == LimitMode::Static {
        text.push_str("set in the configuration");
        return text;
    }
    let _writing_to_a_string_cannot_fail = write!(text, "{} ({} ago)", words(why.cause), span(why.since));
    let _likewise = match (why.mode, why.next) {
        (_, Some((limit, Span::ZERO))) => write!(text, "; next try {limit}"),
        (_, Some((limit, wait))) => write!(text, "; next try {limit} in {}", span(wait)),
        (LimitMode::SlowStart, None) => write!(text, "; still searching upwards"),
        _ => Ok(()),
    };
    if let Some(best) = why.best.filter(|best| *best != server.limit) {
        let _likewise = write!(text, "; it served best with {best}");
    }
    if let Some(RecoveryView { batch, begun, complete, .. }) = &server.recovery {
        let _likewise = write!(text, "; batch {batch}: {complete} of {begun} clients let in are complete");
    }
    text
}

fn words(cause: LimitCause) -> &'static str {
    match cause {
        LimitCause::Start => "the first one, nothing is known of this server yet",
        LimitCause::Remembered => "begun from what an earlier run has learned",
        LimitCause::Gained => "more in flight got more done",
        LimitCause::NoGain => "more in flight got no more done",
        LimitCause::Fell => "the server gets less done than it did",
        LimitCause::Stalled => "calls in flight were overdue while others were answered",
        LimitCause::Slow => "calls took too much of their clients' patience",
        LimitCause::Overload => "the server refused, broke off, timed out or said that it is busy",
        LimitCause::Idle => "nobody needed more for a while",
        LimitCause::Restarted => "the server began anew",
    }
}

/// Why there is no task slot for a call.
pub(crate) fn slot(why: Why) -> &'static str {
    match why {
        Why::Limit => "as many tasks are under way as a token's life allows",
        Why::Host => "as many tasks are on its host as a token's life allows",
        Why::Share => "the last slots are not for bulk principals",
        Why::Leases => "as many NFC leases are open as one vCenter may have",
        Why::HostLeases => "as many NFC leases are open as its host may have",
        Why::Snapshots => "as many snapshots are open as its datastore may have",
        Why::Latency => "its datastore is slow",
        Why::Vms => "its principal has as many machines in work as it may have",
        Why::Window => "it is not the hour of its principal",
        Why::QueueFull => "too many wait",
        Why::Draining => "the gate stops",
    }
}

/// A time for people: `0.4 s`, `12 s`, `3 min`, `2 h`.
fn span(span: Span) -> String {
    let seconds = span.as_secs_f64();
    if seconds < 9.95 {
        format!("{seconds:.1} s")
    } else if seconds < 120.0 {
        format!("{seconds:.0} s")
    } else if seconds < 7200.0 {
        format!("{:.0} min", seconds / 60.0)
    } else {
        format!("{:.0} h", seconds / 3600.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_core::admission::Phase;

    fn server(mode: LimitMode, cause: LimitCause) -> ServerSnapshot {
        ServerSnapshot {
            name: "a".into(),
            phase: Phase::Up,
            limit: 19,
            why: LimitView {
                mode,
                cause,
                since: Span::secs(4),
                best: None,
                base: Some(Span::millis(500)),
                unit: None,
                rate_milli: Some(18_800),
                next: None,
            },
            recovery: None,
            in_flight: 0,
            orphans: 0,
            admitted: 0,
            in_flight_max: 0,
            standby: false,
            standing: None,
        }
    }

    #[test]
    fn a_sentence_says_what_is_next() {
        let mut steady = server(LimitMode::Steady, LimitCause::NoGain);
        steady.why.next = Some((20, Span::secs(12)));
        assert_eq!(sentence(&steady), "limit 19: more in flight got no more done (4.0 s ago); next try 20 in 12 s");
        steady.why.next = Some((20, Span::ZERO));
        steady.why.since = Span::secs(200);
        assert_eq!(sentence(&steady), "limit 19: more in flight got no more done (3 min ago); next try 20");
        assert_eq!(data(&steady)["next"], json!({"limit": 20, "in_s": 0.0}));
        assert_eq!(data(&steady)["rate"], 18.8);
    }

    #[test]
    fn a_limit_that_was_set_or_is_searched_for_says_so() {
        assert_eq!(sentence(&server(LimitMode::Static, LimitCause::Start)), "limit 19: set in the configuration");
        let searching = sentence(&server(LimitMode::SlowStart, LimitCause::Gained));
        assert_eq!(searching, "limit 19: more in flight got more done (4.0 s ago); still searching upwards");
    }

    #[test]
    fn a_recovery_tells_its_batch() {
        let mut back = server(LimitMode::Recovering, LimitCause::Restarted);
        back.why.best = Some(40);
        back.recovery = Some(RecoveryView { batch: 3, size: 16, begun: 16, complete: 12, since: Span::secs(60) });
        let text = "limit 19: the server began anew (4.0 s ago); it served best with 40; batch 3: 12 of 16 clients let in \
                    are complete";
        assert_eq!(sentence(&back), text);
        assert_eq!(recovery(back.recovery.as_ref().unwrap())["since_s"], 60.0);
    }
}
