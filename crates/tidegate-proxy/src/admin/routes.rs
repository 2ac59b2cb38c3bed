//! What can be asked and told, by path.

use super::record::Recording;
use crate::explain::ExplainQuery;
use crate::gate::Shared;
use crate::metrics;
use crate::status;
use serde::Deserialize;
use std::time::Duration;
use tidegate_core::admission::Event;

/// An I/O loop that has not turned for so long is taken for dead.
const DEAD_AFTER: Duration = Duration::from_secs(10);

/// An answer.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) kind: &'static str,
    pub(super) body: String,
    /// What is sent instead of the body, for as long as it takes.
    pub(super) recording: Option<Recording>,
}

impl Answer {
    pub(super) fn text(status: u16, words: &str) -> Answer {
        Answer { status, kind: "text/plain", body: format!("{words}\n"), recording: None }
    }

    fn json(body: String) -> Answer {
        Answer { status: 200, kind: "application/json", body, recording: None }
    }
}

/// Body of `/maintenance` and `/bypass`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Switch {
    service: Option<String>,
    on: bool,
}

/// Body of `/drain`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Drain {
    service: Option<String>,
}

/// Body of `/record`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    service: Option<String>,
    for_s: f64,
}

/// Answers a request.
pub(super) fn route(shared: &Shared, method: &str, target: &str, body: &[u8]) -> Answer {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    match (method, path) {
        ("GET", "/livez") if shared.loop_age() > DEAD_AFTER => Answer::text(503, "the I/O loop does not turn"),
        ("GET", "/livez") => Answer::text(200, "ok"),
        ("GET", "/readyz") => ready(shared),
        ("GET", "/metrics") => Answer {
            status: 200,
            kind: "application/openmetrics-text; version=1.0.0; charset=utf-8",
            body: metrics::text(shared),
            recording: None,
        },
        ("GET", "/status") => Answer::json(status::status(shared).to_string()),
        ("GET", "/ports") => Answer::json(shared.way.ports.told().to_string()),
        ("GET", "/sessions") => Answer::json(status::sessions(shared).to_string()),
        ("GET", "/explain") => match explain_query(query) {
            Ok(query) => Answer::json(status::explain(shared, &query).to_string()),
            Err(what) => Answer::text(400, &what),
        },
        ("POST", "/maintenance") => switch(shared, body, Event::Maintenance),
        ("POST", "/bypass") => switch(shared, body, Event::Bypass),
        ("POST", "/drain") => match serde_json::from_slice::<Drain>(body) {
            Ok(drain) => done(shared.drain(drain.service.as_deref())),
            Err(error) => Answer::text(400, &error.to_string()),
        },
        ("POST", "/record") => match serde_json::from_slice::<Record>(body) {
            Ok(wanted) => record(shared, wanted.service.as_deref(), wanted.for_s),
            Err(error) => Answer::text(400, &error.to_string()),
        },
        (
            _,
            "/livez" | "/readyz" | "/metrics" | "/status" | "/ports" | "/sessions" | "/explain" | "/maintenance"
            | "/bypass" | "/drain" | "/record",
        ) => Answer::text(405, "GET to ask, POST to switch"),
        _ => Answer::text(
            404,
            "one of /livez /readyz /metrics /status /ports /sessions /explain /maintenance /bypass /drain /record",
        ),
    }
}

fn ready(shared: &Shared) -> Answer {
    let served = shared.served();
    if served.is_empty() || served.iter().all(|s| s.service.stopping()) {
        Answer::text(503, "draining")
    } else {
        Answer::text(200, "ok")
    }
}

fn switch(shared: &Shared, body: &[u8], event: impl Fn(bool) -> Event) -> Answer {
    match serde_json::from_slice::<Switch>(body) {
        Ok(switch) => done(shared.switch(switch.service.as_deref(), event(switch.on))),
        Err(error) => Answer::text(400, &error.to_string()),
    }
}

/// Longest recording, in seconds: an hour.
const RECORD_MAX_S: f64 = 3600.0;

fn record(shared: &Shared, service: Option<&str>, for_s: f64) -> Answer {
    if !(for_s > 0.0 && for_s <= RECORD_MAX_S) {
        return Answer::text(400, "for_s must be more than 0 and at most 3600");
    }
    let service = match shared.named(service) {
        Err(error) => return Answer::text(404, &format!("{error}; {}", error.hint)),
        Ok(services) => match <[_; 1]>::try_from(services) {
            Ok([service]) => service,
            Err(_) => return Answer::text(400, "only one service at a time can be recorded; name it with --service"),
        },
    };
    match Recording::begin(service, Duration::from_secs_f64(for_s)) {
        Some(recording) => Answer { recording: Some(recording), ..Answer::text(200, "") },
        None => Answer::text(409, "this service is being recorded already; wait for that, or interrupt it"),
    }
}

fn done(result: Result<(), crate::error::GateError>) -> Answer {
    match result {
        Ok(()) => Answer::json(format!("{{\"format\": {}, \"done\": true}}\n", crate::plan::FORMAT)),
        Err(error) => Answer::text(404, &format!("{error}; {}", error.hint)),
    }
}

fn explain_query(query: &str) -> Result<ExplainQuery, String> {
    let mut wanted = ExplainQuery::default();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = unescape(value).ok_or_else(|| format!("{key} has a broken escape"))?;
        let number = || value.parse::<u64>().map_err(|_| format!("{key} must be a number"));
        match key {
            "client" => wanted.client = Some(value),
            "service" => wanted.service = Some(value),
            "call" => wanted.call = Some(number()?),
            "limit" => wanted.limit = Some(usize::try_from(number()?).unwrap_or(usize::MAX)),
            _ => return Err(format!("unknown key {key}: client, service, call or limit")),
        }
    }
    Ok(wanted)
}

/// Percent escapes and `+`, as query strings have them.
fn unescape(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [byte, after @ ..] = rest {
        rest = after;
        match byte {
            b'%' => {
                let digits = std::str::from_utf8(rest.get(..2)?).ok()?;
                bytes.push(u8::from_str_radix(digits, 16).ok()?);
                rest = &rest[2..];
            }
            b'+' => bytes.push(b' '),
            byte => bytes.push(*byte),
        }
    }
    String::from_utf8(bytes).ok()
}
