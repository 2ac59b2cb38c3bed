//! Half-open connections: how many, and which side is at fault.
//!
//! A connection hangs when it stays half-open for 3 s: by then its first packet was repeated twice (RFC 6298 §2.1 and §5.5: after
//! 1 and 3 s). It was never answered at all, and the server is at fault, its backlog, or what stands before it (unless no SYN is
//! repeated, and each has an address of its own: those clients are invented); or the SYN-ACK was
//! not acknowledged, and the client is (invented addresses, or answers that go astray). Both are counted per server port in
//! windows of 10 s, by the time of the first SYN.
//!
//! - **notice**: 5 of a window's new connections hang, and they are at least half of them; or 128, and a tenth.
//! - **warning**: 20 do.
//! - **critical**: besides, 128 are half-open at the end of a window: the backlog of a listening socket in Linux before 5.4
//!   (`net.core.somaxconn`; 4096 since). In the gauge a connection stays for as long as Linux keeps it
//!   (`nf_conntrack_tcp_timeout_syn_sent` and `_syn_recv`).
//!
//! Withheld where the capture shows no answer to anybody, and for a server whose clients go on as if it had answered: one
//! direction was not captured. Not more than a notice, with low confidence, where what is missing is missing everywhere: a filter
//! may have left out all packets but SYNs. Then whoever really waits repeats itself, and that is looked for. What a SYN flood pushed out of a full table counts as hanging.

use tidegate_core::flow::{Flow, Invalid, Note, State, profile};
use tidegate_core::time::Nanos;

use judge::{Judged, Shown, found, judge};

use super::groups::{Groups, Weight};
use super::sample::Sample;
use crate::capture::flag;
use crate::flows::cold::{Cold, bit};
use crate::flows::found::{Firsts, Found, Frame};
use crate::flows::look::{Bucket, Ended, Leaving, Look};
use crate::flows::series::Series;
use crate::flows::summary::Summary;

/// Half-open for so long: it hangs. Milliseconds.
const HANGS: u32 = 3_000;
/// Width of a window, in milliseconds.
const WINDOW: u64 = 10_000;
/// Server ports that are told apart, at most: 30 KB each when something happens in a thousand windows to hundreds of clients.
const TARGETS: usize = 4096;

/// New connections.
const OPENED: usize = 0;
/// Those of them that hang without an answer.
const UNANSWERED: usize = 1;
/// Those of them that hang without the client's last word.
const UNACKNOWLEDGED: usize = 2;
/// Half-open connections more, or less.
const CHANGE: usize = 3;

/// A server's host and port.
type Server = (u32, u16);

/// What is remembered.
#[derive(Clone, Debug, Default)]
pub(crate) struct HalfOpen {
    targets: Groups<Server, Target, TARGETS>,
    /// Packets without SYN were captured.
    others: bool,
}

#[derive(Clone, Debug, Default)]
struct Target {
    windows: Series<4, WINDOW, 1024>,
    opened: u64,
    /// Clients went on though no answer was seen.
    astray: u64,
    /// Repeated SYNs of connections that hang.
    repeated: u64,
    /// Repeated SYN-ACKs of all.
    repeated_answers: u64,
    /// How often each client hangs.
    clients: Sample<u32, u32, 256>,
    frames: Firsts,
}

impl Weight for Target {
    fn weight(&self) -> u64 {
        self.opened
    }
}

impl HalfOpen {
    /// Whether such a segment is to be shown: what the machine made of it, and its flags.
    pub fn wants(note: Note, flags: u8) -> bool {
        let on = flags & (flag::SYN | flag::RST | flag::ACK) == flag::ACK;
        match note {
            Note::Opened | Note::Renewed | Note::Established | Note::RetrySucceeded | Note::Joined => true,
            Note::Again => flags & flag::ACK != 0,
            Note::Invalid(Invalid::Unexpected) => on,
            _ => false,
        }
    }

