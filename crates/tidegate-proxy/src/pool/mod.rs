//! Connections to servers: who they belong to, and the idle ones that wait for the next call (last in, first out).
//!
//! A server never has more connections than calls may be in flight there, idle ones included: before one is made that would
//! be too many, the one that has been idle longest is closed. Beyond that are only tunnels and connections that rest with
//! the one client that has authenticated on them.

mod conn;
mod line;
#[cfg(test)]
mod tests;

pub(crate) use conn::ServerConn;
pub(crate) use line::Place;

use crate::dial::Addresses;
use crate::stats::{Connects, ServerStats};
use crate::stream::Stir;
use crate::tls::client::Upstream;
use crate::wire::proxy_header::Version;
use line::Line;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use tidegate_core::health::Verdict;
use tidegate_core::limit::{IdleSource, IdleTimeout};
use tidegate_core::time::{Nanos, Span};

/// Most requests on one connection: whatever a server's connection may gather, or a wrong idea of its state, ends with it.
/// nginx closes after 1000; ten times that costs one connect per 10 000 requests.
const REQUESTS_MAX: u32 = 10_000;
/// How long connections are not used again after a server spoke out of turn.
const DISTRUST: Span = Span::secs(60);

/// What must be equal for a connection to be used again. Compared field by field, never by a hash alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    /// Where it goes, as the plan says it.
    pub(crate) address: Arc<str>,
    /// How it is encrypted: the number of the TLS profile; 0 is cleartext.
    pub(crate) tls_profile: u64,
    /// For whom a PROXY header was sent on it.
    pub(crate) proxied_for: Option<SocketAddr>,
}

/// One server at run time.
pub(crate) struct Server {
    pub(crate) name: Arc<str>,
    pub(crate) address: Arc<str>,
    /// Where that is.
    pub(crate) addresses: Addresses,
    pub(crate) stats: Arc<ServerStats>,
    /// How it is encrypted.
    pub(crate) tls: Option<Upstream>,
    /// Which PROXY header each connection begins with.
    pub(crate) send_proxy: Option<Version>,
    tls_profile: u64,
    idle: Mutex<Vec<Idle>>,
    timeout: Mutex<IdleTimeout>,
    /// What follows from `timeout`, in nanoseconds: how long an idle connection is kept, how long it may have been idle to
    /// carry what must not be sent twice, and how the first is known.
    keep: AtomicU64,
    trust: AtomicU64,
    source: AtomicU64,
    /// How long an idle connection is kept at most, by the plan.
    configured: AtomicU64,
    /// Most connections.
    cap: AtomicU64,
    /// Until when no connection is used twice, in nanoseconds: the server has spoken out of turn.
    distrusted: AtomicU64,
    /// Another has taken its part: what comes back is closed.
    retired: AtomicBool,
    watch: Arc<Watch>,
    /// How probes speak TLS with it, where they do.
    pub(crate) probe_tls: Option<Upstream>,
    /// The inquiry into a connect that failed, and what the last one found.
    pub(crate) inquiry: tokio::sync::Mutex<Option<(Nanos, Verdict)>>,
    /// When it was heard last, in nanoseconds; 0: never.
    heard: AtomicU64,
    /// Its number among those that are monitored, from 1; 0: it is not.
    watched: AtomicUsize,
}

/// Numbers of TLS profiles: each loaded configuration has its own.
static PROFILES: AtomicU64 = AtomicU64::new(1);

struct Idle {
    line: Line,
    since: Nanos,
}

/// Notes that an idle connection has stirred.
#[derive(Default)]
struct Watch(AtomicBool);

impl Wake for Watch {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Server {
    /// A server as the plan says; counters go on from `stats`.
    pub(crate) fn new(
        (name, address): (&str, &str),
        tls: Option<Upstream>,
        send_proxy: Option<Version>,
        probe_tls: Option<Upstream>,
        stats: Arc<ServerStats>,
    ) -> Arc<Server> {
        let tls_profile = if tls.is_some() { PROFILES.fetch_add(1, Ordering::Relaxed) } else { 0 };
        let (name, address) = (name.into(), address.into());
        let server = Server {
            name,
            address,
            addresses: Addresses::default(),
            stats,
            tls,
            send_proxy,
            tls_profile,
            idle: Mutex::new(Vec::new()),
            timeout: Mutex::default(),
            keep: AtomicU64::new(u64::MAX),
            trust: AtomicU64::new(0),
            source: AtomicU64::new(0),
            configured: AtomicU64::new(u64::MAX),
            cap: AtomicU64::new(u64::MAX),
            distrusted: AtomicU64::new(0),
            retired: AtomicBool::new(false),
            watch: Arc::default(),
            probe_tls,
            inquiry: tokio::sync::Mutex::const_new(None),
            heard: AtomicU64::new(0),
            watched: AtomicUsize::new(0),
        };
        server.conclude(Nanos(0), &mut server.timeout());
        Arc::new(server)
    }

