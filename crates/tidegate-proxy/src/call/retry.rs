//! A request is sent again: within its budget, on a new connection.

use super::connect::{self, Connected};
use super::dispatch::{end, obey};
use crate::buffer::Buf;
use crate::connection::{Conn, Next};
use crate::home::Home;
use crate::http1::request::Facts;
use crate::pool::{Server, ServerConn};
use crate::protocol::Soap;
use crate::relay::exchange::Exchange;
use crate::service::Ticket;
use crate::setup::Setup;
use crate::stats::Connects;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use tidegate_core::admission::Outcome;
use tidegate_core::reason::{Step, Who};
use tokio::sync::SemaphorePermit;

/// Leave to send one request again; waits for its turn no longer than for a connect. `None`: not this one.
pub(super) async fn permit<'h>(conn: &mut Conn, home: &'h Home, setup: &Setup) -> Option<SemaphorePermit<'h>> {
    if !home.retries.borrow_mut().take(home.timers.now()) {
        return None;
    }
    conn.deadline(setup.io.connect_timeout).await;
    let mut waiting = pin!(home.retrying.acquire());
    poll_fn(|cx| {
        if let Poll::Ready(permit) = waiting.as_mut().poll(cx) {
            return Poll::Ready(permit.ok());
        }
        let over = conn.stream.poll_gone(cx).is_ready() || home.timers.expired(conn.slot);
        if over { Poll::Ready(None) } else { Poll::Pending }
    })
    .await
}

/// A new connection to the same server; where that is away the machine says what becomes of the call. `Err`: it is over.
pub(super) async fn connect(
    conn: &mut Conn,
    setup: &Setup,
    buf: &mut Option<Buf>,
    (state, known): (&mut Exchange<'_>, (Facts, Option<&Soap>)),
    ticket: Ticket,
    server: &Arc<Server>,
) -> Result<(Ticket, ServerConn), Next> {
    match connect::fresh(conn, setup, server, Connects::Again).await {
        Connected::Yes(fresh) => {
            ticket.connected(Some(Connects::Again));
            Ok((ticket, fresh))
        }
        Connected::ClientLeft => {
            ticket.client_gone();
            ticket.done(Outcome::Incomplete, end(Who::Client, Step::Connect), 0);
            Err(Next::Close)
        }
        Connected::Failed(why) => {
            let decision = ticket.not_dialled(why);
            obey(conn, setup, buf, &mut state.up.burst.lead, known, ticket, decision).await
        }
    }
}
