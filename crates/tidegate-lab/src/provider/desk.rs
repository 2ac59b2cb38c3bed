//! The model behind the sockets: takes jobs, tells their clients when they end, keeps the sessions.

use crate::LabError;
use crate::clock::WorldClock;
use crate::link::Link;
use crate::protocol::{ProtocolKind, Verdict, Want};
use crate::spec::{ProviderSpec, ProviderTls};
use crate::tls;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;
use tidegate_sim::law::Law;
use tidegate_sim::provider::{Done, JobId, Offer, Provider, ProviderModel, Tally};
use tidegate_sim::session::Sessions;
use tidegate_sim::time::{Nanos, Span};
use tokio::net::TcpStream;
use tokio::sync::{Notify, oneshot, watch};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

/// How long a handshake may take, in world time.
const HANDSHAKE: Span = Span::secs(10);
/// Sessions that it keeps at once.
const SESSIONS_MAX: usize = 100_000;

pub struct Desk {
    clock: WorldClock,
    /// What it speaks.
    pub protocol: ProtocolKind,
    /// Its own URL.
    pub base: String,
    /// Whether a session is of no use to another certificate.
    pub binds_sessions: bool,
    tls: Option<ProviderTls>,
    acceptor: RefCell<Option<TlsAcceptor>>,
    inner: RefCell<Inner>,
    rearm: Notify,
    crashed: Notify,
    falls: watch::Sender<u64>,
    connections: Cell<u64>,
    connections_open: Cell<u64>,
    handshakes: Cell<u64>,
    handshakes_failed: Cell<u64>,
}

struct Inner {
    model: Provider,
    sessions: Sessions,
    waiting: BTreeMap<JobId, oneshot::Sender<()>>,
    done: Vec<Done>,
}

/// A moment's figures.
pub struct State {
    pub in_flight: usize,
    pub queued: usize,
    pub sessions: usize,
    pub sessions_made: u64,
    pub connections: u64,
    pub connections_open: u64,
    pub handshakes: u64,
    pub handshakes_failed: u64,
    pub tally: Tally,
}

impl Desk {
    pub fn new(spec: &ProviderSpec, law: Law, base: String) -> Result<Desk, LabError> {
        let clock = WorldClock::start(spec.speed);
        let model = ProviderModel { law, threads: spec.threads, backlog: spec.backlog, crash_at: spec.crash_at };
        let sessions = Sessions::new(Span::from_secs_f64(spec.session_idle_s), SESSIONS_MAX, spec.seed);
        let acceptor = spec.tls.as_ref().map(tls::acceptor).transpose()?;
        Ok(Desk {
            clock,
            protocol: spec.protocol,
            base,
            binds_sessions: spec.bind_session_to_certificate,
            tls: spec.tls.clone(),
            acceptor: RefCell::new(acceptor),
            inner: RefCell::new(Inner {
                model: Provider::new(model, clock.now()),
                sessions,
                waiting: BTreeMap::new(),
                done: Vec::new(),
            }),
            rearm: Notify::new(),
            crashed: Notify::new(),
            falls: watch::Sender::new(0),
            connections: Cell::new(0),
            connections_open: Cell::new(0),
            handshakes: Cell::new(0),
            handshakes_failed: Cell::new(0),
        })
    }

    /// The TLS handshake with a client, or nothing to do; `None` when it failed, which is counted.
    pub async fn greet(&self, stream: TcpStream) -> Option<Link> {
        let Some(acceptor) = self.acceptor.borrow().clone() else { return Some(Link::Plain(stream)) };
        match timeout(self.wall_span(HANDSHAKE), acceptor.accept(stream)).await {
            Ok(Ok(stream)) => {
                self.handshakes.set(self.handshakes.get() + 1);
                Some(Link::Tls(Box::new(stream.into())))
            }
            _ => {
                self.handshakes_failed.set(self.handshakes_failed.get() + 1);
                None
            }
        }
    }

