//! Sessions at a vCenter, kept by the gate: the core's broker behind a mutex of its own, and what belongs to its numbers.
//!
//! The mutex is held only for a decision, never while another lock of the gate is asked for, and never over an await.
//! Tokens that clients hold are known by their digest only; cookies of sessions at the vCenter never leave this module
//! but in a request to it.

pub(crate) mod agent;
pub(crate) mod lines;
pub(crate) mod secret;
pub(crate) mod table;
pub(crate) mod told;
pub(crate) mod upstream;

use crate::clock;
use crate::plan::BrokerPlan;
use crate::pool::Server;
use crate::setup::Setup;
use crate::vcenter::{answer, write};
use agent::Jobs;
use secret::Keys;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use table::{Tables, Up};
use tidegate_core::session::broker::{
    Action, AskId, Broker, DownId, Event, Holds, Kind, Make, PrincipalKey, Refusal, Settings, UpId,
};

/// What the broker decided about a call.
#[derive(Clone, Debug)]
pub(crate) enum Word {
    /// The login is fine.
    Open { down: DownId, up: UpId },
    /// Log in there.
    Verify { up: UpId },
    /// Use it; establish it first where that is said.
    Lend { up: UpId, make: Option<Make> },
    /// It is not served.
    Refuse(Refusal),
}

#[derive(Default)]
struct Mail {
    told: Option<Word>,
    waker: Option<Waker>,
}

struct Inner {
    broker: Broker,
    actions: Vec<Action>,
    mail: HashMap<AskId, Mail>,
    tables: Tables,
    jobs: Jobs,
}

/// The broker of one service.
pub(crate) struct Handle {
    inner: Mutex<Inner>,
    pub(crate) keys: Keys,
    asks: AtomicU64,
    /// When the timer will look next, in nanoseconds.
    armed: AtomicU64,
    /// Woken when the broker wants to be woken earlier.
    timer: tokio::sync::Notify,
    /// Woken when there is something to do.
    agent: tokio::sync::Notify,
    /// Its agent runs.
    running: AtomicBool,
    /// The plan wants no broker any more.
    retired: AtomicBool,
    /// Logins that the gate answered itself.
    pub(crate) answered_logins: AtomicU64,
    operations: AtomicU64,
}

fn settings(plan: &BrokerPlan, seed: u64) -> Settings {
    Settings {
        clones_max: plan.clones_max,
        sessions_max: plan.sessions_max,
        sessions_per_principal_max: plan.sessions_per_principal_max,
        own_max: plan.own_max,
        principals_max: plan.principals_max,
        waiting_max: plan.waiting_max,
        wait_max: plan.wait_max,
        idle: plan.idle,
        life: plan.life,
        verify: plan.verify,
        keepalive: plan.keepalive,
        seed,
    }
}

impl Handle {
    /// A broker without sessions, if the plan wants one and `None` if there is no randomness to make tokens of.
    pub(crate) fn new(setup: &Setup) -> Option<Handle> {
        let plan = setup.broker()?;
        secret::keep_out_of_dumps();
        Some(Handle {
            inner: Mutex::new(Inner {
                broker: Broker::new(settings(plan, setup.plan.admission.seed)),
                actions: Vec::new(),
                mail: HashMap::new(),
                tables: Tables::default(),
                jobs: Jobs::default(),
            }),
            keys: Keys::new()?,
            asks: AtomicU64::new(0),
            armed: AtomicU64::new(u64::MAX),
            timer: tokio::sync::Notify::new(),
            agent: tokio::sync::Notify::new(),
            running: AtomicBool::new(false),
            retired: AtomicBool::new(false),
            answered_logins: AtomicU64::new(0),
            operations: AtomicU64::new(0),
        })
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets go of the broker, and wakes whoever has something to do after what happened.
    fn leave(&self, inner: MutexGuard<'_, Inner>) {
        let retired = self.retired.load(Ordering::Relaxed);
        let next = inner.broker.next_wake().map_or(u64::MAX, |at| at.0);
        let earlier = next < self.armed.load(Ordering::Relaxed);
        if earlier {
            self.armed.store(next, Ordering::Relaxed);
        }
        let jobs = !inner.jobs.is_empty();
        drop(inner);
        if earlier || retired {
            self.timer.notify_one();
        }
        if jobs || retired {
            self.agent.notify_one();
        }
    }

    /// Another plan.
    pub(crate) fn apply(&self, plan: &BrokerPlan, seed: u64) {
        self.inner().broker.apply(settings(plan, seed));
        self.event(Event::Wake);
    }

    /// The plan wants no broker any more: its sessions are ended, and then it is over.
    pub(crate) fn retire(&self) {
        self.retired.store(true, Ordering::Relaxed);
        self.event(Event::Drain);
    }

    /// Whether it is over.
    fn is_over(&self) -> bool {
        let inner = self.inner();
        self.retired.load(Ordering::Relaxed) && inner.tables.ups.is_empty() && inner.jobs.is_empty()
    }

    /// Looks at the tables, or changes them.
    pub(crate) fn tables<T>(&self, look: impl FnOnce(&mut Tables) -> T) -> T {
        look(&mut self.inner().tables)
    }

    /// Something happened that is about no call of the caller's.
    pub(crate) fn event(&self, event: Event) {
        let mut inner = self.inner();
        inner.event(event);
        self.leave(inner);
    }

    /// A call asks; what it is told comes by [`Ask::poll`].
    pub(crate) fn ask(&self, event: impl FnOnce(AskId) -> Event) -> Ask<'_> {
        let id = AskId(self.asks.fetch_add(1, Ordering::Relaxed));
        let mut inner = self.inner();
        inner.mail.insert(id, Mail::default());
        inner.event(event(id));
        self.leave(inner);
        Ask { handle: self, id, lent: false, duty: None, over: false }
    }

