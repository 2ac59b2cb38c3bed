//! A call that begins work in a vCenter waits for a task slot, before it waits for a place at the server.

use super::refuse;
use super::waiting;
use crate::buffer::Buf;
use crate::connection::{Conn, Next};
use crate::http1::request::Facts;
use crate::setup::Setup;
use crate::tasks::{TaskHold, Word};

/// Waits until the machine lets the call go. `kept`: bytes that it keeps meanwhile. `Err`: the client was answered, or
/// has left.
pub(super) async fn wait(
    conn: &mut Conn,
    setup: &Setup,
    buf: &mut Option<Buf>,
    facts: &Facts,
    kept: usize,
    mut hold: TaskHold,
) -> Result<TaskHold, Next> {
    match waiting::wait(conn, buf, kept, |cx| hold.poll(cx)).await {
        Some(Word::Go) => Ok(hold),
        Some(Word::TurnAway { reason, retry_after }) => {
            conn.home.service.stats.refuse(reason.reason());
            let why = (reason.reason(), retry_after);
            Err(Box::pin(refuse::turn_away(conn, setup, facts, buf, why, None)).await.1)
        }
        None => Err(Next::Close),
    }
}
