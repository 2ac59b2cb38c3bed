//! A connection to the server that the machine chose: an idle one, else a new one.

use crate::connection::Conn;
use crate::pool::{Key, Server, ServerConn};
use crate::setup::Setup;
use crate::stream::Stream;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use tokio::net::TcpStream;

/// What came of it.
pub(super) enum Connected {
    /// It stands.
    Yes(ServerConn),
    /// It could not be made; nothing was sent.
    Failed,
    /// The client left meanwhile; nothing was sent.
    ClientLeft,
}

/// An idle connection to `server` for this client, if there is one.
pub(super) fn idle(conn: &Conn, setup: &Setup, server: &Arc<Server>) -> Option<ServerConn> {
    server.check_out(&setup.key(server, conn.peer))
}

/// A new connection to `server`.
pub(super) async fn fresh(conn: &mut Conn, setup: &Setup, server: &Arc<Server>) -> Connected {
    conn.deadline(setup.io.connect_timeout).await;
    let key = setup.key(server, conn.peer);
    let mut making = pin!(make(server.clone(), key));
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

async fn make(server: Arc<Server>, key: Key) -> io::Result<ServerConn> {
    let tcp = TcpStream::connect(&*server.address).await?;
    tcp.set_nodelay(true)?;
    Ok(ServerConn::new(&server, key, Stream::plain(tcp)))
}