    /// The key of connections for a client at `peer`.
    pub(crate) fn key(&self, peer: SocketAddr) -> Key {
        let proxied_for = self.send_proxy.is_some().then_some(peer);
        Key { address: self.address.clone(), tls_profile: self.tls_profile, proxied_for }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn timeout(&self) -> MutexGuard<'_, IdleTimeout> {
        self.timeout.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The host of its address.
    pub(crate) fn host(&self) -> &str {
        crate::tls::client::host_of(&self.address)
    }

    /// Something came from it.
    pub(crate) fn heard_now(&self, now: Nanos) {
        self.heard.store(now.0.max(1), Ordering::Relaxed);
    }

    /// How long ago something came from it; `None`: never.
    pub(crate) fn heard(&self, now: Nanos) -> Option<Span> {
        let at = self.heard.load(Ordering::Relaxed);
        (at > 0).then(|| now.since(Nanos(at)))
    }

    /// Its place among those that are monitored.
    pub(crate) fn watched_as(&self, at: Option<usize>) {
        self.watched.store(at.map_or(0, |at| at + 1), Ordering::Relaxed);
    }

    /// The same.
    pub(crate) fn watched(&self) -> Option<usize> {
        self.watched.load(Ordering::Relaxed).checked_sub(1)
    }

    /// Closes idle connections that the server has ended, so that those are counted that stand. Asks the kernel.
    pub(crate) fn prune(&self, now: Nanos) {
        let (mut why, mut ages) = (Vec::new(), Vec::new());
        let stirred = |idle: &mut Idle| {
            let stirred = idle.line.stream.stirred();
            ages.extend((stirred == Some(Stir::Closed)).then(|| now.since(idle.since)));
            why.extend(stirred);
            stirred.is_some()
        };
        // Their ports are given back without this lock.
        let gone: Vec<Idle> = self.idle().extract_if(.., stirred).collect();
        gone.into_iter().zip(why).for_each(|(idle, stir)| self.bury(idle, Some(stir)));
        if !ages.is_empty() {
            self.timeout().closed(now, &ages);
        }
    }

    /// How long an idle connection is kept: as configured, or less where the server closes them earlier.
    pub(crate) fn keeps_idle(&self) -> Span {
        Span(self.keep.load(Ordering::Relaxed))
    }

    /// How that is known.
    pub(crate) fn knows_idle(&self) -> IdleSource {
        let source = usize::try_from(self.source.load(Ordering::Relaxed)).unwrap_or_default();
        IdleSource::ALL.get(source).copied().unwrap_or(IdleSource::Configured)
    }

    /// How many connections are idle.
    pub(crate) fn idle_conns(&self) -> usize {
        self.idle().len()
    }

    /// At most `calls` may be in flight, and one probe.
    pub(crate) fn allow(&self, calls: u32) {
        self.cap.store(u64::from(calls) + 1, Ordering::Relaxed);
    }

    /// The plan says how long an idle connection is kept; how long it is, by what is known.
    pub(crate) fn keep_at_most(&self, now: Nanos, max_age: Span) -> Span {
        self.configured.store(max_age.0, Ordering::Relaxed);
        self.conclude(now, &mut self.timeout())
    }

    /// Draws the conclusions from what is known of the server's timeout.
    fn conclude(&self, now: Nanos, timeout: &mut IdleTimeout) -> Span {
        let configured = Span(self.configured.load(Ordering::Relaxed));
        let (keep, source) = timeout.keep_by(now, configured);
        self.keep.store(keep.0, Ordering::Relaxed);
        self.source.store(source as u64, Ordering::Relaxed);
        self.trust.store(timeout.trusted(now, configured).0, Ordering::Relaxed);
        keep
    }

    /// The server said in an answer how long it keeps idle connections.
    pub(crate) fn announces_idle(&self, now: Nanos, announced: Span) {
        let mut timeout = self.timeout();
        if timeout.announced(announced) {
            self.conclude(now, &mut timeout);
        }
    }

    /// The server closed a connection under a request, which had been idle for `age` before.
    pub(crate) fn lost(&self, now: Nanos, age: Span) {
        let mut timeout = self.timeout();
        timeout.lost(now, age);
        self.conclude(now, &mut timeout);
    }

    /// An idle connection with this key that is still open and silent, and that the server will not close just now. For a
    /// request that is not `repeatable` it must be younger than what the server is known to keep.
    ///
    /// # Errors
    /// Why there is none.
    pub(crate) fn check_out(self: &Arc<Self>, key: &Key, now: Nanos, repeatable: bool) -> Result<ServerConn, Connects> {
        let keep = self.keeps_idle();
        let trust = keep.min(Span(self.trust.load(Ordering::Relaxed)));
        let wanted = if repeatable { keep } else { trust };
        let mut closed = Vec::new();
        let found = loop {
            let mut idle = {
                let mut all = self.idle();
                let Some(at) = all.iter().rposition(|idle| idle.line.key == *key) else {
                    break Err(Connects::NoneIdle);
                };
                let age = now.since(all[at].since); // of all that fit the youngest
                if age >= wanted && age < keep {
                    break Err(Connects::Unproven);
                }
                all.remove(at)
            };
            let age = now.since(idle.since);
            match idle.line.stream.stirred() {
                None if age < keep => break Ok(ServerConn::again(self, idle.line, age, age >= trust)),
                stirred => {
                    self.bury(idle, stirred);
                    closed.extend((stirred == Some(Stir::Closed)).then_some(age));
                }
            }
        };
        if !closed.is_empty() {
            self.timeout().closed(now, &closed);
        }
        found
    }

    /// A place for one more connection. While there are as many as there may be, the one that is idle longest goes.
    pub(crate) fn reserve(&self) -> Place {
        self.shrink(1);
        Place::take(&self.stats)
    }

    /// Closes idle connections until `more` have room.
    fn shrink(&self, more: u64) {
        let cap = self.cap.load(Ordering::Relaxed);
        while self.stats.places.get() + more > cap && self.spare_one() {}
    }

    /// Closes the connection that is idle longest, whose port is free at once then; false when none is idle.
    pub(crate) fn spare_one(&self) -> bool {
        let oldest = {
            let mut all = self.idle();
            if all.is_empty() {
                return false;
            }
            all.remove(0)
        };
        oldest.line.drop_port();
        true
    }

    /// Takes back a connection on which nothing is under way; closes it where it may not be used again.
    fn put(&self, line: Line, now: Nanos) {
        let over = self.retired.load(Ordering::Relaxed)
            || now.0 < self.distrusted.load(Ordering::Relaxed)
            || line.key.proxied_for.is_some()
            || line.requests >= REQUESTS_MAX
            || self.stats.places.get() > self.cap.load(Ordering::Relaxed);
        if over { line.drop_port() } else { self.idle().push(Idle { line, since: now }) }
    }

    /// The server sent bytes behind an answer: the next client would have taken them for its own. For a while every call
    /// gets a connection of its own.
    pub(crate) fn distrust(&self, now: Nanos) {
        self.distrusted.store((now + DISTRUST).0, Ordering::Relaxed);
        self.empty();
    }

    /// Another server has taken this one's part: its idle connections are closed, and those in use when they come back.
    pub(crate) fn retire(&self) {
        self.retired.store(true, Ordering::Relaxed);
        self.watched_as(None); // its number is another's
        self.empty();
    }

    fn empty(&self) {
        let idle = std::mem::take(&mut *self.idle());
        idle.into_iter().for_each(|idle| idle.line.drop_port());
    }

    /// Ends an idle connection.
    fn bury(&self, idle: Idle, stirred: Option<Stir>) {
        match stirred {
            Some(Stir::Closed) => drop(idle), // by a FIN: the server's came first
            Some(Stir::Spoke) => {
                self.stats.unasked.add(1);
                idle.line.drop_port();
            }
            None => idle.line.drop_port(),
        }
    }

    /// Closes idle connections that are older than `max_age`, that the server closed, or on which it spoke unasked; learns
    /// from those that the server closed how long it keeps them.
    pub(crate) fn sweep(&self, now: Nanos, max_age: Span) {
        let keep = self.keep_at_most(now, max_age);
        self.look(now, keep);
        self.shrink(0);
    }

    /// As [`Server::sweep`], between two of them, when an idle connection has stirred.
    pub(crate) fn tend(&self, now: Nanos) {
        if self.watch.0.swap(false, Ordering::Relaxed) {
            self.look(now, self.keeps_idle());
        }
    }

    fn look(&self, now: Nanos, keep: Span) {
        let (mut closed, mut over, mut why) = (Vec::new(), Vec::new(), Vec::new());
        let mut oldest = Span::ZERO;
        let waker = Waker::from(self.watch.clone());
        let looking = |cx: &mut Context<'_>| {
            let mut all = self.idle();
            let gone = all.extract_if(.., |idle| {
                let age = now.since(idle.since);
                let stirred = match idle.line.stream.poll_stirred(cx) {
                    Poll::Ready(stir) => Some(stir),
                    Poll::Pending => None,
                };
                match stirred {
                    None => oldest = oldest.max(age),
                    Some(Stir::Closed) => closed.push(age),
                    Some(Stir::Spoke) => {}
                }
                let gone = stirred.is_some() || age >= keep;
                why.extend(gone.then_some(stirred));
                gone
            });
            over.extend(gone);
            Poll::Ready(())
        };
        // Not a task's work: its budget of polls would end the look early.
        let mut looking = pin!(tokio::task::coop::unconstrained(std::future::poll_fn(looking)));
        let _it_never_waits = looking.as_mut().poll(&mut Context::from_waker(&waker));
        over.into_iter().zip(why).for_each(|(idle, stirred)| self.bury(idle, stirred));
        let mut timeout = self.timeout();
        if oldest > Span::ZERO {
            timeout.open(now, oldest);
        }
        if !closed.is_empty() {
            timeout.closed(now, &closed);
        }
        self.conclude(now, &mut timeout);
    }
}
