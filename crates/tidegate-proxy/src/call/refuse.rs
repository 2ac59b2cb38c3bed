//! The gate's own answers to a client: turned away, bad request, no answer from the server.

use crate::buffer::Buf;
use crate::connection::{Conn, Next};
use crate::explain::Record;
use crate::http1::body::Decoder;
use crate::http1::reply::Reply;
use crate::http1::request::{Facts, Method};
use crate::http1::{Framing, Refusal};
use crate::protocol::Soap;
use crate::setup::Setup;
use crate::vcenter::write::{self, Answer, Say};
use tidegate_core::reason::{End, Reason, Step, Who};
use tidegate_core::time::Span;

/// Longest body that is read and dropped to keep a connection; a longer one closes it.
const SKIP_MAX: u64 = 64 * 1024;

/// Answers a request that may not be forwarded, and closes.
pub(super) async fn bad_request(conn: &mut Conn, refusal: Refusal) -> Next {
    conn.home.service.stats.refuse(Reason::BadRequest);
    say(conn, refusal.status, refusal.why, true, false).await;
    Next::Linger
}

/// No buffer is free.
pub(super) async fn no_memory(conn: &mut Conn) -> Next {
    conn.home.service.stats.refuse(Reason::Memory);
    say(conn, 503, Reason::Memory.word(), true, false).await;
    Next::Linger
}

/// Writes a plain answer of the gate; false when that failed.
pub(super) async fn say(conn: &mut Conn, status: u16, text: &str, close: bool, head_only: bool) -> bool {
    let body = format!("{text}\n");
    let reply =
        Reply { status, kind: "text/plain", body: body.as_bytes(), retry_after: None, lines: "", close, head_only };
    send(conn, &reply).await
}

/// Tells a client of a vCenter that there is no answer, and closes.
pub(super) async fn fault(conn: &mut Conn) -> bool {
    let Answer { status, content_type: kind, body } = write::fault(&Say::NoAnswer, None);
    let reply = Reply { status, kind, body: &body, retry_after: None, lines: "", close: true, head_only: false };
    Box::pin(send(conn, &reply)).await
}

pub(super) async fn send(conn: &mut Conn, reply: &Reply<'_>) -> bool {
    let mut bytes = conn.home.buffers.scratch();
    reply.write_to(&mut bytes);
    let timeout = conn.home.service.setup().io.write_timeout;
    let sent = conn.write_all(&bytes, timeout).await;
    conn.home.buffers.unscratch(bytes);
    sent
}

/// Answers a call that the machine turned away, in the protocol's words, and keeps the connection where that is safe.
/// Returns the status that was given.
pub(super) async fn turn_away(
    conn: &mut Conn,
    setup: &Setup,
    facts: &Facts,
    buf: &mut Option<Buf>,
    (reason, retry_after): (Reason, Span),
    soap: Option<&Soap>,
) -> (u16, Next) {
    let words = setup.protocol.refuse(reason, retry_after, soap);
    let close = closes(conn, facts);
    let reply = Reply {
        status: words.status,
        kind: words.kind,
        body: &words.body,
        retry_after: words.retry_after_s,
        lines: "",
        close,
        head_only: facts.method == Method::Head,
    };
    if !send(conn, &reply).await {
        return (words.status, Next::Close);
    }
    if close {
        return (words.status, Next::Linger);
    }
    (words.status, skip_body(conn, setup, facts, buf).await)
}

/// Remembers a call that was turned away before it came to the machine. `why`: the reason, more about it, and when its
/// client is to come back.
pub(super) fn remember(conn: &Conn, record: Record, why: (Reason, Option<&'static str>, Span), status: u16) {
    let (reason, detail, retry_after) = why;
    conn.home.service.remember(Record {
        decided: Some(record.at),
        reason: Some(reason),
        detail,
        retry_after: Some(retry_after),
        end: Some(End { who: if reason == Reason::Draining { Who::Operator } else { Who::Gate }, step: Step::Queue }),
        status,
        ..record
    });
}

/// Whether the connection ends with an answer of the gate's to this request.
pub(super) fn closes(conn: &Conn, facts: &Facts) -> bool {
    let skippable = match facts.framing {
        Framing::None => true,
        Framing::Length(n) => n <= SKIP_MAX && !facts.expects_continue,
        Framing::Chunked | Framing::UntilClose => !facts.expects_continue,
    };
    !facts.keep_alive || conn.home.service.stopping() || !skippable
}

/// Reads and drops the body of a request that is not forwarded.
pub(super) async fn skip_body(conn: &mut Conn, setup: &Setup, facts: &Facts, buf: &mut Option<Buf>) -> Next {
    let mut decoder = Decoder::new(facts.framing);
    let mut skipped = 0;
    conn.deadline(setup.io.body_rate_timeout).await;
    while !decoder.is_done() {
        if buf.is_none() {
            *buf = conn.home.buffers.lend();
        }
        let Some(block) = buf else { return Next::Linger };
        if block.is_empty() {
            if !block.grow() {
                return Next::Linger;
            }
            match conn.read(block).await {
                Some(Ok(n)) if n > 0 => {}
                _ => return Next::Close,
            }
        }
        let Ok(decoded) = decoder.decode(block.filled_mut()) else { return Next::Linger };
        block.consume(decoded.used);
        skipped += decoded.used as u64;
        if skipped > SKIP_MAX {
            return Next::Linger;
        }
    }
    Next::Idle
}
