//! How far a handshake of TLS is, by the records in clear: what each segment changes, and how it can fail.

use std::fmt::{self, Display};

use tidegate_core::flow::Role;

use crate::capture::flag;
use crate::capture::tls::{Alert, Content, Hello, Record, ServerHello, records};

/// Length of an alert that TLS 1.3 has encrypted: two bytes, the type behind them, and the tag (RFC 8446 §5.2, and 16 bytes of
/// tag in its cipher suites but one). What a client encrypts first otherwise is its Finished or its certificate, of 53 bytes or
/// more; what a server sends first after that is a ticket, or data.
const SEALED_ALERT: u16 = 19;
/// Milliseconds after which a client that leaves without an answer is taken for one that waited for it.
const PATIENCE: u32 = 1_000;
/// Requests of HTTP begin with one of these (RFC 9110 §9, RFC 9113 §3.4).
const REQUESTS: [&[u8]; 8] =
    [b"GET ", b"POST ", b"HEAD ", b"PUT ", b"DELETE ", b"OPTIONS ", b"PATCH ", b"PRI * HTTP/2"];

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// The client sent its hello.
    Asked,
    /// The server wants another one.
    AskedAgain,
    /// The server's hello came; all alerts are in clear until the server changes its cipher.
    Agreed,
    /// The same, but not all of what came since was kept: it may be over.
    Blind,
    /// The server's hello of TLS 1.3 came: what follows is encrypted.
    AgreedNew,
    /// TLS 1.3: the client is done, and the server has said nothing to it yet.
    Finished,
    /// What a side encrypted first has the length of an alert.
    Sealed(Role),
    /// The client sent a request of HTTP in place of a hello.
    Plain,
}

/// How it failed. The order is that in which kinds with equal counts are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Kind {
    /// A fatal alert in clear.
    Alert(Alert, Role),
    /// The hello was answered with a RST.
    Reset,
    /// The hello was answered with a FIN.
    Closed,
    /// The hello was not answered.
    Unanswered,
    /// The hello was answered with something that is not TLS.
    NotTls,
    /// A request in plain text, where the server speaks TLS.
    Plain,
    /// TLS 1.3: a side sent what looks like an alert in place of its Finished or of an answer to it, and one of them left.
    Sealed(Role),
    /// One side left between the server's hello and the end of the handshake.
    Left(Role),
}

/// What a segment changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    /// It goes on.
    Wait(Stage),
    /// It failed.
    Failed(Kind),
    /// It went well, or cannot be told.
    Over,
}

/// What a segment says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Said<'a> {
    /// Who says it.
    pub by: Role,
    /// Its data, as far as they were kept.
    pub data: &'a [u8],
    /// Whether the end of them was not kept.
    pub cut: bool,
    /// FIN, or a RST that was believed; 0: neither.
    pub leaves: u8,
    /// Milliseconds since the hello.
    pub age: u32,
}

impl Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = |role: &Role| if *role == Role::Initiator { "client" } else { "server" };
        match self {
            Kind::Alert(alert, by) => write!(f, "alert from the {}: {}", side(by), alert.words().unwrap_or("unknown")),
            Kind::Reset => f.write_str("hello answered with a reset"),
            Kind::Closed => f.write_str("hello answered with a close"),
            Kind::Unanswered => f.write_str("hello not answered"),
            Kind::NotTls => f.write_str("hello answered in something else than TLS"),
            Kind::Plain => f.write_str("plain text to a TLS port"),
            Kind::Sealed(by) => write!(f, "encrypted alert from the {}, it seems", side(by)),
            Kind::Left(by) => write!(f, "{} left during the handshake", side(by)),
        }
    }
}

/// Whether data begin with a request of HTTP.
pub(super) fn request(data: &[u8]) -> bool {
    REQUESTS.iter().any(|request| data.starts_with(request))
}

