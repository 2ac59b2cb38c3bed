//! One side of a conversation: a TCP socket, later also TLS over one, polled without a buffer until bytes are there.

use std::future::Future;
use std::io::{self, Read};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker, ready};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;

/// A TCP socket that remembers that unread bytes are there although its readiness was cleared.
///
/// Watching for a client's leaving must see a FIN behind bytes that may not be read yet. The readiness is cleared after
/// each look so that the next segment wakes the watcher; `unread` says that a read must try the kernel first.
pub(crate) struct Sock {
    tcp: TcpStream,
    unread: bool,
}

impl Sock {
    pub(crate) fn new(tcp: TcpStream) -> Sock {
        Sock { tcp, unread: false }
    }

    /// Ready when a read would not wait.
    pub(crate) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.unread {
            return Poll::Ready(());
        }
        self.tcp.poll_read_ready(cx).map(|_| ())
    }

    /// Ready when the other side has closed or reset. Reads nothing.
    pub(crate) fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if ready!(self.tcp.poll_read_ready(cx)).is_err() {
                return Poll::Ready(());
            }
            match readiness_now(&self.tcp) {
                Some(ready) if ready.is_read_closed() || ready.is_error() => return Poll::Ready(()),
                _ => {
                    self.unread = true;
                    let _cleared: io::Result<()> =
                        self.tcp.try_io(Interest::READABLE, || Err(io::ErrorKind::WouldBlock.into()));
                }
            }
        }
    }

    /// Whether an idle connection is still as it was left: open, and not one byte has come.
    pub(crate) fn is_quiet(&self) -> bool {
        if self.unread || readiness_now(&self.tcp).is_some() {
            return false;
        }
        let mut byte = [std::mem::MaybeUninit::uninit()];
        match socket2::SockRef::from(&self.tcp).peek(&mut byte) {
            Err(error) => error.kind() == io::ErrorKind::WouldBlock,
            Ok(_) => false,
        }
    }

    /// As [`Sock::is_quiet`], by what the reactor last saw only: no system call.
    pub(crate) fn seems_quiet(&self) -> bool {
        !self.unread && readiness_now(&self.tcp).is_none()
    }

    fn read_past_readiness(&mut self, buf: &mut ReadBuf<'_>) -> Option<io::Result<()>> {
        self.unread = false;
        let socket = socket2::SockRef::from(&self.tcp);
        let room = buf.initialize_unfilled();
        match (&*socket).read(room) {
            Ok(n) => {
                self.unread = n == room.len();
                buf.advance(n);
                Some(Ok(()))
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
            Err(error) => Some(Err(error)),
        }
    }
}

/// What is known to be ready now, without waiting; `None` when nothing is.
fn readiness_now(tcp: &TcpStream) -> Option<tokio::io::Ready> {
    let mut cx = Context::from_waker(Waker::noop());
    match pin!(tcp.ready(Interest::READABLE)).poll(&mut cx) {
        Poll::Ready(Ok(ready)) => Some(ready),
        Poll::Ready(Err(_)) => Some(tokio::io::Ready::READ_CLOSED),
        Poll::Pending => None,
    }
}

impl AsyncRead for Sock {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.unread
            && let Some(result) = self.read_past_readiness(buf)
        {
            return Poll::Ready(result);
        }
        Pin::new(&mut self.tcp).poll_read(cx, buf)
    }
}

impl AsyncWrite for Sock {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write(cx, data)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}

/// What a relay reads from and writes to.
pub(crate) enum Stream {
    /// Cleartext.
    Plain(Sock),
}

impl Stream {
    pub(crate) fn plain(tcp: TcpStream) -> Stream {
        Stream::Plain(Sock::new(tcp))
    }

    fn sock(&self) -> &Sock {
        match self {
            Stream::Plain(sock) => sock,
        }
    }

    /// Ready when a read is worth attaching a buffer.
    pub(crate) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.sock().poll_readable(cx)
    }

    /// Ready when the other side has left; reads nothing.
    pub(crate) fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self {
            Stream::Plain(sock) => sock.poll_gone(cx),
        }
    }

    /// Whether this idle connection may be used again: open, and not one byte has come.
    pub(crate) fn is_quiet(&self) -> bool {
        self.sock().is_quiet()
    }

    /// As [`Stream::is_quiet`], by what the reactor last saw only: no system call.
    pub(crate) fn seems_quiet(&self) -> bool {
        self.sock().seems_quiet()
    }

    /// Reads into `room`; 0 is the end.
    pub(crate) fn poll_read(&mut self, cx: &mut Context<'_>, room: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut buf = ReadBuf::new(room);
        let result = match self {
            Stream::Plain(sock) => Pin::new(sock).poll_read(cx, &mut buf),
        };
        result.map_ok(|()| buf.filled().len())
    }

    /// Writes one slice.
    pub(crate) fn poll_write(&mut self, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Stream::Plain(sock) => Pin::new(sock).poll_write(cx, data),
        }
    }

    /// Writes several slices in one call.
    pub(crate) fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self {
            Stream::Plain(sock) => Pin::new(sock).poll_write_vectored(cx, slices),
        }
    }

    /// Whether written bytes may stay in a layer below until [`Stream::poll_flush`].
    pub(crate) fn needs_flush(&self) -> bool {
        match self {
            Stream::Plain(_) => false,
        }
    }

    /// Pushes out what a layer below keeps (TLS records).
    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Stream::Plain(_) => {
                let _ = cx;
                Poll::Ready(Ok(()))
            }
        }
    }

    /// Says that nothing more will be written.
    pub(crate) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Stream::Plain(sock) => Pin::new(sock).poll_shutdown(cx),
        }
    }
}
