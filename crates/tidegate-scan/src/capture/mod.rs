//! Captures: packets of TCP, in the order in which they stand in a file, or in the order of time in several.
//!
//! ```text
//! source   files, folders, archives, gzip, stdin ──► blocks of bytes, one member at a time
//! frames   pcap and pcapng                        ──► records: a time, a link type, the bytes that were kept
//! link     Ethernet, VLAN, SLL, loopback, raw     ──► where IP begins, and in which network
//! decode   IPv4, IPv6, tunnels, fragments         ──► a [`Packet`]: TCP, or word that something is unreachable
//! ```
//!
//! A packet borrows from the block that it was read into: nothing is copied but records on the edge of two blocks. What
//! cannot be read is counted by its reason ([`Skip`]), and reading goes on after it. Checksums are not looked at: what a
//! machine sends is captured before its network card has filled them in.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

mod bytes;
mod chunk;
mod decode;
pub mod f5;
mod file;
mod fragments;
mod frames;
mod ip;
mod link;
#[cfg(target_os = "linux")]
mod live;
mod merge;
mod packet;
mod pcap;
mod pcapng;
mod read;
mod skip;
mod tcp;
pub mod tls;
mod tunnel;
mod units;

pub use file::Capture;
#[cfg(target_os = "linux")]
pub use live::Live;
pub use merge::read_merged;
pub use packet::{Body, Net, Packet, Tcp, Unreachable, flag};
pub use read::read;
pub use skip::{Skip, Skipped};

use crate::source::{Ended, Trouble};

/// How the records of a file are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// What `tcpdump -w` writes.
    Pcap,
    /// What Wireshark writes.
    PcapNg,
}

/// What was read of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Its number, from 0: [`Packet::file`] names it.
    pub index: u32,
    /// For people: `night.zip!esx-a/vmk0.pcap.gz`. Not cleaned of control characters.
    pub path: String,
    /// `None`: it is no capture, and nothing else was read of it.
    pub format: Option<Format>,
    /// How the bytes ended. A capture whose last record is cut short counts that as [`Skip::RecordCut`].
    pub ended: Ended,
    /// Records in it, those that were skipped among them.
    pub records: u64,
    /// Packets that the sink was given.
    pub packets: u64,
    /// The others, by their reason.
    pub skipped: Skipped,
}

/// Takes what is read.
pub trait Sink: Send {
    /// Packets that follow one another, at least one and at most [`BATCH`]; all of one file unless files are merged.
    fn packets(&mut self, batch: &[Packet<'_>]);
    /// There is no more of a file.
    fn end(&mut self, file: File);
    /// Something is wrong with what was to be read.
    fn trouble(&mut self, trouble: Trouble);
}

/// Packets that a sink is given at a time, at most: enough to look up their flows side by side.
pub const BATCH: usize = 32;

/// Bytes by which a capture is known.
pub const HEAD: usize = 12;

/// Whether a file that begins with these bytes, [`HEAD`] of them, is a capture.
pub fn begins(head: &[u8]) -> bool {
    let mut frames = frames::Frames::New;
    frames.step(head);
    frames.format().is_some()
}
