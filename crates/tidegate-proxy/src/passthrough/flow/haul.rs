//! Large transfers: one direction's bytes go from socket to socket inside the kernel while they keep coming.
//!
//! Only where nobody has to look at them: the headers of TLS records must be read, and a record is 16 KiB at most, so
//! there splicing saves nothing.

use crate::stream::{Pipe, Pipes, Stream};
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll};
use tidegate_core::time::{Nanos, Span};

/// So many bytes in a row make a transfer large. A pipe costs two system calls more at first, and less memory traffic after.
const LARGE: u64 = 64 * 1024;
/// A silence of this length ends a row.
const PAUSE: Span = Span::millis(200);

/// What came of reading into a pipe.
pub(super) enum Hauled {
    /// Nothing is there to be read.
    Nothing,
    /// Bytes are in the pipe.
    Some,
    /// The end, orderly or not.
    Ended(io::Result<()>),
    /// Read it the usual way.
    Usual,
}

/// One direction.
#[derive(Default)]
pub(super) struct Haul {
    pipe: Option<Pipe>,
    row: u64,
    last: Nanos,
    /// The kernel would not.
    refused: bool,
}

impl Haul {
    /// So many bytes have been passed on.
    pub(super) fn passed(&mut self, now: Nanos, n: usize) {
        if now.since(self.last) > PAUSE {
            self.row = 0;
        }
        self.row = self.row.saturating_add(n as u64);
        self.last = now;
    }

    /// Whether bytes are under way in the kernel.
    pub(super) fn is_loaded(&self) -> bool {
        self.pipe.is_some()
    }

    /// Drops what is under way.
    pub(super) fn unload(&mut self) {
        self.pipe = None;
    }

    /// Reads from `from` into a pipe, if the transfer is large.
    pub(super) fn load(&mut self, from: &mut Stream, pipes: &Rc<Pipes>, now: Nanos, cx: &mut Context<'_>) -> Hauled {
        if self.refused || self.row < LARGE || now.since(self.last) > PAUSE {
            return Hauled::Usual;
        }
        let Some(mut pipe) = pipes.lend() else { return Hauled::Usual };
        match from.poll_splice_from(cx, &mut pipe) {
            Poll::Pending => Hauled::Nothing,
            Poll::Ready(Ok(0)) => Hauled::Ended(Ok(())),
            Poll::Ready(Ok(_)) => {
                self.pipe = Some(pipe);
                Hauled::Some
            }
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::InvalidInput => {
                self.refused = true;
                Hauled::Usual
            }
            Poll::Ready(Err(error)) => Hauled::Ended(Err(error)),
        }
    }

    /// Sends what is under way to `to`: so many bytes. `InvalidInput`: not this way, see [`Haul::read`].
    pub(super) fn send(&mut self, to: &mut Stream, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let Some(pipe) = &mut self.pipe else { return Poll::Ready(Ok(0)) };
        let sent = to.poll_splice_to(cx, pipe);
        if pipe.held() == 0 {
            self.pipe = None;
        }
        sent
    }

    /// Reads what is under way out again.
    pub(super) fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        self.refused = true;
        let Some(pipe) = &mut self.pipe else { return Ok(0) };
        let read = pipe.read(room);
        if pipe.held() == 0 {
            self.pipe = None;
        }
        read
    }
}
