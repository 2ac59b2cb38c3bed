//! The slow path: takes any packet in any state, and says what is done with it and what the fast path shall know from now on.
//!
//! ```text
//!                  the fast path has an entry, and the flow is
//!  punted packet ─┬─ established ──────────────────────► catch up with the entry's numbers
//!                 ├─ half-open, mid-stream or not there ► REVALIDATE: told anew by the entry (KB 433412 asserts here)
//!                 └─ closing or closed ─────────────────► RECREATE: the same, as a new incarnation
//!                 then one step of the machine ─► PROMOTE | ADVANCE | RECREATE (the tuple was used again) | DROP
//! ```
//!
//! An entry is a good witness: it forwarded packets that fit, and every SYN, FIN and RST is punted, so a flow that ended has
//! none. An entry that is not of an established flow is no witness: the flow decides, and takes over its numbers only.
//! A flow whose state and numbers do not go together (something else wrote to it) is counted, deleted and told anew.

use super::machine::Flow;
use super::note::{Note, Outcome, Step};
use super::path::{Entry, PROMOTE_AGAIN};
use super::profile::Profile;
use super::segment::Segment;
use super::state::State;

/// What the policy says to a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Its epoch: changes with every change of the policy.
    pub epoch: u32,
    /// Whether it lets this flow pass.
    pub allows: bool,
}

/// Why the slow path drops a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Refusal {
    /// The policy forbids the flow.
    Policy,
    /// No flow has a place for it.
    Invalid,
}

/// What the slow path does with a packet. All but [`Course::Drop`] forward it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Course {
    /// The flow went on, on the slow path.
    Advance,
    /// The flow takes the fast path from here on.
    Promote,
    /// The flow was told anew: by the fast path's entry, or by a new policy.
    Revalidate,
    /// A new incarnation of the tuple.
    Recreate,
    /// Not forwarded.
    Drop(Refusal),
}

/// What came of a punted packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slow {
    /// What is done with it.
    pub course: Course,
    /// What the fast path shall keep of the flow; `None`: nothing.
    pub entry: Option<Entry>,
    /// State and numbers of the flow did not go together.
    pub anomaly: bool,
    /// What the machine said; `None` where the policy forbade to ask.
    pub step: Option<Step>,
}

/// Takes one punted packet. `flow` is what the table has (a default flow where it has none), `entry` what the fast path has.
pub fn punted(flow: &mut Flow, entry: Option<Entry>, segment: &Segment, policy: Policy, profile: &Profile) -> Slow {
    if !policy.allows {
        *flow = Flow::default();
        return Slow { course: Course::Drop(Refusal::Policy), entry: None, anomaly: false, step: None };
    }
    let anomaly = !flow.sound();
    let witness = entry.filter(|entry| entry.state == State::Established);
    let mended = mend(flow, entry.as_ref(), witness.is_some(), anomaly);
    let step = flow.step(segment, profile);
    let kept = keep(flow, witness, segment, policy.epoch);
    let renewed = matches!(step.note, Note::Renewed | Note::Settled(Outcome::Superseded));
    let course = match (step.note, mended) {
        (Note::Invalid(_) | Note::Orphan, _) => Course::Drop(Refusal::Invalid),
        _ if renewed => Course::Recreate,
        (_, Some(course)) => course,
        _ => match (kept, entry) {
            (Some(now), Some(before)) if now.epoch != before.epoch || before.state != now.state => Course::Revalidate,
            (Some(now), before) if !now.marked && before.is_none_or(|before| before.marked) => Course::Promote,
            _ => Course::Advance,
        },
    };
    Slow { course, entry: kept, anomaly, step: Some(step) }
}

/// Brings flow and entry together, and says what that took.
fn mend(flow: &mut Flow, entry: Option<&Entry>, witness: bool, anomaly: bool) -> Option<Course> {
    let state = flow.state();
    match entry {
        Some(entry) if state == State::Established && !anomaly => {
            flow.catch_up(entry);
            None
        }
        Some(entry) if witness => {
            let again = state.half_closed() || matches!(state, State::TimeWait | State::Closed);
            flow.rebuild(entry, again);
            Some(if again { Course::Recreate } else { Course::Revalidate })
        }
        _ if anomaly => {
            *flow = Flow::default();
            Some(Course::Recreate)
        }
        _ => None,
    }
}

/// What the fast path keeps after a step: a fresh entry for a flow that is plain, the marked one while it is in doubt.
fn keep(flow: &Flow, witness: Option<Entry>, segment: &Segment, epoch: u32) -> Option<Entry> {
    if flow.state() != State::Established {
        return None;
    }
    let fresh = Entry::of(flow, epoch, segment.at);
    let Some(before) = witness else { return fresh };
    let soon = before.marked && segment.at.since(before.since) < PROMOTE_AGAIN;
    let doubtful = Entry { low: flow.low, high: flow.high, epoch, marked: true, ..before };
    let since = if before.marked { segment.at } else { before.since };
    Some(fresh.filter(|_| !soon).map_or(doubtful, |fresh| Entry { since, ..fresh }))
}
