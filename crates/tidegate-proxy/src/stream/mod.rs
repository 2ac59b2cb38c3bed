//! One side of a conversation: a TCP socket or TLS over one, polled without a buffer until bytes are there.

mod pipe;
mod sock;

pub(crate) use pipe::{Pipe, Pipes};
pub(crate) use sock::{Ending, Sock, Stir};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::TlsStream;

/// What a relay reads from and writes to.
pub(crate) enum Stream {
    /// Cleartext.
    Plain(Sock),
    /// TLS, as client or as server.
    Tls(Box<TlsStream<Sock>>),
}

impl Stream {
    pub(crate) fn plain(sock: Sock) -> Stream {
        Stream::Plain(sock)
    }

    /// After the handshake.
    pub(crate) fn tls(stream: TlsStream<Sock>) -> Stream {
        Stream::Tls(Box::new(stream))
    }

    fn sock(&self) -> &Sock {
        match self {
            Stream::Plain(sock) => sock,
            Stream::Tls(tls) => tls.get_ref().0,
        }
    }

    fn sock_mut(&mut self) -> &mut Sock {
        match self {
            Stream::Plain(sock) => sock,
            Stream::Tls(tls) => tls.get_mut().0,
        }
    }

    /// Whether decrypted bytes, or the end, are there that the socket's readiness does not show.
    fn holds(&self) -> bool {
        matches!(self, Stream::Tls(tls) if !tls.get_ref().1.wants_read())
    }

    /// The address of this end.
    pub(crate) fn local_addr(&self) -> io::Result<std::net::SocketAddr> {
        self.sock().tcp().local_addr()
    }

    /// Makes the close a reset: the other side notices at once, and the port is free at once.
    pub(crate) fn reset(&mut self) {
        self.sock_mut().reset();
    }

    /// A new exchange begins on it.
    pub(crate) fn begin(&mut self) {
        self.sock_mut().begin();
    }

    /// Whether the kernel has taken any byte since [`Stream::begin`].
    pub(crate) fn said(&self) -> bool {
        self.sock().said()
    }

    /// What is known of how it ends when it is closed now.
    pub(crate) fn ending(&self) -> Ending {
        self.sock().ending()
    }

    /// Ready when a read is worth attaching a buffer.
    pub(crate) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.holds() { Poll::Ready(()) } else { self.sock().poll_readable(cx) }
    }

    /// Ready when the other side has left; reads nothing.
    pub(crate) fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.sock_mut().poll_gone(cx)
    }

    /// What became of this idle connection; nothing when it may be used again. Asks the kernel.
    pub(crate) fn stirred(&mut self) -> Option<Stir> {
        let held = self.holds();
        let stir = if held { Some(Stir::Spoke) } else { self.sock_mut().stirred() };
        if stir.is_none() || matches!(self, Stream::Plain(_)) {
            return stir;
        }
        // What came may be a session ticket, which is nothing, or the other side's goodbye.
        self.sock_mut().look_again();
        match self.poll_read(&mut Context::from_waker(Waker::noop()), &mut [0]) {
            Poll::Pending => None,
            Poll::Ready(Ok(n)) if n > 0 => Some(Stir::Spoke),
            Poll::Ready(_) => Some(Stir::Closed),
        }
    }

    /// Ready when this idle connection has stirred; else the waker is woken when it does.
    pub(crate) fn poll_stirred(&mut self, cx: &mut Context<'_>) -> Poll<Stir> {
        for _ in 0..2 {
            if !self.holds() && self.sock().poll_readable(cx).is_pending() {
                break;
            }
            if let Some(stir) = self.stirred() {
                return Poll::Ready(stir);
            }
            self.sock_mut().calm();
        }
        Poll::Pending
    }

    /// Whether bytes wait to be read, whatever has come behind them.
    pub(crate) fn has_bytes(&self) -> bool {
        self.holds() || self.sock().has_bytes()
    }

    /// Ends the connection when the other side does not acknowledge what was sent for this long.
    pub(crate) fn give_up_after(&self, timeout: std::time::Duration) {
        self.sock().give_up_after(timeout);
    }

    /// Moves bytes that have come into `pipe`, which is empty; 0 is the end. `InvalidInput`: not from here.
    pub(crate) fn poll_splice_from(&mut self, cx: &mut Context<'_>, pipe: &mut Pipe) -> Poll<io::Result<usize>> {
        match self {
            Stream::Plain(sock) => sock.poll_splice_from(cx, pipe),
            Stream::Tls(_) => Poll::Ready(Err(io::ErrorKind::InvalidInput.into())),
        }
    }

    /// Sends what `pipe` holds. `InvalidInput`: not to here.
    pub(crate) fn poll_splice_to(&mut self, cx: &mut Context<'_>, pipe: &mut Pipe) -> Poll<io::Result<usize>> {
        match self {
            Stream::Plain(sock) => sock.poll_splice_to(cx, pipe),
            Stream::Tls(_) => Poll::Ready(Err(io::ErrorKind::InvalidInput.into())),
        }
    }

    /// Reads into `room`; 0 is the end.
    pub(crate) fn poll_read(&mut self, cx: &mut Context<'_>, room: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut buf = ReadBuf::new(room);
        let result = match self {
            Stream::Plain(sock) => Pin::new(sock).poll_read(cx, &mut buf),
            Stream::Tls(tls) => Pin::new(&mut **tls).poll_read(cx, &mut buf),
        };
        result.map_ok(|()| buf.filled().len())
    }

    /// Writes one slice.
    pub(crate) fn poll_write(&mut self, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Stream::Plain(sock) => Pin::new(sock).poll_write(cx, data),
            Stream::Tls(tls) => Pin::new(&mut **tls).poll_write(cx, data),
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
            Stream::Tls(tls) => Pin::new(&mut **tls).poll_write_vectored(cx, slices),
        }
    }

    /// Whether written bytes may stay in a layer below until [`Stream::poll_flush`].
    pub(crate) fn needs_flush(&self) -> bool {
        matches!(self, Stream::Tls(_))
    }

    /// Pushes out what a layer below keeps (TLS records).
    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Stream::Plain(sock) => Pin::new(sock).poll_flush(cx),
            Stream::Tls(tls) => Pin::new(&mut **tls).poll_flush(cx),
        }
    }

    /// Says that nothing more will be written.
    pub(crate) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Stream::Plain(sock) => Pin::new(sock).poll_shutdown(cx),
            Stream::Tls(tls) => Pin::new(&mut **tls).poll_shutdown(cx),
        }
    }
}
