//! The way in: packets become segments, flows are stepped, and what is not quiet is shown to the findings.

use std::hash::{BuildHasher, RandomState};

use tidegate_core::flow::{Flow, Key, Note, Role, Seek, Segment, Side, Table, profile};
use tidegate_core::time::{Nanos, Span};

use super::cold::{Cold, Passing, bit};
use super::desk::{Desk, Seen};
use super::found::Frame;
use super::look::{Before, Bucket, Ended, Leaving, Live};
use super::report::{Report, report};
use crate::capture::{BATCH, Body, File, Packet, Sink, Tcp, flag};
use crate::source::Trouble;

/// A packet after so long a silence is not quiet: the shortest time that any profile keeps a flow for which it matters.
const SILENCE: Span = Span::secs(30);
/// Shards are told apart by other bits than the places of a table.
const SHARDS: u64 = 0x7469_6465_7368_6172;

/// How much is kept of flows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Flows that are kept at a time, at most (1 to 16 million). About 150 bytes each.
    pub flows_max: usize,
    /// Keeps strangers from choosing tuples that collide in the table; it decides nothing else. By default nobody can foresee it.
    pub seed: u64,
    /// Also tell of each flow ([`Report::each`]).
    pub each: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options { flows_max: 1_000_000, seed: RandomState::new().hash_one(0_u64), each: false }
    }
}

/// All flows of the captures that it is told, or one shard of them.
pub struct Flows {
    pub(super) table: Table<Cold>,
    /// Those of the shards that were taken over.
    pub(super) others: Vec<Table<Cold>>,
    pub(super) desk: Desk,
    shard: u64,
    shards: u64,
}

/// Where a packet belongs to.
#[derive(Clone, Copy)]
struct Place {
    /// Its place in the batch.
    of: usize,
    side: Side,
    frame: Frame,
}

impl Flows {
    /// No packet was told yet.
    pub fn new(options: &Options) -> Flows {
        Flows::shard(options, 0, 1)
    }

    /// The same for every flow whose number is `shard` of `shards`: it is to be told all packets, and steps only its own.
    pub fn shard(options: &Options, shard: u32, shards: u32) -> Flows {
        let room = options.flows_max.div_ceil(shards.max(1) as usize);
        Flows {
            table: Table::new(room, options.seed),
            others: Vec::new(),
            desk: Desk::new(options.each),
            shard: u64::from(shard),
            shards: u64::from(shards.max(1)),
        }
    }

    /// Takes over another shard that was told the same packets. The order does not matter.
    pub fn absorb(&mut self, other: Flows) {
        self.others.push(other.table);
        self.others.extend(other.others);
        self.desk.absorb(other.desk);
    }

    /// What there is to say so far.
    pub fn report(&self) -> Report {
        report(self)
    }

    /// What there is to say at the end.
    pub fn finish(self) -> Report {
        report(&self)
    }

    /// All tables.
    pub(super) fn tables(&self) -> impl Iterator<Item = &Table<Cold>> {
        std::iter::once(&self.table).chain(&self.others)
    }

