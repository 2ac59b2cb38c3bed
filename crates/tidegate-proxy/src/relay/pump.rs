//! One direction of an exchange: reads a body in its framing, checks it, writes it in the framing of the other side.

use super::burst::Burst;
use crate::buffer::{Buf, Buffers};
use crate::http1::body::Decoder;
use crate::stream::Stream;
use std::io::Write;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

/// Why a direction stopped before its end.
#[derive(Debug)]
pub(crate) enum Fail {
    /// The reading side ended before its body did.
    Eof,
    /// The reading side broke.
    Read,
    /// The writing side broke.
    Write,
    /// The body breaks its framing.
    Garbage,
    /// No buffer was free.
    Memory,
    /// More than the bound came while nobody wanted it any more.
    TooMuch,
}

/// What a direction waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    Nothing,
    Read,
    Write,
}

/// One direction.
pub(crate) struct Pump {
    decoder: Decoder,
    chunked: bool,
    pub(crate) burst: Burst,
    /// What it waited for when it last returned.
    pub(crate) wait: Wait,
    /// Bytes written in all.
    pub(crate) written: u64,
    /// It moved since [`Pump::moved`] was last asked.
    moved: bool,
    /// All that was ever to be written is still here, so it can be sent again.
    replayable: bool,
    /// Bytes of the buffer stay there after they were written, if they are all there is.
    keeps: bool,
    /// What comes is dropped instead of written, at most so many more bytes.
    discard: Option<u64>,
}

impl Pump {
    /// Writes `lead`, then the body that `decoder` reads; in chunks when `chunked`.
    pub(crate) fn new(lead: Vec<u8>, decoder: Decoder, chunked: bool) -> Pump {
        Pump {
            decoder,
            chunked,
            burst: Burst::of(lead),
            wait: Wait::Nothing,
            written: 0,
            moved: true,
            replayable: true,
            keeps: false,
            discard: None,
        }
    }

    /// The first part of the body is a chunk of the lead already; `rest` reads what follows.
    pub(crate) fn resume(&mut self, rest: Decoder) {
        self.decoder = rest;
    }

    /// All has been read, and written.
    pub(crate) fn is_over(&self) -> bool {
        self.decoder.is_done() && (self.burst.is_sent() || self.discard.is_some())
    }

    /// All is read, and still here: it can be sent again.
    pub(crate) fn is_here(&self) -> bool {
        self.replayable && self.decoder.is_done() && !self.burst.lead.is_empty()
    }

    /// What lies in the buffer whole is to stay there, so that it can be sent again.
    pub(crate) fn keep(&mut self) {
        self.keeps = true;
    }

    /// It will not be sent again.
    pub(crate) fn release(&mut self, buf: &mut Option<Buf>) {
        self.keeps = false;
        self.burst.release(buf);
    }

    /// Makes it begin again, on another connection. Only right when [`Pump::is_here`], or when nothing was written.
    pub(crate) fn rewind(&mut self) {
        self.burst.rewind();
        self.written = 0;
        self.moved = true;
    }

    /// Whether it moved since the last time this was asked.
    pub(crate) fn moved(&mut self) -> bool {
        std::mem::take(&mut self.moved)
    }

    /// From now on drops what comes, at most `max` bytes of it.
    pub(crate) fn discard(&mut self, max: u64, buf: &mut Option<Buf>) {
        if self.discard.is_none() {
            self.discard = Some(max);
            self.burst.abandon(buf);
        }
    }

    /// Moves as much as goes. Ready when the body is over and written.
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut Stream,
        to: &mut Stream,
        buf: &mut Option<Buf>,
        buffers: &Rc<Buffers>,
    ) -> Poll<Result<(), Fail>> {
        loop {
            self.take_up(buf)?;
            while !self.burst.is_sent() {
                self.wait = Wait::Write;
                let sent = ready!(self.burst.poll_send(cx, to, buf.as_mut())).map_err(|_| Fail::Write)?;
                self.written += sent as u64;
                self.moved = true;
            }
            if self.decoder.is_done() {
                self.wait = Wait::Nothing;
                return Poll::Ready(Ok(()));
            }
            if buf.as_ref().is_some_and(|b| !b.is_empty()) {
                continue;
            }
            self.wait = Wait::Read;
            ready!(self.poll_fill(cx, from, buf, buffers))?;
        }
    }

    /// Decodes what lies in the buffer into the burst, unless one is under way.
    fn take_up(&mut self, buf: &mut Option<Buf>) -> Result<(), Fail> {
        let Some(buf) = buf.as_mut().filter(|b| !b.is_empty()) else { return Ok(()) };
        let free = self.burst.is_sent() || self.burst.is_untouched() && !self.burst.has_data();
        if self.decoder.is_done() || !free {
            return Ok(());
        }
        let decoded = self.decoder.decode(buf.filled_mut()).map_err(|_| Fail::Garbage)?;
        if let Some(left) = &mut self.discard {
            buf.consume(decoded.used);
            *left = left.checked_sub(decoded.used as u64).ok_or(Fail::TooMuch)?;
            return Ok(());
        }
        if self.burst.is_sent() {
            self.burst.reset();
            self.replayable = false;
        }
        let tail = if self.chunked { self.frame(decoded.data) } else { &b""[..] };
        self.burst.add(buf, decoded.data, tail, decoded.used);
        self.burst.kept = self.keeps && self.replayable && self.decoder.is_done() && self.burst.has_data();
        self.replayable &= self.burst.kept || !self.burst.has_data();
        Ok(())
    }

    /// Puts the chunk's size before the data and returns what comes after it.
    fn frame(&mut self, data: usize) -> &'static [u8] {
        let done = self.decoder.is_done();
        if data > 0 {
            let _ = write!(self.burst.lead, "{data:x}\r\n"); // writing to a Vec cannot fail
        }
        match (data > 0, done) {
            (true, true) => b"\r\n0\r\n\r\n",
            (true, false) => b"\r\n",
            (false, true) => b"0\r\n\r\n",
            (false, false) => b"",
        }
    }

    fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut Stream,
        buf: &mut Option<Buf>,
        buffers: &Rc<Buffers>,
    ) -> Poll<Result<(), Fail>> {
        ready!(from.poll_readable(cx));
        if buf.as_mut().is_some_and(|b| !b.grow()) {
            return Poll::Ready(Err(Fail::Memory));
        }
        if buf.is_none() {
            *buf = Some(buffers.lend().ok_or(Fail::Memory)?);
        }
        let Some(block) = buf.as_mut() else { return Poll::Ready(Err(Fail::Memory)) };
        match from.poll_read(cx, block.room()) {
            Poll::Pending => {
                *buf = None;
                Poll::Pending
            }
            Poll::Ready(Err(_)) => Poll::Ready(Err(Fail::Read)),
            Poll::Ready(Ok(0)) => {
                *buf = None;
                Poll::Ready(self.end_of_stream())
            }
            Poll::Ready(Ok(n)) => {
                block.add(n);
                self.moved = true;
                Poll::Ready(Ok(()))
            }
        }
    }

    fn end_of_stream(&mut self) -> Result<(), Fail> {
        if self.decoder != Decoder::UntilClose {
            return Err(Fail::Eof);
        }
        self.decoder = Decoder::Done;
        if self.chunked && self.discard.is_none() {
            self.burst.reset();
            self.replayable = false;
            self.burst.lead.extend_from_slice(b"0\r\n\r\n");
        }
        Ok(())
    }
}