impl Stage {
    /// Takes what a segment says.
    pub fn hear(self, said: &Said<'_>) -> Then {
        let then = if said.data.is_empty() && !said.cut { Then::Wait(self) } else { self.read(said) };
        match then {
            Then::Wait(stage) if said.leaves != 0 => stage.left(said),
            then => then,
        }
    }

    fn read(self, said: &Said<'_>) -> Then {
        match (self, said.by) {
            (Stage::Plain, Role::Initiator) => return Then::Wait(self),
            (Stage::Plain, Role::Responder) => return refused(said.data),
            (Stage::Asked, Role::Responder) if records(said.data).next().is_none() => {
                return if said.data.len() < 5 { Then::Over } else { Then::Failed(Kind::NotTls) };
            }
            _ => {}
        }
        let mut stage = self;
        for record in records(said.data) {
            match stage.record(said.by, &record) {
                Then::Wait(next) => stage = next,
                then => return then,
            }
        }
        Then::Wait(if stage == Stage::Agreed && self != Stage::Asked && said.cut { Stage::Blind } else { stage })
    }

    fn record(self, by: Role, record: &Record<'_>) -> Then {
        if let Some(alert) = record.alert().filter(|alert| alert.fatal) {
            return Then::Failed(Kind::Alert(alert, by));
        }
        let hello = match record.hello() {
            Some(Hello::Server(hello)) => Some(hello),
            _ => None,
        };
        match (self, by, record.content, hello) {
            (Stage::Asked | Stage::AskedAgain, Role::Responder, Content::Handshake, Some(hello)) => agreed(&hello),
            (Stage::Asked, Role::Responder, Content::Alert, _) => Then::Wait(self),
            (Stage::Asked, Role::Responder, ..) => Then::Over,
            (Stage::AskedAgain, Role::Responder, Content::Application, _) => Then::Over,
            (Stage::Agreed | Stage::Blind, Role::Responder, Content::ChangeCipherSpec, _) => Then::Over,
            (Stage::Agreed | Stage::Blind, _, Content::Application, _) => Then::Over,
            (Stage::AgreedNew, Role::Initiator, Content::Application, _)
            | (Stage::Finished, Role::Responder, Content::Application, _) => match (record.length, self) {
                (SEALED_ALERT, _) => Then::Wait(Stage::Sealed(by)),
                (_, Stage::AgreedNew) => Then::Wait(Stage::Finished),
                _ => Then::Over,
            },
            (Stage::Sealed(sender), _, Content::Application, _) if sender == by => Then::Over,
            _ => Then::Wait(self),
        }
    }

    fn left(self, said: &Said<'_>) -> Then {
        match (self, said.by) {
            (Stage::Asked, Role::Responder) if said.leaves == flag::RST => Then::Failed(Kind::Reset),
            (Stage::Asked, Role::Responder) => Then::Failed(Kind::Closed),
            (Stage::Asked, Role::Initiator) if said.age >= PATIENCE => Then::Failed(Kind::Unanswered),
            (Stage::Plain, Role::Responder) => Then::Failed(Kind::Plain),
            (Stage::Asked | Stage::Plain, Role::Initiator) | (Stage::Blind | Stage::Finished, _) => Then::Over,
            (Stage::Sealed(by), _) => Then::Failed(Kind::Sealed(by)),
            (Stage::AskedAgain | Stage::Agreed | Stage::AgreedNew, by) => Then::Failed(Kind::Left(by)),
        }
    }
}

fn agreed(hello: &ServerHello) -> Then {
    Then::Wait(match hello.version {
        _ if hello.retry => Stage::AskedAgain,
        0x0304.. => Stage::AgreedNew,
        _ => Stage::Agreed,
    })
}

/// Whether this answer to a request refuses it for its plain text.
fn refused(data: &[u8]) -> Then {
    let bad = matches!(data, [b'H', b'T', b'T', b'P', b'/', b'1', b'.', _, b' ', b'4', b'0', b'0', ..]);
    let alert = records(data).next().and_then(|record| record.alert()).is_some_and(|alert| alert.fatal);
    if bad || alert { Then::Failed(Kind::Plain) } else { Then::Over }
}
