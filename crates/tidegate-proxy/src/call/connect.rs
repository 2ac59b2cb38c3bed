//! A connection to the server that the machine chose: an idle one, else a new one.

use crate::buffer::Buf;
use crate::clock;
use crate::connection::Conn;
use crate::dial::{self, Attempted, NotDialled};
use crate::handshake::header_for;
use crate::home::Home;
use crate::http1::Framing;
use crate::http1::request::{Facts, Method};
use crate::plan::PoolScope;
use crate::pool::{Server, ServerConn};
use crate::setup::Setup;
use crate::stats::Connects;
use crate::stream::Stream;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use tidegate_core::health::Fault;
use tokio::io::AsyncWriteExt;
use tokio_rustls::{TlsConnector, TlsStream};

/// What came of it.
pub(super) enum Connected {
    /// It stands.
    Yes(ServerConn),
    /// It could not be made, and why; nothing was sent.
    Failed(NotDialled),
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
    // An inquiry makes three attempts more, and TLS has its own time after them.
    conn.deadline(setup.io.connect_timeout.mul_f64(5.0)).await;
    let making = make(conn.home.clone(), server.clone(), conn.peer, conn.stream.local_addr().ok(), why);
    let mut making = Box::pin(making);
    let made = poll_fn(|cx| {
        if let Poll::Ready(result) = making.as_mut().poll(cx) {
            return Poll::Ready(Some(result));
        }
        if conn.stream.poll_gone(cx).is_ready() {
            return Poll::Ready(None);
        }
        if conn.home.timers.expired(conn.slot) { Poll::Ready(Some(Err(NotDialled::Failed))) } else { Poll::Pending }
    })
    .await;
    match made {
        Some(Ok(made)) => Connected::Yes(made),
        Some(Err(why)) => {
            server.stats.connections_dropped.add(1);
            Connected::Failed(why)
        }
        None => Connected::ClientLeft,
    }
}

/// Connects: TCP, the PROXY header if one is to be sent, TLS if it is to be spoken.
pub(crate) async fn make(
    home: Rc<Home>,
    server: Arc<Server>,
    client: SocketAddr,
    here: Option<SocketAddr>,
    why: Connects,
) -> Result<ServerConn, NotDialled> {
    let place = server.reserve();
    let limit = clock::duration(home.service.setup().io.connect_timeout);
    let way = &home.service.way;
    let dialled = dial::connect(way, &home.timers, &server, limit, || home.service.spares_ports()).await?;
    let began = clock::now();
    let met = |fault| Attempted::without_port(fault, began);
    let broken = |met: Attempted| dial::told(way, &home.timers, &server, &met);
    let mut sock = dialled.sock();
    if let (Some(version), Some(here)) = (server.send_proxy, here) {
        let written = sock.write_all(&header_for(version, client, here)).await;
        written.map_err(|error| broken(met(dial::of_error(&error, false))))?;
    }
    let stream = match &server.tls {
        None => Stream::plain(sock),
        Some(tls) => {
            let connecting = TlsConnector::from(tls.config.clone()).connect(tls.name.clone(), sock);
            let shaken = tokio::time::timeout(limit, connecting).await;
            let shaken = shaken.map_err(|_| broken(met(Fault::TimedOut).late_for(limit)))?;
            let shaken = shaken.map_err(|error| broken(met(dial::of_handshake(&error))))?;
            Stream::tls(TlsStream::Client(shaken))
        }
    };
    Ok(ServerConn::new(&server, server.key(client), stream, place, why))
}
