//! Buffers that are lent only while bytes flow: a freelist of 16 KiB blocks under one byte budget.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use zeroize::Zeroize;

/// Size of a block, and so the longest head: RFC 9112 §3 asks for ≥ 8000; 16 KiB is what HAProxy and nginx use in sum.
pub(crate) const BLOCK: usize = 16 * 1024;
/// Blocks kept for reuse; more are given back to the allocator.
const KEPT: usize = 256;

/// The freelist and its budget.
pub(crate) struct Buffers {
    free: RefCell<Vec<Box<[u8]>>>,
    scratch: RefCell<Vec<Vec<u8>>>,
    used: Cell<usize>,
    max: Cell<usize>,
}

impl Buffers {
    /// At most `max` bytes lent at once.
    pub(crate) fn new(max: usize) -> Rc<Buffers> {
        Rc::new(Buffers {
            free: RefCell::new(Vec::new()),
            scratch: RefCell::new(Vec::new()),
            used: Cell::new(0),
            max: Cell::new(max),
        })
    }

    /// A new budget; what is lent stays lent.
    pub(crate) fn set_max(&self, max: usize) {
        self.max.set(max);
    }

    /// Bytes lent now.
    pub(crate) fn used(&self) -> usize {
        self.used.get()
    }

    /// A block, or nothing when the budget is used up.
    pub(crate) fn lend(self: &Rc<Self>) -> Option<Buf> {
        if self.used.get() + BLOCK > self.max.get() {
            return None;
        }
        let data = self.free.borrow_mut().pop().unwrap_or_else(|| vec![0; BLOCK].into_boxed_slice());
        self.used.set(self.used.get() + BLOCK);
        Some(Buf { data, start: 0, end: 0, secret: false, home: self.clone() })
    }

    /// Counts `bytes` that are kept outside of a block for a long wait, until the charge is dropped.
    pub(crate) fn charge(self: &Rc<Self>, bytes: usize) -> Charge {
        self.used.set(self.used.get() + bytes);
        Charge { bytes, home: self.clone() }
    }

    /// As [`Buffers::charge`], or nothing when the budget does not have them.
    pub(crate) fn try_charge(self: &Rc<Self>, bytes: usize) -> Option<Charge> {
        (self.used.get() + bytes <= self.max.get()).then(|| self.charge(bytes))
    }

    /// An empty vector for putting a head together; see [`Buffers::unscratch`].
    pub(crate) fn scratch(&self) -> Vec<u8> {
        self.scratch.borrow_mut().pop().unwrap_or_default()
    }

    /// Gives a vector back for the next head.
    pub(crate) fn unscratch(&self, mut vector: Vec<u8>) {
        let mut kept = self.scratch.borrow_mut();
        if vector.capacity() > 0 && vector.capacity() <= 2 * BLOCK && kept.len() < KEPT {
            vector.clear();
            kept.push(vector);
        }
    }
}

/// Bytes counted by [`Buffers::charge`].
pub(crate) struct Charge {
    bytes: usize,
    home: Rc<Buffers>,
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.home.used.set(self.home.used.get().saturating_sub(self.bytes));
    }
}

/// One lent block: bytes `start..end` of it are filled and not consumed yet. Goes back by itself.
pub(crate) struct Buf {
    data: Box<[u8]>,
    /// Blocks are short; every byte of this is paid by each call that is held.
    start: u32,
    end: usize,
    /// It may hold a password: it is overwritten with zeros before it goes back.
    secret: bool,
    home: Rc<Buffers>,
}

impl Buf {
    fn start(&self) -> usize {
        self.start as usize
    }

    /// Whether it may hold a password: then it is overwritten with zeros before it goes back.
    pub(crate) fn keep_secret(&mut self, secret: bool) {
        self.secret = secret;
    }

    /// What is filled and not consumed.
    pub(crate) fn filled(&self) -> &[u8] {
        &self.data[self.start()..self.end]
    }

    /// As [`Buf::filled`], to be changed in place.
    pub(crate) fn filled_mut(&mut self) -> &mut [u8] {
        let start = self.start();
        &mut self.data[start..self.end]
    }

