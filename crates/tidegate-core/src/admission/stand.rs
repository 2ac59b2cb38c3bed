//! What is known of a server from elsewhere: how its monitor says that it stands, and that our own side is short of something.
//!
//! A server whose monitor says `down` gets no call at all, not even one that tries: the monitor tries. Its calls go to the
//! others, as those of a server that was tried in vain ([`Server::dead`]). When the monitor has found it again, it is a server
//! that has begun anew, as if a call had reached it. The other phases change how much it may be given: a part of its limit while
//! it is slowly started, no more calls than connections that it takes. A server without a monitor is up until a connect fails.
//!
//! A *standby* is given calls only while no other server of the pool can be reached. Calls of its sessions stay with it.
//!
//! A call that was not connected for want of something on our side is held again, and its server is not blamed. From then on
//! the server gets no more calls than it had at that moment, whose connections can be used again; every 50 ms it is tried with
//! one call more, then two, four, until the limit is reached again, so that a want never makes the gate spin.

use super::call::{Call, InFlight};
use super::event::{Action, Outcome, ServerId};
use super::machine::Machine;
use super::server::{Retry, Server};
use super::snapshot::Phase;
use crate::health::{Cause, Standing};
use crate::reason::Reason;
use crate::time::{Nanos, Span};
use serde::{Deserialize, Serialize};

/// Between two tries with more calls: long enough that it costs nothing, short beside every deadline.
const PAUSE: Span = Span::millis(50);

/// Our side is short of something: at most so many calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Short {
    cap: u32,
    /// How many more are tried next, and when.
    step: u32,
    pub until: Nanos,
}

/// What a call is turned away for, that could not be connected because of this.
pub(super) fn reason_of(cause: Cause) -> Reason {
    match cause {
        Cause::NoPort | Cause::NoDescriptor => Reason::NoPort,
        Cause::NoMemory => Reason::Memory,
        _ => Reason::ServerDown,
    }
}

impl Server {
    /// Its monitor says that it is down.
    pub fn kept(&self) -> bool {
        self.standing.is_some_and(|standing| standing.phase == Phase::Down)
    }

    /// How many calls may be in flight now.
    pub fn allowed(&self) -> u32 {
        let stands = self.standing.map_or(self.limit, |standing| standing.allowed(self.limit));
        stands.min(self.short.map_or(u32::MAX, |short| short.cap))
    }

    /// Whether our own side has what one more call needs, as far as is known.
    pub fn has_means(&self) -> bool {
        self.short.is_none_or(|short| self.load() < short.cap)
    }

    /// Tries with a few calls more, if it is time.
    fn relax(&mut self, now: Nanos) {
        let Some(short) = self.short.filter(|short| now >= short.until) else { return };
        let cap = short.cap.max(self.load()).saturating_add(short.step);
        let next = Short { cap, step: short.step.saturating_mul(2), until: now + PAUSE };
        self.short = Some(next).filter(|_| cap < self.limit);
    }

    /// Its monitor says that it is down.
    fn told_down(&mut self, now: Nanos, refused: bool) {
        let trying = self.down.is_some_and(|retry| retry.trying);
        self.down = Some(Retry::in_vain(now, trying));
        self.recovery.told_down(now, refused);
    }

    /// What a monitor's word adds to the phase that the calls give.
    pub fn told_phase(&self, own: Phase) -> Phase {
        match (self.standing.map(|standing| standing.phase), own) {
            (Some(told @ (Phase::Down | Phase::Degraded)), _) => told,
            (Some(_), Phase::Down) => Phase::Suspect, // some call has failed; whether it is down the monitor says
            (Some(told @ (Phase::Suspect | Phase::Recovering)), Phase::Up) => told,
            (Some(Phase::Suspect), Phase::Recovering) => Phase::Suspect,
            (_, own) => own,
        }
    }
}

impl Machine {
    /// A server's monitor says how it stands.
    pub(super) fn stands(&mut self, now: Nanos, server: ServerId, standing: Standing, out: &mut Vec<Action>) {
        let Some(state) = self.servers.get_mut(usize::from(server.0)) else { return };
        let refused = standing.refused && !state.standing.is_some_and(|before| before.refused);
        let was_kept = state.kept();
        state.standing = Some(standing);
        if state.kept() && (!was_kept || refused) {
            state.told_down(now, standing.refused);
        } else if matches!(standing.phase, Phase::Up | Phase::Degraded | Phase::Recovering)
            && state.down.is_some_and(|retry| !retry.trying)
        {
            let lives = standing.phase == Phase::Degraded;
            self.heard(now, server, true, lives, out);
        }
        self.dispatch(now, out);
    }

    /// No server has a monitor from now on: what was said of them is forgotten, and calls try those that were down.
    pub fn unwatch(&mut self, now: Nanos, out: &mut Vec<Action>) {
        self.servers.iter_mut().for_each(|server| server.standing = None);
        self.dispatch(now, out);
    }

    /// Whether standbys are given calls: no other server can be reached.
    pub(super) fn standbys_help(&self) -> bool {
        self.servers.iter().all(|server| server.standby || server.dead())
    }

    /// Tries servers with more calls again that our side could not connect.
    pub(super) fn relax(&mut self, now: Nanos) {
        self.servers.iter_mut().for_each(|server| server.relax(now));
    }

    /// When one of them is tried next.
    pub(super) fn next_relaxed(&self) -> Option<Nanos> {
        let untils = self.servers.iter().filter_map(|server| server.short.map(|short| short.until));
        untils.filter(|until| *until > self.dispatched).min().filter(|_| self.queues.total() > 0)
    }

    /// Our side could not connect: nobody's fault, the call is held again in its old place.
    pub(super) fn not_connected(&mut self, now: Nanos, index: u32, at: InFlight, cause: Cause, out: &mut Vec<Action>) {
        self.counters.not_connected += 1;
        self.pending -= 1;
        if let Some(call) = self.calls.get(index).cloned() {
            self.recover(now, &call, at, Some(Outcome::NotConnected(cause)), out);
        }
        if let Some(server) = self.servers.get_mut(usize::from(at.server.0)) {
            server.give_back(at.reserved_slot, at.orphan, at.trial);
            server.end(at.since, index);
            server.short = Some(Short { cap: server.load(), step: 1, until: now + PAUSE });
        }
        let call: Option<&mut Call> = self.calls.get_mut(index);
        call.into_iter().for_each(|call| call.wanting = Some(cause));
        self.hold_again(now, index, at, reason_of(cause), out);
    }
}
