//! A TCP socket that can be watched without being read, and that can take bytes back.

use super::Pipe;
use crate::ports::Guard;
use serde::{Deserialize, Serialize};
use std::future::Future;
use std::io::{self, Read};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker, ready};
use tidegate_core::{ledger, words};
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
    /// The kernel has taken at least one byte since [`Sock::begin`].
    said: bool,
    /// The other side has said that nothing more will come.
    ended: bool,
    /// The connection was reset, by either side.
    broken: bool,
    /// Bytes that were read too far (behind a PROXY header, of a hello): they come first. Boxed twice to cost a word.
    #[expect(clippy::box_collection, reason = "an idle connection pays for one word instead of three")]
    back: Option<Box<Vec<u8>>>,
    /// The source port that it holds, towards a server. After `tcp`, so that it is free only when the socket is closed.
    port: Option<Box<Guard>>,
}

impl Sock {
    pub(crate) fn new(tcp: TcpStream) -> Sock {
        Sock { tcp, unread: false, heard: false, said: false, ended: false, broken: false, back: None, port: None }
    }

    /// One of ours to a server, with the port that it holds.
    pub(crate) fn to_server(tcp: TcpStream, port: Guard) -> Sock {
        let mut sock = Sock::new(tcp);
        sock.port = Some(Box::new(port));
        sock
    }

    pub(crate) fn tcp(&self) -> &TcpStream {
        &self.tcp
    }

    /// Whether the other side has said anything.
    pub(crate) fn heard(&self) -> bool {
        self.heard
    }

    /// Whether the kernel has taken any byte since [`Sock::begin`].
    pub(crate) fn said(&self) -> bool {
        self.said
    }

    /// A new exchange begins.
    pub(crate) fn begin(&mut self) {
        self.said = false;
    }

    /// What is known of how it ends when it is closed now.
    pub(crate) fn ending(&self) -> Ending {
        match (self.broken, self.ended) {
            (true, _) => Ending::Reset,
            (false, true) => Ending::Clean,
            (false, false) => Ending::Unknown,
        }
    }

    /// Makes the close a reset: the other side notices at once, and the port is free at once.
    pub(crate) fn reset(&mut self) {
        self.broken = true;
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
        let filled = ready!(self.poll_fill(cx, pipe));
        self.ended |= matches!(filled, Ok(0));
        let broke = |error: &io::Error| error.kind() != io::ErrorKind::InvalidInput;
        self.broken |= filled.as_ref().is_err_and(broke);
        Poll::Ready(filled)
    }

    fn poll_fill(&mut self, cx: &mut Context<'_>, pipe: &mut Pipe) -> Poll<io::Result<usize>> {
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

    /// What became of an idle connection; nothing when it is still as it was left. Asks the kernel.
    pub(crate) fn stirred(&mut self) -> Option<Stir> {
        let mut byte = [std::mem::MaybeUninit::uninit()];
        let peeked = socket2::SockRef::from(&self.tcp).peek(&mut byte);
        match peeked {
            _ if self.back.is_some() => Some(Stir::Spoke),
            Ok(0) => {
                self.ended = true;
                Some(Stir::Closed)
            }
            Ok(_) => Some(Stir::Spoke),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
            Err(_) => {
                self.broken = true;
                Some(Stir::Closed)
            }
        }
    }

    /// The next read asks the kernel, whatever is known of readiness.
    pub(crate) fn look_again(&mut self) {
        self.unread = true;
    }

    /// Forgets that it is readable, when it is not.
    pub(crate) fn calm(&mut self) {
        self.unread = false;
        let _cleared: io::Result<()> = self.tcp.try_io(Interest::READABLE, || Err(io::ErrorKind::WouldBlock.into()));
    }

    fn note<T>(&mut self, result: &Poll<io::Result<T>>) {
        self.broken |= matches!(result, Poll::Ready(Err(_)));
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

words! {
    /// How a connection ended, as far as this side knows.
    Ending {
        /// The other side had closed before this one did: nothing is left of it.
        Clean = "clean",
        /// It was reset, by either side: the other side may hold nothing.
        Reset = "reset",
        /// This side closed first, or gave up: the other side may still hold it.
        Unknown = "unknown",
    }
}

/// What became of an idle connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stir {
    /// The other side has closed or reset it.
    Closed,
    /// The other side has sent something unasked.
    Spoke,
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

impl Drop for Sock {
    fn drop(&mut self) {
        let ending = match self.ending() {
            Ending::Clean => ledger::Ending::Clean,
            Ending::Reset => ledger::Ending::Reset,
            Ending::Unknown => ledger::Ending::Unknown,
        };
        if let Some(port) = &mut self.port {
            port.ends(ending);
        }
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
        let (before, room) = (buf.filled().len(), buf.remaining() > 0);
        let result = match self.unread.then(|| self.read_past_readiness(buf)).flatten() {
            Some(result) => Poll::Ready(result),
            None => Pin::new(&mut self.tcp).poll_read(cx, buf),
        };
        let heard = buf.filled().len() > before;
        self.heard |= heard;
        self.ended |= !heard && room && matches!(result, Poll::Ready(Ok(())));
        self.note(&result);
        result
    }
}

impl AsyncWrite for Sock {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.tcp).poll_write(cx, data);
        self.said |= matches!(written, Poll::Ready(Ok(n)) if n > 0);
        self.note(&written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.tcp).poll_write_vectored(cx, slices);
        self.said |= matches!(written, Poll::Ready(Ok(n)) if n > 0);
        self.note(&written);
        written
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
