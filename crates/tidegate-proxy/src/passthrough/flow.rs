//! Bytes both ways between a client and its server, turn by turn.

mod ending;
mod turn;

use super::{Caller, Link};
use crate::buffer::Buf;
use crate::clock;
use crate::connection::Conn;
use crate::home::Home;
use crate::service::Ticket;
use crate::wire::record::NotTls;
use crate::wire::turns::{Then, Tracker};
use ending::HALF_CLOSED;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use tidegate_core::reason::{Reason, Who};
use tidegate_core::time::Nanos;
use tokio::time::Sleep;

/// Rounds of reading and writing before other connections get a turn.
const ROUNDS: usize = 16;

/// Whether something happened that may let something else happen.
enum Moved {
    Yes,
    No,
}

/// How a connection ends early.
enum Broken {
    /// Not TLS, from either side.
    NotTls(Who),
    /// The server reset, or does not take bytes.
    Server,
    /// The client does not take bytes.
    Client,
    /// No buffer is free.
    Memory,
    /// The machine said so.
    TurnedAway(Reason),
    Expired,
    /// Silent for too long between turns, or the gate drains.
    Idle,
}

/// The turn in progress, if any.
enum Turn {
    Between,
    /// Waits for admission; the client's bytes stay here.
    Asked(Ticket),
    Open(Ticket),
}

