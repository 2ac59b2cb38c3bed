//! The ports of one bucket for one use. What it holds of a port begins with its first use.

use super::flow::Flow;
use super::list::List;
use super::ranges::Ports;
use super::settings::FOREIGN_REST;
use super::slot::{Slot, State};
use super::words::{Ending, Use};
use crate::time::{Nanos, Span};

/// Three lists thread through the slots of ports that are not leased, the one that is longest in it first.
#[derive(Debug)]
pub(super) struct Pool {
    ports: Ports,
    /// By index; indices beyond were never used, and are taken before the free ones.
    slots: Vec<Slot>,
    free: List,
    resting: List,
    foreign: List,
    leased: u32,
}

impl Pool {
    pub fn new(ports: Ports) -> Pool {
        Pool { ports, slots: Vec::new(), free: List::EMPTY, resting: List::EMPTY, foreign: List::EMPTY, leased: 0 }
    }

    /// A pool that knows this already: ports of `ports`, in the order of what was last written of them.
    pub fn with(ports: Ports, known: &[(u16, Slot)]) -> Pool {
        let mut pool = Pool::new(ports);
        if known.is_empty() {
            return pool;
        }
        pool.slots = vec![Slot::FRESH; pool.ports.count() as usize];
        let known: Vec<(u16, Slot)> =
            known.iter().filter_map(|(port, s)| Some((pool.ports.index(*port)?, *s))).collect();
        let mut used = vec![false; pool.slots.len()];
        for (index, slot) in &known {
            pool.slots[usize::from(*index)] = *slot;
            used[usize::from(*index)] = true;
        }
        for index in (0..used.len()).filter(|index| !used[*index]) {
            pool.free.push_back(&mut pool.slots, index as u16);
        }
        for (index, slot) in known {
            match slot.state() {
                State::Free => pool.free.push_back(&mut pool.slots, index),
                State::Quarantined => pool.resting.push_back(&mut pool.slots, index),
                State::ForeignTold | State::ForeignSeen => pool.foreign.push_back(&mut pool.slots, index),
                State::Connecting(_) | State::Connected(_) => pool.leased += 1,
            }
        }
        pool
    }

    /// Everything that [`with`](Pool::with) wants to know, in no order.
    pub fn known(&self) -> impl Iterator<Item = (u16, Slot)> {
        let known = |slot: &Slot| slot.state() != State::Free || slot.history().is_some();
        let port = |(index, slot): (usize, &Slot)| (self.ports.port(index as u16), *slot);
        self.slots.iter().enumerate().filter(move |(_, slot)| known(slot)).map(port)
    }

    pub fn capacity(&self) -> u32 {
        self.ports.count()
    }

    pub fn free(&self) -> u32 {
        self.capacity() - self.slots.len() as u32 + self.free.len()
    }

    pub fn resting(&self) -> u32 {
        self.resting.len()
    }

    pub fn foreign(&self) -> u32 {
        self.foreign.len()
    }

    pub fn leased(&self) -> u32 {
        self.leased
    }

    pub fn slot(&self, port: u16) -> Option<&Slot> {
        self.slots.get(usize::from(self.ports.index(port)?))
    }

    pub fn slot_mut(&mut self, port: u16) -> Option<&mut Slot> {
        self.slots.get_mut(usize::from(self.ports.index(port)?))
    }

    /// The port that is free and rested longest.
    pub fn take(&mut self, usage: Use, serial: u16) -> Option<u16> {
        if (self.slots.len() as u32) < self.capacity() {
            self.slots.push(Slot::FRESH);
            return Some(self.lease((self.slots.len() - 1) as u16, usage, serial));
        }
        let index = self.free.pop_front(&self.slots)?;
        Some(self.lease(index, usage, serial))
    }

    /// The port that is longest in quarantine, for whom any port is better than none.
    pub fn take_resting(&mut self, usage: Use, serial: u16) -> Option<u16> {
        let index = self.resting.pop_front(&self.slots)?;
        Some(self.lease(index, usage, serial))
    }

    fn lease(&mut self, index: u16, usage: Use, serial: u16) -> u16 {
        let slot = &mut self.slots[usize::from(index)];
        slot.set_state(State::Connecting(usage));
        slot.set_link(serial);
        self.leased += 1;
        self.ports.port(index)
    }

