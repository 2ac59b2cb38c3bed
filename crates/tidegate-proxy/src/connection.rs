//! A client's connection: idle until a request comes, then [`call`](crate::call) after call, until either side ends it.
//!
//! What an idle connection costs is this task's state and one timer slot; everything else is boxed while a call lasts.

use crate::buffer::Buf;
use crate::call;
use crate::handshake::Subject;
use crate::home::Home;
use crate::pool::ServerConn;
use crate::stream::Stream;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tidegate_core::time::Span;

/// Most bytes read and dropped from a client that was refused, so that it gets to see the answer before a reset.
const LINGER_BYTES: usize = 256 * 1024;
/// … and for how long.
const LINGER: Span = Span::secs(1);

/// One client's connection.
pub(crate) struct Conn {
    pub(crate) stream: Stream,
    pub(crate) home: Rc<Home>,
    /// Who is at the other end: the TCP peer, or whom a PROXY header named.
    pub(crate) peer: SocketAddr,
    /// Who it is by its certificate.
    pub(crate) subject: Option<Arc<Subject>>,
    /// A server's connection on which this client has authenticated.
    pub(crate) bound: Option<Box<ServerConn>>,
    pub(crate) slot: u32,
    /// No call has come yet.
    fresh: bool,
}

/// What follows after the calls that had come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Nothing had come after all: go on waiting.
    Nothing,
    /// Wait for another.
    Idle,
    /// The connection is over.
    Close,
    /// It is over, but the client may still be sending.
    Linger,
}

impl Conn {
    pub(crate) fn new(stream: Stream, home: Rc<Home>, peer: SocketAddr, subject: Option<Arc<Subject>>) -> Conn {
        home.service.stats.open_conns.add(1);
        let slot = home.timers.add();
        Conn { stream, home, peer, subject, bound: None, slot, fresh: true }
    }

    /// Ready with `true` when the client has sent something or left, with `false` when it was silent for too long.
    fn poll_idle(&mut self, cx: &mut Context<'_>, after: &mut Option<Span>) -> Poll<bool> {
        let timers = &self.home.timers;
        if let Some(after) = after.take() {
            timers.set(self.slot, after, cx);
        }
        if self.stream.poll_readable(cx).is_ready() {
            return Poll::Ready(true);
        }
        if timers.expired(self.slot) { Poll::Ready(false) } else { Poll::Pending }
    }

    /// Reads once into `buf`, waiting if need be; `None` when the slot's deadline passes first.
    pub(crate) async fn read(&mut self, buf: &mut Buf) -> Option<std::io::Result<usize>> {
        poll_fn(|cx| {
            if self.home.timers.expired(self.slot) {
                return Poll::Ready(None);
            }
            self.stream.poll_read(cx, buf.room()).map(Some)
        })
        .await
        .inspect(|result| buf.add(*result.as_ref().unwrap_or(&0)))
    }

    /// As [`Conn::read`]; while it waits, `buf` keeps no more than what is filled. An error when no block is free then.
    pub(crate) async fn read_lean(&mut self, buf: &mut Buf) -> Option<std::io::Result<usize>> {
        loop {
            buf.shrink();
            let came = poll_fn(|cx| {
                if self.home.timers.expired(self.slot) {
                    return Poll::Ready(false);
                }
                self.stream.poll_readable(cx).map(|()| true)
            });
            if !came.await {
                return None;
            }
            if !buf.grow() {
                return Some(Err(std::io::ErrorKind::OutOfMemory.into()));
            }
            // Readable may have been a part of a TLS record, or nothing.
            if let Poll::Ready(read) = poll_fn(|cx| Poll::Ready(self.stream.poll_read(cx, buf.room()))).await {
                return Some(read.inspect(|n| buf.add(*n)));
            }
        }
    }

