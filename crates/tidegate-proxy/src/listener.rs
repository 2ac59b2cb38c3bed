//! Accepts clients of one service and gives each a task of its own.

use crate::connection::{Conn, Serving};
use crate::handshake::{self, Opened};
use crate::home::Home;
use crate::passthrough;
use crate::service::Service;
use crate::stream::{Sock, Stream};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tidegate_core::reason::Reason;
use tokio::net::TcpListener;

/// How long accepting rests when the process has no file descriptors left.
const REST: Duration = Duration::from_millis(20);

/// Accepts until the task is ended.
pub(crate) async fn accept(listener: TcpListener, home: Rc<Home>) {
    let stats = &home.service.stats;
    loop {
        match listener.accept().await {
            Ok((tcp, peer)) => {
                stats.accepted.add(1);
                let open = stats.open_conns.get() + home.pending.len() as u64;
                if open >= u64::from(home.service.setup().io.connections_max) {
                    stats.connections_dropped.add(1);
                    if passthrough::is_opaque(&home.service.setup()) {
                        Sock::new(tcp).reset();
                    }
                    continue;
                }
                if tcp.set_nodelay(true).is_ok() {
                    begin(Sock::new(tcp), &home, peer);
                }
            }
            Err(error) if would_last(&error) => {
                stats.connections_dropped.add(1);
                tokio::time::sleep(REST).await;
            }
            Err(_) => stats.connections_dropped.add(1),
        }
    }
}

/// Gives a connection its task. What comes before the first call is boxed: it is gone when the connection idles.
fn begin(sock: Sock, home: &Rc<Home>, peer: SocketAddr) {
    let setup = home.service.setup();
    if !handshake::is_needed(&setup) {
        let conn = Conn::new(Stream::plain(sock), home.clone(), peer, None);
        if passthrough::is_opaque(&setup) {
            tokio::task::spawn_local(Box::pin(passthrough::serve(conn, None)));
        } else {
            tokio::task::spawn_local(Serving::new(conn));
        }
        return;
    }
    let (id, opaque) = (home.pending.number(), passthrough::is_opaque(&setup));
    let opening = handshake::open(sock, home.clone(), peer, id);
    let arriving = Arriving::new(home.service.clone());
    let task = tokio::task::spawn_local(async move {
        let _until_it_is_counted_as_open = arriving;
        match Box::pin(opening).await {
            Some(Opened { conn, hello: None }) if !opaque => drop(tokio::task::spawn_local(Serving::new(conn))),
            Some(Opened { conn, hello }) => {
                drop(tokio::task::spawn_local(Box::pin(passthrough::serve(conn, hello))));
            }
            None => {}
        }
    });
    if home.pending.add(id, task.abort_handle(), setup.io.handshakes_max) {
        home.service.stats.refuse(Reason::Handshake);
    }
}

/// A client whose handshake is not over. Dropped, it is.
struct Arriving(Arc<Service>);

impl Arriving {
    fn new(service: Arc<Service>) -> Arriving {
        service.stats.arriving.add(1);
        Arriving(service)
    }
}

impl Drop for Arriving {
    fn drop(&mut self) {
        self.0.stats.arriving.sub(1);
    }
}

/// Errors that say something about this process, not about one connection (EMFILE, ENFILE, ENOBUFS, ENOMEM).
fn would_last(error: &std::io::Error) -> bool {
    matches!(error.raw_os_error(), Some(24 | 23 | 105 | 12))
}
