//! The answer's side of an exchange: its head is read, judged, and put together for the client.

use super::again::Attempt;
use super::{After, Down, Ended, Exchange, INTERIMS_MAX};
use crate::buffer::Buf;
use crate::http1::body::Decoder;
use crate::http1::fields::is;
use crate::http1::request::{FieldRoom, Method};
use crate::http1::response::{Manner, Response};
use crate::http1::{Framing, Refusal};
use crate::protocol::Rewrite;
use crate::relay::pump::Pump;
use crate::relay::whole::Whole;
use crate::stream::Stream;
use crate::vasa::cookie::SetSession;
use std::mem::MaybeUninit;
use std::task::{Context, Poll, ready};

impl Exchange<'_> {
    /// More bytes of the answer's head.
    pub(super) fn poll_more(
        &mut self,
        cx: &mut Context<'_>,
        server: &mut Stream,
        reused: bool,
    ) -> Poll<Result<(), Ended>> {
        ready!(server.poll_readable(cx));
        if self.sbuf.is_none() {
            self.sbuf = self.home.buffers.lend();
        }
        let Some(buf) = self.sbuf.as_mut() else { return Poll::Ready(Err(Ended::Memory)) };
        buf.compact();
        if buf.room().is_empty() {
            return Poll::Ready(Err(Ended::Garbage)); // a head of more than 16 KiB
        }
        let untouched = buf.is_empty() && self.interims == 0;
        match server.poll_read(cx, buf.room()) {
            Poll::Pending => {
                if buf.is_empty() {
                    self.sbuf = None;
                }
                Poll::Pending
            }
            Poll::Ready(Ok(n)) if n > 0 => {
                buf.add(n);
                Poll::Ready(Ok(()))
            }
            Poll::Ready(_) => {
                let attempt = Attempt {
                    reused,
                    taken: server.said(),
                    heard: !untouched,
                    repeatable: self.request.method != Method::Other,
                    here: self.up.is_here(),
                };
                Poll::Ready(Err(Ended::NoAnswer(attempt.judge())))
            }
        }
    }

    /// The head of an answer is in the buffer.
    pub(super) fn on_head(&mut self, end: usize) -> Result<(), Refusal> {
        let private = self.is_private();
        let Some(buf) = self.sbuf.as_mut() else { return Err(Refusal::bad("no head")) };
        let mut room: FieldRoom<'_> = [MaybeUninit::uninit(); _];
        let head = &buf.filled()[..end];
        let answer = Response::parse(head, &mut room, self.request.method)?;
        let facts = answer.facts;
        let mut lead = self.home.buffers.scratch();
        let switch = facts.status == 101;
        let interim = facts.status < 200 && !switch;
        if switch && !self.request.upgrade {
            return Err(Refusal::bad("a switch that nobody asked for"));
        }
        let unchunk = facts.framing == Framing::Chunked && !self.request.modern;
        if !interim {
            let unfinished = !self.up_over || self.up_broken;
            let endless = facts.framing == Framing::UntilClose || unchunk;
            // What the client may have sent already for a protocol that was refused is no request (RFC 9931).
            let refused = self.request.upgrade && !switch;
            self.close_client |= unfinished || endless || refused || self.home.service.stopping();
            self.session = match self.setup.protocol.session(answer.headers) {
                Some(SetSession::Opened(token)) => (Some(self.setup.session(token)), false),
                Some(SetSession::Closed) => (None, true),
                None => (None, false),
            };
            self.told = self.setup.protocol.told(facts.status, &buf.filled()[end..]);
            if let (false, Some(judged)) = (private, self.told.judged) {
                self.home.service.stats.judged(judged);
            }
            if facts.status == 200
                && let Some(rewrite) = self.rewrite.take()
            {
                let plain = answer.headers.iter().all(|h| !is(h.name, "content-encoding"));
                let readable = plain && Whole::fits(facts.framing);
                let wanted = match rewrite {
                    Rewrite::Location(_) if !readable => {
                        return Err(Refusal::bad("an answer that cannot be looked into"));
                    }
                    Rewrite::Location(_) => true,
                    Rewrite::Concurrency => readable && self.home.service.pressed(),
                };
                if wanted {
                    let whole = Whole::new(rewrite, facts.framing, answer.plain_head());
                    buf.consume(end);
                    self.answer = Some(facts);
                    self.down = Down::Whole(whole);
                    return Ok(());
                }
            }
        }
        let close = self.close_client && !interim;
        answer.write_to(Manner { close, modern: self.request.modern || interim, unchunk, switch, private }, &mut lead);
        buf.consume(end);
        if interim {
            self.interims += 1;
            if self.interims > INTERIMS_MAX {
                return Err(Refusal::bad("too many interim answers"));
            }
            if !self.request.modern {
                lead.clear();
            }
            self.down = Down::Interim(Pump::new(lead, Decoder::Done, false));
            return Ok(());
        }
        self.answer = Some(facts);
        let decoder = if switch { Decoder::Done } else { Decoder::new(facts.framing) };
        let chunked = facts.framing == Framing::Chunked && !unchunk;
        self.down = Down::Body(Pump::new(lead, decoder, chunked));
        Ok(())
    }

    /// An answer that could not be looked into is not passed on as it is.
    pub(super) fn unreadable(&mut self) -> Ended {
        self.answer = None;
        Ended::Garbage
    }

    pub(super) fn whole(&mut self) -> Ended {
        let Some(answer) = self.answer else { return Ended::Garbage };
        if answer.status == 101 {
            return if self.client_left { Ended::Cut } else { Ended::Switched };
        }
        let sent = self.up_over && !self.up_broken;
        let clean = self.sbuf.as_ref().is_none_or(Buf::is_empty);
        self.spoke_on = !clean;
        Ended::Whole {
            server: match (sent && clean, answer.keep_alive) {
                (true, true) => After::Again,
                (true, false) => After::Done,
                (false, _) => After::Amid,
            },
            keep_client: !self.close_client && !self.client_left,
        }
    }
}
