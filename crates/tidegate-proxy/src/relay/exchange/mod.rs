//! One exchange with one server connection: the request up, the answer down, both polled by one task.

pub(crate) mod again;
mod answer;
pub(crate) mod hooks;
mod watch;

use crate::buffer::Buf;
use crate::home::Home;
use crate::http1::Framing;
use crate::http1::body::Decoder;
use crate::http1::request::Facts;
use crate::http1::response;
use crate::http1::scan::Scan;
use crate::pool::ServerConn;
use crate::protocol::{Rewrite, Told};
use crate::relay::pump::{Fail, Pump};
use crate::relay::whole::Whole;
use crate::service::Ticket;
use crate::setup::Setup;
use crate::stream::Stream;
use again::{Never, Verdict};
use hooks::{Hooks, Look};
use std::task::{Context, Poll, ready};
use tidegate_core::admission::SessionKey;
use tidegate_core::time::{Nanos, Span};

/// Most interim answers (1xx) before the final one.
const INTERIMS_MAX: u8 = 32;
/// What is still read of an answer whose client has left, before the server's connection is closed.
const DISCARD_MAX: u64 = 1 << 20;

/// A connection that is closed within this after a request began had been closed by the server before it saw the request;
/// later, something happened to the server while it worked. Longer than any round trip.
const AT_ONCE: Span = Span::secs(1);

/// What is left to do on a server's connection after a whole answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum After {
    /// Nothing: it may be used again.
    Again,
    /// Nothing, but the server will close it.
    Done,
    /// The request was not sent to its end, or something came behind the answer.
    Amid,
}

/// How an exchange ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The answer is whole. The client's connection may be used again.
    Whole { server: After, keep_client: bool },
    /// The server switched protocols: what follows is a tunnel.
    Switched,
    /// The client left, fell silent or broke its body's framing before the request was whole.
    Client(ClientFault),
    /// Nothing came of the answer, and nothing of it was passed on.
    NoAnswer(Verdict),
    /// The answer is garbage; nothing of it was passed on.
    Garbage,
    /// The answer broke off after some of it was passed on.
    Cut,
    /// The answer says that the call's session is dead, and nothing of it was passed on.
    Held(After),
    /// The server took longer than the machine allows, or takes no more of the request.
    Expired,
    /// The server gives no more of an answer that it has begun; it may still be at work.
    Stalled,
    /// No buffer was free.
    Memory,
}

/// What was wrong with the client's half.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClientFault {
    Left,
    Silent,
    Garbage,
}

enum Down {
    /// Reading a head.
    Head(Scan),
    /// Passing on an interim answer.
    Interim(Pump),
    /// Passing on the answer, or the switch.
    Body(Pump),
    /// Reading an answer that is rewritten before it is passed on.
    Whole(Whole),
}

/// The state of one exchange.
pub(crate) struct Exchange<'a> {
    pub(crate) home: &'a Home,
    pub(crate) setup: &'a Setup,
    pub(crate) request: Facts,
    pub(crate) up: Pump,
    up_over: bool,
    up_broken: bool,
    down: Down,
    sbuf: Option<Buf>,
    interims: u8,
    /// The final answer's facts, once its head is read.
    pub(crate) answer: Option<response::Facts>,
    /// The session that the answer opens, and whether it ends the call's own.
    pub(crate) session: (Option<SessionKey>, bool),
    /// What else the answer says.
    pub(crate) told: Told,
    /// Bytes came behind the whole answer.
    pub(crate) spoke_on: bool,
    /// The answer is to be looked at whole.
    rewrite: Option<Rewrite>,
    /// What the broker wants.
    pub(crate) hooks: Option<Box<Hooks>>,
    close_client: bool,
    /// Writing to the client is of no use any more.
    client_left: bool,
    /// The machine knows that the client has gone.
    gone_told: bool,
    /// When this connection was first written to.
    begun: Nanos,
    up_moved: Nanos,
    down_moved: Nanos,
}

