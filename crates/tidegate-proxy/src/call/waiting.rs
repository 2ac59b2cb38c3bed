//! How a call waits for a word of the gate's own: its client may leave, and it keeps as little memory as it can.

use crate::buffer::Buf;
use crate::connection::Conn;
use std::future::poll_fn;
use std::task::{Context, Poll};

/// Waits for what `poll` gives; `None` when the client leaves first. Nothing more is read meanwhile. `kept`: bytes that
/// the call keeps beside its buffer.
pub(super) async fn wait<T>(
    conn: &mut Conn,
    buf: &mut Option<Buf>,
    kept: usize,
    mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
) -> Option<T> {
    if let Poll::Ready(word) = poll_fn(|cx| Poll::Ready(poll(cx))).await {
        return Some(word);
    }
    let _charge = conn.home.buffers.charge(kept);
    match buf {
        Some(block) if block.is_empty() => *buf = None,
        Some(block) => block.shrink(),
        None => {}
    }
    poll_fn(|cx| match poll(cx) {
        Poll::Ready(word) => Poll::Ready(Some(word)),
        Poll::Pending => conn.stream.poll_gone(cx).map(|()| None),
    })
    .await
}
