//! All flows, in bounded memory. When it is full the least is given up: what was reset, then what ended, then the oldest of
//! what never proved itself (half-open, or heard from one end only). Never an established flow: a newcomer is refused instead.

use super::index::{Index, NUMBERS_MAX};
use super::key::Key;
use super::machine::Flow;
use super::note::Step;
use super::profile::Profile;
use super::records::{Blocks, Class, Lines, NONE, Record};
use super::segment::Segment;
use super::state::State;

/// The largest capacity of a table.
pub const FLOWS_MAX: usize = NUMBERS_MAX;

/// Where a tuple is looked for in one table: its hash, and the record that most likely is its own once
/// [`Table::touch`] has looked for it.
#[derive(Clone, Copy, Debug)]
pub struct Seek {
    key: Key,
    hash: u64,
    number: u32,
}

impl Seek {
    /// The tuple.
    pub fn key(&self) -> Key {
        self.key
    }
}

/// What came of a segment, or of any other look at a flow.
#[derive(Debug)]
pub struct Turn<'a, T, R = Step> {
    /// What the flow answered.
    pub answer: R,
    /// The flow, if there is one and it is in the table.
    pub record: Option<&'a mut Record<T>>,
    /// The flow that was given up for it.
    pub evicted: Option<Box<Record<T>>>,
    /// There is a flow, but no room for it.
    pub refused: bool,
}

/// What a table counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Flows by state, in the order of [`State::ALL`].
    pub states: [u64; 12],
    /// Flows that were given up, by class: closed, ended, unproven.
    pub evicted: [u64; 3],
    /// Newcomers that found no room.
    pub refused: u64,
}

/// The table.
pub struct Table<T> {
    blocks: Blocks<T>,
    index: Index,
    lines: Lines,
    counts: Counts,
    len: usize,
    capacity: usize,
    seed: u64,
}

impl<T: Default> Table<T> {
    /// A table for at most `capacity` flows (1 to [`FLOWS_MAX`], else the nearer of the two). `seed` keeps strangers from
    /// choosing tuples that collide; it decides nothing else.
    pub fn new(capacity: usize, seed: u64) -> Table<T> {
        Table {
            blocks: Blocks::default(),
            index: Index::new(),
            lines: Lines::default(),
            counts: Counts::default(),
            len: 0,
            capacity: capacity.clamp(1, FLOWS_MAX),
            seed,
        }
    }

    /// How many flows it holds.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// What it counted.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Bytes of memory that it holds.
    pub fn bytes(&self) -> usize {
        self.blocks.bytes().saturating_add(self.index.bytes())
    }

    /// The flow of a tuple.
    pub fn get(&self, key: Key) -> Option<&Record<T>> {
        self.find(&self.seek(key)).and_then(|number| self.blocks.record(number))
    }

    /// Where a tuple is to be looked for.
    pub fn seek(&self, key: Key) -> Seek {
        Seek { key, hash: key.hash(self.seed), number: NONE }
    }

    /// All flows, in the order of their places: the same for the same segments.
    pub fn iter(&self) -> impl Iterator<Item = &Record<T>> {
        self.blocks.iter().filter(|record| record.flow.state() != State::None)
    }

    /// Brings flows that are about to be stepped close to the processor: waits for memory once per batch, not once per segment.
    /// Batches of 16 to 64 do best. Changes nothing in the table.
    pub fn touch(&self, seeks: &mut [Seek]) {
        // One line of memory does not wait for the other as long as nothing is decided by what is in them.
        let places = seeks.iter().map(|seek| self.index.glance(seek.hash));
        std::hint::black_box(places.fold(0, u32::wrapping_add));
        for seek in seeks.iter_mut() {
            seek.number = self.index.guess(seek.hash).unwrap_or(NONE);
        }
        let records = seeks.iter().filter_map(|seek| self.blocks.record(seek.number));
        std::hint::black_box(records.map(Record::glance).fold(0, u32::wrapping_add));
    }

