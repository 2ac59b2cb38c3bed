//! From the server to its client.

use super::haul::Hauled;
use super::{Broken, Flow, Moved, Turn};
use crate::clock;
use crate::passthrough::end;
use crate::wire::record::NotTls;
use std::io::ErrorKind;
use std::task::{Context, Poll};
use tidegate_core::admission::Outcome;
use tidegate_core::reason::{Step, Who};

impl Flow {
    /// More from the server, when what it sent before has been passed on.
    pub(super) fn read_server(&mut self, cx: &mut Context<'_>) -> Result<Moved, Broken> {
        let full = self.down.is_some() || self.down_haul.is_loaded();
        if self.server_ended || full || self.link.stream.poll_readable(cx).is_pending() {
            return Ok(Moved::No);
        }
        if self.may_haul() {
            let now = clock::now();
            match self.down_haul.load(&mut self.link.stream, &self.home.passthrough.pipes, now, cx) {
                Hauled::Usual => {}
                Hauled::Nothing => return Ok(Moved::No),
                Hauled::Some => {
                    self.link.set_busy(false);
                    return Ok(Moved::Yes);
                }
                Hauled::Ended(Ok(())) => {
                    self.server_ends();
                    return Ok(Moved::Yes);
                }
                Hauled::Ended(Err(_)) => return Err(Broken::Server),
            }
        }
        let mut down = self.home.buffers.lend().ok_or(Broken::Memory)?;
        match self.link.stream.poll_read(cx, down.room()) {
            Poll::Ready(Ok(0)) => self.server_ends(),
            Poll::Ready(Ok(n)) => {
                down.add(n);
                self.answered = true;
                let now = clock::now();
                self.last_answer = now;
                let over = self
                    .home
                    .passthrough
                    .with_learned(&self.link.server, |l| self.turns.server(now, down.filled(), l))
                    .map_err(|NotTls| Broken::NotTls(Who::Server))?;
                self.turn_over(over);
                if self.turns.are_opaque() {
                    self.link.set_busy(false);
                }
                self.down = Some(down);
            }
            Poll::Ready(Err(_)) => return Err(Broken::Server),
            Poll::Pending => return Ok(Moved::No),
        }
        Ok(Moved::Yes)
    }

    /// Server's bytes to the client; dropped when it has gone.
    pub(super) fn answer(&mut self, cx: &mut Context<'_>) -> Result<Moved, Broken> {
        if self.down_haul.is_loaded() && self.down.is_none() {
            return self.haul_down(cx);
        }
        let Some(down) = &mut self.down else { return Ok(Moved::No) };
        if self.client_lost {
            self.down = None;
            return Ok(Moved::Yes);
        }
        match self.conn.stream.poll_write(cx, down.filled()) {
            Poll::Ready(Ok(n)) => {
                down.consume(n);
                if down.is_empty() {
                    self.down = None;
                }
                self.went_down(n);
            }
            Poll::Ready(Err(_)) => self.client_ends(true),
            Poll::Pending => {
                self.stalled.get_or_insert(clock::now());
                return Ok(Moved::No);
            }
        }
        Ok(Moved::Yes)
    }

    /// The server sends no more. One that takes a connection and ends it without a byte cannot serve it.
    fn server_ends(&mut self) {
        self.server_ended = true;
        if !self.turns.are_opaque() || self.answered || self.client_ended {
            return;
        }
        match std::mem::replace(&mut self.turn, Turn::Between) {
            Turn::Open(ticket) => {
                self.link.server.stats.connections_dropped.add(1);
                self.finish(ticket, Outcome::Broken, end(Who::Server, Step::Wait));
            }
            other => self.turn = other,
        }
    }

    /// As [`Flow::answer`], of bytes that are in a pipe.
    fn haul_down(&mut self, cx: &mut Context<'_>) -> Result<Moved, Broken> {
        if self.client_lost {
            self.down_haul.unload();
            return Ok(Moved::Yes);
        }
        match self.down_haul.send(&mut self.conn.stream, cx) {
            Poll::Ready(Ok(n)) => self.went_down(n),
            Poll::Ready(Err(error)) if error.kind() == ErrorKind::InvalidInput => {
                let mut down = self.home.buffers.lend().ok_or(Broken::Memory)?;
                let n = self.down_haul.read(down.room()).map_err(|_| Broken::Client)?;
                down.add(n);
                self.down = Some(down);
            }
            Poll::Ready(Err(_)) => self.client_ends(true),
            Poll::Pending => {
                self.stalled.get_or_insert(clock::now());
                return Ok(Moved::No);
            }
        }
        Ok(Moved::Yes)
    }

    /// So many bytes have gone to the client.
    fn went_down(&mut self, n: usize) {
        self.stalled = None;
        self.link.server.heard_now(self.home.timers.now());
        self.home.service.stats.bytes_out.add(n as u64);
        if self.turns.are_opaque() {
            self.down_haul.passed(clock::now(), n);
        }
    }

    /// Passes on that a side has ended, behind all that it sent.
    pub(super) fn tell(&mut self, cx: &mut Context<'_>) -> Result<Moved, Broken> {
        let all_sent = self.down.is_none() && !self.down_haul.is_loaded();
        let due = self.turns.are_opaque() && self.server_ended && all_sent;
        if due && !self.client_told && !self.client_lost {
            match self.conn.stream.poll_shutdown(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) => self.client_ends(true),
                Poll::Pending => return Ok(Moved::No),
            }
            self.client_told = true;
            return Ok(Moved::Yes);
        }
        self.tell_server(cx)
    }

    /// Passes the client's end on to the server, behind all that may still go there, and not before the turn is over: a
    /// server that sees its client leave may close at once and go on working, which would free the slot too early. A
    /// server that is still silent after the half-closed timeout is told (the request may not have been whole). Where
    /// nothing is known of the bytes the end is a part of what the client says: it is passed on at once.
    fn tell_server(&mut self, cx: &mut Context<'_>) -> Result<Moved, Broken> {
        if !self.client_ended || self.server_told {
            return Ok(Moved::No);
        }
        let all_sent = self.allowed == 0 && !self.up_haul.is_loaded();
        let due = match self.turn {
            _ if self.turns.are_opaque() => all_sent && self.up.is_none() && !self.client_lost, // who resets is reset
            Turn::Between => all_sent,
            Turn::Asked(_) => false,
            Turn::Open(_) => self.last_byte + self.half_closed_timeout() <= clock::now(),
        };
        if !due || (self.server_ended && !self.turns.are_opaque()) {
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
