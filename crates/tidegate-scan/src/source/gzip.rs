//! gzip, unpacked block by block: several members in a row, and whatever was appended to them.

use flate2::{Crc, Decompress, FlushDecompress, Status};

use super::run::Run;
use super::stream::{BLOCK, Fault, Meter, Stream, skip, take};

/// Bytes of the first block: enough to see what it is, so that a worker does the rest.
const FIRST: usize = 4096;
/// Bytes of the input that the layer around a stream may have used before it: what that has unpacked is one block.
const AHEAD: u64 = BLOCK as u64;

/// Deflate, unpacked into one block.
pub(super) struct Inflater {
    state: Decompress,
    block: Box<[u8]>,
    from: usize,
    to: usize,
    crc: Crc,
}

impl Inflater {
    pub(super) fn new() -> Self {
        let state = Decompress::new(false);
        Self { state, block: vec![0; BLOCK].into_boxed_slice(), from: 0, to: 0, crc: Crc::new() }
    }

    /// Ready for the next member.
    pub(super) fn reset(&mut self) {
        self.state.reset(false);
        self.crc.reset();
    }

    /// The sum and the size (modulo 2^32) of what was unpacked since the last reset.
    pub(super) fn sum(&self) -> (u32, u32) {
        (self.crc.sum(), self.crc.amount())
    }

    pub(super) fn there(&self) -> &[u8] {
        &self.block[self.from..self.to]
    }

    pub(super) fn eat(&mut self, count: usize) {
        self.from = self.to.min(self.from.saturating_add(count));
    }

    /// Unpacks a block, when the last one was eaten: whether it was the last, and what is wrong after it.
    pub(super) fn step(&mut self, packed: &mut (impl Stream + ?Sized), room: usize) -> Result<bool, Fault> {
        let (before_in, before_out) = (self.state.total_in(), self.state.total_out());
        let input = packed.fill()?;
        if input.is_empty() {
            return Err(Fault::Truncated("The packed data stops in the middle.".to_owned()));
        }
        let room = room.min(self.block.len());
        let status = self.state.decompress(input, &mut self.block[..room], FlushDecompress::None);
        let ate = usize::try_from(self.state.total_in() - before_in).unwrap_or(input.len());
        let came = usize::try_from(self.state.total_out() - before_out).unwrap_or(0);
        packed.eat(ate);
        (self.from, self.to) = (0, came);
        self.crc.update(&self.block[..came]);
        match status {
            Ok(Status::StreamEnd) => Ok(true),
            Ok(_) if ate > 0 || came > 0 => Ok(false),
            Ok(_) | Err(_) => Err(Fault::Broken("The packed data is damaged.".to_owned())),
        }
    }
}

/// What is to be unpacked, and what it may become.
pub(super) struct Packed {
    /// For troubles.
    pub(super) path: String,
    /// It is inside another archive.
    pub(super) nested: bool,
    /// Counts the bytes of its input, and where that stood before it.
    pub(super) meter: Meter,
    pub(super) base: u64,
    /// Bytes of the input that it took, when it is in memory.
    pub(super) spent: Option<u64>,
}

impl Packed {
    /// Whether so many bytes are too many for what came in.
    pub(super) fn check(&self, run: &Run<'_>, unpacked: u64) -> Result<(), Fault> {
        let from = if self.nested { run.limits.nested_ratio_from } else { run.limits.ratio_from };
        if unpacked <= from {
            return Ok(());
        }
        let spent = self.spent.unwrap_or_else(|| self.meter.now() - self.base) + AHEAD;
        if unpacked <= spent.saturating_mul(run.limits.ratio) {
            return Ok(());
        }
        let ratio = run.limits.ratio;
        Err(Fault::Budget(format!("It unpacks to more than {ratio} times its size, as no log does.")))
    }
}

enum State {
    Header,
    Body,
    End,
    Faulty(Fault),
}

/// The text of a gzip stream.
pub(super) struct Gzip<'r, S> {
    run: &'r Run<'r>,
    packed: Packed,
    stream: S,
    inflater: Inflater,
    state: State,
    members: u64,
    unpacked: u64,
}

