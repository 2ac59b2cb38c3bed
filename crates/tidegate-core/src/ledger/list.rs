//! A first-in, first-out list of ports that is threaded through their slots: no memory of its own.

use super::slot::{NIL, Slot};

#[derive(Clone, Copy, Debug)]
pub(super) struct List {
    head: u16,
    tail: u16,
    len: u16,
}

impl List {
    pub const EMPTY: List = List { head: NIL, tail: NIL, len: 0 };

    pub fn len(&self) -> u32 {
        u32::from(self.len)
    }

    pub fn first(&self) -> Option<u16> {
        (self.len > 0).then_some(self.head)
    }

    pub fn push_back(&mut self, slots: &mut [Slot], index: u16) {
        slots[usize::from(index)].set_link(NIL);
        match self.len {
            0 => self.head = index,
            _ => slots[usize::from(self.tail)].set_link(index),
        }
        self.tail = index;
        self.len += 1;
    }

    pub fn push_front(&mut self, slots: &mut [Slot], index: u16) {
        slots[usize::from(index)].set_link(self.head);
        if self.len == 0 {
            self.tail = index;
        }
        self.head = index;
        self.len += 1;
    }

    pub fn pop_front(&mut self, slots: &[Slot]) -> Option<u16> {
        let index = self.first()?;
        self.head = slots[usize::from(index)].link();
        self.len -= 1;
        Some(index)
    }

    /// Empties the list and gives what was in it, in order.
    pub fn take(&mut self, slots: &[Slot]) -> Vec<u16> {
        let mut all = Vec::with_capacity(usize::from(self.len));
        while let Some(index) = self.pop_front(slots) {
            all.push(index);
        }
        *self = List::EMPTY;
        all
    }
}
