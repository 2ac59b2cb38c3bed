//! Connections to servers: who they belong to, and the idle ones that wait for the next call (last in, first out).

use crate::stats::ServerStats;
use crate::stream::Stream;
use crate::tls::client::Upstream;
use crate::wire::proxy_header::Version;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tidegate_core::limit::IdleTimeout;
use tidegate_core::time::{Nanos, Span};

/// Most idle connections kept per server; there are never more than its limit in use.
const IDLE_MAX: usize = 4096;
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
    pub(crate) stats: Arc<ServerStats>,
    /// How it is encrypted.
    pub(crate) tls: Option<Upstream>,
    /// Which PROXY header each connection begins with.
    pub(crate) send_proxy: Option<Version>,
    tls_profile: u64,
    idle: Mutex<Vec<Idle>>,
    timeout: Mutex<IdleTimeout>,
    /// How long an idle connection is kept, in nanoseconds.
    keep: AtomicU64,
    /// Until when no connection is used twice, in nanoseconds: the server has spoken out of turn.
    distrusted: AtomicU64,
}

/// Numbers of TLS profiles: each loaded configuration has its own.
static PROFILES: AtomicU64 = AtomicU64::new(1);

struct Idle {
    key: Key,
    stream: Stream,
    since: Nanos,
}

impl Server {
    /// A server as the plan says; counters go on from `stats`.
    pub(crate) fn new(
        (name, address): (&str, &str),
        tls: Option<Upstream>,
        send_proxy: Option<Version>,
        stats: Arc<ServerStats>,
    ) -> Arc<Server> {
        let tls_profile = if tls.is_some() { PROFILES.fetch_add(1, Ordering::Relaxed) } else { 0 };
        let (name, address) = (name.into(), address.into());
        Arc::new(Server {
            name,
            address,
            stats,
            tls,
            send_proxy,
            tls_profile,
            idle: Mutex::new(Vec::new()),
            timeout: Mutex::default(),
            keep: AtomicU64::new(u64::MAX),
            distrusted: AtomicU64::new(0),
        })
    }

    /// The key of connections for a client at `peer`.
    pub(crate) fn key(&self, peer: SocketAddr) -> Key {
        let proxied_for = self.send_proxy.is_some().then_some(peer);
        Key { address: self.address.clone(), tls_profile: self.tls_profile, proxied_for }
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn timeout(&self) -> std::sync::MutexGuard<'_, IdleTimeout> {
        self.timeout.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long an idle connection is kept: as configured, or less where the server closes them earlier.
    pub(crate) fn keeps_idle(&self) -> Span {
        Span(self.keep.load(Ordering::Relaxed))
    }

    /// The server said in an answer how long it keeps idle connections.
    pub(crate) fn announces_idle(&self, timeout: Span) {
        self.timeout().announced(timeout);
    }

    /// An idle connection with this key that is still open and silent, and that the server will not close just now.
    pub(crate) fn check_out(self: &Arc<Self>, key: &Key, now: Nanos) -> Option<ServerConn> {
        loop {
            let idle = {
                let mut all = self.idle();
                let at = all.iter().rposition(|idle| idle.key == *key)?;
                all.remove(at)
            };
            if now.since(idle.since) <= self.keeps_idle() && idle.stream.is_quiet() {
                self.stats.reuses.add(1);
                self.stats.open_requests.add(1);
                return Some(ServerConn {
                    stream: Some(idle.stream),
                    key: idle.key,
                    server: self.clone(),
                    reused: true,
                    bound: false,
                    resting: false,
                });
            }
            self.stats.open_conns.sub(1);
        }
    }

    /// The server sent bytes behind an answer: the next client would have taken them for its own. For a while every call
    /// gets a connection of its own.
    pub(crate) fn distrust(&self, now: Nanos) {
        self.distrusted.store((now + DISTRUST).0, Ordering::Relaxed);
        let idle = std::mem::take(&mut *self.idle());
        self.stats.open_conns.sub(idle.len() as u64);
    }

    /// Closes idle connections that are older than `max_age`, that the server closed, or on which it spoke unasked; learns
    /// from those that the server closed how long it keeps them.
    pub(crate) fn sweep(&self, now: Nanos, max_age: Span) {
        let keep = self.timeout().keep(now, max_age);
        self.keep.store(keep.0, Ordering::Relaxed);
        let mut all = self.idle();
        let before = all.len();
        let mut ages = Vec::new();
        all.retain(|idle| {
            let age = now.since(idle.since);
            let quiet = idle.stream.is_quiet();
            if !quiet {
                ages.push(age);
            }
            quiet && age < keep
        });
        self.stats.open_conns.sub((before - all.len()) as u64);
        drop(all);
        self.timeout().closed(now, &ages);
    }
}

/// A connection to a server in use by one exchange. Dropped, it is closed.
pub(crate) struct ServerConn {
    stream: Option<Stream>,
    key: Key,
    server: Arc<Server>,
    /// It has served a request before.
    pub(crate) reused: bool,
    /// A user has authenticated on it (NTLM, Negotiate): it belongs to one client's connection and dies with it.
    pub(crate) bound: bool,
    resting: bool,
}

impl ServerConn {
    /// A connection that was just made.
    pub(crate) fn new(server: &Arc<Server>, key: Key, stream: Stream) -> ServerConn {
        server.stats.open_conns.add(1);
        server.stats.connects.add(1);
        server.stats.open_requests.add(1);
        ServerConn { stream: Some(stream), key, server: server.clone(), reused: false, bound: false, resting: false }
    }

    /// The connection itself; `None` only after it was given back.
    pub(crate) fn stream(&mut self) -> Option<&mut Stream> {
        self.stream.as_mut()
    }

    pub(crate) fn server(&self) -> &Arc<Server> {
        &self.server
    }

    /// Keeps it between two calls of the one client that it is bound to.
    pub(crate) fn rest(mut self) -> ServerConn {
        self.server.stats.open_requests.sub(1);
        self.resting = true;
        self
    }

    /// Takes it up again after [`ServerConn::rest`], for a call to `server`; `None` when it has ended or leads elsewhere.
    pub(crate) fn resume(mut self, server: &Arc<Server>) -> Option<ServerConn> {
        let usable = Arc::ptr_eq(&self.server, server) && self.stream.as_ref().is_some_and(Stream::is_quiet);
        usable.then(|| {
            self.server.stats.open_requests.add(1);
            self.server.stats.reuses.add(1);
            self.resting = false;
            self.reused = true;
            self
        })
    }

    /// Gives it back for the next call. Only after both messages were whole and not one byte is left over.
    pub(crate) fn give_back(mut self, now: Nanos) {
        let Some(stream) = self.stream.take() else { return };
        self.server.stats.open_requests.sub(1);
        let distrusted = now.0 < self.server.distrusted.load(Ordering::Relaxed);
        let mut idle = self.server.idle();
        if distrusted || self.key.proxied_for.is_some() || idle.len() >= IDLE_MAX {
            self.server.stats.open_conns.sub(1);
            return;
        }
        idle.push(Idle { key: self.key.clone(), stream, since: now });
    }
}

impl Drop for ServerConn {
    fn drop(&mut self) {
        if self.stream.is_some() {
            self.server.stats.open_requests.sub(u64::from(!self.resting));
            self.server.stats.open_conns.sub(1);
        }
    }
}
