//! Bytes that come block by block, and why they end early.
//!
//! Files are read, not mapped. A mapped log that is cut short meanwhile ends the process (SIGBUS), pages of it count as
//! memory of the process, and it needs unsafe code; what it gains was measured: 0.03 ns per byte, about 5 % of a search
//! for 48 literals, and half of that when it is mapped part by part to keep the memory bounded.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::Ended;
use super::run::Run;

/// Bytes per block that is unpacked: enough to make calls cheap, little enough to stay in a cache.
pub(super) const BLOCK: usize = 256 << 10;
/// A file that says that it is empty is read no further than this: some of `/proc` have no end.
pub(super) const UNSIZED: u64 = 1 << 30;
/// Bytes per block of a file: every block is a system call.
const FILE_BLOCK: usize = 1 << 20;

/// Why a stream cannot be read on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It stops in the middle.
    Truncated(String),
    /// What comes next makes no sense.
    Broken(String),
    /// A budget is used up.
    Budget(String),
    /// The caller wants no more.
    Stopped,
}

impl Fault {
    /// How a member ends that meets this.
    pub(super) fn ended(self) -> Ended {
        match self {
            Self::Truncated(why) => Ended::Truncated(why),
            Self::Broken(why) => Ended::Broken(why),
            Self::Budget(why) => Ended::Budget(why),
            Self::Stopped => Ended::Truncated("Reading was stopped.".to_owned()),
        }
    }

    /// The word of a trouble, and the sentence.
    pub(super) fn told(&self) -> (&'static str, &str) {
        match self {
            Self::Truncated(why) => ("truncated", why),
            Self::Broken(why) => ("broken", why),
            Self::Budget(why) => ("budget", why),
            Self::Stopped => ("stopped", "Reading was stopped."),
        }
    }
}

/// Bytes in order. A fault comes after all that could be read, and again whenever it is asked for more.
pub(super) trait Stream: Send {
    /// What is there, at least one byte; empty at the end.
    fn fill(&mut self) -> Result<&[u8], Fault>;
    /// Takes this many bytes of what is there.
    fn eat(&mut self, count: usize);
}

impl<S: Stream + ?Sized> Stream for &mut S {
    fn fill(&mut self) -> Result<&[u8], Fault> {
        (**self).fill()
    }
    fn eat(&mut self, count: usize) {
        (**self).eat(count);
    }
}

impl<S: Stream + ?Sized> Stream for Box<S> {
    fn fill(&mut self) -> Result<&[u8], Fault> {
        (**self).fill()
    }
    fn eat(&mut self, count: usize) {
        (**self).eat(count);
    }
}

/// A stream that can be given to another thread, or one that is part of something that is still being read.
pub(super) enum Feed<'s, 'r> {
    Own(Box<dyn Stream + 'r>),
    Lent(&'s mut (dyn Stream + 's)),
}

/// How many bytes of one input were used so far, whatever is read of others meanwhile.
#[derive(Clone, Default)]
pub(super) struct Meter(Arc<AtomicU64>);

impl Meter {
    pub(super) fn now(&self) -> u64 {
        self.0.load(Relaxed)
    }

    fn add(&self, count: usize) {
        self.0.fetch_add(count as u64, Relaxed);
    }
}

/// A file or a pipe. Counts what comes in.
pub(super) struct FromFile<'r, R> {
    run: &'r Run<'r>,
    meter: Meter,
    file: R,
    /// Bytes that it still has of those when it was opened: what a log gains meanwhile belongs to the next run.
    left: Option<u64>,
    /// Bytes that it may have when it did not say how many it has.
    room: u64,
    block: Box<[u8]>,
    from: usize,
    to: usize,
    fault: Option<Fault>,
}

impl<'r, R: Read + Send> FromFile<'r, R> {
    pub(super) fn new(run: &'r Run<'r>, meter: Meter, file: R, size: Option<u64>) -> Self {
        let room = size.and_then(|size| usize::try_from(size).ok()).unwrap_or(FILE_BLOCK).clamp(1, FILE_BLOCK);
        Self {
            run,
            meter,
            file,
            left: size,
            room: u64::MAX,
            block: vec![0; room].into_boxed_slice(),
            from: 0,
            to: 0,
            fault: None,
        }
    }

    /// A file that is read to its end may be so long.
    pub(super) fn at_most(self, room: u64) -> Self {
        Self { room, ..self }
    }

    /// The file, for whoever goes to another place in it; `restart` follows.
    pub(super) fn file(&mut self) -> &mut R {
        &mut self.file
    }

    /// Reads so many bytes from where the file stands now.
    pub(super) fn restart(&mut self, size: u64) {
        (self.left, self.from, self.to, self.fault) = (Some(size), 0, 0, None);
    }