    /// Writes all of `bytes`; false when that fails or takes too long.
    pub(crate) async fn write_all(&mut self, bytes: &[u8], timeout: Span) -> bool {
        let mut at = 0;
        let mut begun = false;
        poll_fn(|cx| {
            if !std::mem::replace(&mut begun, true) {
                self.home.timers.set(self.slot, timeout, cx);
            }
            while at < bytes.len() {
                match self.stream.poll_write(cx, &bytes[at..]) {
                    Poll::Ready(Ok(n)) if n > 0 => at += n,
                    Poll::Ready(_) => return Poll::Ready(false),
                    Poll::Pending if self.home.timers.expired(self.slot) => return Poll::Ready(false),
                    Poll::Pending => return Poll::Pending,
                }
            }
            self.stream.poll_flush(cx).map(|result| result.is_ok())
        })
        .await
    }

    /// Sets the deadline of what comes next.
    pub(crate) async fn deadline(&self, after: Span) {
        poll_fn(|cx| {
            self.home.timers.set(self.slot, after, cx);
            Poll::Ready(())
        })
        .await;
    }

    /// Ends the writing side and drops what the client still sends, for a short while.
    async fn linger(&mut self) {
        self.deadline(LINGER).await;
        let _already_closed = poll_fn(|cx| self.stream.poll_shutdown(cx)).await;
        let Some(mut buf) = self.home.buffers.lend() else { return };
        let mut left = LINGER_BYTES;
        while let Some(Ok(n)) = self.read_lean(&mut buf).await {
            if n == 0 || n >= left {
                return;
            }
            left -= n;
            buf.consume(n);
        }
    }
}

impl Drop for Conn {
    fn drop(&mut self) {
        self.home.timers.remove(self.slot);
        self.home.service.stats.open_conns.sub(1);
        if std::thread::panicking() {
            self.home.service.stats.panics.add(1);
        }
    }
}

/// Serves one connection to its end.
///
/// Written by hand: an `async fn` would keep the connection's state twice, and idle connections are paid by the byte.
pub(crate) enum Serving {
    /// Waiting for a call, for so long once it is polled.
    Idle(Conn, Option<Span>),
    /// Serving the calls that have come.
    Busy(Pin<Box<dyn Future<Output = (Conn, Next)>>>),
    /// Ended.
    Over,
}

impl Serving {
    pub(crate) fn new(conn: Conn) -> Serving {
        let head_timeout = conn.home.service.setup().io.head_timeout;
        Serving::Idle(conn, Some(head_timeout))
    }
}

impl Future for Serving {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            match &mut *self {
                Serving::Over => return Poll::Ready(()),
                Serving::Idle(conn, after) => {
                    let came = ready!(conn.poll_idle(cx, after));
                    let Serving::Idle(conn, _) = std::mem::replace(&mut *self, Serving::Over) else { continue };
                    if came {
                        *self = Serving::Busy(Box::pin(busy(conn)));
                    } else if conn.fresh {
                        conn.home.service.stats.silent.add(1);
                    }
                }
                Serving::Busy(calls) => {
                    let (mut conn, next) = ready!(calls.as_mut().poll(cx));
                    let idle = match next {
                        Next::Nothing => None,
                        Next::Idle => {
                            conn.fresh = false;
                            Some(conn.home.service.setup().io.idle_timeout)
                        }
                        Next::Close | Next::Linger => {
                            *self = Serving::Over;
                            continue;
                        }
                    };
                    *self = Serving::Idle(conn, idle);
                }
            }
        }
    }
}

async fn busy(mut conn: Conn) -> (Conn, Next) {
    let next = call::calls(&mut conn).await;
    if next == Next::Linger {
        Box::pin(conn.linger()).await;
    }
    (conn, next)
}

#[cfg(test)]
mod tests {
    /// What an idle client costs beside its socket: the goal is 600 bytes for this and tokio's own part (about 400).
    #[test]
    fn an_idle_connection_is_small() {
        assert!(std::mem::size_of::<super::Serving>() <= 144, "{}", std::mem::size_of::<super::Serving>());
    }

    fn size_of_calls<F>(_: impl Fn(super::Conn) -> F) -> usize {
        std::mem::size_of::<F>()
    }

    /// A held call costs this and its head: 20 000 of them stay within 64 MiB.
    #[test]
    fn a_call_is_not_large() {
        assert!(size_of_calls(super::busy) <= 3300, "{}", size_of_calls(super::busy));
    }
}
