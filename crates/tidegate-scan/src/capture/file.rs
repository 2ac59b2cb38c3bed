//! One capture, whose bytes come block by block.

use super::decode::Decoder;
use super::frames::{Frames, Step};
use super::skip::{Skip, Skipped};
use super::{BATCH, File, Packet};
use crate::source::Ended;

/// A capture that is being read. Of its bytes it keeps none but those of a record that has begun.
#[derive(Clone, Debug)]
pub struct Capture {
    index: u32,
    path: String,
    frames: Frames,
    decoder: Decoder,
    /// The beginning of a record whose end is in the next block.
    begun: Vec<u8>,
    /// Bytes that come next and are of no interest.
    pass: usize,
    /// What comes cannot be read.
    lost: bool,
    records: u64,
    packets: u64,
    skipped: Skipped,
}

/// What came of some bytes.
enum Taken {
    Packet(usize),
    Nothing(usize),
    More(usize),
}

impl Capture {
    /// Nothing of it was read yet. What is told of it has this number and this path.
    pub fn new(index: u32, path: String) -> Self {
        Self {
            index,
            path,
            frames: Frames::New,
            decoder: Decoder::default(),
            begun: Vec::new(),
            pass: 0,
            lost: false,
            records: 0,
            packets: 0,
            skipped: Skipped::default(),
        }
    }

    /// The next bytes. The packets in them are told in batches, of one to [`BATCH`] each.
    pub fn data(&mut self, block: &[u8], mut tell: impl FnMut(&[Packet<'_>])) {
        let others = self.finish(block, &mut tell);
        let mut rest = self.passed(others);
        let mut batch = [Packet::NONE; BATCH];
        let mut count = 0_usize;
        while let Some(packet) = batch.get_mut(count).filter(|_| !rest.is_empty()) {
            match self.take(rest, packet) {
                Taken::Packet(used) => {
                    count = count.saturating_add(1);
                    self.pass = used;
                }
                Taken::Nothing(used) => self.pass = used,
                Taken::More(_) => {
                    self.begun.extend_from_slice(rest);
                    break;
                }
            }
            rest = self.passed(rest);
            if count == BATCH {
                tell(&batch);
                count = 0;
            }
        }
        if let Some(some @ [_, ..]) = batch.get(..count) {
            tell(some);
        }
    }

    /// There is no more, and this is how it ended.
    pub fn end(mut self, ended: Ended) -> File {
        let format = self.frames.format();
        let within = self.pass > 0 || !self.begun.is_empty();
        if format.is_some() && within && !self.lost {
            self.count(Skip::RecordCut);
        }
        let Self { index, path, records, packets, skipped, .. } = self;
        File { index, path, format, ended, records, packets, skipped }
    }

    /// Puts what has begun and what comes together, as far as it is needed; returns the others.
    fn finish<'b>(&mut self, block: &'b [u8], tell: &mut impl FnMut(&[Packet<'_>])) -> &'b [u8] {
        let mut rest = block;
        let mut begun = std::mem::take(&mut self.begun);
        while !begun.is_empty() {
            let mut packet = Packet::NONE;
            match self.take(&begun, &mut packet) {
                Taken::Packet(used) => {
                    tell(&[packet]);
                    self.pass = used;
                }
                Taken::Nothing(used) => self.pass = used,
                Taken::More(_) if rest.is_empty() => {
                    self.begun = begun;
                    return rest;
                }
                Taken::More(wanted) => {
                    let count = wanted.saturating_sub(begun.len()).clamp(1, rest.len());
                    let (first, others) = rest.split_at(count);
                    begun.extend_from_slice(first);
                    rest = others;
                }
            }
            let count = self.pass.min(begun.len());
            begun.drain(..count);
            self.pass = self.pass.saturating_sub(count);
        }
        rest
    }

    /// What is left of these bytes without those of no interest.
    fn passed<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let count = self.pass.min(bytes.len());
        self.pass = self.pass.saturating_sub(count);
        bytes.get(count..).unwrap_or_default()
    }

    #[inline]
    fn take<'b>(&mut self, bytes: &'b [u8], packet: &mut Packet<'b>) -> Taken {
        if self.lost {
            return Taken::Nothing(usize::MAX);
        }
        match self.frames.step(bytes) {
            Step::Record(used, record) => match self.decoder.packet(&record, packet) {
                Ok(()) => {
                    self.records = self.records.saturating_add(1);
                    self.packets = self.packets.saturating_add(1);
                    (packet.file, packet.frame) = (self.index, self.records);
                    Taken::Packet(used)
                }
                Err(skip) => {
                    self.count(skip);
                    Taken::Nothing(used)
                }
            },
            Step::Pass(used, skip) => {
                skip.into_iter().for_each(|skip| self.count(skip));
                Taken::Nothing(used)
            }
            Step::More(wanted) => Taken::More(wanted),
            Step::Lost(skip) => {
                self.count(skip);
                self.lost = true;
                Taken::Nothing(usize::MAX)
            }
        }
    }

    /// A record that is no packet.
    fn count(&mut self, skip: Skip) {
        self.records = self.records.saturating_add(1);
        self.skipped.count(skip);
    }
}
