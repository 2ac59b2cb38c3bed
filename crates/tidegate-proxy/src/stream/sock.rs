//! A TCP socket that can be watched without being read, and that can take bytes back.

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
    /// Bytes that were read too far (behind a PROXY header, of a hello): they come first. Boxed twice to cost a word.
    #[expect(clippy::box_collection, reason = "an idle connection pays for one word instead of three")]
    back: Option<Box<Vec<u8>>>,
}

impl Sock {
    pub(crate) fn new(tcp: TcpStream) -> Sock {
        Sock { tcp, unread: false, back: None }
    }

    pub(crate) fn tcp(&self) -> &TcpStream {
        &self.tcp
    }

    /// Makes the close a reset: the other side notices at once, and the port is free at once.
    pub(crate) fn reset(&self) {
        let _it_was_closed = socket2::SockRef::from(&self.tcp).set_linger(Some(std::time::Duration::ZERO));
    }

    /// Puts bytes back: the next read gives them again.
    pub(crate) fn put_back(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.back = Some(Box::new(bytes.to_vec()));
        }
    }

    /// Ready when a read would not wait.
    pub(crate) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.unread || self.back.is_some() {
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
        if let Some(mut back) = self.back.take() {
            let n = back.len().min(buf.remaining());
            buf.put_slice(&back[..n]);
            back.drain(..n);
            self.back = Some(back).filter(|back| !back.is_empty());
            return Poll::Ready(Ok(()));
        }
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
