//! What comes before the first call: a PROXY header, a TLS handshake. Bounded in number and in time.
//!
//! A handshake that waits for its client takes no permit; only a step with bytes to work on does, one at a time and
//! behind whatever else is ready, so that a storm of handshakes cannot starve established connections.

use crate::connection::Conn;
use crate::home::Home;
use crate::plan::TlsPlan;
use crate::setup::Setup;
use crate::stream::{Sock, Stream};
use crate::tls::identity::{self, Identity};
use crate::wire::hello::{self, ClientHello};
use crate::wire::proxy_header::{self, HEADER_MAX, Progress};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use tidegate_core::reason::Reason;
use tokio::task::AbortHandle;
use tokio_rustls::{TlsAcceptor, TlsStream};

/// Who a client is by its certificate.
pub(crate) struct Subject {
    pub(crate) identity: Identity,
    pub(crate) text: Arc<str>,
}

/// Connections whose handshake is not over, oldest first.
#[derive(Default)]
pub(crate) struct Pending {
    next: Cell<u64>,
    all: RefCell<BTreeMap<u64, Entry>>,
}

struct Entry {
    spoke: bool,
    task: AbortHandle,
}

impl Pending {
    /// Adds a connection's task. When there are more than `max`, the oldest one that has said nothing is ended, else the
    /// oldest; `true` says that one was.
    pub(crate) fn add(&self, id: u64, task: AbortHandle, max: u32) -> bool {
        let mut all = self.all.borrow_mut();
        all.insert(id, Entry { spoke: false, task });
        if all.len() <= max as usize {
            return false;
        }
        let victim = all.iter().find(|(_, entry)| !entry.spoke).or_else(|| all.iter().next()).map(|(id, _)| *id);
        if let Some(entry) = victim.and_then(|id| all.remove(&id)) {
            entry.task.abort();
        }
        true
    }

    /// A number for the next connection.
    pub(crate) fn number(&self) -> u64 {
        self.next.replace(self.next.get() + 1)
    }

    fn spoke(&self, id: u64) {
        if let Some(entry) = self.all.borrow_mut().get_mut(&id) {
            entry.spoke = true;
        }
    }

    fn remove(&self, id: u64) {
        self.all.borrow_mut().remove(&id);
    }
}

/// Whether connections of this service begin with anything.
pub(crate) fn is_needed(setup: &Setup) -> bool {
    setup.plan.accept_proxy || !matches!(setup.plan.tls, TlsPlan::None {})
}

/// A connection that is ready to be served.
pub(crate) struct Opened {
    pub(crate) conn: Conn,
    /// What it begins with, where its TLS is not opened. The bytes come again.
    pub(crate) hello: Option<ClientHello>,
}

/// Does what comes first; `None` when the connection is not to be served.
pub(crate) async fn open(mut sock: Sock, home: Rc<Home>, peer: SocketAddr, id: u64) -> Option<Opened> {
    let setup = home.service.setup();
    let opening = Opening { home: &home, slot: home.timers.add(), id };
    opening.deadline(&setup).await;
    let client = if setup.plan.accept_proxy { opening.proxy_header(&mut sock).await? } else { None };
    let mut hello = None;
    let (stream, subject) = match (&setup.plan.tls, &setup.tls) {
        (TlsPlan::Passthrough { .. }, _) => {
            hello = Some(opening.hello(&mut sock).await?);
            (Stream::plain(sock), None)
        }
        (_, None) => (Stream::plain(sock), None),
        (_, Some(acceptor)) => opening.tls(sock, acceptor).await?,
    };
    let served = opening.done();
    drop(setup);
    Some(Opened { conn: Conn::new(stream, served, client.unwrap_or(peer), subject), hello })
}

struct Opening<'a> {
    home: &'a Rc<Home>,
    slot: u32,
    id: u64,
}

impl Drop for Opening<'_> {
    fn drop(&mut self) {
        self.home.timers.remove(self.slot);
        self.home.pending.remove(self.id);
    }
}

