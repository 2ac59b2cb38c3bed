//! After a protocol switch: bytes both ways, unread, until both sides have ended or nothing moved for too long.

use super::pump::{Fail, Pump};
use crate::buffer::Buf;
use crate::home::Home;
use crate::http1::body::Decoder;
use crate::stream::Stream;
use std::future::poll_fn;
use std::task::{Context, Poll, ready};
use tidegate_core::time::Span;

struct Half {
    pump: Pump,
    buf: Option<Buf>,
    over: bool,
}

impl Half {
    fn new(buf: Option<Buf>) -> Half {
        Half { pump: Pump::new(Vec::new(), Decoder::UntilClose, false), buf, over: false }
    }

    /// Ready when this direction has ended and the other side was told; an error ends both.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut Stream,
        to: &mut Stream,
        home: &Home,
    ) -> Poll<Result<(), Fail>> {
        if !self.over {
            ready!(self.pump.poll(cx, from, to, &mut self.buf, &home.buffers))?;
            self.over = true;
        }
        let _already_closed = ready!(to.poll_shutdown(cx));
        Poll::Ready(Ok(()))
    }
}

/// Relays until the end; returns bytes up and down.
pub(crate) async fn run(
    home: &Home,
    slot: u32,
    idle: Span,
    (client, cbuf): (&mut Stream, Option<Buf>),
    (server, sbuf): (&mut Stream, Option<Buf>),
) -> (u64, u64) {
    let (mut up, mut down) = (Half::new(cbuf), Half::new(sbuf));
    let mut moved = home.timers.now();
    poll_fn(|cx| {
        let first = up.poll(cx, client, server, home);
        let second = down.poll(cx, server, client, home);
        match (first, second) {
            (Poll::Ready(Err(_)), _) | (_, Poll::Ready(Err(_))) | (Poll::Ready(_), Poll::Ready(_)) => {
                return Poll::Ready(());
            }
            _ => {}
        }
        if up.pump.moved() | down.pump.moved() {
            moved = home.timers.now();
        }
        home.timers.set_at(slot, moved + idle, cx);
        if home.timers.expired(slot) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    (up.pump.written, down.pump.written)
}
