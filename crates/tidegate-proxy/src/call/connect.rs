//! A connection to the server that the machine chose: an idle one, else a new one.

use crate::connection::Conn;
use crate::handshake::header_for;
use crate::pool::{Server, ServerConn};
use crate::setup::Setup;
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

/// An idle connection to `server` for this client, if there is one.
pub(super) fn idle(conn: &Conn, server: &Arc<Server>) -> Option<ServerConn> {
    server.check_out(&server.key(conn.peer), conn.home.timers.now())
}

/// A new connection to `server`.
pub(super) async fn fresh(conn: &mut Conn, setup: &Setup, server: &Arc<Server>) -> Connected {
    conn.deadline(setup.io.connect_timeout).await;
    let mut making = Box::pin(make(server.clone(), conn.peer, conn.stream.local_addr().ok()));
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
async fn make(server: Arc<Server>, client: SocketAddr, here: Option<SocketAddr>) -> io::Result<ServerConn> {
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
    Ok(ServerConn::new(&server, server.key(client), stream))
}
