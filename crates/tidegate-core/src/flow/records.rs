//! The records of a table: blocks of them, and the order in which those of a class are given up.

use super::key::Key;
use super::machine::Flow;
use super::state::State;

/// Records are made by the block, so that growing neither copies nor doubles them.
const BLOCK_BITS: u32 = 10;
const BLOCK: usize = 1 << BLOCK_BITS;
/// No record.
pub(super) const NONE: u32 = u32::MAX;

/// What may be given up for a newcomer, the least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Reset, refused or aborted.
    Closed,
    /// In TIME-WAIT.
    Ended,
    /// Half-open, or joined in its middle and heard from one end only: a stranger can make any number of these.
    Unproven,
    /// Never given up.
    Kept,
}

impl Class {
    /// The class of a flow.
    pub fn of(flow: &Flow) -> Class {
        match flow.state() {
            State::None | State::Closed => Class::Closed,
            State::TimeWait => Class::Ended,
            State::MidStream => Class::Unproven,
            state if state.half_open() || !flow.both_heard() => Class::Unproven,
            _ => Class::Kept,
        }
    }
}

/// A flow in a table, and what its owner keeps beside it: two lines of memory, if that is 36 bytes at most.
#[derive(Clone, Debug)]
#[repr(C, align(64))]
pub struct Record<T> {
    pub(super) flow: Flow,
    pub(super) key: Key,
    pub(super) older: u32,
    pub(super) younger: u32,
    /// What the owner of the table keeps of the flow.
    pub value: T,
}

impl<T> Record<T> {
    /// Its tuple.
    pub fn key(&self) -> Key {
        self.key
    }

    /// What is known of it.
    pub fn flow(&self) -> &Flow {
        &self.flow
    }

    /// What is known of it, and what the owner of the table keeps of it.
    pub fn parts(&mut self) -> (&Flow, &mut T) {
        (&self.flow, &mut self.value)
    }

    /// Whether it is that of a tuple. A place that is free holds no flow.
    pub(super) fn is(&self, key: Key) -> bool {
        self.key == key && self.flow.state() != State::None
    }

    /// Something of each line of memory that a step needs.
    pub(super) fn glance(&self) -> u32 {
        self.flow.low.end.wrapping_add(self.older)
    }
}

/// All records, in blocks that never move.
pub(super) struct Blocks<T> {
    blocks: Vec<Vec<Record<T>>>,
    /// The first record that is free again; `younger` of each leads to the next.
    free: u32,
}

impl<T> Default for Blocks<T> {
    fn default() -> Blocks<T> {
        Blocks { blocks: Vec::new(), free: NONE }
    }
}

impl<T> Blocks<T> {
    pub fn bytes(&self) -> usize {
        self.blocks.len().saturating_mul(BLOCK).saturating_mul(size_of::<Record<T>>())
    }

    pub fn iter(&self) -> impl Iterator<Item = &Record<T>> {
        self.blocks.iter().flatten()
    }

    pub fn record(&self, number: u32) -> Option<&Record<T>> {
        self.blocks.get((number >> BLOCK_BITS) as usize)?.get(number as usize & (BLOCK - 1))
    }

    pub fn record_mut(&mut self, number: u32) -> Option<&mut Record<T>> {
        self.blocks.get_mut((number >> BLOCK_BITS) as usize)?.get_mut(number as usize & (BLOCK - 1))
    }

    pub fn hash(&self, number: u32, seed: u64) -> u64 {
        self.record(number).map_or(0, |record| record.key.hash(seed))
    }

    /// Puts a record where one is free, and tells its number.
    pub fn place(&mut self, record: Record<T>) -> u32 {
        let free = self.free;
        if let Some(place) = self.record_mut(free) {
            let next = std::mem::replace(place, record).younger;
            self.free = next;
            return free;
        }
        if self.blocks.last().is_none_or(|block| block.len() == BLOCK) {
            self.blocks.push(Vec::with_capacity(BLOCK));
        }
        let before = self.blocks.len().saturating_sub(1).saturating_mul(BLOCK);
        let number = self.blocks.last().map_or(0, Vec::len).saturating_add(before);
        if let Some(block) = self.blocks.last_mut() {
            block.push(record);
        }
        u32::try_from(number).unwrap_or(NONE)
    }
}

impl<T: Default> Blocks<T> {
    /// Takes a record out; its place is free.
    pub fn take(&mut self, number: u32) -> Option<Record<T>> {
        let younger = self.free;
        let empty = Record { flow: Flow::default(), key: Key::default(), older: NONE, younger, value: T::default() };
        let taken = self.record_mut(number).map(|record| std::mem::replace(record, empty))?;
        self.free = number;
        Some(taken)
    }
}

/// The oldest and the youngest of a class.
#[derive(Clone, Copy, Debug)]
struct Line {
    oldest: u32,
    youngest: u32,
}

/// A line for each class that may be given up, in the order in which flows came to it.
#[derive(Debug)]
pub(super) struct Lines([Line; 3]);

impl Default for Lines {
    fn default() -> Lines {
        Lines([Line { oldest: NONE, youngest: NONE }; 3])
    }
}

impl Lines {
    /// What is given up next.
    pub fn least(&self) -> Option<(Class, u32)> {
        let classes = [Class::Closed, Class::Ended, Class::Unproven];
        classes.into_iter().zip(self.0).map(|(class, line)| (class, line.oldest)).find(|(_, oldest)| *oldest != NONE)
    }

    /// Puts a record at the end of the line of its class.
    pub fn link<T>(&mut self, blocks: &mut Blocks<T>, number: u32, class: Class) {
        let Some(line) = self.0.get_mut(class as usize) else { return };
        let older = std::mem::replace(&mut line.youngest, number);
        if let Some(record) = blocks.record_mut(number) {
            (record.older, record.younger) = (older, NONE);
        }
        match blocks.record_mut(older) {
            Some(before) => before.younger = number,
            None => line.oldest = number,
        }
    }

    /// Takes a record out of the line of its class.
    pub fn unlink<T>(&mut self, blocks: &mut Blocks<T>, number: u32, class: Class) {
        let Some(line) = self.0.get_mut(class as usize) else { return };
        let Some((older, younger)) = blocks.record_mut(number).map(|record| (record.older, record.younger)) else {
            return;
        };
        match blocks.record_mut(older) {
            Some(before) => before.younger = younger,
            None => line.oldest = younger,
        }
        match blocks.record_mut(younger) {
            Some(after) => after.older = older,
            None => line.youngest = older,
        }
    }
}
