//! One call after another on a client's connection: read the head, ask the machine, relay, tell how it ended.

mod body;
mod brokered;
pub(crate) mod connect;
mod dispatch;
mod prepare;
mod refuse;
mod retry;
mod task_slot;
mod waiting;

use crate::buffer::Buf;
use crate::connection::{Conn, Next};
use crate::http1::Refusal;
use crate::http1::scan::Scan;
use std::future::poll_fn;
use std::task::Poll;
use tidegate_core::reason::Reason;

/// What the head of a request came to.
enum Head {
    /// The first so many bytes of the buffer.
    Whole(usize),
    /// Nothing has come after all.
    Nothing,
    /// The client left, or fell silent, before it was whole.
    Over,
    /// It is not one that may be forwarded.
    Bad(Refusal),
}

/// Serves all calls that have come, until the connection is idle again or over.
pub(crate) async fn calls(conn: &mut Conn) -> Next {
    let Some(buf) = conn.home.buffers.lend() else { return Box::pin(refuse::no_memory(conn)).await };
    let mut buf = Some(buf);
    let mut served = false;
    loop {
        let head = match &mut buf {
            Some(block) => read_head(conn, block).await,
            None => return Next::Idle,
        };
        let nothing = if served { Next::Idle } else { Next::Nothing };
        let next = match head {
            Head::Nothing => return nothing,
            Head::Over => return Next::Close,
            Head::Bad(refusal) => return Box::pin(refuse::bad_request(conn, refusal)).await,
            Head::Whole(end) => dispatch::call(conn, &mut buf, end).await,
        };
        if next != Next::Idle {
            return next;
        }
        served = true;
        // Pipelined bytes are the next call; nothing there: give the block back and wait without one.
        match &mut buf {
            Some(block) if !block.is_empty() => {
                if !block.grow() {
                    return Box::pin(refuse::no_memory(conn)).await;
                }
            }
            _ => return Next::Idle,
        }
    }
}

async fn read_head(conn: &mut Conn, buf: &mut Buf) -> Head {
    let mut scan = Scan::default();
    let mut waited = false;
    buf.compact();
    loop {
        if buf.filled().starts_with(b"\r\n") {
            buf.consume(2); // RFC 9112 §2.2: an empty line before a request is skipped
            scan = Scan::default();
        }
        match scan.look(buf.filled()) {
            Ok(Some(end)) => return Head::Whole(end),
            Ok(None) if buf.room().is_empty() => return Head::Bad(Refusal::with(431, "a head of more than 16 KiB")),
            Ok(None) if !buf.filled().first().is_none_or(u8::is_ascii_alphabetic) && buf.filled() != b"\r" => {
                return Head::Bad(Refusal::bad("no request line"));
            }
            Ok(None) => {}
            Err(refusal) => return Head::Bad(refusal),
        }
        if buf.is_empty() {
            match poll_fn(|cx| Poll::Ready(conn.stream.poll_read(cx, buf.room()))).await {
                Poll::Pending => return Head::Nothing,
                Poll::Ready(Ok(n)) if n > 0 => buf.add(n),
                Poll::Ready(_) => return Head::Over,
            }
            continue;
        }
        if !std::mem::replace(&mut waited, true) {
            let timeout = conn.home.service.setup().io.head_timeout;
            conn.deadline(timeout).await;
        }
        match Box::pin(conn.read_lean(buf)).await {
            Some(Ok(n)) if n > 0 => {}
            Some(_) => {
                conn.home.service.stats.refuse(Reason::BadRequest);
                return Head::Over;
            }
            None => {
                conn.home.service.stats.silent.add(1);
                return Head::Bad(Refusal::with(408, "a head that did not end in time"));
            }
        }
    }
}
