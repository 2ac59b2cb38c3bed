//! Packets as they pass an interface, from a packet socket of Linux (packet(7)).
//!
//! The socket is the caller's: of type `SOCK_DGRAM`, with `SO_TIMESTAMPNS` and `PACKET_AUXDATA` on and a receive timeout. So
//! no kind of interface needs a reader of its own: the kernel takes the link's header away, and tells its type.

use std::io::{self, IoSliceMut};
use std::os::fd::RawFd;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use nix::errno::Errno;
use nix::sys::socket::{ControlMessageOwned, LinkAddr, MsgFlags, MultiHeaders, RecvMsg, UnknownCmsg, recvmmsg};
use nix::sys::time::TimeSpec;

use super::decode::Decoder;
use super::frames::Record;
use super::link::Link;
use super::skip::Skipped;
use super::{BATCH, Packet};

/// Bytes of a packet that are looked at, at most: all headers, and the first record of TLS.
const SNAP: usize = 2048;
/// Bytes of `struct tpacket_auxdata` of <linux/if_packet.h>.
const AUXDATA: usize = 20;
/// SOL_PACKET and PACKET_AUXDATA.
const PACKET_AUXDATA: (i32, i32) = (263, 8);
/// TP_STATUS_VLAN_VALID: there was a tag.
const VLAN_VALID: u32 = 1 << 4;

/// An interface that is listened to. It keeps no packet, only counts.
pub struct Live {
    decoder: Decoder,
    buffers: Vec<u8>,
    records: u64,
    packets: u64,
    skipped: Skipped,
}

/// What the kernel says of a packet beside its bytes.
#[derive(Clone, Copy, Default)]
struct Aside {
    at: Option<u64>,
    /// Bytes on the wire, from the network's header on.
    length: Option<u32>,
    vlan: u16,
}

impl Default for Live {
    fn default() -> Self {
        Self {
            decoder: Decoder::default(),
            buffers: vec![0; SNAP * BATCH],
            records: 0,
            packets: 0,
            skipped: Skipped::default(),
        }
    }
}

impl Live {
    /// Tells the packets that come until then, in batches of one to [`BATCH`]. It may take longer by the socket's timeout.
    ///
    /// # Errors
    ///
    /// What reading from the socket says: a signal came (`Interrupted`), the interface is down (`ENETDOWN`), it is no socket.
    pub fn read(&mut self, socket: RawFd, until: Instant, mut tell: impl FnMut(&[Packet<'_>])) -> io::Result<()> {
        while Instant::now() < until {
            match self.take(socket, &mut tell) {
                Ok(()) | Err(Errno::EAGAIN) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// How many packets were told.
    pub fn packets(&self) -> u64 {
        self.packets
    }

    /// What else came, by the reason why it was not told.
    pub fn skipped(&self) -> &Skipped {
        &self.skipped
    }

    /// One batch: waits for its first packet, and for no other.
    fn take(&mut self, socket: RawFd, tell: &mut impl FnMut(&[Packet<'_>])) -> Result<(), Errno> {
        let mut slices: Vec<_> = self.buffers.chunks_exact_mut(SNAP).map(|buffer| [IoSliceMut::new(buffer)]).collect();
        // New ones each time: the kernel writes into them how much room it needed, and takes that for what there is.
        let space = nix::cmsg_space!(TimeSpec, [u8; AUXDATA]);
        let mut headers = MultiHeaders::<LinkAddr>::preallocate(BATCH, Some(space));
        let came = recvmmsg(socket, &mut headers, &mut slices, MsgFlags::MSG_WAITFORONE, None)?;
        let mut batch = Vec::with_capacity(BATCH);
        for message in came {
            self.records = self.records.saturating_add(1);
            let mut packet = Packet { frame: self.records, ..Packet::NONE };
            match self.decoder.packet(&record(&message), &mut packet) {
                Ok(()) => batch.push(packet),
                Err(skip) => self.skipped.count(skip),
            }
        }
        self.packets = self.packets.saturating_add(batch.len() as u64);
        if !batch.is_empty() {
            tell(&batch);
        }
        Ok(())
    }
}

fn record<'b>(message: &RecvMsg<'b, 'b, LinkAddr>) -> Record<'b> {
    let bytes = message.iovs().next().unwrap_or_default();
    let aside = Aside::of(message);
    let kind = message.address.map_or(0, |address| u16::from_be(address.protocol()));
    Record {
        at: aside.at.unwrap_or_else(now),
        link: Some(Link::Told { kind, vlan: aside.vlan }),
        length: aside.length.unwrap_or(u32::try_from(bytes.len()).unwrap_or(u32::MAX)),
        bytes,
    }
}

impl Aside {
    fn of(message: &RecvMsg<'_, '_, LinkAddr>) -> Self {
        let mut aside = Self::default();
        for said in message.cmsgs().into_iter().flatten() {
            match said {
                ControlMessageOwned::ScmTimestampns(at) => aside.at = nanoseconds(&at),
                ControlMessageOwned::Unknown(said) => aside.hear(&said),
                _ => {}
            }
        }
        aside
    }

    /// `struct tpacket_auxdata`: status, length, kept length, two offsets, VLAN tag and its type.
    fn hear(&mut self, said: &UnknownCmsg) {
        let header = (said.cmsg_header.cmsg_level, said.cmsg_header.cmsg_type);
        if header != PACKET_AUXDATA {
            return;
        }
        let number = |at: usize| said.data_bytes.get(at..).and_then(|rest| rest.first_chunk()).copied();
        let status = number(0).map_or(0, u32::from_ne_bytes);
        self.length = number(4).map(u32::from_ne_bytes);
        if let Some([low, high, ..]) = number(16).filter(|_| status & VLAN_VALID != 0) {
            self.vlan = u16::from_ne_bytes([low, high]);
        }
    }
}

/// Nanoseconds since 1970.
fn nanoseconds(at: &TimeSpec) -> Option<u64> {
    let (seconds, rest) = (u64::try_from(at.tv_sec()).ok()?, u64::try_from(at.tv_nsec()).ok()?);
    Some(seconds.saturating_mul(1_000_000_000).saturating_add(rest))
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
