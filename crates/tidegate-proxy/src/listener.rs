//! Accepts clients of one service and gives each a task of its own.

use crate::connection::{Conn, serve};
use crate::home::Home;
use crate::stream::Stream;
use std::rc::Rc;
use std::time::Duration;
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
                if stats.open_conns.get() >= u64::from(home.service.setup().io.connections_max) {
                    stats.connections_dropped.add(1);
                    continue;
                }
                if tcp.set_nodelay(true).is_ok() {
                    let conn = Conn::new(Stream::plain(tcp), home.clone(), peer, None);
                    tokio::task::spawn_local(serve(conn));
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

/// Errors that say something about this process, not about one connection (EMFILE, ENFILE, ENOBUFS, ENOMEM).
fn would_last(error: &std::io::Error) -> bool {
    matches!(error.raw_os_error(), Some(24 | 23 | 105 | 12))
}
