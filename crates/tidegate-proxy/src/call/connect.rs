//! A connection to the server that the machine chose: an idle one, else a new one.

use crate::buffer::Buf;
use crate::connection::Conn;
use crate::handshake::header_for;
use crate::http1::Framing;
use crate::http1::request::{Facts, Method};
use crate::plan::PoolScope;
use crate::pool::{Server, ServerConn};
use crate::setup::Setup;
use crate::stats::Connects;
use crate::stream::{Sock, Stream};
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Poll;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, TlsStream};

/// What came of it.
pub(super) enum Connected {
    /// It stands.
    Yes(ServerConn),
    /// It could not be made; nothing was sent.
    Failed,
    /// The client left meanwhile; nothing was sent.
    ClientLeft,
}

/// Whether a request could be sent again: its method may be repeated, and its body is here.
pub(super) fn repeatable(facts: &Facts, buf: Option<&Buf>) -> bool {
    let here = match facts.framing {
        Framing::None => true,
        Framing::Length(n) => buf.map_or(0, |buf| buf.filled().len() as u64) >= n,
        Framing::Chunked | Framing::UntilClose => false,
    };
    here && facts.method != Method::Other
}

/// An idle connection to `server` for this client; what is not `repeatable` gets none that the server might just close.
///
/// # Errors
/// Why there is none.
pub(super) fn idle(conn: &Conn, setup: &Setup, server: &Arc<Server>, repeatable: bool) -> Result<ServerConn, Connects> {
    if setup.plan.pool_scope == PoolScope::Never {
        return Err(Connects::NeverShared);
    }
    let repeatable = repeatable && conn.home.may_retry();
    server.check_out(&server.key(conn.peer), conn.home.timers.now(), repeatable)
}

/// A new connection to `server`.
pub(super) async fn fresh(conn: &mut Conn, setup: &Setup, server: &Arc<Server>, why: Connects) -> Connected {
    conn.deadline(setup.io.connect_timeout).await;
    let mut making = Box::pin(make(server.clone(), conn.peer, conn.stream.local_addr().ok(), why));
    let made = poll_fn(|cx| {
        if let Poll::Ready(result) = making.as_mut().poll(cx) {
            return Poll::Ready(Some(result.ok()));
        }
        if conn.stream.poll_gone(cx).is_ready() {
            return Poll::Ready(None);
        }
        if conn.home.timers.expired(conn.slot) { Poll::Ready(Some(None)) } else { Poll::Pending }
    })
    .await;
    match made {
        Some(Some(made)) => Connected::Yes(made),
        Some(None) => {
            server.stats.connections_dropped.add(1);
            Connected::Failed
        }
        None => Connected::ClientLeft,
    }
}

/// Connects: TCP, the PROXY header if one is to be sent, TLS if it is to be spoken.
async fn make(
    server: Arc<Server>,
    client: SocketAddr,
    here: Option<SocketAddr>,
    why: Connects,
) -> io::Result<ServerConn> {
    let place = server.reserve();
    let mut tcp = TcpStream::connect(&*server.address).await?;
    tcp.set_nodelay(true)?;
    if let (Some(version), Some(here)) = (server.send_proxy, here) {
        tcp.write_all(&header_for(version, client, here)).await?;
    }
    let sock = Sock::new(tcp);
    let stream = match &server.tls {
        None => Stream::plain(sock),
        Some(tls) => {
            let connecting = TlsConnector::from(tls.config.clone()).connect(tls.name.clone(), sock);
            Stream::tls(TlsStream::Client(connecting.await?))
        }
    };
    Ok(ServerConn::new(&server, server.key(client), stream, place, why))
}
