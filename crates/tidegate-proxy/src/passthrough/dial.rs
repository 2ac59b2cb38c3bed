//! The connection to the server: TCP, and a PROXY header where the plan asks for one.

use super::half_open::Connecting;
use super::{Link, poll_left};
use crate::clock;
use crate::connection::Conn;
use crate::dial::{self, NotDialled};
use crate::home::Home;
use crate::pool::Server;
use crate::setup::Setup;
use crate::stream::Sock;
use crate::wire::proxy_header;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use tidegate_core::health::Cause;
use tokio::io::AsyncWriteExt;

/// What came of it.
pub(super) enum Dialled {
    /// It stands.
    Yes(Link),
    /// It could not be made, and why; nothing of the client's was sent.
    Failed(NotDialled),
    /// The client left meanwhile; nothing was sent.
    ClientLeft,
}

/// Connects to `server` for the client of `conn`.
pub(super) async fn dial(conn: &mut Conn, setup: &Setup, server: &Arc<Server>) -> Dialled {
    let home = conn.home.clone();
    conn.deadline(setup.io.connect_timeout).await;
    let mut place = Connecting::new(&home.passthrough, server);
    let half_open_max = setup.plan.tcp.half_open_max;
    let turn = poll_fn(|cx| match place.poll(cx, half_open_max) {
        Poll::Ready(()) => Poll::Ready(Some(true)),
        Poll::Pending if poll_left(conn, setup, cx).is_ready() => Poll::Ready(None),
        Poll::Pending if conn.home.timers.expired(conn.slot) => Poll::Ready(Some(false)),
        Poll::Pending => Poll::Pending,
    });
    match turn.await {
        Some(true) => conn.deadline(setup.io.connect_timeout.mul_f64(4.0)).await, // an inquiry makes three attempts more
        // So many connects are under way that none of them was over in time: they say themselves whom to blame.
        Some(false) => return Dialled::Failed(NotDialled::NotConnected(Cause::PeerLimit)),
        None => return Dialled::ClientLeft,
    }
    let mut connecting = pin!(connect(&home, setup, server, conn.peer, conn.stream.local_addr().ok()));
    let made = poll_fn(|cx| {
        if let Poll::Ready(result) = connecting.as_mut().poll(cx) {
            return Poll::Ready(Some(result));
        }
        if poll_left(conn, setup, cx).is_ready() {
            return Poll::Ready(None);
        }
        if conn.home.timers.expired(conn.slot) { Poll::Ready(Some(Err(NotDialled::Failed))) } else { Poll::Pending }
    })
    .await;
    match made {
        Some(Ok(sock)) => {
            sock.give_up_after(clock::duration(setup.io.write_timeout));
            Dialled::Yes(Link::new(&home, server, sock))
        }
        Some(Err(why)) => {
            server.stats.connections_dropped.add(1);
            Dialled::Failed(why)
        }
        None => Dialled::ClientLeft,
    }
}

async fn connect(
    home: &Home,
    setup: &Setup,
    server: &Arc<Server>,
    client: SocketAddr,
    here: Option<SocketAddr>,
) -> Result<Sock, NotDialled> {
    let limit = clock::duration(setup.io.connect_timeout);
    let service = &home.service;
    let dialled = dial::connect(&service.way, &home.timers, server, limit, || service.spares_ports()).await?;
    let mut sock = dialled.sock();
    if let (Some(version), Some(here)) = (server.send_proxy, here) {
        let mut header = Vec::new();
        proxy_header::encode(version, client, here, &mut header);
        sock.write_all(&header).await.map_err(|_| NotDialled::Failed)?;
    }
    Ok(sock)
}