    /// Takes one segment of a tuple.
    pub fn step(&mut self, key: Key, segment: &Segment, profile: &Profile) -> Turn<'_, T> {
        self.alter(key, |flow| flow.step(segment, profile))
    }

    /// Looks at the flow of a tuple, or at none, and may change it. A flow that is none afterwards is not kept.
    pub fn alter<R>(&mut self, key: Key, look: impl FnOnce(&mut Flow) -> R) -> Turn<'_, T, R> {
        self.alter_at(&self.seek(key), look)
    }

    /// The same, where the place of the tuple was looked for before.
    pub fn alter_at<R>(&mut self, seek: &Seek, look: impl FnOnce(&mut Flow) -> R) -> Turn<'_, T, R> {
        let standing = |flow: &Flow| (flow.state(), Class::of(flow), flow.generation());
        let (number, answer, was, is) =
            match self.find(seek).and_then(|number| Some((number, self.blocks.record_mut(number)?))) {
                Some((number, record)) => {
                    let was = standing(&record.flow);
                    let answer = look(&mut record.flow);
                    (number, answer, was, standing(&record.flow))
                }
                None => {
                    let mut flow = Flow::default();
                    let answer = look(&mut flow);
                    return self.welcome(seek, flow, answer);
                }
            };
        self.count(was.0, is.0);
        if is.0 == State::None {
            self.remove(number, was.1);
            return Turn { answer, record: None, evicted: None, refused: false };
        }
        if (was.1, was.2) != (is.1, is.2) {
            self.lines.unlink(&mut self.blocks, number, was.1);
            self.lines.link(&mut self.blocks, number, is.1);
        }
        Turn { answer, record: self.blocks.record_mut(number), evicted: None, refused: false }
    }

    fn find(&self, seek: &Seek) -> Option<u32> {
        let same = |number| self.blocks.record(number).is_some_and(|record| record.is(seek.key));
        if same(seek.number) { Some(seek.number) } else { self.index.find(seek.hash, same) }
    }

    fn count(&mut self, before: State, after: State) {
        let mut add = |state: State, one: u64| {
            if let Some(count) = self.counts.states.get_mut(state as usize).filter(|_| state != State::None) {
                *count = count.wrapping_add(one);
            }
        };
        add(before, 1u64.wrapping_neg());
        add(after, 1);
    }

    #[cold]
    fn welcome<R>(&mut self, seek: &Seek, flow: Flow, answer: R) -> Turn<'_, T, R> {
        if flow.state() == State::None {
            return Turn { answer, record: None, evicted: None, refused: false };
        }
        let evicted = if self.len >= self.capacity { self.evict().map(Box::new) } else { None };
        if self.len >= self.capacity {
            self.counts.refused = self.counts.refused.saturating_add(1);
            return Turn { answer, record: None, evicted, refused: true };
        }
        let record = Record { flow, key: seek.key, older: NONE, younger: NONE, value: T::default() };
        let (number, seed) = (self.blocks.place(record), self.seed);
        self.index.insert(seek.hash, number, |number| self.blocks.hash(number, seed));
        self.len = self.len.saturating_add(1);
        self.count(State::None, flow.state());
        self.lines.link(&mut self.blocks, number, Class::of(&flow));
        Turn { answer, record: self.blocks.record_mut(number), evicted, refused: false }
    }

    fn evict(&mut self) -> Option<Record<T>> {
        let (class, number) = self.lines.least()?;
        if let Some(count) = self.counts.evicted.get_mut(class as usize) {
            *count = count.saturating_add(1);
        }
        let evicted = self.remove(number, class)?;
        self.count(evicted.flow.state(), State::None);
        Some(evicted)
    }

    /// Takes a record out. It is not counted any more by then, or will be by the caller.
    fn remove(&mut self, number: u32, class: Class) -> Option<Record<T>> {
        self.lines.unlink(&mut self.blocks, number, class);
        let hash = self.blocks.hash(number, self.seed);
        let (blocks, seed) = (&self.blocks, self.seed);
        self.index.remove(hash, number, |number| blocks.hash(number, seed));
        self.len = self.len.saturating_sub(1);
        self.blocks.take(number)
    }
}
