//! What the hosts of a storm have come to, counted as it happens.

use serde::Serialize;
use std::cell::{Cell, RefCell};
use tidegate_sim::host::{Call, Outcome};
use tidegate_sim::time::Nanos;
use tokio::sync::Notify;

/// Sums over all hosts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// setContext calls begun.
    pub attempts: u64,
    /// setContext and follow-up calls that failed, each of which ended an attempt.
    pub failed_attempts: u64,
    /// Calls of any kind without an answer in time.
    pub timeouts: u64,
    /// Calls of any kind turned away.
    pub turned_away: u64,
    /// Calls of any kind refused, reset, or answered with something else.
    pub resets: u64,
    /// Calls of any kind whose session the server did not know.
    pub invalid_sessions: u64,
    /// Polls begun.
    pub polls: u64,
    /// Polls that failed.
    pub polls_failed: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// On its way.
    Connecting,
    /// Waits to try again.
    Waiting,
    /// Connected since.
    Connected(Nanos),
}

pub struct Tally {
    counts: Cell<Counts>,
    standing: RefCell<Vec<Standing>>,
    connected: Cell<u32>,
    waiting: Cell<u32>,
    changed: Notify,
}

impl Tally {
    pub fn new(hosts: u32) -> Tally {
        Tally {
            counts: Cell::default(),
            standing: RefCell::new(vec![Standing::Connecting; hosts as usize]),
            connected: Cell::new(0),
            waiting: Cell::new(0),
            changed: Notify::new(),
        }
    }

    pub fn counts(&self) -> Counts {
        self.counts.get()
    }

    /// Hosts connected now.
    pub fn connected(&self) -> u32 {
        self.connected.get()
    }

    /// Hosts that wait to try again.
    pub fn waiting(&self) -> u32 {
        self.waiting.get()
    }

    /// Since when each host is connected.
    pub fn connected_at(&self) -> Vec<Option<Nanos>> {
        let at = |standing: &Standing| match standing {
            Standing::Connected(at) => Some(*at),
            _ => None,
        };
        self.standing.borrow().iter().map(at).collect()
    }

    /// Returns when the number of connected hosts has changed.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    pub fn begin(&self, call: Call) {
        let mut counts = self.counts.get();
        match call {
            Call::SetContext => counts.attempts += 1,
            Call::FollowUp(_) => {}
            Call::Poll => counts.polls += 1,
        }
        self.counts.set(counts);
    }

    pub fn end(&self, call: Call, outcome: Outcome) {
        let mut counts = self.counts.get();
        match outcome {
            Outcome::Answered => return,
            Outcome::TimedOut => counts.timeouts += 1,
            Outcome::TurnedAway { .. } => counts.turned_away += 1,
            Outcome::Broken => counts.resets += 1,
            Outcome::InvalidSession => counts.invalid_sessions += 1,
        }
        match call {
            Call::Poll => counts.polls_failed += 1,
            _ => counts.failed_attempts += 1,
        }
        self.counts.set(counts);
    }

    pub fn stand(&self, index: u32, now: Standing) {
        let mut standing = self.standing.borrow_mut();
        let Some(entry) = standing.get_mut(index as usize) else { return };
        let before = std::mem::replace(entry, now);
        let change = |cell: &Cell<u32>, is: fn(Standing) -> bool| {
            cell.set(cell.get() + u32::from(is(now)) - u32::from(is(before)));
        };
        change(&self.waiting, |standing| standing == Standing::Waiting);
        change(&self.connected, |standing| matches!(standing, Standing::Connected(_)));
        self.changed.notify_one();
    }
}
