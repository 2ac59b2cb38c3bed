//! One client: reads a request, has it worked on, answers, as long as the connection is kept.

use super::desk::Desk;
use crate::link::Link;
use crate::protocol::POLL_UNITS;
use crate::wire::{Request, gone, read_request, response};
use std::rc::Rc;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::watch;

/// What ends a conversation.
enum End {
    /// The client left, or was told to.
    Closed,
    /// The server cuts it off: it is full, or has fallen.
    Cut,
}

/// Serves a client in a task of its own.
pub fn welcome(stream: TcpStream, desk: &Rc<Desk>) {
    let desk = Rc::clone(desk);
    desk.count_connection(true);
    tokio::task::spawn_local(async move {
        // Small answers must not wait for more of them; where the option is refused they come later.
        let _ = stream.set_nodelay(true);
        let mut falls = desk.falls();
        tokio::select! {
            link = desk.greet(stream) => if let Some(link) = link { serve(link, &desk, &mut falls).await },
            _ = falls.changed() => {}
        }
        desk.count_connection(false);
    });
}

async fn serve(mut link: Link, desk: &Desk, falls: &mut watch::Receiver<u64>) {
    let owner = if desk.binds_sessions { link.peer() } else { 0 };
    let end = tokio::select! {
        end = talk(&mut link, desk, owner) => end,
        _ = falls.changed() => End::Cut,
    };
    if matches!(end, End::Cut) {
        let _ = link.tcp().set_zero_linger(); // closes with a reset; refused only on a socket that is gone anyway
    }
}

async fn talk(stream: &mut Link, desk: &Desk, owner: u64) -> End {
    let mut buffer = Vec::new();
    loop {
        let request = match read_request(stream, &mut buffer).await {
            Ok(Some(request)) => request,
            Ok(None) => return End::Closed,
            Err(error) => {
                let text = format!("{error}\n");
                let _ = stream.write_all(&response(400, "text/plain", "Connection: close\r\n", &text)).await;
                return End::Closed;
            }
        };
        let want = desk.protocol.want(&request);
        let session = desk.protocol.session(&request);
        let Some((job, ended)) = desk.take(units(desk, &request, owner)) else { return End::Cut };
        tokio::select! {
            ended = ended => if ended.is_err() { return End::Cut },
            () = gone(stream, &mut buffer) => {
                desk.leave(job);
                return End::Closed;
            }
        }
        let answer = desk.protocol.answer(&request, want, desk.verdict(want, session, owner), &desk.base);
        let sent = async {
            stream.write_all(&answer).await?;
            stream.flush().await
        };
        if sent.await.is_err() || !request.headers.keep_alive() {
            return End::Closed;
        }
    }
}

/// The work of a request: one without a session that it needs is soon refused.
fn units(desk: &Desk, request: &Request, owner: u64) -> f64 {
    let want = desk.protocol.want(request);
    if want.needs_session() && !desk.knows(desk.protocol.session(request), owner) {
        return POLL_UNITS;
    }
    want.units()
}
