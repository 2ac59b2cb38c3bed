//! What else may end an exchange: timeouts, the machine's mail, the client's leaving.

use super::{ClientFault, Down, Ended, Exchange};
use crate::relay::pump::Wait;
use crate::service::{Decision, Ticket};
use crate::stream::Stream;
use std::task::{Context, Poll};
use tidegate_core::time::Nanos;

impl Exchange<'_> {
    /// The client is not there any more; the slot stays taken until the server is done.
    pub(super) fn leave(&mut self, ticket: &Ticket) {
        self.client_left = true;
        self.note_gone(ticket);
    }

    /// Timeouts, the machine's mail, and the client's leaving.
    pub(super) fn poll_rest(
        &mut self,
        cx: &mut Context<'_>,
        (ticket, slot): (&Ticket, u32),
        client: &mut Stream,
    ) -> Poll<Ended> {
        if self.answer.is_none()
            && let Poll::Ready(Decision::Expire) = ticket.poll_mail()
        {
            // A request that is still dripping in is its client's fault, not the server's.
            return Poll::Ready(if self.up_over { Ended::Expired } else { Ended::Client(ClientFault::Silent) });
        }
        if self.up_over && !self.gone_told && client.poll_gone(cx).is_ready() {
            self.note_gone(ticket);
        }
        let timers = &self.home.timers;
        if self.up.moved() {
            self.up_moved = timers.now();
        }
        let down_wait = match &mut self.down {
            Down::Head(_) => Wait::Nothing,
            Down::Whole(whole) => {
                if whole.moved() {
                    self.down_moved = timers.now();
                }
                Wait::Read
            }
            Down::Interim(pump) | Down::Body(pump) => {
                if pump.moved() {
                    self.down_moved = timers.now();
                }
                pump.wait
            }
        };
        let up_wait = if self.up_over { Wait::Nothing } else { self.up.wait };
        let up_due = self.due(up_wait, self.up_moved);
        let down_due = self.due(down_wait, self.down_moved);
        let Some(look) = self.park(ticket) else { return Poll::Ready(Ended::Expired) };
        let timers = &self.home.timers;
        timers.set_at(slot, up_due.min(down_due).min(look), cx);
        if up_due <= timers.now() {
            return Poll::Ready(if up_wait == Wait::Read { Ended::Client(ClientFault::Silent) } else { self.stuck() });
        }
        if down_due <= timers.now() {
            if down_wait == Wait::Write {
                self.leave(ticket);
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            return Poll::Ready(Ended::Stalled);
        }
        Poll::Pending
    }

    /// A FIN may be a half-close of a client that still wants its answer: tell the machine, go on writing.
    fn note_gone(&mut self, ticket: &Ticket) {
        if !self.gone_told {
            self.gone_told = true;
            self.close_client = true;
            ticket.client_gone();
        }
    }

    fn stuck(&self) -> Ended {
        if self.answer.is_some() { Ended::Stalled } else { Ended::Expired }
    }

    fn due(&self, wait: Wait, moved: Nanos) -> Nanos {
        let io = &self.setup.io;
        match wait {
            Wait::Nothing => Nanos::NEVER,
            Wait::Read => moved + io.body_rate_timeout,
            Wait::Write => moved + io.write_timeout,
        }
    }
}