impl Opening<'_> {
    async fn deadline(&self, setup: &Setup) {
        poll_fn(|cx| {
            self.home.timers.set(self.slot, setup.io.handshake_timeout, cx);
            Poll::Ready(())
        })
        .await;
    }

    fn done(self) -> Rc<Home> {
        self.home.clone()
    }

    /// Counts a connection that is not served.
    fn fail<T>(&self) -> Option<T> {
        self.home.service.stats.refuse(Reason::Handshake);
        None
    }

    /// The PROXY header; `Some(None)`: there is one, and it names no client.
    async fn proxy_header(&self, sock: &mut Sock) -> Option<Option<SocketAddr>> {
        let mut bytes = Vec::new();
        let mut part = [0; 512];
        loop {
            match proxy_header::parse(&bytes) {
                Ok(Progress::Header(header, used)) => {
                    sock.put_back(&bytes[used..]);
                    return Some(header.source());
                }
                Ok(Progress::NeedMore) if bytes.len() < HEADER_MAX => {}
                _ => return self.fail(),
            }
            match self.read(sock, &mut part).await {
                0 => return self.fail(),
                n => bytes.extend_from_slice(&part[..n]),
            }
        }
    }

    /// The ClientHello, which is put back.
    async fn hello(&self, sock: &mut Sock) -> Option<ClientHello> {
        let mut bytes = Vec::new();
        let mut part = [0; 2048];
        loop {
            match hello::parse(&bytes) {
                Ok(hello::Progress::Hello(hello)) => {
                    sock.put_back(&bytes);
                    return Some(hello);
                }
                Ok(hello::Progress::NeedMore) => {}
                Err(_) => {
                    sock.reset();
                    return self.fail();
                }
            }
            match self.read(sock, &mut part).await {
                0 => return self.fail(),
                n => bytes.extend_from_slice(&part[..n]),
            }
        }
    }

    /// Reads once; 0 when the client has left or the time is over.
    async fn read(&self, sock: &mut Sock, part: &mut [u8]) -> usize {
        let n = poll_fn(|cx| {
            if self.home.timers.expired(self.slot) {
                return Poll::Ready(0);
            }
            let mut buf = tokio::io::ReadBuf::new(part);
            let result = tokio::io::AsyncRead::poll_read(Pin::new(&mut *sock), cx, &mut buf);
            result.map(|result| result.map_or(0, |()| buf.filled().len()))
        })
        .await;
        self.home.pending.spoke(self.id);
        n
    }

    async fn tls(&self, sock: Sock, acceptor: &TlsAcceptor) -> Option<(Stream, Option<Arc<Subject>>)> {
        let mut accepting = acceptor.accept(sock);
        let stream = loop {
            if !self.readable(&accepting).await {
                return self.fail();
            }
            self.home.pending.spoke(self.id);
            let Ok(_turn) = self.home.crypto.acquire().await else { return self.fail() };
            tokio::task::yield_now().await;
            match poll_fn(|cx| Poll::Ready(Pin::new(&mut accepting).poll(cx))).await {
                Poll::Ready(Ok(stream)) => break stream,
                Poll::Ready(Err(_)) => return self.fail(),
                Poll::Pending => {}
            }
        };
        let certificate = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
        let subject = match certificate {
            None => None,
            Some(certificate) => match identity::of_certificate(certificate) {
                Some(identity) => Some(Arc::new(Subject { text: identity.canonical.as_str().into(), identity })),
                None => return self.fail(),
            },
        };
        Some((Stream::tls(TlsStream::Server(stream)), subject))
    }

    /// Waits until the client has sent something; false when the time is over.
    async fn readable(&self, accepting: &tokio_rustls::Accept<Sock>) -> bool {
        poll_fn(|cx| {
            if self.home.timers.expired(self.slot) {
                return Poll::Ready(false);
            }
            match accepting.get_ref() {
                Some(sock) => sock.poll_readable(cx).map(|()| true),
                None => Poll::Ready(true), // it has failed: the next step says why
            }
        })
        .await
    }
}

/// The header that a connection to a server begins with, for the client at `client` that came to `here`.
pub(crate) fn header_for(version: proxy_header::Version, client: SocketAddr, here: SocketAddr) -> Vec<u8> {
    let mut bytes = Vec::new();
    proxy_header::encode(version, client, here, &mut bytes);
    bytes
}
