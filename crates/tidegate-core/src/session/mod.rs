//! Which session belongs to which client and server, and whether it is settled; and [`broker`], which lends sessions.
//!
//! A session is *open* from the answer that carried it and *settled* from its first poll, or after some calls, or at its
//! first call after some time: from then on its client counts as connected. What an open session still has in front of it
//! (its follow-ups) is work that the queue does not show yet; it is added up here for the predictions. A session that is
//! not heard of until that time is over has *lapsed*: its client is not connected, and nothing more is expected of it.

pub mod broker;

use crate::admission::{ClientKey, ServerId, SessionKey};
use crate::recent::Recent;
use crate::time::{Nanos, Span};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Stage {
    Open,
    Lapsed,
    Settled,
    /// The server has ended without it.
    Dead,
}

/// One session.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Session {
    /// Who opened it.
    pub client: ClientKey,
    /// Where it lives.
    pub server: ServerId,
    /// When its opening was answered.
    pub opened: Nanos,
    /// Calls admitted in it.
    pub calls: u32,
    /// Work admitted in it before it settled, in thousandths of a unit.
    pub work: u64,
    /// Work expected of it when it opened.
    expected: u64,
    stage: Stage,
}

impl Session {
    fn remaining(&self) -> u64 {
        if self.stage == Stage::Open { self.expected.saturating_sub(self.work) } else { 0 }
    }
}

/// A session on its way from one process to the next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Passed {
    /// Which session.
    pub key: SessionKey,
    /// Who opened it.
    pub client: ClientKey,
    /// The name of the server that it lives at.
    pub server: String,
    /// How long ago its opening was answered.
    #[serde(rename = "opened_ago_ns")]
    pub opened_ago: Span,
    /// How long ago it was used last.
    #[serde(rename = "idle_ns")]
    pub idle: Span,
    /// Calls admitted in it.
    pub calls: u32,
    /// Whether it is settled.
    pub settled: bool,
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
#[derive(Clone, Serialize, Deserialize)]
pub struct Sessions {
    table: Recent<SessionKey, Session>,
    /// Mean work of a session between opening and settling, in thousandths of a unit; from the plan until learned.
    follow_ups: f64,
    remaining: u64,
    open: u32,
    settled: u32,
    /// Sessions by the time at which they opened; the ones that have settled since are skipped.
    opened: VecDeque<(Nanos, SessionKey)>,
}

/// Weight of a new session in the learned mean of follow-ups: about the last twenty sessions count.
const LEARN: f64 = 0.05;

