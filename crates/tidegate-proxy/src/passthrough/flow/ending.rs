//! How a connection ends, and what time alone brings to it.

use super::{Broken, Flow, Turn};
use crate::clock;
use crate::passthrough::{end, settings, who_turns_away};
use crate::setup::Setup;
use crate::stats::Reaped;
use std::future::Future;
use std::task::{Context, Poll};
use tidegate_core::admission::Outcome;
use tidegate_core::reason::{Reason, Step, Who};
use tidegate_core::time::{Nanos, Span};
use tokio::time::Instant;

/// Waits up to this length need more precise a timer than the wheel.
const SHORT: Span = Span::millis(500);

impl Flow {
    /// Whether nothing is left to do: the server has ended and its bytes are passed on, or the client has left for good.
    pub(super) fn is_over(&self) -> bool {
        let held = matches!(self.turn, Turn::Asked(_));
        let between = matches!(self.turn, Turn::Between);
        let sent = self.down.is_none() && !self.down_haul.is_loaded();
        let both = !self.turns.are_opaque() || (self.client_told && self.server_told);
        let both = both || self.client_lost || self.server_deaf;
        (self.server_ended && sent && both)
            || (held && self.client_ended)
            || (between && self.client_lost && self.allowed == 0)
    }

    /// How long a side may be silent after the other has ended.
    pub(super) fn half_closed_timeout(&self) -> Span {
        self.home.service.setup().plan.tcp.half_closed_timeout
    }

    /// Ends a connection whose sides have ended.
    pub(super) fn close(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match std::mem::replace(&mut self.turn, Turn::Between) {
            Turn::Between => {}
            Turn::Asked(ticket) => {
                ticket.client_gone();
                let who = if self.client_ended { Who::Client } else { Who::Server };
                ticket.close(end(who, Step::Queue), 0);
                self.idle();
            }
            Turn::Open(ticket) if self.answered => {
                let outcome = Outcome::Answered { opened: None, closed: false };
                self.finish(ticket, outcome, end(Who::Server, Step::Response));
            }
            Turn::Open(ticket) if self.turns.are_opaque() && self.client_ended => {
                self.finish(ticket, Outcome::Incomplete, end(Who::Client, Step::Wait));
            }
            Turn::Open(ticket) => {
                self.link.server.stats.connections_dropped.add(1);
                self.finish(ticket, Outcome::Broken, end(Who::Server, Step::Wait));
            }
        }
        if self.client_lost && self.turns.are_opaque() {
            self.link.stream.reset();
        }
        let _already_closed = self.conn.stream.poll_shutdown(cx);
        Poll::Ready(())
    }

    /// Ends a connection that cannot go on: reset on both sides, so that both notice at once and no port lingers.
    pub(super) fn break_off(&mut self, broken: &Broken) -> Poll<()> {
        let stats = &self.home.service.stats;
        match broken {
            Broken::NotTls(_) => stats.refuse(Reason::Handshake),
            Broken::Memory => stats.refuse(Reason::Memory),
            Broken::Server => self.link.server.stats.connections_dropped.add(1),
            Broken::Idle(why) => stats.close(*why),
            _ => {}
        }
        if !matches!(broken, Broken::Idle(_) | Broken::Drained) {
            self.conn.stream.reset();
        }
        self.link.stream.reset();
        let turn = std::mem::replace(&mut self.turn, Turn::Between);
        match (turn, broken) {
            (Turn::Between, _) => return Poll::Ready(()),
            (Turn::Asked(ticket), Broken::TurnedAway(reason)) => {
                ticket.close(end(who_turns_away(*reason), Step::Queue), 0);
            }
            (Turn::Asked(ticket), _) => {
                ticket.client_gone();
                ticket.close(end(Who::Server, Step::Queue), 0);
            }
            (Turn::Open(ticket), Broken::Server | Broken::NotTls(Who::Server)) => {
                ticket.done(Outcome::Broken, end(Who::Server, Step::Wait), 0);
            }
            (Turn::Open(ticket), Broken::Expired) => ticket.abandon(end(Who::Server, Step::Wait), 0),
            (Turn::Open(ticket), Broken::NotTls(_) | Broken::Client) => {
                ticket.client_gone();
                ticket.abandon(end(Who::Client, Step::Request), 0);
            }
            (Turn::Open(ticket), _) => ticket.abandon(end(Who::Gate, Step::Response), 0),
        }
        self.idle();
        Poll::Ready(())
    }

    /// Sets the timers for the next thing that time alone brings; what it has brought already, if anything.
    pub(super) fn arm(&mut self, cx: &mut Context<'_>) -> Option<Broken> {
        let now = clock::now();
        let setup = self.home.service.setup();
        let (limit, what) = self.limit(&setup);
        if limit <= now {
            return Some(what);
        }
        self.seat.rest(!matches!(self.turn, Turn::Between), cx);
        let untold = self.client_ended && !self.server_told && matches!(self.turn, Turn::Open(_));
        let tell = if untold { self.last_byte + setup.plan.tcp.half_closed_timeout } else { Nanos::NEVER };
        let wake = self.home.passthrough.with_learned(&self.link.server, |l| self.turns.next_wake(l));
        let wake = wake.unwrap_or(Nanos::NEVER);
        self.home.timers.set_at(self.conn.slot, limit.min(tell).min(wake), cx);
        self.sleep = self.sleep.take().filter(|_| wake.since(now) <= SHORT);
        if wake.since(now) <= SHORT {
            let until = Instant::now() + clock::duration(wake.since(now));
            let sleep = self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
            sleep.as_mut().reset(until);
            if sleep.as_mut().poll(cx).is_ready() {
                cx.waker().wake_by_ref();
            }
        }
        None
    }

    /// Until when this connection may stay as it is, and what it is then.
    pub(super) fn limit(&self, setup: &Setup) -> (Nanos, Broken) {
        if let Some(since) = self.stalled {
            let broken = if self.allowed > 0 || self.up_haul.is_loaded() { Broken::Server } else { Broken::Client };
            return (since + setup.io.write_timeout, broken);
        }
        match self.turn {
            Turn::Between if self.client_ended || self.server_ended => {
                (self.last_byte + setup.plan.tcp.half_closed_timeout, Broken::Idle(Reaped::HalfClosed))
            }
            Turn::Between if self.home.service.stopping() && !self.turns.are_opaque() => {
                (self.last_byte + settings(setup).settle, Broken::Drained)
            }
            Turn::Between => (Nanos::NEVER, Broken::Drained), // until its seat says so
            // Both are the machine's to end.
            Turn::Asked(_) | Turn::Open(_) => (Nanos::NEVER, Broken::Expired),
        }
    }
}
