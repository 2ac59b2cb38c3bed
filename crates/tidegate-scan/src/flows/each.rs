//! Every flow, line by line: for those who compare the machine with others.

use std::collections::HashMap;

use serde::Serialize;
use tidegate_core::flow::{Flow, Key, Note, Outcome, State, Step};

use super::census::conn_word;
use super::cold::{Cold, bit};
use super::found::Frame;
use super::hosts::Hosts;

/// Flows that are told, at most, and states of each.
const LINES_MAX: usize = 100_000;
const STATES_MAX: usize = 64;

/// One incarnation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FlowLine {
    /// Host and port of who began it, or is taken for that.
    pub initiator: String,
    /// Host and port of the other one.
    pub responder: String,
    /// The states that it came to, one after the other, 64 at most.
    pub states: Vec<&'static str>,
    /// How it ended, in Zeek's words.
    pub conn_state: &'static str,
    /// What was seen of it: 1 SYN, 2 SYN-ACK, 4 ACK, 8 data, 16 FIN, 32 RST, as Wireshark adds them up.
    pub completeness: u8,
    /// How the last SYN on it came out that was another connection's.
    pub outcome: Option<&'static str>,
    /// Its first frame.
    pub first: Frame,
    /// Its last one.
    pub last: Frame,
    /// Packets.
    pub packets: u32,
}

/// What is remembered of a flow that stands.
#[derive(Clone, Debug)]
struct Trace {
    states: Vec<State>,
    reset: bool,
    outcome: Option<Outcome>,
    first: Frame,
    last: Frame,
}

/// All of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Each {
    traces: HashMap<Key, Trace>,
    lines: Vec<(Key, Trace, Flow, Cold)>,
}

impl Each {
    /// A flow begins.
    pub fn begin(&mut self, key: Key, frame: &Frame) {
        if self.traces.len() < LINES_MAX {
            let trace = Trace { states: Vec::new(), reset: false, outcome: None, first: *frame, last: *frame };
            self.traces.insert(key, trace);
        }
    }

    /// A segment was stepped.
    pub fn see(&mut self, key: Key, frame: &Frame, step: &Step, reset: bool) {
        let Some(trace) = self.traces.get_mut(&key) else { return };
        trace.last = *frame;
        trace.reset |= reset;
        if trace.states.last() != Some(&step.after) && trace.states.len() < STATES_MAX {
            trace.states.push(step.after);
        }
    }

    /// A SYN on a flow that was another connection's came out, before what comes out of it may begin.
    pub fn settle(&mut self, key: Key, step: &Step) {
        let settled = if let Note::Settled(outcome) = step.note { Some(outcome) } else { None };
        if let Some((trace, outcome)) = self.traces.get_mut(&key).zip(settled.or(step.lapsed)) {
            trace.outcome = Some(outcome);
        }
    }

    /// A flow is no longer in the table.
    pub fn over(&mut self, key: Key, flow: &Flow, cold: &Cold) {
        if let Some(trace) = self.traces.remove(&key)
            && self.lines.len() < LINES_MAX
        {
            self.lines.push((key, trace, *flow, *cold));
        }
    }

    /// Takes over those of another shard.
    pub fn absorb(&mut self, other: Each) {
        self.traces.extend(other.traces);
        self.lines.extend(other.lines);
    }

    /// All flows in the order of their first frames.
    pub fn lines<'a>(&self, hosts: &Hosts, live: impl Iterator<Item = (Key, &'a Flow, &'a Cold)>) -> Vec<FlowLine> {
        let standing = live.filter_map(|(key, flow, cold)| Some((key, self.traces.get(&key)?.clone(), *flow, *cold)));
        let mut all: Vec<_> = self.lines.iter().cloned().chain(standing).collect();
        all.sort_by_key(|(key, trace, ..)| (trace.first, *key));
        all.truncate(LINES_MAX);
        all.into_iter().map(|(key, trace, flow, cold)| line(hosts, key, &trace, &flow, &cold)).collect()
    }
}

fn line(hosts: &Hosts, key: Key, trace: &Trace, flow: &Flow, cold: &Cold) -> FlowLine {
    let side = flow.initiator();
    let socket = |side| {
        let (host, port) = key.at(side);
        hosts.socket(host, port)
    };
    let either = |bit: u16| cold.is(bit | bit << 1);
    let seen = [
        cold.has(bit::SYN, side),
        cold.has(bit::SYN, side.other()),
        cold.is(bit::ACKED),
        either(bit::DATA),
        either(bit::FIN),
        trace.reset || either(bit::RST),
    ];
    FlowLine {
        initiator: socket(side),
        responder: socket(side.other()),
        states: trace.states.iter().map(|state| state.name()).collect(),
        conn_state: conn_word(flow, cold),
        completeness: seen.iter().rev().fold(0, |sum, seen| sum << 1 | u8::from(*seen)),
        outcome: trace.outcome.map(Outcome::name),
        first: trace.first,
        last: trace.last,
        packets: cold.packets,
    }
}
