//! A call that begins work in a vCenter waits for a task slot, before it waits for a place at the server.

use super::prepare::Prepared;
use super::refuse;
use super::waiting;
use crate::buffer::Buf;
use crate::clock;
use crate::connection::{Conn, Next};
use crate::explain::Past;
use crate::lobby::Stay;
use crate::setup::Setup;
use crate::tasks::{TaskHold, Word};
use tidegate_core::limit::tasks::Why;
use tidegate_core::time::Span;

/// Waits until the machine lets the call go; the slot that it has then, if any. `kept`: bytes that it keeps meanwhile.
/// `Err`: the client was answered, or has left.
pub(super) async fn wait(
    conn: &mut Conn,
    setup: &Setup,
    buf: &mut Option<Buf>,
    (prepared, past): (&Prepared, &mut Past),
    kept: usize,
    mut hold: TaskHold,
) -> Result<Option<TaskHold>, Next> {
    let mut stay = Stay::new(conn.home.service.clone(), hold.awaits());
    let word = waiting::wait(conn, buf, kept, |cx| {
        let word = hold.poll(cx);
        if word.is_pending() {
            stay.begin(|at| past.of(prepared.record(None, at)));
        }
        word
    })
    .await;
    let waited = stay.end();
    if waited > Span::ZERO {
        (past.before.slot, past.before.why) = (waited, stay.why);
    }
    match word {
        Some(Word::Go) => Ok(Some(hold)),
        Some(Word::Pass) => Ok(None),
        Some(Word::TurnAway { reason: why, retry_after }) => {
            let reason = why.reason();
            conn.home.service.stats.refuse(reason);
            let facts = prepared.facts;
            let refusing = refuse::turn_away(conn, setup, &facts, buf, (reason, retry_after), None);
            let (status, next) = Box::pin(refusing).await;
            past.before.why = Some(why).filter(|why| !matches!(why, Why::QueueFull | Why::Draining)).or(stay.why);
            let why = (reason, Some(why.word()), retry_after);
            refuse::remember(conn, past.of(prepared.record(None, clock::now())), why, status);
            Err(next)
        }
        None => Err(Next::Close),
    }
}
