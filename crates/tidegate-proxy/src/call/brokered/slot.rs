//! A place among the calls in flight, and what is asked on it before, or in place of, the exchange.

use super::super::connect::Connected;
use super::super::dispatch;
use super::Call;
use crate::broker::upstream::{self, AskFailed, Said};
use crate::connection::Next;
use crate::plan::PoolScope;
use crate::pool::{Server, ServerConn};
use crate::service::{Decision, Ticket};
use crate::vcenter::write::Say;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use tidegate_core::admission::Outcome;
use tidegate_core::reason::{End, Step, Who};

/// A call that was admitted.
pub(super) struct Slot {
    pub(super) ticket: Ticket,
    pub(super) server: Arc<Server>,
    pub(super) line: Option<ServerConn>,
}

impl Call<'_> {
    /// Waits for admission. `kept`: what the call keeps meanwhile. `Err`: the call is over.
    pub(super) async fn admitted(&mut self, kept: usize) -> Result<Slot, Next> {
        let _charge = self.conn.home.buffers.charge(kept);
        let (ticket, decision) = self.arrive().await;
        let known = (self.prepared.facts, None);
        let mut none = Vec::new();
        let (ticket, line) =
            dispatch::obey(self.conn, self.setup, self.buf, &mut none, known, ticket, decision).await?;
        Ok(Slot { ticket, server: line.server().clone(), line: Some(line) })
    }

    /// Asks the machine.
    async fn arrive(&self) -> (Ticket, Decision) {
        let record = |call, at| self.past.of(self.prepared.record(Some(call), at));
        let service = &self.conn.home.service;
        poll_fn(|cx| Poll::Ready(service.arrive(self.prepared.arrival, record, cx))).await
    }

    /// A connection for the slot: the one that it has, or another.
    pub(super) async fn line(&mut self, slot: &mut Slot) -> Result<ServerConn, AskFailed> {
        if let Some(line) = slot.line.take() {
            return Ok(line);
        }
        match dispatch::reach(self.conn, self.setup, &slot.server, &slot.ticket, false).await {
            Connected::Yes(line) => Ok(line),
            Connected::Failed(_) => Err(AskFailed::Broken),
            Connected::ClientLeft => Err(AskFailed::Left),
        }
    }

    /// Sends a request and takes the answer whole. `safe`: it may be sent twice.
    pub(super) async fn ask(&mut self, slot: &mut Slot, request: &[u8], safe: bool) -> Result<Said, AskFailed> {
        let mut line = self.line(slot).await?;
        let (mut said, mut again) = upstream::ask(Some(&slot.ticket), &mut line, request).await;
        if said.is_err() {
            drop(line);
            let twice = matches!(said, Err(AskFailed::Stale)) || safe && matches!(said, Err(AskFailed::Lost));
            if !twice {
                return said;
            }
            line = self.line(slot).await?;
            (said, again) = upstream::ask(Some(&slot.ticket), &mut line, request).await;
        }
        slot.line = again.then_some(line);
        said
    }

    /// The call is over, and its last answer was this. The connection goes back.
    pub(super) fn close(&mut self, slot: Slot, said: Result<&Said, AskFailed>) {
        self.give_back(slot.line);
        upstream::finish(slot.ticket, said);
    }

    /// The call is over and was not sent: what was asked on its slot says nothing of what such calls cost, and the server is
    /// not to blame.
    pub(super) fn unused(&mut self, slot: Slot) {
        self.give_back(slot.line);
        slot.ticket.done(Outcome::Incomplete, End { who: Who::Gate, step: Step::Request }, 0);
    }

    fn give_back(&self, line: Option<ServerConn>) {
        let Some(line) = line else { return };
        match self.setup.plan.pool_scope {
            PoolScope::Service => line.give_back(self.conn.home.timers.now()),
            _ => line.close(),
        }
    }

    /// There is no answer.
    pub(super) async fn no_answer(&mut self, failed: AskFailed) -> Next {
        let (status, words) = match failed {
            AskFailed::Left => return Next::Close,
            _ if self.soap => return self.fault(&Say::NoAnswer).await,
            AskFailed::Late => (504, "the server did not answer in time\n"),
            AskFailed::TooLong => (502, "the server's answer is too long to be looked into\n"),
            _ => (502, "the server gave no answer that can be passed on\n"),
        };
        self.say(status, "text/plain", words.as_bytes(), "").await
    }
}