impl Sessions {
    /// An empty table; `follow_ups` in thousandths of a unit.
    pub fn new(capacity: usize, follow_ups: u32) -> Sessions {
        let table = Recent::new(capacity, Span(u64::MAX));
        Sessions {
            table,
            follow_ups: f64::from(follow_ups),
            remaining: 0,
            open: 0,
            settled: 0,
            opened: VecDeque::new(),
        }
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

    /// Sessions open and not settled, and those that are settled. Neither: what has lapsed, or died with its server.
    pub fn counts(&self) -> (u32, u32) {
        (self.open, self.settled)
    }

    /// Lets the sessions lapse that opened `after` ago or earlier and have not settled.
    pub fn lapse(&mut self, now: Nanos, after: Span) {
        while let Some(&(opened, key)) = self.opened.front().filter(|first| now.since(first.0) >= after) {
            self.opened.pop_front();
            let open = |session: &&mut Session| session.stage == Stage::Open && session.opened == opened;
            if let Some(session) = self.table.get_mut(key).filter(open) {
                self.remaining -= session.remaining();
                self.open -= 1;
                session.stage = Stage::Lapsed;
            }
        }
    }

    /// A session was opened; what had to be forgotten for it is forgotten.
    pub fn open(&mut self, now: Nanos, key: SessionKey, client: ClientKey, server: ServerId) {
        let expected = self.follow_ups as u64;
        let session = Session { client, server, opened: now, calls: 0, work: 0, expected, stage: Stage::Open };
        self.remaining += session.remaining();
        self.open += 1;
        self.opened.push_back((now, key));
        for gone in self.table.insert(now, key, session, |_| false) {
            self.leave(&gone);
        }
        if self.opened.len() > 2 * self.table.len() + 64 {
            let table = &self.table;
            let live = |(at, key): &(Nanos, SessionKey)| table.get(*key).is_some_and(|s| s.opened == *at);
            self.opened.retain(live);
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
        self.open -= u32::from(gone.stage == Stage::Open);
        self.settled -= u32::from(gone.stage == Stage::Settled);
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
        } else if session.stage == Stage::Dead {
            return (Known::Dead, None);
        }
        let due = is_poll || session.calls >= rule.calls || now.since(session.opened) >= rule.after;
        if session.stage == Stage::Settled {
            return (Known::Settled(session.server), None);
        } else if !due {
            return (Known::Open(session.server), None);
        }
        self.remaining -= session.remaining();
        self.open -= u32::from(session.stage == Stage::Open);
        self.settled += 1;
        session.stage = Stage::Settled;
        self.follow_ups += LEARN * (session.work as f64 - self.follow_ups);
        (Known::Settled(session.server), Some(session.client))
    }

    /// Whether no more is expected of this session: it is settled, over, or has done four fifths of the usual work.
    pub fn complete(&self, key: SessionKey) -> bool {
        let open = self.table.get(key).filter(|session| session.stage == Stage::Open);
        open.is_none_or(|session| session.work * 5 >= session.expected * 4)
    }

    /// Whether this session has died with its server.
    pub fn dead(&self, key: SessionKey) -> bool {
        self.table.get(key).is_some_and(|session| session.stage == Stage::Dead)
    }

    /// A server has begun anew: its sessions are dead. Their clients are told so when they call.
    pub fn end_all(&mut self, server: ServerId) {
        for key in self.table.keys() {
            let Some(session) = self.table.get_mut(key).filter(|session| session.server == server) else { continue };
            self.remaining -= session.remaining();
            self.open -= u32::from(session.stage == Stage::Open);
            self.settled -= u32::from(session.stage == Stage::Settled);
            session.stage = Stage::Dead;
        }
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

    /// All sessions that are not dead, oldest use first, as another process can take them over.
    pub fn pass_on(&self, now: Nanos, name: impl Fn(ServerId) -> Option<String>) -> Vec<Passed> {
        let mut sessions: Vec<(Nanos, Passed)> = self
            .table
            .keys()
            .into_iter()
            .filter_map(|key| {
                let (session, used) = (self.table.get(key)?, self.table.last_used(key)?);
                let settled = session.stage == Stage::Settled;
                let passed = Passed {
                    key,
                    client: session.client,
                    server: name(session.server)?,
                    opened_ago: now.since(session.opened),
                    idle: now.since(used),
                    calls: session.calls,
                    settled,
                };
                (settled || session.stage == Stage::Open).then_some((used, passed))
            })
            .collect();
        sessions.sort_unstable_by_key(|(used, session)| (*used, session.key));
        sessions.into_iter().map(|(_, session)| session).collect()
    }

    /// Takes a session over that lives at `server`. One that is not settled begins anew to be followed.
    pub fn take_over(&mut self, now: Nanos, passed: &Passed, server: ServerId) {
        if !passed.settled {
            self.open(now, passed.key, passed.client, server);
            return;
        }
        let before = |ago: Span| Nanos(now.0.saturating_sub(ago.0));
        let opened = before(passed.opened_ago);
        let session = Session {
            client: passed.client,
            server,
            opened,
            calls: passed.calls,
            work: 0,
            expected: 0,
            stage: Stage::Settled,
        };
        self.settled += 1;
        for gone in self.table.insert(before(passed.idle), passed.key, session, |_| false) {
            self.leave(&gone);
        }
    }

    /// The server has answered a call of this session: it is not idle there.
    pub fn answered(&mut self, now: Nanos, key: SessionKey) {
        self.table.touch(now, key);
    }

    /// A call of this session was admitted with so much work.
    pub fn admitted(&mut self, key: SessionKey, work: u64) {
        let Some(session) = self.table.get_mut(key) else {
            return;
        };
        session.calls = session.calls.saturating_add(1);
        if session.stage != Stage::Settled {
            let before = session.remaining();
            session.work = session.work.saturating_add(work);
            self.remaining -= before - session.remaining();
        }
    }
}
