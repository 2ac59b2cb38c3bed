//! All that is known of one port of one bucket, in 8 bytes: its state, how its last use ended and when, and a link.

use super::words::{Ending, Use};
use crate::time::{Nanos, Span};

/// What a port is doing. Eight of them: three bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Free,
    Quarantined,
    /// Another's, as a bind or a connect said: until its time is over.
    ForeignTold,
    /// Another's, as the kernel's list says: until the list no longer has it.
    ForeignSeen,
    /// Leased; the link holds the low bits of the lease's number.
    Connecting(Use),
    Connected(Use),
}

impl State {
    const ALL: [State; 8] = [
        State::Free,
        State::Quarantined,
        State::ForeignTold,
        State::ForeignSeen,
        State::Connecting(Use::Traffic),
        State::Connecting(Use::Probe),
        State::Connected(Use::Traffic),
        State::Connected(Use::Probe),
    ];

    /// What it is leased for.
    pub fn leased(self) -> Option<Use> {
        match self {
            State::Connecting(usage) | State::Connected(usage) => Some(usage),
            _ => None,
        }
    }
}

/// One tick of the time in a slot, 2^20 ns: 42 bits of them are 146 years.
const TICK_BITS: u32 = 20;
const LINK: u64 = 0xFFFF;
const STATE_AT: u32 = 16;
const ENDING_AT: u32 = 19;
const WHEN_AT: u32 = 22;

/// No link.
pub(super) const NIL: u16 = u16::MAX;

/// From the low bits: link 16, state 3, ending 3 (`Never`: not used before), time of that ending 42.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot(u64);

impl Slot {
    /// A free port that was never used.
    pub const FRESH: Slot = Slot(LINK | (Ending::Never as u64) << ENDING_AT);

    pub fn link(self) -> u16 {
        (self.0 & LINK) as u16
    }

    pub fn state(self) -> State {
        State::ALL[(self.0 >> STATE_AT & 7) as usize]
    }

    /// When its last use ended, a millisecond too early at the most, and how; `None` when it was never used.
    pub fn history(self) -> Option<(Nanos, Ending)> {
        let ending = Ending::ALL[((self.0 >> ENDING_AT & 7) as usize).min(Ending::Never as usize)];
        (ending != Ending::Never).then_some((self.when(), ending))
    }

    /// When [`history`](Slot::history) was written; 0 when there is none.
    pub fn when(self) -> Nanos {
        Nanos(self.0 >> WHEN_AT << TICK_BITS)
    }

    /// Whether `rest` has passed since then; never too early.
    pub fn rested(self, now: Nanos, rest: Span) -> bool {
        self.due(rest) <= now
    }

    /// When `rest` has passed since then.
    pub fn due(self, rest: Span) -> Nanos {
        self.when() + Span(1 << TICK_BITS) + rest
    }

    pub fn set_link(&mut self, link: u16) {
        self.0 = self.0 & !LINK | u64::from(link);
    }

    pub fn set_state(&mut self, state: State) {
        let number = State::ALL.iter().position(|known| *known == state).unwrap_or(0) as u64;
        self.0 = self.0 & !(7 << STATE_AT) | number << STATE_AT;
    }

    pub fn set_history(&mut self, now: Nanos, ending: Ending) {
        let when = now.0 >> TICK_BITS;
        self.0 = self.0 & ((1 << ENDING_AT) - 1) | (ending as u64) << ENDING_AT | when << WHEN_AT;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_slot_do_not_touch_each_other() {
        let mut slot = Slot::FRESH;
        assert_eq!((slot.link(), slot.state(), slot.history()), (NIL, State::Free, None));
        let late = Nanos(100 * 365 * 86_400 * 1_000_000_000);
        for state in State::ALL {
            for ending in &Ending::ALL[..6] {
                slot.set_history(late, *ending);
                slot.set_state(state);
                slot.set_link(12_345);
                assert_eq!((slot.link(), slot.state()), (12_345, state));
                let (when, how) = slot.history().unwrap();
                assert!(how == *ending && late.since(when) < Span::millis(2));
            }
        }
        assert!(
            !slot.rested(late + Span::secs(60), Span::secs(60)) && slot.rested(late + Span::secs(61), Span::secs(60))
        );
        assert_eq!(size_of::<Slot>(), 8);
    }
}
