//! Records out of the bytes of a file, whatever its format.

use super::Format;
use super::link::Link;
use super::pcap::Pcap;
use super::pcapng::PcapNg;
use super::skip::Skip;

/// Bytes of a record, at most: what a network card is given at a time is at most half of it. Longer ones are damage.
pub(super) const LONGEST: usize = 1 << 20;

/// One record, as it was captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record<'b> {
    /// Nanoseconds since 1970.
    pub(super) at: u64,
    /// `None`: of a type that is not read.
    pub(super) link: Option<Link>,
    /// Bytes that it had on the wire.
    pub(super) length: u32,
    /// Bytes of it that were kept.
    pub(super) bytes: &'b [u8],
}

/// What the next bytes of a file are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step<'b> {
    /// A record, which takes so many bytes, at least one and perhaps more than are there.
    Record(usize, Record<'b>),
    /// So many bytes, at least one and perhaps more than are there, that hold no record, or one that cannot be read.
    Pass(usize, Option<Skip>),
    /// It cannot be told before so many bytes are there, which is more than there are.
    More(usize),
    /// Nothing that follows can be read.
    Lost(Skip),
}

/// A file, read up to some place.
#[derive(Clone, Debug)]
pub(super) enum Frames {
    /// Nothing of it was seen.
    New,
    Pcap(Pcap),
    PcapNg(PcapNg),
    /// It is no capture.
    Other,
}

impl Frames {
    /// The format, if it is known to be a capture.
    pub(super) fn format(&self) -> Option<Format> {
        match self {
            Self::New | Self::Other => None,
            Self::Pcap(_) => Some(Format::Pcap),
            Self::PcapNg(_) => Some(Format::PcapNg),
        }
    }

    /// What the next bytes are. Asked again with the same bytes after [`Step::More`], and after more of them came.
    #[inline]
    pub(super) fn step<'b>(&mut self, bytes: &'b [u8]) -> Step<'b> {
        loop {
            match self {
                Self::New => {
                    let Some(head) = bytes.first_chunk() else { return Step::More(4) };
                    let pcap = Pcap::begins(*head).map(Self::Pcap);
                    // The first bytes of pcapng may be any text's; the next ones are not.
                    let long = bytes.first_chunk();
                    if pcap.is_none() && long.is_none() {
                        return Step::More(12);
                    }
                    let pcapng = || long.and_then(PcapNg::begins).map(Self::PcapNg);
                    *self = pcap.or_else(pcapng).unwrap_or(Self::Other);
                }
                Self::Pcap(file) => return file.step(bytes),
                Self::PcapNg(file) => return file.step(bytes),
                Self::Other => return Step::Pass(usize::MAX, None),
            }
        }
    }
}
