//! The drill of KB 433412: every state is forced on flows that the fast path forwards, by everything that sends a packet to the
//! slow path, while the policy changes, tables are full and SYNs flood in. Each flow has to live on.

use super::key::Key;
use super::path::Path;
use super::paths::{Passed, Paths};
use super::profile::NSX_DFW;
use super::segment::{Segment, Side, flags};
use super::slow::Course;
use super::state::State;
use crate::rng::Rng;
use crate::time::{Nanos, Span};
use serde::Serialize;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The most flows that a drill plays with.
pub const DRILL_FLOWS_MAX: usize = 100_000;
/// SYNs and ACKs of strangers for each flow.
const FLOOD: u32 = 20;
/// Room in the table for what strangers begin.
const SPARE: usize = 64;
/// Bytes in each segment of data.
const LEN: u32 = 10;

/// The server of all flows: 10.128.0.1.
const SERVER: u32 = 0x0A80_0001;

/// What a drill counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DrillReport {
    /// Flows that were established and on the fast path.
    pub established: u64,
    /// States that were forced on them.
    pub forced: u64,
    /// Half-open ones among these: what KB 433412 asserts never to see.
    pub forced_half_open_under_fast_entry: u64,
    /// Flows that were told anew.
    pub revalidated: u64,
    /// Flows that were recreated as a new incarnation.
    pub recreated: u64,
    /// Flows whose state and numbers did not go together.
    pub anomalies: u64,
    /// Packets of strangers.
    pub flood: u64,
    /// Packets that crashed the decision.
    pub crashes: u64,
    /// Packets of established flows that were not forwarded.
    pub dropped: u64,
    /// Established flows that were not established, or not on the fast path, in the end.
    pub established_lost: u64,
}

/// What sends a packet of an established flow to the slow path.
#[derive(Clone, Copy)]
enum Trigger {
    /// The policy changed.
    Epoch,
    /// The packet is a fragment.
    Fragment,
    /// A RST within the window.
    Reset,
    /// A SYN on the live tuple.
    Syn,
    /// The entry itself was written to, and the flow was not.
    Entry,
}

const TRIGGERS: [Trigger; 5] = [Trigger::Epoch, Trigger::Fragment, Trigger::Reset, Trigger::Syn, Trigger::Entry];

/// One connection: where both ends are.
struct Talk {
    key: Key,
    opener: Side,
    next: [u32; 2],
}

struct Drill {
    paths: Paths,
    now: Nanos,
    report: DrillReport,
}

/// Plays the drill with this many flows (1 to [`DRILL_FLOWS_MAX`], else the nearer of the two). The same seed plays the same.
pub fn drill(seed: u64, flows: usize) -> DrillReport {
    let flows = flows.clamp(1, DRILL_FLOWS_MAX);
    let mut rng = Rng::new(seed);
    let paths = Paths::new(flows.saturating_add(SPARE), flows, NSX_DFW.in_path(), seed);
    let mut drill = Drill { paths, now: Nanos(Span::secs(1).0), report: DrillReport::default() };
    let mut talks: Vec<Talk> = (0..flows).map(|number| drill.establish(number as u32, &mut rng)).collect();
    for trigger in TRIGGERS {
        for round in 0..State::ALL.len() {
            drill.round(trigger, round, &mut talks);
        }
    }
    drill.flood(&mut talks, &mut rng);
    drill.judge(&mut talks);
    drill.report
}

impl Drill {
    fn establish(&mut self, number: u32, rng: &mut Rng) -> Talk {
        let [first, second] = [rng.next_u64() as u32, rng.next_u64() as u32];
        // 256 ports of as many hosts as it takes, every other one below the server's address, so that both sides open.
        let network = if number & 1 == 0 { 0x0A00_0000u32 } else { 0x0B00_0000 };
        let (host, port) = (network.wrapping_add(number >> 8), 40_000u16.wrapping_add(number as u16 & 0xFF));
        let (key, opener) = Key::of(host, port, SERVER, 443);
        let mut talk = Talk { key, opener, next: [first, second] };
        let answer = opener.other();
        self.say(&mut talk, opener, flags::SYN, 0);
        self.say(&mut talk, answer, flags::SYN | flags::ACK, 0);
        self.say(&mut talk, opener, flags::ACK, 0);
        self.exchange(&mut talk);
        self.report.established = self.report.established.saturating_add(u64::from(self.fast(&talk)));
        talk
    }

    /// Forces a state on every flow, sends a packet of each to the slow path, and lets both ends go on.
    fn round(&mut self, trigger: Trigger, round: usize, talks: &mut [Talk]) {
        for (talk, state) in talks.iter().zip(State::ALL.into_iter().cycle().skip(round)) {
            self.force(trigger, state, talk);
        }
        if matches!(trigger, Trigger::Epoch) {
            self.paths.flip();
        }
        for talk in talks.iter_mut() {
            self.send_to_slow_path(trigger, talk);
            self.exchange(talk);
        }
        // Doubts lapse, and what was in doubt may be promoted again.
        self.wait(Span::secs(5));
        for talk in talks.iter_mut() {
            self.exchange(talk);
        }
    }

