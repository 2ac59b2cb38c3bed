//! Which idle connections are closed, and when: pure decisions, the sockets are elsewhere.
//!
//! Only bytes count as life. TCP keepalives are answered by the kernel for ever, so thousands of connections that nobody
//! uses stay open beside them; that is how KB 425869 begins.

use tidegate_core::time::{Nanos, Span};

/// Up to this pressure, in thousandths, connections may idle as long as the plan says …
const CALM: u32 = 600;
/// … and from here on only for the pressed timeout.
const FULL: u32 = 950;
/// Under pressure at most one of so many connections is closed with one look (one second): who is closed comes back.
const PART: u32 = 20;
/// … but so many in any case.
const AT_LEAST: u32 = 16;

/// No neighbour in the list.
const NONE: u32 = u32::MAX;

/// What the plan says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) idle: Span,
    pub(crate) pressed: Span,
    /// Most connections.
    pub(crate) connections_max: u32,
}

impl Bounds {
    /// How long a connection may idle under this pressure, in thousandths of what there is.
    pub(crate) fn timeout(&self, pressure: u32) -> Span {
        let pressed = self.pressed.min(self.idle);
        let above = u64::from(pressure.clamp(CALM, FULL) - CALM);
        let saved = u128::from(self.idle.0 - pressed.0) * u128::from(above) / u128::from(FULL - CALM);
        Span(self.idle.0 - saved as u64)
    }

    /// Thousandths of the connections that there may be, rounded down.
    fn pressure(&self, open: u32) -> u32 {
        let most = u64::from(self.connections_max.max(1));
        (u64::from(open) * 1000 / most).min(1000) as u32
    }
}

/// A connection that is to be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Victim {
    pub(crate) seat: u32,
    /// It has idled for less than the plan's own timeout.
    pub(crate) pressed: bool,
}

struct Seat {
    before: u32,
    behind: u32,
    at: Nanos,
    /// Something is under way on it although no byte passes: it waits for admission, or for the server's answer.
    busy: bool,
    listed: bool,
}

/// All connections, least recently active first. Every operation but [`Idle::look`] takes the same time however many there
/// are, and that one's time goes with what it closes.
pub(crate) struct Idle {
    seats: Vec<Seat>,
    free: Vec<u32>,
    first: u32,
    last: u32,
}

impl Default for Idle {
    fn default() -> Idle {
        Idle { seats: Vec::new(), free: Vec::new(), first: NONE, last: NONE }
    }
}

impl Idle {
    /// A new connection, which is busy at first.
    pub(crate) fn add(&mut self, now: Nanos) -> u32 {
        let seat = Seat { before: NONE, behind: NONE, at: now, busy: true, listed: false };
        let number = match self.free.pop() {
            Some(number) => {
                self.seats[number as usize] = seat;
                number
            }
            None => {
                self.seats.push(seat);
                (self.seats.len() - 1) as u32
            }
        };
        self.append(number);
        number
    }

    /// It is over.
    pub(crate) fn remove(&mut self, number: u32) {
        self.unlist(number);
        self.free.push(number);
    }

    /// Bytes have passed.
    pub(crate) fn touch(&mut self, number: u32, now: Nanos) {
        if self.seats[number as usize].listed {
            self.unlist(number);
            self.seats[number as usize].at = now;
            self.append(number);
        }
    }

    /// Whether something is under way on it.
    pub(crate) fn set_busy(&mut self, number: u32, busy: bool) {
        self.seats[number as usize].busy = busy;
    }

    /// Appends who is to be closed to `victims`, least recently active first, and takes them out of the list. `open`
    /// connections count against the plan's most; `other` is the pressure of whatever else runs out, in thousandths. Each
    /// one that goes relieves: no more are closed than the pressure that is left asks for.
    pub(crate) fn look(&mut self, now: Nanos, bounds: &Bounds, open: u32, other: u32, victims: &mut Vec<Victim>) {
        let mut early = (open / PART).max(AT_LEAST);
        let (mut closed, mut seen) = (0, 0);
        while self.first != NONE && seen < self.seats.len() {
            seen += 1;
            let seat = self.first;
            let idle = now.since(self.seats[seat as usize].at);
            let timeout = bounds.timeout(bounds.pressure(open.saturating_sub(closed)).max(other));
            if idle < timeout {
                return;
            }
            if self.seats[seat as usize].busy {
                self.touch(seat, now);
                continue;
            }
            let pressed = idle < bounds.idle;
            if pressed && early == 0 {
                return;
            }
            early -= u32::from(pressed);
            closed += 1;
            self.unlist(seat);
            victims.push(Victim { seat, pressed });
        }
    }

    fn append(&mut self, number: u32) {
        let last = self.last;
        let seat = &mut self.seats[number as usize];
        (seat.before, seat.behind, seat.listed) = (last, NONE, true);
        match self.seats.get_mut(last as usize) {
            Some(before) => before.behind = number,
            None => self.first = number,
        }
        self.last = number;
    }

    fn unlist(&mut self, number: u32) {
        let seat = &mut self.seats[number as usize];
        if !std::mem::take(&mut seat.listed) {
            return;
        }
        let (before, behind) = (seat.before, seat.behind);
        match self.seats.get_mut(before as usize) {
            Some(seat) => seat.behind = behind,
            None => self.first = behind,
        }
        match self.seats.get_mut(behind as usize) {
            Some(seat) => seat.before = before,
            None => self.last = before,
        }
    }
}

#[cfg(test)]
mod tests;