    /// The request that logs this principal in once more; `None`: its password is not kept any more.
    pub(crate) fn login_again(&self, principal: PrincipalKey) -> Option<write::Ask> {
        self.tables(|tables| {
            let known = tables.principals.get(&principal)?;
            Some(write::login(&known.user, known.password.as_ref()?, known.locale.as_deref()))
        })
    }

    /// Takes the answer to a login or a clone that a call had to make.
    ///
    /// # Errors
    /// There is no session in it; `true`: the vCenter said that there is none for this user.
    pub(crate) fn established(
        &self,
        ask: &mut Ask<'_>,
        principal: PrincipalKey,
        said: &upstream::Said,
        server: Arc<Server>,
    ) -> Result<(), bool> {
        let session = answer::user_session(&said.body).filter(|_| said.status == 200);
        let (Some(cookie), Some(session)) = (said.token.clone(), session) else {
            let denied = answer::faulted(&said.body).is_some_and(|fault| fault.name == "InvalidLogin");
            ask.made(|up| if denied { Event::Denied { up } } else { Event::Failed { up } });
            return Err(denied);
        };
        ask.made(|up| {
            let inner = &mut *self.inner();
            let kind = inner.broker.kind_of(up).unwrap_or(Kind::Shared); // a login may be for a clone
            let user = inner.tables.principals.get(&principal).map(|known| known.user.clone()).unwrap_or_default();
            inner.tables.stands(up, Up::new(kind, principal, cookie, session, server), &user, None);
            Event::Verified { up }
        });
        Ok(())
    }

    /// A number for a call, to be found in the vCenter's log.
    pub(crate) fn operation(&self) -> u64 {
        self.operations.fetch_add(1, Ordering::Relaxed)
    }

    /// On which kind of session a client lives; `None`: on none at the moment.
    pub(crate) fn kind_of(&self, down: DownId) -> Option<Kind> {
        let inner = self.inner();
        let up = inner.broker.up_of(down)?;
        inner.tables.ups.get(&up).map(|up| up.kind)
    }

    /// A client logs out.
    pub(crate) fn log_out(&self, down: DownId) {
        let mut inner = self.inner();
        inner.let_go(down);
        inner.event(Event::Logout { down });
        self.leave(inner);
    }

    /// The vCenter does not know this session any more.
    pub(crate) fn dead(&self, up: UpId) {
        let mut inner = self.inner();
        drop(inner.tables.forget_up(up));
        inner.event(Event::Dead { up });
        self.leave(inner);
    }

    /// Tells the broker that time passes. Apart from what is done in the background, which may wait for a server.
    async fn run_timer(self: Arc<Self>) {
        while !self.is_over() {
            match self.wake() {
                // At least 1 ms between two looks, so that a wake that stays due cannot spin.
                Some(wait) => {
                    let _ = tokio::time::timeout(wait.max(Duration::from_millis(1)), self.timer.notified()).await;
                }
                None => self.timer.notified().await,
            }
        }
    }

