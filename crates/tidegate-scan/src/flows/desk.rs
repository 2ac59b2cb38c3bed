//! What is known beside the table of flows: counts, findings, names. One for each shard.

use std::net::IpAddr;

use tidegate_core::flow::{Flow, Key, Note, Outcome, Role, Side, State, Step, profile};
use tidegate_core::time::Nanos;

use super::census::Census;
use super::cold::{Cold, bit};
use super::dispatch::Findings;
use super::each::Each;
use super::files::Files;
use super::found::Frame;
use super::hosts::Hosts;
use super::ladder::Ladders;
use super::look::{Before, Bucket, Ended, Look, Undelivered};
use super::notes::Notes;
use super::series::Series;
use crate::capture::{File, Net, Packet, Tcp, Unreachable, flag};

/// Nanoseconds.
pub(super) const SECOND: u64 = 1_000_000_000;
/// Points of what is told over time, at most. They begin at a second each.
const POINTS: usize = 4096;

/// A segment that was stepped.
pub(crate) struct Seen<'a, 'p> {
    pub packet: &'a Packet<'p>,
    pub tcp: &'a Tcp<'p>,
    pub frame: Frame,
    pub at: Nanos,
    pub ms: u32,
    pub key: Key,
    pub side: Side,
    pub role: Role,
    pub step: Step,
    pub before: Before,
    pub flow: Option<&'a Flow>,
    pub cold: &'a mut Cold,
}

/// When Linux forgets a flow that nothing more is heard of.
pub(super) fn kept(flow: &Flow) -> Nanos {
    Nanos(flow.last().0.saturating_add(profile::LINUX.idle(flow.state()).0))
}

/// The desk.
#[derive(Clone, Debug, Default)]
pub(crate) struct Desk {
    pub hosts: Hosts,
    pub findings: Findings,
    pub ladders: Ladders,
    pub files: Files,
    pub notes: Notes,
    /// Flows that are gone.
    pub census: Census,
    pub each: Option<Each>,
    /// Opened, answered, established, refused; by the second since 1970.
    pub handshakes: Series<4, 1, POINTS>,
    /// Handshakes that began, and that were over one way or the other.
    pub half_open: Series<2, 1, POINTS>,
    /// Packets, this shard's or not.
    pub packets: u64,
    /// Packets whose hosts found no number.
    pub unplaced: u64,
    /// When the first packet came.
    pub base: Option<u64>,
    /// The earliest and the latest.
    pub span: (u64, u64),
    /// Incarnations that began.
    pub flows: u64,
    /// Segments of flows that there was no room for.
    pub refused: u64,
}

impl Desk {
    /// Nothing was told yet. `each`: remember every flow.
    pub fn new(each: bool) -> Desk {
        Desk { each: each.then(Each::default), ..Desk::default() }
    }

    /// A packet comes, of whatever shard: gives it its number.
    pub fn clock(&mut self, packet: &Packet<'_>) -> Frame {
        self.packets = self.packets.saturating_add(1);
        if self.base.is_none() {
            (self.base, self.span) = (Some(packet.at), (packet.at, packet.at));
        }
        self.span = (self.span.0.min(packet.at), self.span.1.max(packet.at));
        Frame { number: self.packets, file: self.files.place(packet), frame: packet.frame }
    }

    /// The numbers of two hosts.
    #[inline]
    pub fn numbers(&mut self, source: &IpAddr, target: &IpAddr, net: &Net) -> Option<(u32, u32)> {
        let both = self.hosts.number(source, net).zip(self.hosts.number(target, net));
        if both.is_none() {
            self.unplaced = self.unplaced.saturating_add(1);
        }
        both
    }

    /// Milliseconds since the first packet.
    pub fn ms(&self, at: u64) -> u32 {
        let since = at.saturating_sub(self.base.unwrap_or(at));
        u32::try_from(since / 1_000_000).unwrap_or(u32::MAX)
    }

    /// Whether there were times that [`Desk::ms`] has no number for: 49 days after the first packet, or a minute before it.
    pub fn leaps(&self) -> bool {
        let (first, (earliest, latest)) = (self.base.unwrap_or(0), self.span);
        latest.saturating_sub(first) / 1_000_000 > u64::from(u32::MAX) || first.saturating_sub(earliest) > 60 * SECOND
    }

    /// A file was read to its end.
    pub fn end(&mut self, file: File) {
        self.files.end(file);
    }

    /// An incarnation began.
    pub fn begin(&mut self, frame: &Frame, key: Key) {
        self.flows = self.flows.saturating_add(1);
        self.files.begin(frame.file);
        if let Some(each) = &mut self.each {
            each.begin(key, frame);
        }
    }

