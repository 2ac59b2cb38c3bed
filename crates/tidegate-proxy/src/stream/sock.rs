//! A TCP socket that can be watched without being read, and that can take bytes back.

use super::Pipe;
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
    /// At least one byte has been read.
    heard: bool,
    /// Bytes that were read too far (behind a PROXY header, of a hello): they come first. Boxed twice to cost a word.
    #[expect(clippy::box_collection, reason = "an idle connection pays for one word instead of three")]
    back: Option<Box<Vec<u8>>>,
}

impl Sock {
    pub(crate) fn new(tcp: TcpStream) -> Sock {
        Sock { tcp, unread: false, heard: false, back: None }
    }

    pub(crate) fn tcp(&self) -> &TcpStream {
        &self.tcp
    }

    /// Whether the other side has said anything.
    pub(crate) fn heard(&self) -> bool {
        self.heard
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

    /// Whether bytes wait to be read, whatever has come behind them. Asks the kernel.
    pub(crate) fn has_bytes(&self) -> bool {
        let mut byte = [std::mem::MaybeUninit::uninit()];
        self.back.is_some() || socket2::SockRef::from(&self.tcp).peek(&mut byte).is_ok_and(|n| n > 0)
    }

    /// Ends the connection when the other side does not acknowledge what was sent for this long.
    pub(crate) fn give_up_after(&self, timeout: std::time::Duration) {
        let _only_a_bound = socket2::SockRef::from(&self.tcp).set_tcp_user_timeout(Some(timeout));
    }

    /// Moves bytes that have come into `pipe`, which is empty; 0 is the end. Bytes that were put back are never moved:
    /// `InvalidInput` says so, and whatever else cannot be spliced.
    pub(crate) fn poll_splice_from(&mut self, cx: &mut Context<'_>, pipe: &mut Pipe) -> Poll<io::Result<usize>> {
        if self.back.is_some() {
            return Poll::Ready(Err(io::ErrorKind::InvalidInput.into()));
        }
        if self.unread {
            match pipe.fill(&self.tcp) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.unread = false,
                filled => return Poll::Ready(filled),
            }
        }
        loop {
            ready!(self.tcp.poll_read_ready(cx))?;
            match self.tcp.try_io(Interest::READABLE, || pipe.fill(&self.tcp)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                filled => return Poll::Ready(filled),
            }
        }
    }

    /// Sends what `pipe` holds.
    pub(crate) fn poll_splice_to(&self, cx: &mut Context<'_>, pipe: &mut Pipe) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.tcp.poll_write_ready(cx))?;
            match self.tcp.try_io(Interest::WRITABLE, || pipe.drain(&self.tcp)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                drained => return Poll::Ready(drained),
            }
        }
    }

    /// Whether an idle connection is still as it was left: open, and not one byte has come. Asks the kernel.
    pub(crate) fn is_quiet(&self) -> bool {
        let mut byte = [std::mem::MaybeUninit::uninit()];
        let peeked = socket2::SockRef::from(&self.tcp).peek(&mut byte);
        self.back.is_none() && peeked.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
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
        let before = buf.filled().len();
        let result = match self.unread.then(|| self.read_past_readiness(buf)).flatten() {
            Some(result) => Poll::Ready(result),
            None => Pin::new(&mut self.tcp).poll_read(cx, buf),
        };
        self.heard |= buf.filled().len() > before;
        result
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
