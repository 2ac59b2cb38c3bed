//! When something is due next: one time per thing, earliest first.

use super::ids::{AskId, DownId, PrincipalKey, UpId};
use crate::time::Nanos;
use std::collections::{BTreeMap, BTreeSet};

/// What something is due for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// A call has waited for as long as it may.
    Ask(AskId),
    /// A downstream session may be idle or too old. It is looked at then: using it does not move its time.
    Down(DownId),
    /// An upstream session may be unused or too old, likewise.
    Up(UpId),
    /// A password is not kept any longer.
    Password(PrincipalKey),
}

#[derive(Debug, Default)]
pub(super) struct Timers {
    order: BTreeSet<(Nanos, Timer)>,
    due: BTreeMap<Timer, Nanos>,
}

impl Timers {
    /// Due at this time instead of any before. The end of time never comes.
    pub fn set(&mut self, timer: Timer, due: Nanos) {
        self.clear(timer);
        if due < Nanos::NEVER {
            self.due.insert(timer, due);
            self.order.insert((due, timer));
        }
    }

    pub fn clear(&mut self, timer: Timer) {
        if let Some(due) = self.due.remove(&timer) {
            self.order.remove(&(due, timer));
        }
    }

    pub fn next(&self) -> Option<Nanos> {
        self.order.first().map(|(due, _)| *due)
    }

    /// Takes out the first one that is due.
    pub fn pop(&mut self, now: Nanos) -> Option<Timer> {
        let (_, timer) = self.order.first().copied().filter(|(due, _)| *due <= now)?;
        self.clear(timer);
        Some(timer)
    }
}