impl<'r, S: Stream> Gzip<'r, S> {
    pub(super) fn new(run: &'r Run<'r>, packed: Packed, stream: S) -> Self {
        Self { run, packed, stream, inflater: Inflater::new(), state: State::Header, members: 0, unpacked: 0 }
    }

    fn step(&mut self) -> Result<State, Fault> {
        match &self.state {
            State::Header => self.header(),
            State::Body => {
                let room = if self.unpacked == 0 { FIRST } else { BLOCK };
                let step = self.inflater.step(&mut self.stream, room);
                let came = self.inflater.there().len();
                self.unpacked += came as u64;
                let next = match step {
                    Ok(false) => State::Body,
                    Ok(true) => self.trailer(),
                    Err(fault) => State::Faulty(fault),
                };
                self.run.unpacked(came)?;
                self.packed.check(self.run, self.unpacked)?;
                Ok(next)
            }
            State::End => Ok(State::End),
            State::Faulty(fault) => Err(fault.clone()),
        }
    }

    /// The header of a member, or what is there instead.
    fn header(&mut self) -> Result<State, Fault> {
        let mut head = [0; 10];
        let have = take(&mut self.stream, &mut head)?;
        if self.members > 0 && !matches!(head, [0x1f, 0x8b, 8, ..]) {
            return self.garbage(&head[..have]);
        }
        let [_, _, _, flags, ..] = head;
        if have < head.len() {
            return Err(Fault::Truncated("The header of the packed data stops in the middle.".to_owned()));
        }
        // In this order: extra field, name, comment, checksum of the header.
        if flags & 4 != 0 {
            let mut size = [0; 2];
            take(&mut self.stream, &mut size)?;
            skip(&mut self.stream, u64::from(u16::from_le_bytes(size)))?;
        }
        for flag in [8, 16] {
            if flags & flag != 0 {
                skip_text(&mut self.stream)?;
            }
        }
        if flags & 2 != 0 {
            skip(&mut self.stream, 2)?;
        }
        self.inflater.reset();
        self.members += 1;
        Ok(State::Body)
    }

    /// The sum and the size after a member, and what follows it.
    fn trailer(&mut self) -> State {
        let mut trailer = [0; 8];
        match take(&mut self.stream, &mut trailer) {
            Err(fault) => return State::Faulty(fault),
            Ok(8) => {}
            Ok(_) => return State::Faulty(Fault::Truncated("The end of the packed data is missing.".to_owned())),
        }
        let (sum, size) = self.inflater.sum();
        let [a, b, c, d, e, f, g, h] = trailer;
        if (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h])) != (sum, size) {
            return State::Faulty(Fault::Broken("Its checksum is wrong: a part of it was changed.".to_owned()));
        }
        State::Header
    }

    /// What follows is no member: padding of zeros is common, anything else is worth a word.
    fn garbage(&mut self, first: &[u8]) -> Result<State, Fault> {
        let mut other = first.iter().any(|&byte| byte != 0);
        loop {
            let block = self.stream.fill()?;
            if block.is_empty() {
                break;
            }
            other |= block.iter().any(|&byte| byte != 0);
            let count = block.len();
            self.stream.eat(count);
        }
        if other {
            let detail = "Bytes after the end of the packed data were left out.";
            self.run.trouble(&self.packed.path, "trailing", detail);
        }
        Ok(State::End)
    }
}

impl<S: Stream> Stream for Gzip<'_, S> {
    fn fill(&mut self) -> Result<&[u8], Fault> {
        while self.inflater.there().is_empty() && !matches!(self.state, State::End) {
            match self.step() {
                Ok(state) => self.state = state,
                Err(fault) => {
                    self.inflater.eat(usize::MAX);
                    self.state = State::Faulty(fault.clone());
                    return Err(fault);
                }
            }
        }
        Ok(self.inflater.there())
    }

    fn eat(&mut self, count: usize) {
        self.inflater.eat(count);
    }
}

/// Passes over text that ends with a NUL.
fn skip_text(stream: &mut impl Stream) -> Result<(), Fault> {
    loop {
        let block = stream.fill()?;
        if block.is_empty() {
            return Ok(());
        }
        let end = memchr::memchr(0, block);
        let count = end.map_or(block.len(), |at| at + 1);
        stream.eat(count);
        if end.is_some() {
            return Ok(());
        }
    }
}