    /// Room at the end.
    pub(crate) fn room(&mut self) -> &mut [u8] {
        &mut self.data[self.end..]
    }

    /// `n` bytes of the room are filled now.
    pub(crate) fn add(&mut self, n: usize) {
        self.end = (self.end + n).min(self.data.len());
    }

    /// The first `n` bytes are done with.
    pub(crate) fn consume(&mut self, n: usize) {
        let start = (self.start() + n).min(self.end);
        self.start = start as u32;
        if start == self.end {
            self.start = 0;
            self.end = 0;
        }
    }

    /// No room is left, even after [`Buf::compact`].
    pub(crate) fn is_full(&self) -> bool {
        self.end - self.start() == self.data.len()
    }

    /// Nothing is filled.
    pub(crate) fn is_empty(&self) -> bool {
        self.start() == self.end
    }

    /// Moves what is filled to the front, so that the room is all the rest.
    pub(crate) fn compact(&mut self) {
        if self.start > 0 {
            self.data.copy_within(self.start()..self.end, 0);
            self.end -= self.start();
            self.start = 0;
        }
    }

    /// For a long wait: keeps exactly what is filled and gives the block back.
    pub(crate) fn shrink(&mut self) {
        if self.data.len() != BLOCK || self.end - self.start() > BLOCK / 2 {
            return;
        }
        let small: Box<[u8]> = self.filled().into();
        let home = self.home.clone();
        home.used.set(home.used.get() + small.len());
        let end = small.len();
        *self = Buf { data: small, start: 0, end, secret: self.secret, home };
    }

    /// After [`Buf::shrink`]: a whole block again, or `false` when the budget is used up.
    pub(crate) fn grow(&mut self) -> bool {
        if self.data.len() == BLOCK {
            return true;
        }
        let Some(mut block) = self.home.lend() else { return false };
        let filled = self.filled();
        block.data[..filled.len()].copy_from_slice(filled);
        block.end = filled.len();
        block.secret = self.secret;
        *self = block;
        true
    }
}

impl Drop for Buf {
    fn drop(&mut self) {
        let mut data = std::mem::take(&mut self.data);
        if self.secret {
            data.zeroize();
        }
        self.home.used.set(self.home.used.get().saturating_sub(data.len()));
        let mut free = self.home.free.borrow_mut();
        if data.len() == BLOCK && free.len() < KEPT {
            free.push(data);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_budget_counts_blocks_and_shrunk_ones_and_gets_all_back() {
        let buffers = Buffers::new(2 * BLOCK);
        let mut a = buffers.lend().unwrap();
        let b = buffers.lend().unwrap();
        assert!(buffers.lend().is_none());
        a.room()[..5].copy_from_slice(b"hello");
        a.add(5);
        a.shrink();
        assert_eq!(buffers.used(), BLOCK + 5);
        assert!(!a.grow(), "5 bytes and two blocks are more than the budget");
        drop(b);
        assert!(a.grow());
        assert_eq!(a.filled(), b"hello");
        drop(a);
        assert_eq!(buffers.used(), 0);
    }

    #[test]
    fn what_may_be_a_password_is_overwritten_wherever_it_was() {
        let buffers = Buffers::new(3 * BLOCK);
        let mut buf = buffers.lend().unwrap();
        buf.keep_secret(true);
        buf.room()[..16].copy_from_slice(b"xxxxxxxxpassword");
        buf.add(16);
        buf.consume(8);
        buf.compact();
        buf.shrink();
        assert!(buf.grow());
        buf.consume(8);
        drop(buf);
        let mut again: Vec<Buf> = (0..2).filter_map(|_| buffers.lend()).collect();
        assert!(again.iter_mut().all(|buf| buf.room().iter().all(|byte| *byte == 0)));
    }

    #[test]
    fn consuming_all_starts_again_at_the_front() {
        let buffers = Buffers::new(BLOCK);
        let mut buf = buffers.lend().unwrap();
        buf.add(10);
        buf.consume(4);
        assert_eq!(buf.filled().len(), 6);
        buf.compact();
        assert_eq!(buf.room().len(), BLOCK - 6);
        buf.consume(6);
        assert_eq!(buf.room().len(), BLOCK);
    }
}