    /// An incarnation is no longer in the table.
    pub fn over(&mut self, ended: &Ended) {
        self.census.count(&ended.flow, &ended.cold);
        self.files.state(u32::from(ended.cold.file), ended.flow.state());
        if ended.flow.state().half_open() {
            self.half_open.add(kept(&ended.flow).min(ended.at).0 / SECOND, 1, 1);
        }
        self.findings.over(ended);
        if let Some(each) = &mut self.each {
            each.over(ended.key, &ended.flow, &ended.cold);
        }
    }

    /// There was no room for a flow.
    pub fn refuse(&mut self) {
        self.refused = self.refused.saturating_add(1);
    }

    /// A segment that nobody is shown.
    pub fn quiet(&mut self) {
        self.notes.quiet();
    }

    /// Every segment, when each flow is told. A RST that answers somebody else's SYN is none of the flow.
    pub fn trace(&mut self, key: Key, frame: &Frame, step: &Step, tcp: &Tcp<'_>) {
        if let Some(each) = &mut self.each {
            let reset = tcp.flags & flag::RST != 0 && step.note != Note::Settled(Outcome::Rejected);
            each.see(key, frame, step, reset);
        }
    }

    /// Every segment, before it may begin an incarnation.
    pub fn settle(&mut self, key: Key, step: &Step) {
        if let Some(each) = &mut self.each {
            each.settle(key, step);
        }
    }

    /// A segment that may mean something.
    pub fn see(&mut self, seen: Seen<'_, '_>) {
        let Seen { packet, tcp, frame, at, ms, key, side, role, step, before, flow, cold } = seen;
        self.count(&frame, &step, packet.at);
        if flow.is_some() {
            self.gauge(&step, packet.at);
        }
        let bucket = match flow {
            Some(flow) => Bucket::of(key, flow.initiator()),
            None if before.state != State::None => Bucket::of(key, before.initiator),
            None => Bucket::of(key, if role == Role::Initiator { side } else { side.other() }),
        };
        let ladders = &mut self.ladders;
        let mut look = Look { packet, tcp, frame, at, ms, key, side, role, step, before, flow, cold, bucket, ladders };
        self.findings.note(&mut look);
        if look.cold.is(bit::WATCHED) && !look.ladders.add(key, side, frame, tcp, packet.at, step.note) {
            look.cold.bits &= !bit::WATCHED;
        }
    }

    /// Counts what it meant.
    fn count(&mut self, frame: &Frame, step: &Step, at: u64) {
        self.notes.count(step.note);
        let settled = if let Note::Settled(outcome) = step.note { Some(outcome) } else { None };
        settled.into_iter().chain(step.lapsed).for_each(|outcome| self.files.outcome(frame.file, outcome));
        if step.note == Note::RetrySucceeded {
            self.files.retried(frame.file);
        }
        let more = [
            matches!(step.note, Note::Opened | Note::Renewed),
            step.after == State::SynReceived && step.before != State::SynReceived,
            matches!(step.note, Note::Established | Note::RetrySucceeded),
            step.note == Note::Refused,
        ];
        if more.contains(&true) {
            self.handshakes.add_all(at / SECOND, more.map(i32::from));
        }
    }

    /// Counts handshakes that begin and that are over.
    fn gauge(&mut self, step: &Step, at: u64) {
        // What renews a half-open flow was told that the one before it is over.
        let (is, was) = (step.after.half_open(), step.before.half_open());
        if is != was || step.note == Note::Renewed {
            self.half_open.add(at / SECOND, usize::from(!is), 1);
        }
    }

    /// Word that a segment could not be delivered.
    pub fn undelivered(
        &mut self,
        word: (&Packet<'_>, &Unreachable),
        frame: Frame,
        tuple: (Key, Side),
        flow: Option<&Flow>,
    ) {
        let ((packet, unreachable), (key, side)) = (word, tuple);
        let (at, ms) = (Nanos(packet.at), self.ms(packet.at));
        let word = Undelivered { packet, unreachable, frame, at, ms, key, side, flow };
        self.findings.unreachable(&word);
    }

    /// Takes over that of another shard, which was told the same packets.
    pub fn absorb(&mut self, other: Desk) {
        // Packets, times and hosts are the same in all shards, unless one was stopped early.
        if other.packets > self.packets {
            (self.packets, self.base, self.span) = (other.packets, other.base, other.span);
            (self.hosts, self.unplaced) = (other.hosts, other.unplaced);
        }
        self.findings.absorb(other.findings);
        self.ladders.absorb(other.ladders);
        self.files.absorb(other.files);
        self.notes.absorb(&other.notes);
        self.census.absorb(&other.census);
        self.handshakes.absorb(other.handshakes);
        self.half_open.absorb(other.half_open);
        if let (Some(each), Some(more)) = (&mut self.each, other.each) {
            each.absorb(more);
        }
        self.flows = self.flows.saturating_add(other.flows);
        self.refused = self.refused.saturating_add(other.refused);
    }
}
