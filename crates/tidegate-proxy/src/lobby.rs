//! Calls to a vCenter that wait before they ask for a place at the server: for a session, or for a task slot.
//!
//! Admission does not know them yet. They are told of by `explain`, as calls that admission holds are. The mutex is held
//! only to come and to go, and no other lock is asked for meanwhile.

use crate::clock;
use crate::explain::Record;
use crate::service::Service;
use crate::tasks;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tidegate_core::limit::tasks::{Ask, Why};
use tidegate_core::time::{Nanos, Span};

/// What a call waits for.
#[derive(Clone)]
pub(crate) enum Awaits {
    /// A session at the vCenter.
    Session,
    /// A task slot, as this number.
    Slot(Arc<tasks::Handle>, Ask),
}

impl Awaits {
    /// Its word in `explain`.
    fn word(&self) -> &'static str {
        match self {
            Awaits::Session => "session",
            Awaits::Slot(..) => "task-slot",
        }
    }

    /// Why there is no slot for it now.
    fn why(&self) -> Option<Why> {
        match self {
            Awaits::Session => None,
            Awaits::Slot(handle, ask) => handle.why(*ask),
        }
    }
}

/// Who waits, by number.
#[derive(Default)]
pub(crate) struct Lobby {
    next: AtomicU64,
    here: Mutex<BTreeMap<u64, (Record, Awaits)>>,
}

impl Lobby {
    fn here(&self) -> MutexGuard<'_, BTreeMap<u64, (Record, Awaits)>> {
        self.here.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whoever waits now, newest first, at most `most`.
    pub(crate) fn records(&self, most: usize) -> Vec<Record> {
        let here: Vec<_> = self.here().values().rev().take(most).cloned().collect();
        let told = here.into_iter().map(|(mut record, awaits)| {
            record.before.why = awaits.why().or(record.before.why);
            record.awaits = Some(awaits.word());
            record
        });
        told.collect()
    }
}

/// A call's stay in the lobby. Dropped, it is over.
pub(crate) struct Stay {
    service: Arc<Service>,
    awaits: Awaits,
    since: Option<(u64, Nanos)>,
    /// Why there was no slot when it came.
    pub(crate) why: Option<Why>,
}

impl Stay {
    /// A call that may have to wait.
    pub(crate) fn new(service: Arc<Service>, awaits: Awaits) -> Stay {
        Stay { service, awaits, since: None, why: None }
    }

    /// It waits. Only the first time counts.
    pub(crate) fn begin(&mut self, record: impl FnOnce(Nanos) -> Record) {
        if self.since.is_some() {
            return;
        }
        let (lobby, now) = (&self.service.lobby, clock::now());
        let number = lobby.next.fetch_add(1, Ordering::Relaxed);
        self.why = self.awaits.why();
        let mut record = record(now);
        record.before.why = self.why;
        lobby.here().insert(number, (record, self.awaits.clone()));
        self.since = Some((number, now));
    }

    /// It waits no more; how long it did.
    pub(crate) fn end(&mut self) -> Span {
        let Some((number, since)) = self.since.take() else { return Span::ZERO };
        self.service.lobby.here().remove(&number);
        clock::now().since(since)
    }
}

impl Drop for Stay {
    fn drop(&mut self) {
        self.end();
    }
}
