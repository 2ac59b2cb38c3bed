//! A call that wants a slot, and one that has it.

use super::watch::Outstanding;
use super::{Handle, Kind};
use crate::clock;
use crate::lobby::Awaits;
use crate::vcenter::answer;
use std::sync::Arc;
use std::task::{Context, Poll};
use tidegate_core::limit::tasks::{Ask, Datastores, Event, HostKey, How, PrincipalIx, TaskKey, VmKey, Why, Work};
use tidegate_core::time::Span;

/// Whose sessions may ask how a task goes on: the number of a principal of the session broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Watcher(pub(crate) u64);

/// What a call begins, and on what: see [`Handle::about`].
#[derive(Clone, Debug)]
pub(crate) struct TaskAsk {
    pub(super) principal: PrincipalIx,
    pub(super) work: Work,
    pub(super) host: Option<HostKey>,
    pub(super) datastores: Datastores,
    pub(super) vm: Option<VmKey>,
    pub(super) watcher: Option<Watcher>,
}

/// What the machine decided about a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    /// Send it.
    Go,
    /// Send it, without a slot.
    Pass,
    /// Tell its client to come back.
    TurnAway { reason: Why, retry_after: Span },
}

/// A call's place in line, and then its slot. Dropped before anything was sent, it gives it back; dropped after that
/// without an answer, the work may be under way, and the slot stays taken for the life of a token.
pub(crate) struct TaskHold {
    handle: Arc<Handle>,
    ask: Ask,
    work: Work,
    watcher: Option<Watcher>,
    sent: bool,
    over: bool,
}

impl TaskHold {
    pub(super) fn new(handle: Arc<Handle>, ask: Ask, work: Work, watcher: Option<Watcher>) -> TaskHold {
        TaskHold { handle, ask, work, watcher, sent: false, over: false }
    }

    /// As what it waits.
    pub(crate) fn awaits(&self) -> Awaits {
        Awaits::Slot(self.handle.clone(), self.ask)
    }

    /// What the machine says; the call's task is woken when it does.
    pub(crate) fn poll(&mut self, cx: &Context<'_>) -> Poll<Word> {
        let mut inner = self.handle.inner();
        let Some(mail) = inner.mail.get_mut(&self.ask) else { return Poll::Pending };
        let Some(word) = mail.told.take() else {
            mail.waker = Some(cx.waker().clone());
            return Poll::Pending;
        };
        if let Word::TurnAway { .. } | Word::Pass = word {
            self.over = true;
            inner.mail.remove(&self.ask);
        }
        Poll::Ready(word)
    }

    /// The first byte of the request may leave now.
    pub(crate) fn sent(&mut self) {
        self.sent = true;
    }

    /// All of the answer, good or bad.
    pub(crate) fn answered(self, answer: &[u8]) {
        let task = answer::returned_ref(answer);
        self.began(task.as_ref().map(|task| task.id.as_str()));
    }

    /// The answer names the task or lease that was begun; `None`: it names none.
    pub(crate) fn began(mut self, id: Option<&str>) {
        self.over = true;
        let handle = &self.handle;
        let task = id.map(|id| TaskKey(handle.key(Kind::Task, id)));
        let mut inner = handle.inner();
        let now = clock::now();
        inner.mail.remove(&self.ask);
        inner.event(now, Event::Started { ask: self.ask, task });
        if let (Some(task), Some(id), true) = (task, id, self.work != Work::Lease) {
            match self.watcher {
                Some(watcher) => {
                    inner.outstanding.insert(task, Outstanding::new(id, watcher, self.ask));
                    handle.begun.notify_one();
                }
                // Nobody can say how it goes on.
                None => inner.event(now, Event::Ended { task, how: How::Fine, vm: None }),
            }
        }
        handle.rearm(&inner, now);
    }
}

impl Drop for TaskHold {
    fn drop(&mut self) {
        if self.over {
            return;
        }
        let ask = self.ask;
        let mut inner = self.handle.inner();
        let now = clock::now();
        inner.mail.remove(&ask);
        inner.event(now, if self.sent { Event::Lost { ask } } else { Event::Left { ask } });
        self.handle.rearm(&inner, now);
    }
}