    /// A fault when there is to be no more.
    pub(super) fn go_on(&self) -> Result<(), Fault> {
        self.run.go_on()
    }

    fn more(&mut self) -> Result<(), Fault> {
        let room = self
            .left
            .map_or(self.block.len(), |left| usize::try_from(left).unwrap_or(self.block.len()).min(self.block.len()));
        if room == 0 {
            return Ok(());
        }
        let count = loop {
            match self.file.read(&mut self.block[..room]) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Fault::Broken(format!("It cannot be read: {error}."))),
                Ok(count) => break count,
            }
        };
        if let Some(left) = &mut self.left {
            if count == 0 {
                let why = format!("It became shorter while it was read: {left} bytes are missing.");
                return Err(Fault::Truncated(why));
            }
            *left -= count as u64;
        } else if count as u64 > self.room {
            return Err(Fault::Budget("It says that it is empty, and there is no end of it.".to_owned()));
        } else {
            self.room -= count as u64;
        }
        (self.from, self.to) = (0, count);
        self.run.came_in(count)
    }
}

impl<R: Read + Send> Stream for FromFile<'_, R> {
    fn fill(&mut self) -> Result<&[u8], Fault> {
        if self.from == self.to {
            if let Some(fault) = &self.fault {
                return Err(fault.clone());
            }
            if let Err(fault) = self.more() {
                (self.fault, self.to) = (Some(fault.clone()), self.from);
                return Err(fault);
            }
        }
        Ok(&self.block[self.from..self.to])
    }

    fn eat(&mut self, count: usize) {
        let count = count.min(self.to - self.from);
        self.from += count;
        self.meter.add(count);
    }
}

/// Bytes that were taken into memory, and counted when they were.
pub(super) struct FromMemory<'r> {
    run: &'r Run<'r>,
    bytes: Vec<u8>,
    from: usize,
}

impl<'r> FromMemory<'r> {
    pub(super) fn new(run: &'r Run<'r>, bytes: Vec<u8>) -> Self {
        run.hold(bytes.len());
        Self { run, bytes, from: 0 }
    }
}

impl Drop for FromMemory<'_> {
    fn drop(&mut self) {
        self.run.let_go(self.bytes.len());
    }
}

impl Stream for FromMemory<'_> {
    fn fill(&mut self) -> Result<&[u8], Fault> {
        self.run.go_on()?;
        Ok(&self.bytes[self.from..])
    }

    fn eat(&mut self, count: usize) {
        self.from += count;
    }
}

/// A stream of which the first bytes were looked at, or taken, before.
pub(super) struct Looked<S> {
    head: Vec<u8>,
    from: usize,
    rest: S,
}

impl<S: Stream> Looked<S> {
    pub(super) fn after(head: Vec<u8>, rest: S) -> Self {
        Self { head, from: 0, rest }
    }

    /// Looks at the first bytes, up to `count` of them. A fault is left to whoever reads that far.
    pub(super) fn at<T>(mut rest: S, count: usize, look: impl FnOnce(&[u8]) -> T) -> (Self, T) {
        let mut head = Vec::new();
        let seen = loop {
            match rest.fill() {
                Ok(block) if head.is_empty() && (block.is_empty() || block.len() >= count) => break look(block),
                Ok(block) if !block.is_empty() && head.len() < count => {
                    let part = block.len().min(count - head.len());
                    head.extend_from_slice(&block[..part]);
                    rest.eat(part);
                }
                _ => break look(&head),
            }
        };
        (Self { head, from: 0, rest }, seen)
    }
}

impl<S: Stream> Stream for Looked<S> {
    fn fill(&mut self) -> Result<&[u8], Fault> {
        if self.from < self.head.len() { Ok(&self.head[self.from..]) } else { self.rest.fill() }
    }

    fn eat(&mut self, count: usize) {
        if self.from < self.head.len() {
            self.from = self.head.len().min(self.from + count);
        } else {
            self.rest.eat(count);
        }
    }
}

/// Takes exactly so many bytes, or says how many there were.
pub(super) fn take(stream: &mut (impl Stream + ?Sized), into: &mut [u8]) -> Result<usize, Fault> {
    let mut have = 0;
    while have < into.len() {
        let block = stream.fill()?;
        if block.is_empty() {
            break;
        }
        let part = block.len().min(into.len() - have);
        into[have..have + part].copy_from_slice(&block[..part]);
        stream.eat(part);
        have += part;
    }
    Ok(have)
}

/// Passes over so many bytes, or says how many there were.
pub(super) fn skip(stream: &mut (impl Stream + ?Sized), count: u64) -> Result<u64, Fault> {
    let mut left = count;
    while left > 0 {
        let block = stream.fill()?;
        if block.is_empty() {
            break;
        }
        let part = block.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        stream.eat(part);
        left -= part as u64;
    }
    Ok(count - left)
}
