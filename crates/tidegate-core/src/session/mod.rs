//! Which session belongs to which client and server, and whether it is settled.
//!
//! A session is *open* from the answer that carried it and *settled* from its first poll, or after some calls, or after
//! some time: from then on its client counts as connected. What an open session still has in front of it (its
//! follow-ups) is work that the queue does not show yet; it is added up here for the predictions.

use crate::admission::{ClientKey, ServerId, SessionKey};
use crate::recent::Recent;
use crate::time::{Nanos, Span};

/// One session.
#[derive(Clone, Debug)]
pub struct Session {
    /// Who opened it.
    pub client: ClientKey,
    /// Where it lives.
    pub server: ServerId,
    /// When its opening was answered.
    pub opened: Nanos,
    /// Whether its client is connected.
    pub settled: bool,
    /// Calls admitted in it.
    pub calls: u32,
    /// Work admitted in it before it settled, in thousandths of a unit.
    pub work: u64,
    /// Work expected of it when it opened.
    expected: u64,
}

impl Session {
    fn remaining(&self) -> u64 {
        if self.settled { 0 } else { self.expected.saturating_sub(self.work) }
    }
}

/// When a session counts as settled, from the plan.
#[derive(Clone, Copy, Debug)]
pub struct SettleRule {
    /// This long after it opened.
    pub after: Span,
    /// After this many calls.
    pub calls: u32,
}

/// What became of a look-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// Never seen, or forgotten.
    Unknown,
    /// Open, not settled.
    Open(ServerId),
    /// Settled.
    Settled(ServerId),
    /// Idle for longer than the server keeps it: dead there.
    Dead,
}

/// All sessions that were opened through the gate, bounded.
pub struct Sessions {
    table: Recent<SessionKey, Session>,
    /// Mean work of a session between opening and settling, in thousandths of a unit; from the plan until learned.
    follow_ups: f64,
    remaining: u64,
    unsettled: u32,
    settled_ever: u64,
}

/// Weight of a new session in the learned mean of follow-ups: about the last twenty sessions count.
const LEARN: f64 = 0.05;

impl Sessions {
    /// An empty table; `follow_ups` in thousandths of a unit.
    pub fn new(capacity: usize, follow_ups: u32) -> Sessions {
        let table = Recent::new(capacity, Span(u64::MAX));
        Sessions { table, follow_ups: f64::from(follow_ups), remaining: 0, unsettled: 0, settled_ever: 0 }
    }

    /// New bound, from the next session on.
    pub fn resize(&mut self, capacity: usize) {
        self.table.resize(capacity, Span(u64::MAX));
    }

    /// Expected work of a session between opening and settling, in thousandths of a unit.
    pub fn follow_ups(&self) -> u64 {
        self.follow_ups as u64
    }

    /// Work that open sessions still have in front of them, in thousandths of a unit.
    pub fn remaining(&self) -> u64 {
        self.remaining
    }

    /// Sessions open and not settled, sessions settled.
    pub fn counts(&self) -> (u32, u32) {
        (self.unsettled, (self.table.len() as u32).saturating_sub(self.unsettled))
    }

    /// Sessions that ever settled.
    pub fn settled_ever(&self) -> u64 {
        self.settled_ever
    }

    /// A session was opened; what had to be forgotten for it is forgotten.
    pub fn open(&mut self, now: Nanos, key: SessionKey, client: ClientKey, server: ServerId) {
        let expected = self.follow_ups as u64;
        let session = Session { client, server, opened: now, settled: false, calls: 0, work: 0, expected };
        self.remaining += session.remaining();
        self.unsettled += 1;
        for gone in self.table.insert(now, key, session, |_| false) {
            self.leave(&gone);
        }
    }

    /// A session has ended.
    pub fn close(&mut self, key: SessionKey) {
        if let Some(gone) = self.table.remove(key) {
            self.leave(&gone);
        }
    }

    fn leave(&mut self, gone: &Session) {
        self.remaining -= gone.remaining();
        self.unsettled -= u32::from(!gone.settled);
    }

    /// A call of this session arrives: what is known of it, after settling it if its time has come. Returns the client
    /// whose session has just settled, too.
    pub fn look_up(
        &mut self,
        now: Nanos,
        key: SessionKey,
        is_poll: bool,
        rule: SettleRule,
        idle: Option<Span>,
    ) -> (Known, Option<ClientKey>) {
        let last = self.table.last_used(key).unwrap_or_default();
        let Some(session) = self.table.touch(now, key) else {
            return (Known::Unknown, None);
        };
        if idle.is_some_and(|idle| now.since(last) > idle) {
            self.close(key);
            return (Known::Dead, None);
        }
        let due = is_poll || session.calls >= rule.calls || now.since(session.opened) >= rule.after;
        if session.settled || !due {
            let known = if session.settled { Known::Settled(session.server) } else { Known::Open(session.server) };
            return (known, None);
        }
        self.remaining -= session.remaining();
        self.unsettled -= 1;
        self.settled_ever += 1;
        session.settled = true;
        self.follow_ups += LEARN * (session.work as f64 - self.follow_ups);
        (Known::Settled(session.server), Some(session.client))
    }

    /// The pool has changed: `at` says where each server stands now. Sessions of servers that are gone are forgotten.
    pub fn move_servers(&mut self, at: impl Fn(ServerId) -> Option<ServerId>) {
        for key in self.table.keys() {
            match self.table.get(key).and_then(|session| at(session.server)) {
                Some(server) => self.table.get_mut(key).into_iter().for_each(|session| session.server = server),
                None => self.close(key),
            }
        }
    }

    /// A call of this session was admitted with so much work.
    pub fn admitted(&mut self, key: SessionKey, work: u64) {
        let Some(session) = self.table.get_mut(key) else {
            return;
        };
        session.calls = session.calls.saturating_add(1);
        if !session.settled {
            let before = session.remaining();
            session.work = session.work.saturating_add(work);
            self.remaining -= before - session.remaining();
        }
    }
}
