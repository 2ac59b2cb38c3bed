//! What is to be written next: a few bytes of our own, then bytes that lie in the buffer, then a few of our own again.

use crate::buffer::Buf;
use crate::stream::Stream;
use std::io::{self, IoSlice};
use std::task::{Context, Poll, ready};

/// Data up to this size is copied behind the lead: one plain write is cheaper than a gathering one.
const COPY_MAX: usize = 4096;

/// One write in the making.
#[derive(Default)]
pub(crate) struct Burst {
    /// Own bytes that go first.
    pub(crate) lead: Vec<u8>,
    lead_at: usize,
    data: usize,
    data_at: usize,
    tail: &'static [u8],
    tail_at: usize,
    /// Bytes of the buffer that are done with once all is written.
    used: usize,
    /// They stay in the buffer all the same, until [`Burst::release`]: all of it may have to be sent again.
    pub(crate) kept: bool,
    /// A layer below may still keep some of what was written.
    unflushed: bool,
}

impl Burst {
    /// A burst of own bytes only.
    pub(crate) fn of(lead: Vec<u8>) -> Burst {
        Burst { lead, ..Burst::default() }
    }

    pub(crate) fn is_sent(&self) -> bool {
        self.lead_at == self.lead.len()
            && self.data_at == self.data
            && self.tail_at == self.tail.len()
            && !self.unflushed
    }

    /// Whether bytes of the buffer are part of it, so that the buffer must stay as it is.
    pub(crate) fn has_data(&self) -> bool {
        self.used > 0
    }

    /// Gives up what is not written yet; the buffer's part of it is consumed.
    pub(crate) fn abandon(&mut self, buf: &mut Option<Buf>) {
        if let Some(buf) = buf {
            buf.consume(self.used);
        }
        *self = Burst::default();
    }

    /// Whether not a single byte has been written.
    pub(crate) fn is_untouched(&self) -> bool {
        self.lead_at == 0 && self.data_at == 0
    }

    /// Bytes of the buffer that were kept are done with.
    pub(crate) fn release(&mut self, buf: &mut Option<Buf>) {
        if std::mem::take(&mut self.kept) && self.is_sent() {
            buf.iter_mut().for_each(|buf| buf.consume(self.used));
            *buf = buf.take().filter(|buf| !buf.is_empty());
            self.forget_data();
        }
    }

    fn forget_data(&mut self) {
        (self.data, self.data_at, self.used) = (0, 0, 0);
        (self.tail, self.tail_at) = (b"", 0);
    }

    /// Clears the lead for the next burst; what it held must have been sent.
    pub(crate) fn reset(&mut self) {
        self.lead.clear();
        self.lead_at = 0;
    }

    /// Everything once more, for another connection. Only right while nothing of it is consumed.
    pub(crate) fn rewind(&mut self) {
        (self.lead_at, self.data_at, self.tail_at) = (0, 0, 0);
        self.unflushed = false;
    }

    /// Adds `data` bytes from the front of `buf`, then `tail`. `used` bytes of `buf` are consumed when all is written.
    pub(crate) fn add(&mut self, buf: &mut Buf, data: usize, tail: &'static [u8], used: usize) {
        if data == 0 || !self.lead.is_empty() && data <= COPY_MAX {
            self.lead.extend_from_slice(&buf.filled()[..data]);
            self.lead.extend_from_slice(tail);
            buf.consume(used);
            return;
        }
        self.data = data;
        self.data_at = 0;
        (self.tail, self.tail_at) = (tail, 0);
        self.used = used;
    }

    /// Writes what goes; ready with how much that was. All is written when [`Burst::is_sent`].
    pub(crate) fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        to: &mut Stream,
        buf: Option<&mut Buf>,
    ) -> Poll<io::Result<usize>> {
        let mut sent = 0;
        while self.lead_at < self.lead.len() || self.data_at < self.data || self.tail_at < self.tail.len() {
            let data = buf.as_deref().map_or(&[][..], |b| &b.filled()[self.data_at..self.data]);
            let (lead, tail) = (&self.lead[self.lead_at..], &self.tail[self.tail_at..]);
            let written = if data.is_empty() && tail.is_empty() {
                to.poll_write(cx, lead)
            } else if lead.is_empty() && tail.is_empty() {
                to.poll_write(cx, data)
            } else {
                to.poll_write_vectored(cx, &[IoSlice::new(lead), IoSlice::new(data), IoSlice::new(tail)])
            };
            self.unflushed = to.needs_flush();
            match written {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(n)) => {
                    sent += n;
                    self.advance(n);
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending if sent > 0 => return Poll::Ready(Ok(sent)),
                Poll::Pending => return Poll::Pending,
            }
        }
        if self.unflushed {
            ready!(to.poll_flush(cx))?;
            self.unflushed = false;
        }
        if !self.kept {
            if let Some(buf) = buf {
                buf.consume(self.used);
            }
            self.forget_data();
        }
        Poll::Ready(Ok(sent))
    }

    fn advance(&mut self, n: usize) {
        let lead = n.min(self.lead.len() - self.lead_at);
        self.lead_at += lead;
        let data = (n - lead).min(self.data - self.data_at);
        self.data_at += data;
        self.tail_at += n - lead - data;
    }
}