impl<'a> Exchange<'a> {
    pub(crate) fn new(
        home: &'a Home,
        setup: &'a Setup,
        request: Facts,
        head: Vec<u8>,
        rewrite: Option<Rewrite>,
    ) -> Exchange<'a> {
        let up = Pump::new(head, Decoder::new(request.framing), request.framing == Framing::Chunked);
        let now = home.timers.now();
        Exchange {
            home,
            setup,
            request,
            up,
            up_over: false,
            up_broken: false,
            down: Down::Head(Scan::default()),
            sbuf: None,
            interims: 0,
            answer: None,
            session: (None, false),
            told: Told::default(),
            spoke_on: false,
            rewrite,
            hooks: None,
            close_client: !request.keep_alive,
            client_left: false,
            gone_told: false,
            begun: now,
            up_moved: now,
            down_moved: now,
        }
    }

    /// The first part of the body stands in the head already; `rest` reads what follows.
    pub(crate) fn resume(&mut self, rest: Decoder) {
        self.up.resume(rest);
    }

    /// What is small enough to lie here whole is kept until an answer begins, so that it can be sent again.
    pub(crate) fn keep_request(&mut self) {
        self.up.keep();
    }

    /// Whether the connection was lost so soon that the server had closed it before it saw the request.
    pub(crate) fn lost_at_once(&self) -> bool {
        self.home.timers.now().since(self.begun) <= AT_ONCE
    }

    /// Makes it start over with another connection.
    pub(crate) fn rewind(&mut self) {
        self.up.rewind();
        self.up_over = false;
        self.up_broken = false;
        self.down = Down::Head(Scan::default());
        self.sbuf = None;
        self.close_client = !self.request.keep_alive || self.gone_told;
        self.begun = self.home.timers.now();
        (self.up_moved, self.down_moved) = (self.begun, self.begun);
    }

    /// Whether the server's connection is bound to a user from now on.
    pub(crate) fn binds(&self) -> bool {
        self.request.sticky || self.answer.is_some_and(|answer| answer.sticky)
    }

    /// Bytes of the server that lie behind a protocol switch.
    pub(crate) fn take_rest(&mut self) -> Option<Buf> {
        self.sbuf.take().filter(|buf| !buf.is_empty())
    }

    /// Ends it and gives back the vectors that the heads lay in.
    pub(crate) fn finish(self) {
        let buffers = &self.home.buffers;
        buffers.unscratch(self.up.burst.lead);
        if let Down::Body(pump) = self.down {
            buffers.unscratch(pump.burst.lead);
        }
    }

    /// Bytes written to the client.
    pub(crate) fn sent_down(&self) -> u64 {
        match &self.down {
            Down::Body(pump) | Down::Interim(pump) => pump.written,
            Down::Head(_) | Down::Whole(_) => 0,
        }
    }

    /// Moves as much as goes.
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        (ticket, slot): (&Ticket, u32),
        client: &mut Stream,
        cbuf: &mut Option<Buf>,
        conn: &mut ServerConn,
    ) -> Poll<Ended> {
        let reused = conn.reused;
        let Some(server) = conn.stream() else { return Poll::Ready(Ended::NoAnswer(Verdict::Never(Never::Heard))) };
        if !self.up_over
            && let Poll::Ready(Err(ended)) = self.poll_up(cx, client, server, cbuf)
        {
            return Poll::Ready(ended);
        }
        let down = self.poll_down(cx, ticket, client, server, reused);
        if self.sbuf.as_ref().is_some_and(|buf| !buf.is_empty()) || !matches!(self.down, Down::Head(_)) {
            self.up.release(cbuf); // an answer has begun
        }
        if let Poll::Ready(ended) = down {
            return Poll::Ready(ended);
        }
        let rest = self.poll_rest(cx, (ticket, slot), client);
        self.place(conn);
        rest
    }

    /// The request. `Err` ends the exchange.
    fn poll_up(
        &mut self,
        cx: &mut Context<'_>,
        client: &mut Stream,
        server: &mut Stream,
        cbuf: &mut Option<Buf>,
    ) -> Poll<Result<(), Ended>> {
        let result = ready!(self.up.poll(cx, client, server, cbuf, &self.home.buffers));
        self.up_over = true;
        Poll::Ready(match result {
            Ok(()) => Ok(()),
            Err(Fail::Write) => {
                // The server may have answered already without reading on; its answer still counts.
                self.up_broken = true;
                self.close_client |= !self.up.is_over();
                Ok(())
            }
            Err(Fail::Garbage) => Err(Ended::Client(ClientFault::Garbage)),
            Err(Fail::Memory | Fail::TooMuch) => Err(Ended::Memory),
            Err(Fail::Eof | Fail::Read) => Err(Ended::Client(ClientFault::Left)),
        })
    }

    /// The answer.
    fn poll_down(
        &mut self,
        cx: &mut Context<'_>,
        ticket: &Ticket,
        client: &mut Stream,
        server: &mut Stream,
        reused: bool,
    ) -> Poll<Ended> {
        let buffers = &self.home.buffers;
        loop {
            match &mut self.down {
                Down::Head(scan) => {
                    let bytes = self.sbuf.as_ref().map_or(&[][..], |buf| buf.filled());
                    match scan.look(bytes) {
                        Err(_) => return Poll::Ready(Ended::Garbage),
                        Ok(Some(end)) => match self.look(end) {
                            Look::More => {}
                            Look::Hold(after) => return Poll::Ready(Ended::Held(after)),
                            Look::Pass => match self.on_head(end) {
                                Ok(()) => continue,
                                Err(_) => return Poll::Ready(Ended::Garbage),
                            },
                        },
                        Ok(None) => {}
                    }
                    if let Err(ended) = ready!(self.poll_more(cx, server, reused)) {
                        return Poll::Ready(ended);
                    }
                }
                Down::Interim(pump) => match ready!(pump.poll(cx, server, client, &mut self.sbuf, buffers)) {
                    Ok(()) => self.down = Down::Head(Scan::default()),
                    Err(_) => {
                        self.client_left = true;
                        self.down = Down::Head(Scan::default());
                    }
                },
                Down::Whole(whole) => match ready!(whole.poll(cx, server, &mut self.sbuf, buffers)) {
                    Ok(()) => match whole.render(self.close_client) {
                        Some(lead) => self.down = Down::Body(Pump::new(lead, Decoder::Done, false)),
                        None => return Poll::Ready(self.unreadable()),
                    },
                    Err(Fail::Memory) => return Poll::Ready(Ended::Memory),
                    Err(_) => return Poll::Ready(self.unreadable()),
                },
                Down::Body(pump) => {
                    if self.client_left {
                        pump.discard(DISCARD_MAX, &mut self.sbuf);
                    }
                    match ready!(pump.poll(cx, server, client, &mut self.sbuf, buffers)) {
                        Ok(()) => return Poll::Ready(self.whole()),
                        Err(Fail::Write) => self.leave(ticket),
                        Err(Fail::Memory) => return Poll::Ready(Ended::Memory),
                        Err(Fail::TooMuch) => {
                            return Poll::Ready(Ended::Whole { server: After::Amid, keep_client: false });
                        }
                        Err(_) if pump.written == 0 => return Poll::Ready(self.unreadable()),
                        Err(_) => return Poll::Ready(Ended::Cut),
                    }
                }
            }
        }
    }
}
