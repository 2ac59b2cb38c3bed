//! One side of a conversation: a TCP socket or TLS over one, polled without a buffer until bytes are there.

mod sock;

pub(crate) use sock::Sock;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::TlsStream;

/// What a relay reads from and writes to.
pub(crate) enum Stream {
    /// Cleartext.
    Plain(Sock),
    /// TLS, as client or as server.
    Tls(Box<Tls>),
}

/// A TLS stream, and whether it may hold decrypted bytes that the socket's readiness does not show.
pub(crate) struct Tls {
    stream: TlsStream<Sock>,
    more: bool,
}

impl Stream {
    pub(crate) fn plain(sock: Sock) -> Stream {
        Stream::Plain(sock)
    }

    /// After the handshake, whose last flight may have brought data along.
    pub(crate) fn tls(stream: TlsStream<Sock>) -> Stream {
        Stream::Tls(Box::new(Tls { stream, more: true }))
    }

    fn sock(&self) -> &Sock {
        match self {
            Stream::Plain(sock) => sock,
            Stream::Tls(tls) => tls.stream.get_ref().0,
        }
    }

    fn sock_mut(&mut self) -> &mut Sock {
        match self {
            Stream::Plain(sock) => sock,
            Stream::Tls(tls) => tls.stream.get_mut().0,
        }
    }

    fn may_hold(&self) -> bool {
        matches!(self, Stream::Tls(tls) if tls.more)
    }

    /// The address of this end.
    pub(crate) fn local_addr(&self) -> io::Result<std::net::SocketAddr> {
        self.sock().tcp().local_addr()
    }

    /// Ready when a read is worth attaching a buffer.
    pub(crate) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.may_hold() { Poll::Ready(()) } else { self.sock().poll_readable(cx) }
    }

    /// Ready when the other side has left; reads nothing.
    pub(crate) fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.sock_mut().poll_gone(cx)
    }

    /// Whether this idle connection may be used again: open, and not one byte has come.
    pub(crate) fn is_quiet(&self) -> bool {
        !self.may_hold() && self.sock().is_quiet()
    }

    /// As [`Stream::is_quiet`], by what the reactor last saw only: no system call.
    pub(crate) fn seems_quiet(&self) -> bool {
        !self.may_hold() && self.sock().seems_quiet()
    }

    /// Reads into `room`; 0 is the end.
    pub(crate) fn poll_read(&mut self, cx: &mut Context<'_>, room: &mut [u8]) -> Poll<io::Result<usize>> {
        let size = room.len();
        let mut buf = ReadBuf::new(room);
        let result = match self {
            Stream::Plain(sock) => Pin::new(sock).poll_read(cx, &mut buf),
            Stream::Tls(tls) => {
                let result = Pin::new(&mut tls.stream).poll_read(cx, &mut buf);
                tls.more = result.is_ready() && buf.filled().len() == size;
                result
            }
        };
        result.map_ok(|()| buf.filled().len())
    }

    /// Writes one slice.
    pub(crate) fn poll_write(&mut self, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Stream::Plain(sock) => Pin::new(sock).poll_write(cx, data),
            Stream::Tls(tls) => Pin::new(&mut tls.stream).poll_write(cx, data),
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
            Stream::Tls(tls) => Pin::new(&mut tls.stream).poll_write_vectored(cx, slices),
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
            Stream::Tls(tls) => Pin::new(&mut tls.stream).poll_flush(cx),
        }
    }

    /// Says that nothing more will be written.
    pub(crate) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Stream::Plain(sock) => Pin::new(sock).poll_shutdown(cx),
            Stream::Tls(tls) => Pin::new(&mut tls.stream).poll_shutdown(cx),
        }
    }
}