    /// Tells clients when their jobs end, for ever.
    pub async fn keep_time(self: Rc<Desk>) {
        loop {
            let next = self.inner.borrow().model.next_done();
            let due = async {
                match next {
                    Some(at) => tokio::time::sleep_until(self.clock.wall(at)).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = due => self.with(|inner, now| inner.model.advance(now, &mut inner.done)),
                () = self.rearm.notified() => {}
            }
        }
    }

    /// Takes a job: what is returned ends when it does, with an error when the server falls first. `None`: refused.
    pub fn take(&self, units: f64) -> Option<(JobId, oneshot::Receiver<()>)> {
        let (sender, receiver) = oneshot::channel();
        let offer = self.with(|inner, now| {
            let offer = inner.model.offer(now, units, &mut inner.done);
            if let Offer::Taken(job) = offer {
                inner.waiting.insert(job, sender);
            }
            offer
        });
        self.rearm.notify_one();
        match offer {
            Offer::Taken(job) => Some((job, receiver)),
            Offer::Full => None,
            Offer::Crashed => {
                self.crashed.notify_one();
                None
            }
        }
    }

    /// The client of a job has left; the job has not.
    pub fn leave(&self, job: JobId) {
        self.with(|inner, now| {
            inner.waiting.remove(&job);
            inner.model.leave(now, job, &mut inner.done);
        });
    }

    /// Whether a session is known, and lives on.
    pub fn knows(&self, session: Option<u64>, owner: u64) -> bool {
        let now = self.clock.now();
        session.is_some_and(|number| self.inner.borrow_mut().sessions.touch(now, number, owner))
    }

    /// The outcome of a job that has ended.
    pub fn verdict(&self, want: Want, session: Option<u64>, owner: u64) -> Verdict {
        match want {
            Want::Open => Verdict::Opened(self.inner.borrow_mut().sessions.open(self.clock.now(), owner, session)),
            _ if want.needs_session() && !self.knows(session, owner) => Verdict::NoSession,
            _ => Verdict::Fine,
        }
    }

    /// Loses all jobs, sessions, tickets and connections.
    pub fn fall(&self) -> Result<(), LabError> {
        *self.acceptor.borrow_mut() = self.tls.as_ref().map(tls::acceptor).transpose()?;
        self.with(|inner, now| {
            inner.model.crash(now, &mut inner.done);
            inner.sessions.clear();
        });
        self.inner.borrow_mut().waiting.clear();
        self.falls.send_modify(|falls| *falls += 1);
        Ok(())
    }

    /// Ends all sessions; jobs and connections go on.
    pub fn expire(&self) {
        self.inner.borrow_mut().sessions.clear();
    }

    /// Returns when the model has broken down under its load.
    pub async fn crashed(&self) {
        self.crashed.notified().await;
    }

    /// Tells of falls from now on.
    pub fn falls(&self) -> watch::Receiver<u64> {
        self.falls.subscribe()
    }

    /// A client came (`true`) or went.
    pub fn count_connection(&self, came: bool) {
        if came {
            self.connections.set(self.connections.get() + 1);
            self.connections_open.set(self.connections_open.get() + 1);
        } else {
            self.connections_open.set(self.connections_open.get() - 1);
        }
    }

    pub fn wall_span(&self, span: Span) -> Duration {
        self.clock.wall_span(span)
    }

    pub fn state(&self) -> State {
        self.with(|inner, now| {
            inner.model.advance(now, &mut inner.done);
            inner.sessions.expire(now);
        });
        let inner = self.inner.borrow();
        State {
            in_flight: inner.model.in_flight(),
            queued: inner.model.queued(),
            sessions: inner.sessions.len(),
            sessions_made: inner.sessions.made(),
            connections: self.connections.get(),
            connections_open: self.connections_open.get(),
            handshakes: self.handshakes.get(),
            handshakes_failed: self.handshakes_failed.get(),
            tally: inner.model.tally(),
        }
    }

    /// Does something with the model now, and tells the clients of the jobs that have ended.
    fn with<T>(&self, act: impl FnOnce(&mut Inner, Nanos) -> T) -> T {
        let inner = &mut *self.inner.borrow_mut();
        let result = act(inner, self.clock.now());
        for done in inner.done.drain(..) {
            if let Some(client) = inner.waiting.remove(&done.job) {
                let _ = client.send(()); // a client that has just left is no longer there to be told
            }
        }
        result
    }
}
