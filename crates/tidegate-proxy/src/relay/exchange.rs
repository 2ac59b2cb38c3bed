//! One exchange with one server connection: the request up, the answer down, both polled by one task.

use super::pump::{Fail, Pump, Wait};
use super::whole::Whole;
use crate::buffer::Buf;
use crate::home::Home;
use crate::http1::body::Decoder;
use crate::http1::fields::is;
use crate::http1::request::{Facts, FieldRoom, Method};
use crate::http1::response::{self, Manner, Response};
use crate::http1::scan::Scan;
use crate::http1::{Framing, Refusal};
use crate::pool::ServerConn;
use crate::protocol::Told;
use crate::service::{Decision, Ticket};
use crate::setup::Setup;
use crate::stream::Stream;
use crate::vasa::cookie::SetSession;
use crate::vasa::version::Origin;
use std::mem::MaybeUninit;
use std::task::{Context, Poll, ready};
use tidegate_core::admission::SessionKey;
use tidegate_core::time::Nanos;

/// Most interim answers (1xx) before the final one.
const INTERIMS_MAX: u8 = 32;
/// What is still read of an answer whose client has left, before the server's connection is closed.
const DISCARD_MAX: u64 = 1 << 20;

/// How an exchange ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The answer is whole. The server's connection may be used again; the client's may, too.
    Whole { reuse_server: bool, keep_client: bool },
    /// The server switched protocols: what follows is a tunnel.
    Switched,
    /// The client left, fell silent or broke its body's framing before the request was whole.
    Client(ClientFault),
    /// Nothing came of the answer, and nothing of it was passed on.
    NoAnswer {
        /// The request can be sent again on a new connection without doing anything twice.
        again: bool,
    },
    /// The answer is garbage; nothing of it was passed on.
    Garbage,
    /// The answer broke off after some of it was passed on.
    Cut,
    /// The server took longer than the machine allows.
    Expired,
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
    pub(crate) ticket: &'a Ticket,
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
    /// Addresses in the answer are replaced by this one.
    rewrite: Option<Origin>,
    close_client: bool,
    /// Writing to the client is of no use any more.
    client_left: bool,
    /// The machine knows that the client has gone.
    gone_told: bool,
    up_moved: Nanos,
    down_moved: Nanos,
}

