//! From the client to its server.

use super::haul::Hauled;
use super::{Broken, Flow, Moved, Turn};
use crate::clock;
use crate::wire::record::NotTls;
use crate::wire::turns::Then;
use std::io::ErrorKind;
use std::task::{Context, Poll};
use tidegate_core::reason::Who;

impl Flow {
    /// Client's bytes to the server, as far as the tracker lets them.
    pub(super) fn forward(&mut self, cx: &mut Context<'_>) -> Result<Moved, Broken> {
        if self.up_haul.is_loaded() && self.up.is_none() {
            return self.haul_up(cx);
        }
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
                if up.is_empty() {
                    self.up = None;
                }
                self.went_up(n);
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

    /// As [`Flow::forward`], of bytes that are in a pipe.
    fn haul_up(&mut self, cx: &mut Context<'_>) -> Result<Moved, Broken> {
        if self.server_deaf {
            self.up_haul.unload();
            return Ok(Moved::Yes);
        }
        match self.up_haul.send(&mut self.link.stream, cx) {
            Poll::Ready(Ok(n)) => self.went_up(n),
            Poll::Ready(Err(error)) if error.kind() == ErrorKind::InvalidInput => {
                let mut up = self.home.buffers.lend().ok_or(Broken::Memory)?;
                let n = self.up_haul.read(up.room()).map_err(|_| Broken::Server)?;
                up.add(n);
                self.allowed = n;
                self.up = Some(up);
            }
            Poll::Ready(Err(_)) => self.server_deaf = true,
            Poll::Pending => {
                self.stalled.get_or_insert(clock::now());
                return Ok(Moved::No);
            }
        }
        Ok(Moved::Yes)
    }

    /// So many bytes have gone to the server.
    fn went_up(&mut self, n: usize) {
        self.stalled = None;
        self.home.service.stats.bytes_in.add(n as u64);
        if self.turns.are_opaque() {
            self.up_haul.passed(clock::now(), n);
            self.link.set_busy(true);
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
                .with_learned(&self.link.server, |l| self.turns.client(now, up.filled(), l))
                .map_err(|NotTls| Broken::NotTls(Who::Client))?;
            self.allowed = take.bytes;
            if self.allowed > 0 || take.then != Then::Admission {
                return Ok(self.allowed > 0);
            }
            self.ask(cx)?;
        }
    }

    /// More from the client, when there is room for it. A client that is held is only watched.
    pub(super) fn read_client(&mut self, cx: &mut Context<'_>) -> Result<Moved, Broken> {
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
        if self.allowed > 0 || self.up_haul.is_loaded() || self.conn.stream.poll_readable(cx).is_pending() {
            return Ok(Moved::No);
        }
        if self.up.is_none() && self.may_haul() {
            let now = clock::now();
            match self.up_haul.load(&mut self.conn.stream, &self.home.passthrough.pipes, now, cx) {
                Hauled::Usual => {}
                Hauled::Nothing => return Ok(Moved::No),
                Hauled::Some => return Ok(Moved::Yes),
                Hauled::Ended(result) => {
                    self.client_ends(result.is_err());
                    return Ok(Moved::Yes);
                }
            }
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
            Poll::Ready(_) | Poll::Pending => {}
        }
        if up.is_empty() {
            self.up = None;
        }
        match &read {
            Poll::Ready(Ok(0)) => self.client_ends(false),
            Poll::Ready(Err(_)) => self.client_ends(true),
            _ => {}
        }
        Ok(if read.is_ready() { Moved::Yes } else { Moved::No })
    }

    /// The client sends no more; `lost`: nor does it take anything. A client of HTTP that ends has left. One of another
    /// protocol may only have said all that it had to say.
    pub(super) fn client_ends(&mut self, lost: bool) {
        self.client_ended = true;
        self.client_lost |= lost;
        if let Turn::Open(ticket) = &self.turn
            && (self.client_lost || !self.turns.are_opaque())
        {
            ticket.client_gone();
        }
    }

    /// Whether bytes may pass unseen.
    pub(super) fn may_haul(&self) -> bool {
        self.turns.are_opaque() && matches!(self.turn, Turn::Between)
    }
}
