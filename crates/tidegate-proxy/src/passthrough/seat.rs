//! Every connection's place in the list of idle ones, and the look at that list once a second.

use super::idle::{Bounds, Idle, Victim};
use crate::home::Home;
use crate::setup::Setup;
use crate::stats::Reaped;
use std::cell::RefCell;
use std::rc::Rc;
use std::task::{Context, Waker};
use tidegate_core::time::Nanos;

/// All places of a service on one shard.
#[derive(Default)]
pub(super) struct Seats {
    idle: RefCell<Idle>,
    /// By number of the seat: whom to wake, and the word that it is over.
    mail: RefCell<Vec<(Option<Waker>, Option<Reaped>)>>,
}

impl Seats {
    /// Closes who has idled for too long; `other` is the pressure of what else runs out, in thousandths.
    pub(super) fn look(&self, now: Nanos, setup: &Setup, open: u64, other: u32) {
        let tcp = &setup.plan.tcp;
        let bounds = Bounds {
            idle: tcp.idle_timeout,
            pressed: tcp.idle_timeout_pressed,
            connections_max: setup.io.connections_max,
        };
        let mut victims = Vec::new();
        self.idle.borrow_mut().look(now, &bounds, u32::try_from(open).unwrap_or(u32::MAX), other, &mut victims);
        let mut mail = self.mail.borrow_mut();
        for Victim { seat, pressed } in victims {
            let Some((waker, word)) = mail.get_mut(seat as usize) else { continue };
            *word = Some(if pressed { Reaped::IdlePressed } else { Reaped::Idle });
            waker.iter().for_each(Waker::wake_by_ref);
        }
    }
}

/// One connection's place. Given back when dropped.
pub(super) struct Seat {
    home: Rc<Home>,
    number: u32,
}

impl Seat {
    /// A place for a connection that is busy with its beginning.
    pub(super) fn new(home: &Rc<Home>, now: Nanos) -> Seat {
        let seats = &home.passthrough.seats;
        let number = seats.idle.borrow_mut().add(now);
        let mut mail = seats.mail.borrow_mut();
        let needed = (number as usize + 1).max(mail.len());
        mail.resize_with(needed, Default::default);
        mail[number as usize] = (None, None);
        Seat { home: home.clone(), number }
    }

    /// Bytes have passed.
    pub(super) fn touch(&self, now: Nanos) {
        self.home.passthrough.seats.idle.borrow_mut().touch(self.number, now);
    }

    /// Whether something other than bytes is waited for, and who is woken when it is over.
    pub(super) fn rest(&self, busy: bool, cx: &Context<'_>) {
        let seats = &self.home.passthrough.seats;
        seats.idle.borrow_mut().set_busy(self.number, busy);
        match &mut seats.mail.borrow_mut()[self.number as usize].0 {
            Some(waker) if waker.will_wake(cx.waker()) => {}
            waker => *waker = Some(cx.waker().clone()),
        }
    }

    /// The word that it is over, once.
    pub(super) fn closed(&self) -> Option<Reaped> {
        self.home.passthrough.seats.mail.borrow_mut()[self.number as usize].1.take()
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let seats = &self.home.passthrough.seats;
        seats.idle.borrow_mut().remove(self.number);
        seats.mail.borrow_mut()[self.number as usize] = (None, None);
    }
}