    /// All flows that stand.
    pub(super) fn live(&self) -> impl Iterator<Item = Live<'_>> {
        self.tables().flat_map(Table::iter).map(|record| {
            let (key, flow) = (record.key(), record.flow());
            Live { key, bucket: Bucket::of(key, flow.initiator()), flow, cold: &record.value }
        })
    }

    /// The tuple of a packet, if its flow belongs to this shard.
    fn place(&mut self, of: usize, packet: &Packet<'_>) -> Option<(Key, Place)> {
        let frame = self.desk.clock(packet);
        let (source, target, ports) = match &packet.body {
            Body::Tcp(tcp) => (&packet.source, &packet.target, (tcp.source, tcp.target)),
            Body::Unreachable(word) => (&word.source, &word.target, (word.source_port, word.target_port)),
        };
        let (source, target) = self.desk.numbers(source, target, &packet.net)?;
        let (key, side) = Key::of(source, ports.0, target, ports.1);
        let ours = self.shards == 1 || key.hash(SHARDS).checked_rem(self.shards) == Some(self.shard);
        ours.then_some((key, Place { of, side, frame }))
    }

    fn batch(&mut self, batch: &[Packet<'_>]) {
        let mut seeks = [self.table.seek(Key::default()); BATCH];
        let mut places = [Place { of: 0, side: Side::Low, frame: Frame::default() }; BATCH];
        let mut count = 0_usize;
        self.desk.hosts.touch(batch);
        for (of, packet) in batch.iter().enumerate() {
            if let Some((key, placed)) = self.place(of, packet)
                && let (Some(seek), Some(place)) = (seeks.get_mut(count), places.get_mut(count))
            {
                (*seek, *place) = (self.table.seek(key), placed);
                count = count.saturating_add(1);
            }
        }
        let seeks = seeks.get_mut(..count).unwrap_or_default();
        self.table.touch(seeks);
        for (seek, place) in seeks.iter().zip(places) {
            match batch.get(place.of).map(|packet| (packet, &packet.body)) {
                Some((packet, Body::Tcp(tcp))) => self.take(packet, tcp, seek, place),
                Some((packet, Body::Unreachable(word))) => {
                    let key = seek.key();
                    let flow = self.table.get(key).map(|record| record.flow());
                    self.desk.undelivered((packet, word), place.frame, (key, place.side), flow);
                }
                None => {}
            }
        }
    }

    /// Steps the flow of a segment.
    fn take(&mut self, packet: &Packet<'_>, tcp: &Tcp<'_>, seek: &Seek, place: Place) {
        let key = seek.key();
        let Place { side, frame, .. } = place;
        let at = Nanos(packet.at);
        let segment = segment(tcp, side, at);
        let (mut before, mut role, mut was) = (Before::default(), Role::Initiator, None);
        let turn = self.table.alter_at(seek, |flow| {
            (before, role) = (Before::of(flow), flow.role(&segment));
            // Only what begins a flow can end the one before it.
            was = (tcp.flags & flag::SYN != 0).then_some(*flow);
            flow.step(&segment, &profile::LINUX)
        });
        let step = turn.answer;
        let ms = self.desk.ms(packet.at);
        if let Some(gone) = turn.evicted {
            self.desk.over(&Ended::of(gone.key(), *gone.flow(), gone.value, Leaving::Evicted, at, ms));
        }
        if turn.refused {
            self.desk.refuse();
        }
        let mut none = Cold::default();
        let (flow, cold) = match turn.record.map(|record| record.parts()) {
            Some((flow, cold)) => (Some(flow), cold),
            None => (None, &mut none),
        };
        let begins = flow.is_some_and(|flow| before.begins(flow, step.note));
        if let Some(flow) = flow.filter(|_| begins) {
            role = if flow.initiator() == side { Role::Initiator } else { Role::Responder };
        }
        let passing = Passing {
            side,
            role,
            ms,
            note: step.note,
            copied: before.copied(step.note, at),
            flags: tcp.flags,
            data: tcp.length > 0,
        };
        self.desk.settle(key, &step);
        if begins {
            let old = std::mem::replace(cold, Cold::begin(&frame, ms, cold));
            if let Some(was) = was.filter(|was| was.generation() > 0) {
                self.desk.over(&Ended::of(key, was, old, Leaving::Renewed, at, ms));
            }
            self.desk.begin(&frame, key);
        }
        let new_data = passing.data && !cold.has(bit::DATA, side);
        let quiet = step.note == Note::Quiet
            && step.lapsed.is_none()
            && !new_data
            && cold.calm()
            && before.silent(at) < SILENCE;
        cold.count(&passing, packet, &frame);
        self.desk.trace(key, &frame, &step, tcp);
        if quiet {
            self.desk.quiet();
        } else {
            self.desk.see(Seen { packet, tcp, frame, at, ms, key, side, role, step, before, flow, cold });
        }
    }
}

fn segment(tcp: &Tcp<'_>, from: Side, at: Nanos) -> Segment {
    let Tcp { seq, ack, flags, window, wscale, length, .. } = *tcp;
    Segment { from, flags, seq, ack, len: length, window, wscale, at }
}

impl Sink for Flows {
    fn packets(&mut self, batch: &[Packet<'_>]) {
        batch.chunks(BATCH).for_each(|batch| self.batch(batch));
    }

    fn end(&mut self, file: File) {
        self.desk.end(file);
    }

    fn trouble(&mut self, _trouble: Trouble) {}
}

impl Ended {
    fn of(key: Key, flow: Flow, cold: Cold, how: Leaving, at: Nanos, ms: u32) -> Ended {
        Ended { key, bucket: Bucket::of(key, flow.initiator()), flow, cold, how, at, ms }
    }
}
