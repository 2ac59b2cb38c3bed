//! Source ports: how many of them are taken, and when they run out.
//!
//! A port is taken once per client, server and server port (a bucket): while its connection stands, and for 60 s after it if the
//! client closed first (TIME-WAIT: `TCP_TIMEWAIT_LEN` in Linux, at least as long elsewhere). Only connections that were seen from
//! both ends count, so a flood of SYNs takes no port. How many there are is inferred (`range.rs`).
//!
//! - **notice**: 50 % of the range is taken, **warning**: 75 %, **critical**: 90 %; the watermarks of the ledger
//!   (`tidegate_core::ledger::Watermark`).
//! - **critical** from 50 % on if SYNs met connections that are still there (collisions): then ports are reused too early already.
//!
//! A client that was seen to use fewer than 256 ports again and again may want no others: a notice, unless they collide.
//!
//! A client that takes ports out of TIME-WAIT (`net.ipv4.tcp_tw_reuse`, an explicit bind) does not wait for them: if a tenth of
//! its connections did, only connections that stand count. Withheld where the capture shows no answer to anybody.
//!
//! The reuse interval is the time from the last packet of a tuple to the SYN of its next connection; when its tenth percentile is
//! below 60 s, peers may still remember the tuple. The ceiling is the range over 60 s: more connections per second cannot be opened if
//! the client closes first. The forecast holds if the last minute goes on like this, and it is told up to an hour ahead.

use std::borrow::Cow;
use tidegate_core::flow::{Flow, Note, Outcome, Role, State};

use bucket::{All, Buckets, Seen, What, Word};
use judge::{Judged, found, judge, who};

use super::range::Ports as Set;
use super::spread::Spread;
use crate::flows::cold::{Cold, bit};
use crate::flows::found::{BucketLine, Firsts, Found};
use crate::flows::look::{Bucket, Ended, Leaving, Look};
use crate::flows::series::Series;
use crate::flows::summary::Summary;

/// How long a port rests in TIME-WAIT, in milliseconds.
const REST: u32 = 60_000;
/// Buckets that the report tells.
const LINES: usize = 20;

/// Connections more, or less.
const STAND: usize = 0;
/// Ports in TIME-WAIT more, or less.
const RESTING: usize = 1;

/// A bucket, what was told of it, and what it comes to.
type Line<'a> = (Bucket, Cow<'a, Taken>, Judged);

/// What is remembered.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ports {
    buckets: Buckets,
}

#[derive(Clone, Debug, Default)]
struct Taken {
    ports: Set,
    /// Connections.
    opened: u64,
    /// Those that took their port out of TIME-WAIT.
    early: u64,
    collisions: u64,
    level: Series<2, 1000, 256>,
    reuse: Spread,
    frames: Firsts,
}

impl Taken {
    fn absorb(&mut self, other: Taken) {
        self.ports.absorb(other.ports);
        self.opened = self.opened.saturating_add(other.opened);
        self.early = self.early.saturating_add(other.early);
        self.collisions = self.collisions.saturating_add(other.collisions);
        self.level.absorb(other.level);
        self.reuse.absorb(other.reuse);
        self.frames.absorb(other.frames);
    }
}

impl Ports {
    /// Whether such a segment is to be shown: what the machine made of it, and its flags.
    pub fn wants(note: Note, _flags: u8) -> bool {
        use Note::{Assumed, Collision, Ended, Established, Fin, FinAcked, Joined, Reset, RetrySucceeded, Settled};
        matches!(
            note,
            Assumed | Collision | Ended | Established | Fin | FinAcked | Joined | Reset | RetrySucceeded | Settled(_)
        )
    }

    /// Looks at a segment.
    pub fn note(&mut self, look: &mut Look<'_, '_>) {
        let Some(flow) = look.flow else { return };
        let (note, initiator) = (look.step.note, look.key.at(flow.initiator()));
        let (bucket, port) = oriented(look.bucket, initiator.1, flow);
        let stood = note != Note::Settled(Outcome::Superseded) && stands(look.step.before);
        match (stood, stands(look.step.after)) {
            (false, true) => self.buckets.tell(bucket, Word { ms: look.ms, port, what: What::Stands }),
            (true, false) => self.buckets.tell(bucket, Word { ms: look.ms, port, what: What::Gone }),
            _ => {}
        }
        match note {
            Note::Fin if look.step.before == State::Established => {
                look.cold.client_first = look.role == Role::Initiator
            }
            Note::Ended if look.cold.client_first => {
                self.buckets.tell(bucket, Word { ms: look.ms, port, what: What::Rests });
            }
            Note::Collision => {
                let taken = self.buckets.whole(bucket);
                taken.collisions = taken.collisions.saturating_add(1);
                taken.frames.add(look.frame);
            }
            _ => {}
        }
    }

