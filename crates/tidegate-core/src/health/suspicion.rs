//! When the fault must be our own.
//!
//! Servers of several services do not turn bad in the same moment. When at least half of those that were well do, over at
//! least two services and two hosts, it is believed of none of them for a while: each is held in its last state. Within one
//! service the same needs a sign on our own side: an event loop that lags, or ports that run out. Then silence says nothing,
//! but a server that says no is still believed.
//!
//! The while is over when half of them are well again, and after ten intervals at the latest: if they fail then, they do.

use super::monitor::Freeze;
use crate::time::{Nanos, Span};
use serde::{Deserialize, Serialize};

/// Intervals for which a suspicion alone holds a state.
const LONGEST: u64 = 10;

/// Signs on our own side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alarms {
    /// The event loop lags.
    pub loop_lag: bool,
    /// Source ports run out (watermark 90 % or more).
    pub ports: bool,
}

/// One server, as far as this matters.
#[derive(Clone, Copy, Debug)]
pub(super) struct Standing<'a> {
    pub service: u16,
    pub host: &'a str,
    /// Since when it is bad, if it is.
    pub bad: Option<Nanos>,
    /// An interval and a timeout of its monitor: within these all servers are looked at once.
    pub round: Span,
    pub interval: Span,
}

/// All states are held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Which failures say nothing.
    pub what: Freeze,
    /// Since when.
    pub since: Nanos,
    /// Until when at the latest.
    pub until: Nanos,
    /// The servers that turned bad together.
    pub servers: Vec<usize>,
}

/// Whether so many servers have turned bad together that the fault must be our own.
pub(super) fn suspect(now: Nanos, servers: &[Standing<'_>], alarms: Alarms) -> Option<Held> {
    let recent = |server: &Standing<'_>| server.bad.is_some_and(|since| now.since(since) <= server.round);
    let bad: Vec<usize> = servers.iter().enumerate().filter(|(_, server)| recent(server)).map(|(at, _)| at).collect();
    let well = servers.iter().filter(|server| server.bad.is_none()).count();
    let first = servers.get(*bad.first()?)?;
    if bad.len() < well {
        return None;
    }
    let any = |differs: &dyn Fn(&Standing<'_>) -> bool| bad.iter().filter_map(|at| servers.get(*at)).any(differs);
    let spread = any(&|other| other.service != first.service) && any(&|other| other.host != first.host);
    let what = match (spread, alarms.loop_lag || alarms.ports) {
        (true, _) => Freeze::All,
        (false, true) => Freeze::Weak,
        (false, false) => return None,
    };
    let while_of = |server: &Standing<'_>| server.interval.0.saturating_mul(LONGEST).max(2 * server.round.0);
    let longest = bad.iter().filter_map(|at| servers.get(*at)).map(while_of).max()?;
    Some(Held { what, since: now, until: now + Span(longest), servers: bad })
}

impl Held {
    /// Whether it is over.
    pub(super) fn over(&self, now: Nanos, servers: &[Standing<'_>]) -> bool {
        let still =
            self.servers.iter().filter(|at| servers.get(**at).is_some_and(|server| server.bad.is_some())).count();
        now >= self.until || still * 2 < self.servers.len()
    }

    /// How much surer we are of it.
    pub(super) fn outweighs(&self, other: &Held) -> bool {
        self.what == Freeze::All && other.what == Freeze::Weak
    }
}
