//! The files that packets came from, and what was in each.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;
use tidegate_core::flow::{Outcome, State};

use crate::capture::{File, Format, Packet};
use crate::source::Ended;

/// What a report says of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FileLine {
    /// For people: `night.zip!esx-a/vmk0.pcap.gz`. Not cleaned of control characters.
    pub path: String,
    /// `pcap` or `pcapng`.
    pub format: &'static str,
    /// Packets of TCP, and word that one could not be delivered.
    pub packets: u64,
    /// Records, those that were skipped among them.
    pub records: u64,
    /// The skipped ones, by reason.
    pub skipped: BTreeMap<&'static str, u64>,
    /// Flows whose first packet is in it.
    pub flows: u64,
    /// What became of these flows: how many by their last state.
    pub states: BTreeMap<&'static str, u64>,
    /// How SYNs on live tuples came out in it.
    pub outcomes: BTreeMap<&'static str, u64>,
    /// The earliest packet, in nanoseconds since 1970; 0 without packets.
    pub from: u64,
    /// The latest one.
    pub to: u64,
    /// How it ended: `whole`, `truncated`, `broken`, `budget`.
    pub ended: &'static str,
    /// The same in words, unless it is whole.
    pub detail: String,
}

/// What is counted of a file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    index: u32,
    from: u64,
    to: u64,
    flows: u64,
    states: [u64; State::ALL.len()],
    outcomes: [u64; Outcome::ALL.len()],
    retried: u64,
}

/// All files.
#[derive(Clone, Debug, Default)]
pub(crate) struct Files {
    /// In the order in which they were seen: the place of each is the number that frames name.
    tallies: Vec<Tally>,
    places: HashMap<u32, u32>,
    last: Option<(u32, u32)>,
    ended: Vec<File>,
}

impl Files {
    /// The number of the file of a packet.
    pub fn place(&mut self, packet: &Packet<'_>) -> u32 {
        let place = match self.last {
            Some((index, place)) if index == packet.file => place,
            _ => self.find(packet),
        };
        if let Some(tally) = self.tallies.get_mut(place as usize) {
            (tally.from, tally.to) = (tally.from.min(packet.at), tally.to.max(packet.at));
        }
        place
    }

    fn find(&mut self, packet: &Packet<'_>) -> u32 {
        let next = u32::try_from(self.tallies.len()).unwrap_or(u32::MAX);
        let place = *self.places.entry(packet.file).or_insert(next);
        if place == next {
            self.tallies.push(Tally { index: packet.file, from: packet.at, to: packet.at, ..Tally::default() });
        }
        self.last = Some((packet.file, place));
        place
    }

    /// A file was read to its end.
    pub fn end(&mut self, file: File) {
        if file.format.is_some() {
            self.ended.push(file);
        }
    }

    /// A flow began in a file.
    pub fn begin(&mut self, place: u32) {
        self.tell(place, |tally| tally.flows = tally.flows.saturating_add(1));
    }

    /// A flow that began in a file came to a state.
    pub fn state(&mut self, place: u32, state: State) {
        self.tell(place, |tally| {
            if let Some(count) = tally.states.get_mut(state as usize) {
                *count = count.saturating_add(1);
            }
        });
    }

    /// A SYN on a live tuple came to an outcome.
    pub fn outcome(&mut self, place: u32, outcome: Outcome) {
        self.tell(place, |tally| {
            if let Some(count) = tally.outcomes.get_mut(outcome as usize) {
                *count = count.saturating_add(1);
            }
        });
    }

    /// And its sender succeeded at last.
    pub fn retried(&mut self, place: u32) {
        self.tell(place, |tally| tally.retried = tally.retried.saturating_add(1));
    }

    fn tell(&mut self, place: u32, tell: impl FnOnce(&mut Tally)) {
        self.tallies.get_mut(place as usize).map(tell);
    }

    /// Takes over what another shard counted, which was told the same packets.
    pub fn absorb(&mut self, other: Files) {
        for (tally, more) in self.tallies.iter_mut().zip(&other.tallies) {
            tally.flows = tally.flows.saturating_add(more.flows);
            tally.retried = tally.retried.saturating_add(more.retried);
            let states = tally.states.iter_mut().zip(more.states);
            let outcomes = tally.outcomes.iter_mut().zip(more.outcomes);
            states.chain(outcomes).for_each(|(count, more)| *count = count.saturating_add(more));
        }
        // One that was stopped early may have seen less.
        if self.ended.len() < other.ended.len() {
            self.ended = other.ended;
        }
    }

    /// The lines of the report in the order of the files, and for each number that frames name the place of its line.
    pub fn lines(&self) -> (Vec<FileLine>, Vec<u32>) {
        let mut ended: Vec<&File> = self.ended.iter().collect();
        ended.sort_by_key(|file| file.index);
        let none = Tally::default();
        let tally = |file: &File| self.places.get(&file.index).and_then(|place| self.tallies.get(*place as usize));
        let lines = ended.iter().map(|file| line(file, tally(file).unwrap_or(&none))).collect();
        let place = |tally: &Tally| ended.iter().position(|file| file.index == tally.index);
        let places = self.tallies.iter().map(|tally| place(tally).and_then(|place| u32::try_from(place).ok()));
        (lines, places.map(|place| place.unwrap_or(u32::MAX)).collect())
    }
}

fn line(file: &File, tally: &Tally) -> FileLine {
    let states = State::ALL.map(State::name).into_iter().zip(tally.states);
    let outcomes = Outcome::ALL.map(Outcome::name).into_iter().zip(tally.outcomes);
    let some = |(_, count): &(&str, u64)| *count > 0;
    let (ended, detail) = match &file.ended {
        Ended::Whole => ("whole", ""),
        Ended::Truncated(detail) => ("truncated", detail.as_str()),
        Ended::Broken(detail) => ("broken", detail.as_str()),
        Ended::Budget(detail) => ("budget", detail.as_str()),
    };
    FileLine {
        path: file.path.clone(),
        format: if file.format == Some(Format::PcapNg) { "pcapng" } else { "pcap" },
        packets: file.packets,
        records: file.records,
        skipped: file.skipped.each().map(|(skip, count)| (skip.word(), count)).collect(),
        flows: tally.flows,
        states: states.filter(some).collect(),
        outcomes: outcomes.chain([("retry-succeeded", tally.retried)]).filter(some).collect(),
        from: tally.from,
        to: tally.to,
        ended,
        detail: detail.to_owned(),
    }
}
