//! The content of an entry: stored or deflated, and the sum that it must have.

use flate2::Crc;

use super::super::gzip::{Inflater, Packed};
use super::super::run::Run;
use super::super::stream::{BLOCK, Fault, Stream, take};
use super::Header;

/// Where an entry stands.
enum State {
    Stored { left: u64, crc: Crc },
    Deflated,
    End,
    Faulty(Fault),
}

/// Reads the content of one entry after another from a stream that stands at it.
pub(super) struct Content<'r> {
    run: &'r Run<'r>,
    state: State,
    inflater: Inflater,
    packed: Packed,
    /// Packed bytes that are still to come, where that is known.
    left: Option<u64>,
    unpacked: u64,
    wanted: u32,
    told_later: bool,
}

impl<'r> Content<'r> {
    pub(super) fn new(run: &'r Run<'r>, packed: Packed) -> Self {
        let (state, inflater) = (State::End, Inflater::new());
        Self { run, state, inflater, packed, left: None, unpacked: 0, wanted: 0, told_later: false }
    }

    /// The stream stands at the content of this entry.
    pub(super) fn begin(&mut self, header: &Header, told_later: bool) {
        self.inflater.reset();
        self.packed.base = self.packed.meter.now();
        (self.wanted, self.told_later, self.unpacked) = (header.crc, told_later, 0);
        // What is stored counts by itself.
        self.left = (!told_later).then_some(if header.deflated() { header.packed } else { 0 });
        self.state = match (header.deflated(), told_later) {
            (true, _) => State::Deflated,
            (false, false) => State::Stored { left: header.packed, crc: Crc::new() },
            (false, true) => State::Faulty(Fault::Broken("Its length is told only after it.".to_owned())),
        };
    }

    /// There is no content.
    pub(super) fn none(&mut self) {
        self.inflater.eat(usize::MAX);
        (self.left, self.state) = (Some(0), State::End);
    }

    /// Packed bytes that were not read; nothing when that is not known.
    pub(super) fn left(&self) -> Option<u64> {
        match (&self.state, self.left) {
            (State::Stored { left, .. }, _) => Some(*left),
            (State::End, None) => Some(0),
            (_, left) => left,
        }
    }

    pub(super) fn fill<'s>(&'s mut self, stream: &'s mut impl Stream) -> Result<&'s [u8], Fault> {
        while self.inflater.there().is_empty() {
            let next = match &mut self.state {
                State::End => return Ok(&[]),
                State::Faulty(fault) => return Err(fault.clone()),
                State::Stored { left: 0, crc } => check(crc.sum(), self.wanted),
                State::Stored { .. } => return self.stored(stream),
                State::Deflated => self.step(stream),
            };
            match next {
                Ok(state) => self.state = state,
                Err(fault) => {
                    self.inflater.eat(usize::MAX);
                    self.state = State::Faulty(fault);
                }
            }
        }
        Ok(self.inflater.there())
    }

    fn stored<'s>(&self, stream: &'s mut impl Stream) -> Result<&'s [u8], Fault> {
        let State::Stored { left, .. } = &self.state else { return Ok(&[]) };
        let block = stream.fill()?;
        if block.is_empty() {
            return Err(truncated());
        }
        Ok(&block[..block.len().min(usize::try_from(*left).unwrap_or(usize::MAX))])
    }

    fn step(&mut self, stream: &mut impl Stream) -> Result<State, Fault> {
        let step = match &mut self.left {
            Some(left) => self.inflater.step(&mut Within { stream, left }, BLOCK),
            None => self.inflater.step(stream, BLOCK),
        };
        let came = self.inflater.there().len();
        self.unpacked += came as u64;
        self.run.unpacked(came)?;
        self.packed.check(self.run, self.unpacked)?;
        Ok(match step {
            Ok(false) => State::Deflated,
            Ok(true) => self.end(stream).unwrap_or_else(State::Faulty),
            Err(fault) => State::Faulty(fault),
        })
    }

    fn end(&mut self, stream: &mut impl Stream) -> Result<State, Fault> {
        if self.told_later {
            // The signature before the sum may be missing; the sizes after it are passed over with whatever follows.
            let mut four = [0; 4];
            let mut have = take(stream, &mut four)?;
            if four == *b"PK\x07\x08" {
                have = take(stream, &mut four)?;
            }
            if have < 4 {
                return Err(truncated());
            }
            self.wanted = u32::from_le_bytes(four);
        }
        check(self.inflater.sum().0, self.wanted)
    }

    pub(super) fn eat(&mut self, stream: &mut impl Stream, count: usize) {
        let State::Stored { left, crc } = &mut self.state else { return self.inflater.eat(count) };
        if let Ok(block) = stream.fill() {
            let count = count.min(block.len());
            crc.update(&block[..count]);
            *left = left.saturating_sub(count as u64);
            stream.eat(count);
        }
    }
}

/// No more of a stream than belongs to an entry.
struct Within<'s, S> {
    stream: &'s mut S,
    left: &'s mut u64,
}

impl<S: Stream> Stream for Within<'_, S> {
    fn fill(&mut self) -> Result<&[u8], Fault> {
        if *self.left == 0 {
            return Ok(&[]);
        }
        let block = self.stream.fill()?;
        Ok(&block[..block.len().min(usize::try_from(*self.left).unwrap_or(usize::MAX))])
    }

    fn eat(&mut self, count: usize) {
        self.stream.eat(count);
        *self.left = self.left.saturating_sub(count as u64);
    }
}

fn check(sum: u32, wanted: u32) -> Result<State, Fault> {
    if sum == wanted {
        return Ok(State::End);
    }
    Err(Fault::Broken("Its checksum is wrong: a part of it was changed.".to_owned()))
}

fn truncated() -> Fault {
    Fault::Truncated("The archive stops in the middle of it.".to_owned())
}