    /// An incarnation is no longer in the table.
    pub fn over(&mut self, ended: &Ended) {
        let (bucket, port) = oriented(ended.bucket, ended.key.at(ended.flow.initiator()).1, &ended.flow);
        if stands(ended.flow.state()) {
            self.buckets.tell(bucket, Word { ms: ended.ms, port, what: What::Gone });
        }
        let stood = ended.cold.is(bit::ESTABLISHED) || ended.flow.assumed();
        if ended.how != Leaving::Renewed || !stood {
            return;
        }
        let taken = self.buckets.whole(bucket);
        let pause = u32::try_from(ended.at.since(ended.flow.last()).0 / 1_000_000).unwrap_or(u32::MAX);
        taken.reuse.add(pause);
        if rested(&ended.flow, &ended.cold) && pause < REST {
            taken.early = taken.early.saturating_add(1);
            taken.level.add(ended.ms, RESTING, -1);
            taken.level.add(ended.ms.saturating_add(REST).saturating_sub(pause), RESTING, 1);
        }
    }

    /// Takes over what another shard remembers.
    pub fn absorb(&mut self, other: Self) {
        self.buckets.absorb(other.buckets);
    }

    /// What it comes to.
    pub fn find(&self, sum: &Summary<'_>) -> Vec<Found> {
        if sum.one_sided {
            return Vec::new();
        }
        let buckets = self.buckets.settled();
        let judged = judged(&buckets, sum);
        let bad: Vec<_> = judged.iter().filter(|(_, _, judged)| judged.severity.is_some()).collect();
        found(&bad, sum, buckets.dropped()).into_iter().collect()
    }

    /// The fullest buckets for the report, 20 at most, the fullest first.
    pub fn buckets(&self, sum: &Summary<'_>) -> Vec<BucketLine> {
        let line = |(bucket, taken, judged): &Line<'_>| BucketLine {
            bucket: who(*bucket, sum),
            live: judged.stand,
            time_wait: judged.resting,
            ports_seen: u64::from(taken.ports.count()),
            range: [judged.range.low, judged.range.high],
            share: judged.share,
        };
        judged(&self.buckets.settled(), sum).iter().take(LINES).map(line).collect()
    }
}

/// All buckets, the worst first, then the fullest.
fn judged<'a>(buckets: &'a All, sum: &Summary<'_>) -> Vec<Line<'a>> {
    let end = sum.ms(sum.to);
    let mut all: Vec<Line<'a>> =
        buckets.heaviest().into_iter().filter_map(|(bucket, seen)| line(bucket, seen, end)).collect();
    all.sort_by(|(bucket, _, one), (other, _, next)| {
        let worse = next.severity.cmp(&one.severity);
        worse.then(next.share.total_cmp(&one.share)).then(bucket.cmp(other))
    });
    all
}

fn line(bucket: Bucket, seen: &Seen, end: u32) -> Option<Line<'_>> {
    let taken = seen.taken();
    let judged = judge(&taken, end)?;
    Some((bucket, taken, judged))
}

fn stands(state: State) -> bool {
    state == State::Established || state.half_closed()
}

fn rested(flow: &Flow, cold: &Cold) -> bool {
    flow.state() == State::TimeWait && cold.client_first
}

/// Bucket and source port of a flow. Of one that was joined in its middle nobody knows who began it: the higher port counts as
/// the client's.
fn oriented(bucket: Bucket, port: u16, flow: &Flow) -> (Bucket, u16) {
    if flow.assumed() && port < bucket.port {
        (Bucket { client: bucket.server, server: bucket.client, port }, bucket.port)
    } else {
        (bucket, port)
    }
}

mod bucket;
mod judge;
#[cfg(test)]
mod tests;