    /// Looks at a segment.
    pub fn note(&mut self, look: &mut Look<'_, '_>) {
        if look.flow.is_none() {
            return;
        }
        match look.step.note {
            note if look.before.copied(note, look.at) => {}
            Note::Opened | Note::Renewed => {
                let target = self.targets.of(server(look.bucket));
                target.windows.add(look.ms, OPENED, 1);
                target.opened = target.opened.saturating_add(1);
            }
            Note::Established | Note::RetrySucceeded => {
                self.others = true;
                self.gauge(look.bucket, look.cold, Some(look.ms));
            }
            Note::Joined => self.others |= look.tcp.flags & flag::SYN == 0,
            Note::Again if look.step.before == State::SynReceived => {
                let target = self.targets.of(server(look.bucket));
                target.repeated_answers = target.repeated_answers.saturating_add(1);
            }
            Note::Invalid(_) if look.step.before == State::SynSent => {
                let target = self.targets.of(server(look.bucket));
                target.astray = target.astray.saturating_add(1);
            }
            _ => {}
        }
    }

    /// An incarnation is no longer in the table.
    pub fn over(&mut self, ended: &Ended) {
        let hangs = ended.how == Leaving::Evicted || ended.ms.saturating_sub(ended.cold.first) >= HANGS;
        if hangs {
            self.hang(ended.bucket, &ended.flow, &ended.cold, (ended.at, ended.ms));
        }
    }

    /// Takes over what another shard remembers.
    pub fn absorb(&mut self, other: Self) {
        self.others |= other.others;
        self.targets.absorb(other.targets, |mine, other| {
            mine.windows.absorb(other.windows);
            mine.opened = mine.opened.saturating_add(other.opened);
            mine.astray = mine.astray.saturating_add(other.astray);
            mine.repeated = mine.repeated.saturating_add(other.repeated);
            mine.repeated_answers = mine.repeated_answers.saturating_add(other.repeated_answers);
            mine.clients.absorb(other.clients, |times, more| *times = times.saturating_add(more));
            mine.frames.absorb(other.frames);
        });
    }

    /// What it comes to.
    pub fn find(&self, sum: &Summary<'_>) -> Vec<Found> {
        let mut all = self.clone();
        let end = (Nanos(sum.to), sum.ms(sum.to));
        for live in sum.live().filter(|live| end.1.saturating_sub(live.cold.first) >= HANGS) {
            all.hang(live.bucket, live.flow, live.cold, end);
        }
        let shown = Shown { answers: sum.census.both > 0, others: self.others };
        let mut judged: Vec<(Server, &Target, Judged)> = all
            .targets
            .heaviest()
            .into_iter()
            .filter_map(|(server, target)| Some((server, target, judge(target, shown)?)))
            .collect();
        judged.sort_by_key(|(server, _, judged)| (std::cmp::Reverse((judged.severity, judged.hang)), *server));
        found(&judged, sum, all.targets.dropped()).into_iter().collect()
    }

    /// A flow that never got further, if it is one.
    fn hang(&mut self, bucket: Bucket, flow: &Flow, cold: &Cold, (at, ms): (Nanos, u32)) {
        let answered = cold.has(bit::HEARD, flow.initiator().other());
        let lane = match flow.state() {
            State::SynSent if !answered => UNANSWERED,
            State::SynReceived if cold.has(bit::SYN, flow.initiator()) => UNACKNOWLEDGED,
            _ => return,
        };
        let gone = flow.overdue(at, &profile::LINUX).map(|late| ms.saturating_sub(millis(late.0)));
        self.gauge(bucket, cold, gone);
        let target = self.targets.of(server(bucket));
        target.windows.add(cold.first, lane, 1);
        target.repeated = target.repeated.saturating_add(u64::from(cold.tries.saturating_sub(1)));
        if let Some(times) = target.clients.of(bucket.client) {
            *times = times.saturating_add(1);
        }
        let frame = Frame { number: u64::from(cold.first), file: u32::from(cold.file), frame: u64::from(cold.frame) };
        target.frames.add(frame);
    }

    /// It was half-open from its first packet on, and is no more from then on.
    fn gauge(&mut self, bucket: Bucket, cold: &Cold, gone: Option<u32>) {
        if gone.is_some_and(|gone| u64::from(gone) / WINDOW == u64::from(cold.first) / WINDOW) {
            return;
        }
        let target = self.targets.of(server(bucket));
        target.windows.add(cold.first, CHANGE, 1);
        if let Some(gone) = gone {
            target.windows.add(gone, CHANGE, -1);
        }
    }
}

fn server(bucket: Bucket) -> Server {
    (bucket.server, bucket.port)
}

fn millis(nanos: u64) -> u32 {
    u32::try_from(nanos / 1_000_000).unwrap_or(u32::MAX)
}

mod judge;
#[cfg(test)]
mod tests;
