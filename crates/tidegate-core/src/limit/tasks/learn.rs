//! What the limits are told of tasks that are over: that of the vCenter, and that of the task's host if it is known.

use super::feedback::Begun;
use super::machine::{Known, TaskSlots};
use crate::time::Nanos;

impl Known {
    /// When it was let go, and with how many under way on its host.
    fn begun_there(&self) -> Begun {
        Begun { rank: self.rank_there, ..self.begun }
    }
}

impl TaskSlots {
    /// A task has ended well. A late one is its host's matter, where that is known.
    pub(super) fn learn(&mut self, now: Nanos, known: &Known) {
        self.bound.pace.ended();
        let (life, slots) = (self.settings.token_life, (self.settings.start, self.limit()));
        self.bound.feedback.tries(now, known.begun, life, slots.1);
        let there = |host| self.hosts.ended(now, &self.settings, host, known.begun_there());
        let late = known.host.is_some_and(there) || self.bound.feedback.took(now, known.begun, life, slots);
        self.totals.late += u64::from(late);
    }

    /// A lease was granted: that is what it has waited for.
    pub(super) fn granted(&mut self, now: Nanos, mut known: Known) {
        known.begun.alive = now;
        let (life, slots) = (self.settings.token_life, (self.settings.start, self.limit()));
        let there = |host| self.hosts.granted(now, &self.settings, host, known.begun_there());
        let late = known.host.is_some_and(there) || self.bound.feedback.took(now, known.begun, life, slots);
        self.totals.late += u64::from(late);
    }

    /// The token of a task was dead when its turn came. All limits were too high: its host's for sure, and the vCenter's,
    /// because it may be on another host than the last look has said.
    pub(super) fn expired(&mut self, now: Nanos, known: &Known) {
        self.totals.expired += 1;
        let limit = self.limit();
        self.bound.feedback.expired(now, known.begun, self.settings.token_life, limit);
        if let Some(host) = known.host {
            self.hosts.expired(now, &self.settings, host, known.begun_there());
        }
    }
}
