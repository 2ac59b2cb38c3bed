//! The one kind of answer that is read whole before it is passed on: a small document in which something is replaced.

use super::pump::Fail;
use crate::buffer::{Buf, Buffers};
use crate::http1::Framing;
use crate::http1::body::Decoder;
use crate::protocol::Rewrite;
use crate::stream::Stream;
use crate::vasa::lower::lower;
use crate::vasa::version::{self, DOCUMENT_MAX};
use std::borrow::Cow;
use std::io::Write;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

/// A document on its way.
pub(crate) struct Whole {
    rewrite: Rewrite,
    decoder: Decoder,
    head: Vec<u8>,
    document: Vec<u8>,
    moved: bool,
}

impl Whole {
    /// Whether a document with this framing may be short enough.
    pub(crate) fn fits(framing: Framing) -> bool {
        !matches!(framing, Framing::Length(n) if n > DOCUMENT_MAX as u64)
    }

    /// `head` is what goes before the new document's own Content-Length.
    pub(crate) fn new(rewrite: Rewrite, framing: Framing, head: Vec<u8>) -> Whole {
        Whole { rewrite, decoder: Decoder::new(framing), head, document: Vec::new(), moved: true }
    }

    /// Whether bytes came since this was last asked.
    pub(crate) fn moved(&mut self) -> bool {
        std::mem::take(&mut self.moved)
    }

    /// Reads on; ready when the document is whole.
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        server: &mut Stream,
        buf: &mut Option<Buf>,
        buffers: &Rc<Buffers>,
    ) -> Poll<Result<(), Fail>> {
        loop {
            if let Some(block) = buf.as_mut().filter(|block| !block.is_empty()) {
                let decoded = self.decoder.decode(block.filled_mut()).map_err(|_| Fail::Garbage)?;
                if self.document.len() + decoded.data > DOCUMENT_MAX {
                    return Poll::Ready(Err(Fail::TooMuch));
                }
                self.document.extend_from_slice(&block.filled()[..decoded.data]);
                block.consume(decoded.used);
            }
            if self.decoder.is_done() {
                return Poll::Ready(Ok(()));
            }
            ready!(server.poll_readable(cx));
            if buf.is_none() {
                *buf = buffers.lend();
            }
            let block = buf.as_mut().ok_or(Fail::Memory)?;
            match server.poll_read(cx, block.room()) {
                Poll::Pending => {
                    *buf = None;
                    return Poll::Pending;
                }
                Poll::Ready(Ok(n)) if n > 0 => {
                    block.add(n);
                    self.moved = true;
                }
                Poll::Ready(Ok(_)) if self.decoder == Decoder::UntilClose => self.decoder = Decoder::Done,
                Poll::Ready(_) => return Poll::Ready(Err(Fail::Eof)),
            }
        }
    }

    /// The new answer, head and document; `None` when the document cannot be understood.
    pub(crate) fn render(&mut self, close: bool) -> Option<Vec<u8>> {
        let document = match &self.rewrite {
            Rewrite::Location(origin) => Cow::Owned(version::rewrite(&self.document, origin).ok()?),
            Rewrite::Concurrency => lower(&self.document),
        };
        let mut answer = std::mem::take(&mut self.head);
        let connection = if close { "Connection: close\r\n" } else { "" };
        let _writing_to_a_vec_cannot_fail = write!(answer, "Content-Length: {}\r\n{connection}\r\n", document.len());
        answer.extend_from_slice(&document);
        Some(answer)
    }
}
