//! What the two protocols have in common: which work a request asks for, and what an answer means to a host.

use crate::wire::{Request, Response};
use crate::{rest, soap};
use serde::Deserialize;
use tidegate_sim::host::{Call, Outcome};

/// Units of work of a login and of each call after it.
pub const SESSION_UNITS: (f64, f64) = (1.0, 1.0 / 3.0);
/// Units of work of a poll, and of anything else that is next to nothing.
pub const POLL_UNITS: f64 = 0.01;

/// Which protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProtocolKind {
    /// VASA: SOAP 1.1 and 1.2, `VASASESSIONID`.
    #[default]
    Vasa,
    /// Plain HTTP: `POST /session`, `GET /call`, `GET /poll`, cookie `SESSION`.
    Http,
}

/// What a request wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Want {
    /// A session.
    Open,
    /// A call that needs one.
    Call,
    /// A poll that needs one.
    Poll,
    /// A page for anybody: `/vasa/version.xml`, `/healthz`.
    Page,
    /// Nothing that is known.
    Unknown,
}

impl Want {
    /// Its work when all is well, in units.
    pub fn units(self) -> f64 {
        match self {
            Want::Open => SESSION_UNITS.0,
            Want::Call => SESSION_UNITS.1,
            Want::Poll | Want::Page | Want::Unknown => POLL_UNITS,
        }
    }

    /// Whether it needs a session.
    pub fn needs_session(self) -> bool {
        matches!(self, Want::Call | Want::Poll)
    }
}

/// What the server says in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Here is your session.
    Opened(u64),
    /// Here you are.
    Fine,
    /// You have no session.
    NoSession,
}

impl ProtocolKind {
    /// What a request wants.
    pub(crate) fn want(self, request: &Request) -> Want {
        match self {
            ProtocolKind::Vasa => soap::want(request),
            ProtocolKind::Http => rest::want(request),
        }
    }

    /// The session that a request names.
    pub(crate) fn session(self, request: &Request) -> Option<u64> {
        request.headers.cookie(self.cookie()).and_then(|value| value.parse().ok())
    }

    /// The answer; `base` is the server's own URL.
    pub(crate) fn answer(self, request: &Request, want: Want, verdict: Verdict, base: &str) -> Vec<u8> {
        match self {
            ProtocolKind::Vasa => soap::answer(request, want, verdict, base),
            ProtocolKind::Http => rest::answer(want, verdict),
        }
    }

    /// A host's request; `index` is the host's number.
    pub(crate) fn request(self, call: Call, index: u32, session: Option<&str>, authority: &str) -> Vec<u8> {
        let cookie = session.map(|value| format!("Cookie: {}={value}\r\n", self.cookie())).unwrap_or_default();
        match self {
            ProtocolKind::Vasa => soap::request(call, index, &cookie, authority),
            ProtocolKind::Http => rest::request(call, &cookie, authority),
        }
    }

    /// The session that an answer opens.
    pub(crate) fn opened(self, response: &Response) -> Option<String> {
        let (name, rest) = response.headers.get("set-cookie")?.split_once('=')?;
        (name == self.cookie()).then(|| rest.split(';').next().unwrap_or_default().to_owned())
    }

    /// What an answer means: turned away is whoever gets a 503, a 429 or any error with `Retry-After` (wall seconds).
    pub(crate) fn outcome(self, response: &Response, world: impl Fn(f64) -> tidegate_sim::time::Span) -> Outcome {
        let retry_after = response.headers.get("retry-after").and_then(|value| value.trim().parse().ok());
        match response.status {
            200 => Outcome::Answered,
            status if status == 503 || status == 429 || retry_after.is_some() => {
                Outcome::TurnedAway { retry_after: retry_after.map(world) }
            }
            401 if self == ProtocolKind::Http => Outcome::InvalidSession,
            500 if self == ProtocolKind::Vasa && soap::is_invalid_session(&response.body) => Outcome::InvalidSession,
            _ => Outcome::Broken,
        }
    }

    fn cookie(self) -> &'static str {
        match self {
            ProtocolKind::Vasa => "VASASESSIONID",
            ProtocolKind::Http => "SESSION",
        }
    }
}
