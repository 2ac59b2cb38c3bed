//! Looks at the first bytes of a body, where a protocol says there what the call is. They stay where they are.

use super::prepare::{Prepared, stand_alone};
use super::refuse;
use crate::buffer::{BLOCK, Buf, Buffers};
use crate::connection::{Conn, Next};
use crate::http1::body::Decoder;
use crate::http1::request::Facts;
use crate::http1::{Framing, Refusal};
use crate::protocol::InBody;
use crate::relay::exchange::hooks::{Hooks, LongPoll};
use crate::setup::Setup;
use crate::soap::Seen;
use std::rc::Rc;
use tidegate_core::reason::Reason;
use tidegate_core::time::Span;

/// Longest body that is read whole before its call is admitted: what a held call may keep without a whole block.
const SHORT: u64 = (BLOCK / 2) as u64;

/// Reads until the protocol knows what the call is; at most one block. `Err`: the client was answered, or has left.
pub(super) async fn look(
    conn: &mut Conn,
    setup: &Setup,
    buf: &mut Option<Buf>,
    mut prepared: Prepared,
) -> Result<Prepared, Next> {
    let content_type = prepared.in_body.take();
    if prepared.facts.expects_continue {
        prepared.facts.expects_continue = false;
        if !conn.write_all(b"HTTP/1.1 100 Continue\r\n\r\n", setup.io.write_timeout).await {
            return Err(Next::Close);
        }
    }
    conn.deadline(setup.io.body_rate_timeout).await;
    loop {
        let Some(block) = buf.as_mut() else { return Err(Next::Close) };
        let seen = see(prepared.facts.framing, block, &conn.home.buffers, |body, seen| {
            setup.protocol.look(content_type.as_deref(), body, seen)
        });
        match seen {
            None => return Err(bad(conn, Refusal::bad("a body that breaks its framing")).await),
            Some(InBody::Refused(why)) => return Err(bad(conn, Refusal::bad(why)).await),
            Some(InBody::Told { role, cost_milli, operation, key, soap, rewrite, long_poll }) => {
                prepared.tell(role, (key, cost_milli), operation, soap);
                stand_alone(conn, setup, &mut prepared.arrival);
                prepared.rewrite = rewrite;
                let Some(wait) = long_poll else { return Ok(prepared) };
                return Box::pin(place(conn, setup, buf, prepared, wait)).await;
            }
            Some(InBody::NeedMore) => {}
        }
        more(conn, block).await?;
    }
}

/// A place for a long poll, which the server keeps for so long at the most.
async fn place(
    conn: &mut Conn,
    setup: &Setup,
    buf: &mut Option<Buf>,
    mut prepared: Prepared,
    wait: Span,
) -> Result<Prepared, Next> {
    if let Some(place) = LongPoll::begin(&conn.home.service, setup.long_polls_max()) {
        prepared.hooks = Some(Box::new(Hooks::waiting(place, wait)));
        return Ok(prepared);
    }
    conn.home.service.stats.refuse(Reason::QueueFull);
    let why = (Reason::QueueFull, Span::secs(1));
    Err(refuse::turn_away(conn, setup, &prepared.facts, buf, why, None).await.1)
}

/// Whether a body that is to be read whole before its call is admitted is not there yet. Longer ones, chunked ones, and
/// those that wait for the server's word stream.
pub(super) fn is_short_and_unfinished(facts: Facts, buf: Option<&Buf>) -> bool {
    let Framing::Length(length) = facts.framing else { return false };
    length <= SHORT && !facts.expects_continue && buf.is_none_or(|block| (block.filled().len() as u64) < length)
}

/// Waits until a short body is there whole, so that a client that is slow with it holds no slot meanwhile.
pub(super) async fn gather(
    conn: &mut Conn,
    setup: &Setup,
    buf: &mut Option<Buf>,
    prepared: Prepared,
) -> Result<Prepared, Next> {
    conn.deadline(setup.io.body_rate_timeout).await;
    while is_short_and_unfinished(prepared.facts, buf.as_ref()) {
        let Some(block) = buf.as_mut() else { return Err(Next::Close) };
        more(conn, block).await?;
    }
    Ok(prepared)
}

/// Refuses. Boxed: a call that is fine does not pay for it.
async fn bad(conn: &mut Conn, refusal: Refusal) -> Next {
    Box::pin(refuse::bad_request(conn, refusal)).await
}

/// Reads once more before the deadline. `Err`: the client was answered, or has left.
pub(super) async fn more(conn: &mut Conn, block: &mut Buf) -> Result<(), Next> {
    block.compact();
    match Box::pin(conn.read_lean(block)).await {
        Some(Ok(n)) if n > 0 => Ok(()),
        Some(_) => {
            conn.home.service.stats.refuse(Reason::BadRequest);
            Err(Next::Close)
        }
        None => {
            conn.home.service.stats.silent.add(1);
            Err(bad(conn, Refusal::with(408, "a body that did not end in time")).await)
        }
    }
}

/// Shows `f` the body's bytes in `block`, chunks taken off; `None` when their framing is broken. When the block is full
/// nothing more can come.
fn see(framing: Framing, block: &mut Buf, buffers: &Rc<Buffers>, f: impl Fn(&[u8], Seen) -> InBody) -> Option<InBody> {
    let full = block.is_full();
    let seen = |whole: bool| if full && !whole { Seen::Cut } else { Seen::from(whole) };
    let raw = block.filled();
    let mut decoder = Decoder::new(framing);
    if let Framing::Length(n) = framing {
        let here = usize::try_from(n).unwrap_or(usize::MAX).min(raw.len());
        let whole = here as u64 == n;
        return Some(f(&raw[..here], seen(whole)));
    }
    let mut copy = buffers.scratch();
    copy.extend_from_slice(raw);
    let told = decoder.decode(&mut copy).ok().map(|decoded| f(&copy[..decoded.data], seen(decoder.is_done())));
    buffers.unscratch(copy);
    told
}
