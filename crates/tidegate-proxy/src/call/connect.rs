//! A connection to the server that the machine chose: an idle one, else a new one.

use crate::buffer::Buf;
use crate::clock;
use crate::connection::Conn;
use crate::dial::{self, NotDialled};
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
use tidegate_core::health::{Cause, Evidence, Fault, Verdict, Weight};
use tidegate_core::time::Span;
use tokio::io::AsyncWriteExt;
use tokio_rustls::{TlsConnector, TlsStream};

/// No server is known that gives up on a client sooner: as in `tidegate_core::health`.
const LAG: Span = Span::secs(1);

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

/// What a fault after the handshake of TCP says of the server: silence is weak. Nothing while our own loop lags by so much
/// that either side's patience may have ended for that.
fn blame(fault: Fault, lag: Span) -> Option<Weight> {
    let weight = if fault == Fault::TimedOut { Weight::Weak } else { Weight::Strong };
    (lag < LAG).then_some(weight)
}

/// Connects: TCP, the PROXY header if one is to be sent, TLS if it is to be spoken.
async fn make(
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
    let broken = |fault| {
        let Some(weight) = blame(fault, home.timers.lag()) else { return NotDialled::NotConnected(Cause::LoopLag) };
        way.health.dialled(&server, Verdict::Failed(weight), Evidence::of(clock::now(), fault));
        NotDialled::Failed
    };
    let mut sock = dialled.sock();
    if let (Some(version), Some(here)) = (server.send_proxy, here) {
        let written = sock.write_all(&header_for(version, client, here)).await;
        written.map_err(|error| broken(dial::of_error(&error, false)))?;
    }
    let stream = match &server.tls {
        None => Stream::plain(sock),
        Some(tls) => {
            let connecting = TlsConnector::from(tls.config.clone()).connect(tls.name.clone(), sock);
            let shaken = tokio::time::timeout(limit, connecting).await;
            let shaken = shaken.map_err(|_| broken(Fault::TimedOut))?.map_err(|_| broken(Fault::Tls))?;
            Stream::tls(TlsStream::Client(shaken))
        }
    };
    Ok(ServerConn::new(&server, server.key(client), stream, place, why))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_slow_himself_blames_nobody() {
        assert_eq!(blame(Fault::Tls, Span::ZERO), Some(Weight::Strong));
        assert_eq!(blame(Fault::TimedOut, Span::millis(999)), Some(Weight::Weak));
        assert_eq!([Fault::Tls, Fault::TimedOut].map(|fault| blame(fault, Span::secs(1))), [None; 2]);
    }
}