impl<'a> Exchange<'a> {
    pub(crate) fn new(
        home: &'a Home,
        setup: &'a Setup,
        ticket: &'a Ticket,
        request: Facts,
        head: Vec<u8>,
        rewrite: Option<Origin>,
    ) -> Exchange<'a> {
        let up = Pump::new(head, Decoder::new(request.framing), request.framing == Framing::Chunked);
        let now = home.timers.now();
        Exchange {
            home,
            setup,
            ticket,
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
            rewrite,
            close_client: !request.keep_alive,
            client_left: false,
            gone_told: false,
            up_moved: now,
            down_moved: now,
        }
    }

    /// Makes it start over with another connection.
    pub(crate) fn rewind(&mut self) {
        self.up.rewind();
        self.up_over = false;
        self.up_broken = false;
        self.down = Down::Head(Scan::default());
        self.sbuf = None;
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
        slot: u32,
        client: &mut Stream,
        cbuf: &mut Option<Buf>,
        conn: &mut ServerConn,
    ) -> Poll<Ended> {
        let reused = conn.reused;
        let Some(server) = conn.stream() else { return Poll::Ready(Ended::NoAnswer { again: false }) };
        if !self.up_over
            && let Poll::Ready(Err(ended)) = self.poll_up(cx, client, server, cbuf)
        {
            return Poll::Ready(ended);
        }
        if let Poll::Ready(ended) = self.poll_down(cx, client, server, reused) {
            return Poll::Ready(ended);
        }
        self.poll_rest(cx, slot, client)
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
                        Ok(Some(end)) => match self.on_head(end) {
                            Ok(()) => continue,
                            Err(_) => return Poll::Ready(Ended::Garbage),
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
                        Err(Fail::Write) => self.leave(),
                        Err(Fail::Memory) => return Poll::Ready(Ended::Memory),
                        Err(Fail::TooMuch) => {
                            return Poll::Ready(Ended::Whole { reuse_server: false, keep_client: false });
                        }
                        Err(_) if pump.written == 0 => return Poll::Ready(self.unreadable()),
                        Err(_) => return Poll::Ready(Ended::Cut),
                    }
                }
            }
        }
    }

    /// More bytes of the answer's head.
    fn poll_more(&mut self, cx: &mut Context<'_>, server: &mut Stream, reused: bool) -> Poll<Result<(), Ended>> {
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
                let safe = self.request.method != Method::Other || self.up_broken && self.up.written == 0;
                let again = reused && untouched && safe && self.up.is_only_lead();
                Poll::Ready(Err(Ended::NoAnswer { again }))
            }
        }
    }

    /// The head of an answer is in the buffer.
    fn on_head(&mut self, end: usize) -> Result<(), Refusal> {
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
            self.close_client |= unfinished || endless || self.home.service.stopping();
            self.session = match self.setup.protocol.session(answer.headers) {
                Some(SetSession::Opened(token)) => (Some(self.setup.session(token)), false),
                Some(SetSession::Closed) => (None, true),
                None => (None, false),
            };
            self.told = self.setup.protocol.told(facts.status, &buf.filled()[end..]);
            if facts.status == 200
                && let Some(origin) = self.rewrite.take()
            {
                let plain = answer.headers.iter().all(|h| !is(h.name, "content-encoding"));
                let whole = Whole::new(origin, facts.framing, answer.plain_head()).filter(|_| plain);
                buf.consume(end);
                self.answer = Some(facts);
                self.down = Down::Whole(whole.ok_or(Refusal::bad("an answer that cannot be looked into"))?);
                return Ok(());
            }
        }
        let close = self.close_client && !interim;
        answer.write_to(Manner { close, modern: self.request.modern || interim, unchunk, switch }, &mut lead);
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
    fn unreadable(&mut self) -> Ended {
        self.answer = None;
        Ended::Garbage
    }

    fn whole(&mut self) -> Ended {
        let Some(answer) = self.answer else { return Ended::Garbage };
        if answer.status == 101 {
            return if self.client_left { Ended::Cut } else { Ended::Switched };
        }
        let sent = self.up_over && !self.up_broken;
        let clean = self.sbuf.as_ref().is_none_or(Buf::is_empty);
        Ended::Whole {
            reuse_server: answer.keep_alive && sent && clean,
            keep_client: !self.close_client && !self.client_left,
        }
    }

    /// The client is not there any more; the slot stays taken until the server is done.
    fn leave(&mut self) {
        self.client_left = true;
        self.note_gone();
    }

    /// Timeouts, the machine's mail, and the client's leaving.
    fn poll_rest(&mut self, cx: &mut Context<'_>, slot: u32, client: &mut Stream) -> Poll<Ended> {
        if self.answer.is_none()
            && let Poll::Ready(Decision::Expire) = self.ticket.poll_mail()
        {
            // A request that is still dripping in is its client's fault, not the server's.
            return Poll::Ready(if self.up_over { Ended::Expired } else { Ended::Client(ClientFault::Silent) });
        }
        if self.up_over && !self.gone_told && client.poll_gone(cx).is_ready() {
            self.note_gone();
        }
        let timers = &self.home.timers;
        if self.up.moved() {
            self.up_moved = timers.now();
        }
        let down_wait = match &mut self.down {
            Down::Head(_) => Wait::Nothing,
            Down::Whole(whole) => {
                if whole.moved() {
                    self.down_moved = timers.now();
                }
                Wait::Read
            }
            Down::Interim(pump) | Down::Body(pump) => {
                if pump.moved() {
                    self.down_moved = timers.now();
                }
                pump.wait
            }
        };
        let up_wait = if self.up_over { Wait::Nothing } else { self.up.wait };
        let up_due = self.due(up_wait, self.up_moved);
        let down_due = self.due(down_wait, self.down_moved);
        timers.set_at(slot, up_due.min(down_due), cx);
        if up_due <= timers.now() {
            return Poll::Ready(if up_wait == Wait::Read { Ended::Client(ClientFault::Silent) } else { self.stuck() });
        }
        if down_due <= timers.now() {
            if down_wait == Wait::Write {
                self.leave();
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            return Poll::Ready(Ended::Cut);
        }
        Poll::Pending
    }

    /// A FIN may be a half-close of a client that still wants its answer: tell the machine, go on writing.
    fn note_gone(&mut self) {
        if !self.gone_told {
            self.gone_told = true;
            self.close_client = true;
            self.ticket.client_gone();
        }
    }

    fn stuck(&self) -> Ended {
        if self.answer.is_some() { Ended::Cut } else { Ended::NoAnswer { again: false } }
    }

    fn due(&self, wait: Wait, moved: Nanos) -> Nanos {
        let io = &self.setup.io;
        match wait {
            Wait::Nothing => Nanos::NEVER,
            Wait::Read => moved + io.body_rate_timeout,
            Wait::Write => moved + io.write_timeout,
        }
    }
}