    /// Ends the lease of a port that is leased. True when it is free at once.
    pub fn give_back(&mut self, now: Nanos, port: u16, ending: Ending) -> bool {
        let Some(index) = self.ports.index(port) else { return false };
        self.leased -= 1;
        let slot = &mut self.slots[usize::from(index)];
        if ending != Ending::Never {
            slot.set_history(now, ending);
        }
        let (state, list) = match ending {
            Ending::Clean | Ending::Reset | Ending::Never => (State::Free, &mut self.free),
            Ending::Unknown | Ending::Refused | Ending::Collision => (State::Quarantined, &mut self.resting),
            Ending::Foreign => (State::ForeignTold, &mut self.foreign),
        };
        slot.set_state(state);
        match ending {
            Ending::Never => list.push_front(&mut self.slots, index),
            _ => list.push_back(&mut self.slots, index),
        }
        state == State::Free
    }

    /// Frees what has rested long enough.
    pub fn pass(&mut self, now: Nanos, quarantine: Span, flow: &mut Flow) {
        for (list, rest) in [(&mut self.resting, quarantine), (&mut self.foreign, FOREIGN_REST)] {
            while let Some(index) = list.first().filter(|index| self.slots[usize::from(*index)].rested(now, rest)) {
                list.pop_front(&self.slots);
                self.slots[usize::from(index)].set_state(State::Free);
                self.free.push_back(&mut self.slots, index);
                flow.back(now);
            }
        }
    }

    /// When the next port that rests is free.
    pub fn next(&self, quarantine: Span) -> Option<Nanos> {
        let due = |list: &List, rest| list.first().map(|index| self.slots[usize::from(index)].due(rest));
        [due(&self.resting, quarantine), due(&self.foreign, FOREIGN_REST)].into_iter().flatten().min()
    }

    /// When the kernel was asked, exactly these ports of the bucket were in use (and maybe ports of the other pool).
    pub fn reconcile(&mut self, now: Nanos, asked: Nanos, used: &[u16], flow: &mut Flow) {
        let mut listed = vec![false; self.capacity() as usize];
        for index in used.iter().filter_map(|port| self.ports.index(*port)).map(usize::from) {
            let ended =
                self.slots.get(index).filter(|slot| slot.state() == State::Free).and_then(|slot| slot.history());
            listed[index] = ended.is_none_or(|(when, _)| when < asked);
        }
        let listed = |index: u16| listed[usize::from(index)];
        let (seen, rest): (Vec<u16>, Vec<u16>) = self.foreign.take(&self.slots).into_iter().partition(|i| listed(*i));
        for index in rest {
            if self.slots[usize::from(index)].state() == State::ForeignTold {
                self.foreign.push_back(&mut self.slots, index);
            } else {
                self.slots[usize::from(index)].set_state(State::Free);
                self.free.push_back(&mut self.slots, index);
                flow.back(now);
            }
        }
        let unused = (self.slots.len() as u32..self.capacity()).any(|index| listed(index as u16));
        if unused {
            self.begin_all();
        }
        let mut gone = Vec::new();
        if (0..self.slots.len()).any(|index| listed(index as u16) && self.slots[index].state() == State::Free) {
            let (taken, free): (Vec<u16>, Vec<u16>) = self.free.take(&self.slots).into_iter().partition(|i| listed(*i));
            free.into_iter().for_each(|index| self.free.push_back(&mut self.slots, index));
            taken.iter().for_each(|_| flow.gone(now));
            gone = taken;
            gone.sort_unstable_by_key(|index| self.ports.port(*index));
        }
        for index in seen.into_iter().chain(gone) {
            let slot = &mut self.slots[usize::from(index)];
            slot.set_history(now, Ending::Foreign);
            slot.set_state(State::ForeignSeen);
            self.foreign.push_back(&mut self.slots, index);
        }
    }

    /// Gives every port its slot; the never used ones stay ahead of the others.
    fn begin_all(&mut self) {
        let begun = self.slots.len();
        self.slots.resize(self.capacity() as usize, Slot::FRESH);
        for index in (begun..self.slots.len()).rev() {
            self.free.push_front(&mut self.slots, index as u16);
        }
    }
}