/// One connection, both sides of it.
pub(super) struct Flow {
    conn: Conn,
    home: Rc<Home>,
    link: Link,
    tracker: Tracker,
    caller: Caller,
    turn: Turn,
    /// Turns that have begun after the establishment.
    turns: u64,
    /// No turn has been over yet.
    first: bool,
    /// The server has sent something in this turn.
    answered: bool,
    /// From the client; the first `allowed` bytes may go to the server.
    up: Option<Buf>,
    allowed: usize,
    /// From the server.
    down: Option<Buf>,
    client_ended: bool,
    /// Nothing can be sent to the client any more.
    client_lost: bool,
    server_ended: bool,
    /// The server takes no more bytes; what it still sends is passed on.
    server_deaf: bool,
    /// The server knows that the client has ended.
    server_told: bool,
    last_turn: Nanos,
    last_answer: Nanos,
    last_byte: Nanos,
    /// Since when bytes wait for a side that does not take them.
    stalled: Option<Nanos>,
    /// For moments that the coarse timers are too coarse for.
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Flow {
    pub(super) fn new(conn: Conn, link: Link, tracker: Tracker, ticket: Ticket, caller: Caller) -> Flow {
        let now = clock::now();
        let home = conn.home.clone();
        Flow {
            conn,
            home,
            link,
            tracker,
            caller,
            turn: Turn::Open(ticket),
            turns: 0,
            first: true,
            answered: false,
            up: None,
            allowed: 0,
            down: None,
            client_ended: false,
            client_lost: false,
            server_ended: false,
            server_deaf: false,
            server_told: false,
            last_turn: now,
            last_answer: now,
            last_byte: now,
            stalled: None,
            sleep: None,
        }
    }

    /// Moves bytes until the connection is over.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        for _ in 0..ROUNDS {
            match self.round(cx) {
                Ok(Moved::Yes) => {}
                Ok(Moved::No) if self.is_over() => return self.close(cx),
                Ok(Moved::No) => match self.arm(cx) {
                    Some(broken) => return self.break_off(&broken),
                    None => return Poll::Pending,
                },
                Err(broken) => return self.break_off(&broken),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn round(&mut self, cx: &mut Context<'_>) -> Result<Moved, Broken> {
        self.read_mail()?;
        let now = clock::now();
        let over = self.home.passthrough.with_learned(&self.link.server, |l| self.tracker.wake(now, l));
        self.turn_over(over);
        let steps = [self.forward(cx)?, self.read_client(cx)?, self.read_server(cx)?, self.answer(cx)?];
        let moved = steps.iter().any(|step| matches!(step, Moved::Yes));
        if moved {
            self.last_byte = clock::now();
        }
        Ok(if moved { Moved::Yes } else { Moved::No })
    }

    /// Client's bytes to the server, as far as the tracker lets them.
    fn forward(&mut self, cx: &mut Context<'_>) -> Result<Moved, Broken> {
        if self.allowed == 0 && !self.judge(cx)? {
            return Ok(Moved::No);
        }
        let Some(up) = &mut self.up else { return Ok(Moved::No) };
        let written = if self.server_deaf {
            Poll::Ready(Ok(self.allowed))
        } else {
            self.link.stream.poll_write(cx, &up.filled()[..self.allowed])
        };
        match written {
            Poll::Ready(Ok(n)) => {
                up.consume(n);
                self.allowed -= n;
                self.stalled = None;
                self.home.service.stats.bytes_in.add(n as u64);
                if up.is_empty() {
                    self.up = None;
                }
                Ok(Moved::Yes)
            }
            Poll::Ready(Err(_)) => {
                self.server_deaf = true;
                Ok(Moved::Yes)
            }
            Poll::Pending => {
                self.stalled.get_or_insert(clock::now());
                Ok(Moved::No)
            }
        }
    }

    /// Asks the tracker how much may go; whether anything may.
    fn judge(&mut self, cx: &Context<'_>) -> Result<bool, Broken> {
        loop {
            let (Some(up), false) = (&self.up, matches!(self.turn, Turn::Asked(_))) else { return Ok(false) };
            let now = clock::now();
            let take = self
                .home
                .passthrough
                .with_learned(&self.link.server, |l| self.tracker.client(now, up.filled(), l))
                .map_err(|NotTls| Broken::NotTls(Who::Client))?;
            self.allowed = take.bytes;
            if self.allowed > 0 || take.then != Then::Admission {
                return Ok(self.allowed > 0);
            }
            self.ask(cx)?;
        }
    }

    /// More from the client, when there is room for it. A client that is held is only watched.
    fn read_client(&mut self, cx: &mut Context<'_>) -> Result<Moved, Broken> {
        if self.client_ended {
            return Ok(Moved::No);
        }
        if matches!(self.turn, Turn::Asked(_)) {
            if self.conn.stream.poll_gone(cx).is_ready() {
                self.client_ended = true;
                return Ok(Moved::Yes);
            }
            return Ok(Moved::No);
        }
        if self.allowed > 0 || self.conn.stream.poll_readable(cx).is_pending() {
            return Ok(Moved::No);
        }
        if self.up.is_none() {
            self.up = Some(self.home.buffers.lend().ok_or(Broken::Memory)?);
        }
        let Some(up) = &mut self.up else { return Ok(Moved::No) };
        if !up.grow() {
            return Err(Broken::Memory);
        }
        up.compact();
        if up.room().is_empty() {
            return Ok(Moved::No); // held back while tickets are counted
        }
        let read = self.conn.stream.poll_read(cx, up.room());
        match &read {
            Poll::Ready(Ok(n)) if *n > 0 => up.add(*n),
            Poll::Ready(result) => {
                self.client_ended = true;
                self.client_lost |= result.is_err();
                if let Turn::Open(ticket) = &self.turn {
                    ticket.client_gone();
                }
            }
            Poll::Pending => {}
        }
        if up.is_empty() {
            self.up = None;
        }
        Ok(if read.is_ready() { Moved::Yes } else { Moved::No })
    }

    /// More from the server, when what it sent before has been passed on.
    fn read_server(&mut self, cx: &mut Context<'_>) -> Result<Moved, Broken> {
        if self.server_ended || self.down.is_some() || self.link.stream.poll_readable(cx).is_pending() {
            return Ok(Moved::No);
        }
        let mut down = self.home.buffers.lend().ok_or(Broken::Memory)?;
        match self.link.stream.poll_read(cx, down.room()) {
            Poll::Ready(Ok(0)) => self.server_ended = true,
            Poll::Ready(Ok(n)) => {
                down.add(n);
                self.answered = true;
                let now = clock::now();
                self.last_answer = now;
                let over = self
                    .home
                    .passthrough
                    .with_learned(&self.link.server, |l| self.tracker.server(now, down.filled(), l))
                    .map_err(|NotTls| Broken::NotTls(Who::Server))?;
                self.turn_over(over);
                self.down = Some(down);
            }
            Poll::Ready(Err(_)) => return Err(Broken::Server),
            Poll::Pending => return Ok(Moved::No),
        }
        Ok(Moved::Yes)
    }

    /// Server's bytes to the client; dropped when it has gone.
    fn answer(&mut self, cx: &mut Context<'_>) -> Result<Moved, Broken> {
        let Some(down) = &mut self.down else { return self.tell_server(cx) };
        if self.client_lost {
            self.down = None;
            return Ok(Moved::Yes);
        }
        match self.conn.stream.poll_write(cx, down.filled()) {
            Poll::Ready(Ok(n)) => {
                down.consume(n);
                self.stalled = None;
                self.home.service.stats.bytes_out.add(n as u64);
                if down.is_empty() {
                    self.down = None;
                }
            }
            Poll::Ready(Err(_)) => {
                (self.client_lost, self.client_ended) = (true, true);
                if let Turn::Open(ticket) = &self.turn {
                    ticket.client_gone();
                }
            }
            Poll::Pending => {
                self.stalled.get_or_insert(clock::now());
                return Ok(Moved::No);
            }
        }
        Ok(Moved::Yes)
    }

    /// Passes the client's end on to the server, behind all that may still go there, and not before the turn is over: a
    /// server that sees its client leave may close at once and go on working, which would free the slot too early. A
    /// server that is still silent [`HALF_CLOSED`] later is told (the request may not have been whole).
    fn tell_server(&mut self, cx: &mut Context<'_>) -> Result<Moved, Broken> {
        let due = match self.turn {
            Turn::Between => self.allowed == 0,
            Turn::Asked(_) => false,
            Turn::Open(_) => self.last_byte + HALF_CLOSED <= clock::now(),
        };
        if !self.client_ended || self.server_told || self.server_ended || !due {
            return Ok(Moved::No);
        }
        match self.link.stream.poll_shutdown(cx) {
            Poll::Ready(Ok(())) => self.server_told = true,
            Poll::Ready(Err(_)) => return Err(Broken::Server),
            Poll::Pending => return Ok(Moved::No),
        }
        Ok(Moved::Yes)
    }
}