    fn force(&mut self, trigger: Trigger, state: State, talk: &Talk) {
        self.report.forced = self.report.forced.saturating_add(1);
        let half_open = u64::from(state.half_open() && self.paths.entry(talk.key).is_some());
        let count = &mut self.report.forced_half_open_under_fast_entry;
        *count = count.saturating_add(half_open);
        match trigger {
            Trigger::Entry => self.paths.force_entry(talk.key, |entry| entry.state = state),
            _ => self.paths.force(talk.key, |flow| flow.state = state),
        }
    }

    fn send_to_slow_path(&mut self, trigger: Trigger, talk: &mut Talk) {
        let from = talk.opener;
        let segment = self.segment(talk, from, flags::ACK, 0);
        match trigger {
            Trigger::Epoch | Trigger::Entry => {}
            Trigger::Fragment => self.packet(talk.key, &segment, false),
            Trigger::Reset => {
                let seq = segment.seq.wrapping_add(LEN);
                self.packet(talk.key, &Segment { flags: flags::RST, seq, ..segment }, true);
            }
            Trigger::Syn => {
                let seq = segment.seq.wrapping_add(1_000_000);
                self.packet(talk.key, &Segment { flags: flags::SYN, seq, ..segment }, true);
            }
        }
    }

    fn flood(&mut self, talks: &mut [Talk], rng: &mut Rng) {
        for talk in talks.iter_mut() {
            for _ in 0..FLOOD {
                let random = rng.next_u64();
                let (key, from) = Key::of((random >> 32) as u32, random as u16, SERVER, 443);
                let flags = if random & 0x10000 == 0 { flags::SYN } else { flags::ACK };
                let seq = rng.next_u64() as u32;
                let segment = Segment { from, flags, seq, ack: 1, len: 0, window: 1_000, wscale: None, at: self.now };
                self.report.flood = self.report.flood.saturating_add(1);
                self.pass(key, &segment, true);
            }
            self.exchange(talk);
        }
    }

    fn judge(&mut self, talks: &mut [Talk]) {
        for talk in talks.iter_mut() {
            self.exchange(talk);
            let lost = u64::from(!self.fast(talk));
            self.report.established_lost = self.report.established_lost.saturating_add(lost);
        }
    }

    /// Whether a flow is established, and its next packet takes the fast path.
    fn fast(&mut self, talk: &Talk) -> bool {
        let state = self.paths.flows().get(talk.key).map(|record| record.flow().state());
        let segment = self.segment(talk, talk.opener, flags::ACK, 0);
        let passed = self.pass(talk.key, &segment, true);
        state == Some(State::Established) && passed.is_some_and(|passed| passed.path == Path::Fast)
    }

    /// Both ends send data, and acknowledge it.
    fn exchange(&mut self, talk: &mut Talk) {
        for from in [talk.opener, talk.opener.other()] {
            self.say(talk, from, flags::ACK, LEN);
            self.say(talk, from.other(), flags::ACK, 0);
        }
    }

    fn say(&mut self, talk: &mut Talk, from: Side, flags: u8, len: u32) {
        let segment = self.segment(talk, from, flags, len);
        self.packet(talk.key, &segment, true);
        let [low, high] = &mut talk.next;
        let next = if from == Side::Low { low } else { high };
        *next = segment.end();
    }

    fn segment(&self, talk: &Talk, from: Side, flags: u8, len: u32) -> Segment {
        let [low, high] = talk.next;
        let (seq, ack) = if from == Side::Low { (low, high) } else { (high, low) };
        let wscale = (flags & flags::SYN != 0).then_some(7);
        Segment { from, flags, seq, ack, len, window: 1_000, wscale, at: self.now }
    }

    fn wait(&mut self, span: Span) {
        self.now = Nanos(self.now.0.saturating_add(span.0));
    }

    /// A packet of an established flow.
    fn packet(&mut self, key: Key, segment: &Segment, plain: bool) {
        let dropped = self.pass(key, segment, plain).is_none_or(|passed| !passed.forwarded());
        self.report.dropped = self.report.dropped.saturating_add(u64::from(dropped));
    }

    fn pass(&mut self, key: Key, segment: &Segment, plain: bool) -> Option<Passed> {
        self.wait(Span(1_000));
        let paths = &mut self.paths;
        let passed = catch_unwind(AssertUnwindSafe(|| paths.packet(key, segment, plain, true))).ok();
        let course = passed.and_then(|passed| passed.course);
        let counted = [
            (&mut self.report.crashes, passed.is_none()),
            (&mut self.report.anomalies, passed.is_some_and(|passed| passed.anomaly)),
            (&mut self.report.revalidated, course == Some(Course::Revalidate)),
            (&mut self.report.recreated, course == Some(Course::Recreate)),
        ];
        for (count, one) in counted {
            *count = count.saturating_add(u64::from(one));
        }
        passed
    }
}