    /// When the broker wants to be woken; wakes it if that time has come.
    fn wake(&self) -> Option<Duration> {
        let mut inner = self.inner();
        let now = clock::now();
        if inner.broker.next_wake().is_some_and(|at| at <= now) {
            inner.event(Event::Wake);
        }
        let next = inner.broker.next_wake();
        self.armed.store(next.map_or(u64::MAX, |at| at.0), Ordering::Relaxed);
        if !inner.jobs.is_empty() {
            self.agent.notify_one();
        }
        next.map(|at| clock::duration(at.since(now)))
    }
}

impl Inner {
    fn event(&mut self, event: Event) {
        let mut actions = std::mem::take(&mut self.actions);
        self.broker.on_event(clock::now(), event, &mut actions);
        for action in actions.drain(..) {
            self.act(action);
        }
        self.actions = actions;
    }

    fn act(&mut self, action: Action) {
        let (ask, told) = match action {
            Action::Wait { .. } => return,
            Action::Open { ask, down, up } => (ask, Word::Open { down, up }),
            Action::Verify { ask, up } => (ask, Word::Verify { up }),
            Action::Lend { ask, up, make, .. } => (ask, Word::Lend { up, make }),
            Action::Refuse { ask, why } => (ask, Word::Refuse(why)),
            Action::End { up } => return self.jobs.end(self.tables.forget_up(up)),
            Action::KeepAlive { up } => return self.jobs.keep_alive(up),
            Action::Forget { principal } => return self.tables.forget_password(principal),
            Action::Expired { down, .. } => return self.let_go(down),
        };
        let Some(mail) = self.mail.get_mut(&ask) else { return };
        mail.told = Some(told);
        mail.waker.take().into_iter().for_each(Waker::wake);
    }

    /// A downstream session is over: what it held on shared sessions is cleaned up.
    fn let_go(&mut self, down: DownId) {
        let left = self.tables.forget_down(down);
        self.jobs.clean(left);
    }
}

/// A call that asked. Dropped before its end, it gave up.
pub(crate) struct Ask<'h> {
    handle: &'h Handle,
    id: AskId,
    /// It was lent a session.
    lent: bool,
    /// What it must establish.
    duty: Option<UpId>,
    /// The broker knows it no more.
    over: bool,
}

impl Ask<'_> {
    /// What the broker says next.
    pub(crate) fn poll(&mut self, cx: &Context<'_>) -> Poll<Word> {
        let mut inner = self.handle.inner();
        let told = match inner.mail.get_mut(&self.id) {
            None => Some(Word::Refuse(Refusal::Draining)),
            Some(mail) => {
                mail.waker = Some(cx.waker().clone());
                mail.told.take()
            }
        };
        drop(inner);
        let Some(told) = told else { return Poll::Pending };
        self.note(&told);
        Poll::Ready(told)
    }

    fn note(&mut self, told: &Word) {
        match told {
            Word::Verify { up } => self.duty = Some(*up),
            Word::Lend { up, make } => {
                self.lent = true;
                self.duty = make.is_some().then_some(*up);
            }
            Word::Open { .. } | Word::Refuse(_) => self.over = true,
        }
    }

    /// How what it had to establish went.
    pub(crate) fn made(&mut self, how: impl FnOnce(UpId) -> Event) {
        if let Some(up) = self.duty.take() {
            self.handle.event(how(up));
        }
    }

    /// The call is over.
    pub(crate) fn done(mut self, holds: Holds) {
        self.end(holds);
    }

    fn end(&mut self, holds: Holds) {
        let mut inner = self.handle.inner();
        // What was said and not heard counts all the same.
        let unheard = inner.mail.remove(&self.id).and_then(|mail| mail.told);
        unheard.iter().for_each(|told| self.note(told));
        // Who had to establish something and did not come to it gives up: nobody is refused for that, another one tries.
        let began = self.duty.take().is_some() || self.lent;
        if !std::mem::replace(&mut self.over, true) {
            let ask = self.id;
            inner.event(if began { Event::Done { ask, holds } } else { Event::Left { ask } });
        }
        if let Some(Word::Open { down, .. }) = unheard {
            inner.event(Event::Logout { down });
        }
        self.handle.leave(inner);
    }
}

impl Drop for Ask<'_> {
    fn drop(&mut self) {
        self.end(Holds::Unchanged);
    }
}
