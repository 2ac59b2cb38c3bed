//! The servers of the pool: slots, phase, and when to try one that is down again.
//!
//! A server is `up` until a connect to it fails; then it is `down` and takes one call at a time, one per retry interval,
//! until a connection stands again. Connects that fail have sent nothing, so their calls are simply held again. After
//! three tries in vain its sessions are taken for dead with it: where the pool has others, their calls go there, are told
//! so by the server in its own words, and their clients log in again.

use super::event::{ServerId, Slots};
use super::learned::LearnedServer;
use super::plan::{LimitPlan, ServerPlan};
use super::recover::Recovery;
use super::snapshot::{Phase, ServerSnapshot};
use super::stand::Short;
use crate::health::Standing;
use crate::limit::{Adaptive, LimitCause, LimitMode, LimitView, Terms};
use crate::time::{Nanos, Span};
use serde::{Deserialize, Serialize};

/// One server.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Server {
    pub name: String,
    /// How many calls may be in flight.
    pub limit: u32,
    /// What finds the limit, if nobody has set it.
    pub finder: Option<Adaptive>,
    pub in_flight: u32,
    /// Whether the reserved slot of the probes is taken.
    pub probing: bool,
    pub orphans: u32,
    /// Calls that reached it.
    pub admitted: u64,
    pub in_flight_max: u32,
    /// Down since a connect failed: when one call may try.
    pub down: Option<Retry>,
    /// How it is let back to work.
    pub recovery: Recovery,
    /// What another process of this gate leaves of the limit.
    pub slots: Option<Slots>,
    /// It is used only while no other can be reached.
    #[serde(default)]
    pub standby: bool,
    /// What its monitor said last, if it has one.
    #[serde(default)]
    pub standing: Option<Standing>,
    /// Our side could not connect to it.
    #[serde(default)]
    pub short: Option<Short>,
}

/// How a server that is down is tried.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Retry {
    pub at: Nanos,
    /// A call is trying now.
    pub trying: bool,
    /// Connects that failed since it was up, counting tries only.
    pub failures: u32,
}

impl Retry {
    /// Of a server that was tried in vain.
    pub fn in_vain(at: Nanos, trying: bool) -> Retry {
        Retry { at, trying, failures: DEAD }
    }
}

/// Failed connects in a row after which a server's sessions are taken for dead.
const DEAD: u32 = 3;
/// What a server is thought to serve well of which nothing is known.
const UNKNOWN: u32 = 4;
/// Clients per slot: with four fifths of a batch complete each slot still has one.
const PER_SLOT: u32 = 5;

impl Server {
    pub fn new(plan: &ServerPlan, known: Option<&LearnedServer>, now: Nanos) -> Server {
        let finder = match plan.limit {
            LimitPlan::Static(_) => None,
            LimitPlan::Adaptive { most, first } => {
                Some(Adaptive::new((first, most), known.map(|known| (known.limit, known.base.as_secs_f64())), now))
            }
        };
        Server {
            name: plan.name.clone(),
            limit: finder.as_ref().map_or(plan.limit.most(), Adaptive::limit),
            finder,
            in_flight: 0,
            probing: false,
            orphans: 0,
            admitted: 0,
            in_flight_max: 0,
            down: None,
            recovery: Recovery::new(known.map(|known| known.base), now),
            slots: None,
            standby: plan.standby,
            standing: None,
            short: None,
        }
    }

    /// It has begun anew.
    pub fn begin_anew(&mut self, now: Nanos) {
        if let Some(finder) = &mut self.finder {
            finder.restarted(now);
            self.limit = finder.limit();
        }
        self.recovery.begin(now);
    }

    /// The limit with which it served well, as far as is known.
    pub fn good(&self) -> u32 {
        let found = |finder: &Adaptive| finder.remember().map_or(UNKNOWN, |(best, _)| best);
        self.finder.as_ref().map_or(self.limit, found)
    }

    /// Clients that a batch has at least: where the limit is learned, enough that it is used up to the last.
    pub fn batch_least(&self) -> u32 {
        self.finder.as_ref().map_or(0, |_| self.limit.saturating_mul(PER_SLOT))
    }

    /// Whether a client may open a session on it now. Who tries whether it is back may.
    pub fn may_begin(&self, now: Nanos, silence: Span) -> bool {
        self.down.is_some() || self.recovery.may_begin(now, self.in_flight, silence, self.batch_least())
    }

    /// Calls in flight that count against the limit.
    pub fn load(&self) -> u32 {
        self.in_flight - u32::from(self.probing)
    }

    /// What this process may use of the limit.
    pub fn room(&self) -> u32 {
        match self.slots {
            None => self.allowed(),
            Some(Slots::AtMost(most)) => self.allowed().min(most),
            // The other one keeps a slot as long as it has clients; a limit of 1 cannot wait for that.
            Some(Slots::AllBut(1)) => self.allowed().saturating_sub(1).max(self.allowed().min(1)),
            Some(Slots::AllBut(used)) => self.allowed().saturating_sub(used),
        }
    }

    /// Whether it may take one more call now.
    pub fn has_slot(&self, now: Nanos) -> bool {
        self.reachable(now) && self.load() < self.room()
    }

    /// Whether a call may be sent to it now, or may try.
    pub fn reachable(&self, now: Nanos) -> bool {
        !self.kept() && self.down.is_none_or(|retry| !retry.trying && retry.at <= now)
    }

    /// Whether its sessions are taken for dead.
    pub fn dead(&self) -> bool {
        self.down.is_some_and(|retry| retry.failures >= DEAD)
    }

    /// Takes a slot; `reserved` for the probes' own. True when the call tries whether the server is back.
    pub fn take(&mut self, now: Nanos, reserved: bool, retry: Span) -> bool {
        self.in_flight += 1;
        self.probing |= reserved;
        self.in_flight_max = self.in_flight_max.max(self.in_flight);
        if let Some(down) = &mut self.down {
            *down = Retry { at: now + retry, trying: true, ..*down };
        }
        self.down.is_some()
    }

    /// Gives a slot back.
    pub fn give_back(&mut self, reserved: bool, orphan: bool, trial: bool) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.probing &= !reserved;
        self.orphans = self.orphans.saturating_sub(u32::from(orphan));
        if let Some(down) = &mut self.down {
            down.trying &= !trial;
        }
    }

    /// A connect failed: down, to be tried again at `at`. A later failure of an earlier connect changes nothing.
    pub fn failed(&mut self, at: Nanos, trial: bool) {
        let down = self.down.get_or_insert(Retry { at, trying: false, failures: 1 });
        if trial {
            *down = Retry { at, trying: false, failures: down.failures + 1 };
        }
    }

    /// Its phase by its own doing, and by its monitor's word.
    pub fn phase(&self, now: Nanos, silence: Span) -> Phase {
        self.told_phase(if self.down.is_some() {
            Phase::Down
        } else if self.recovery.suspect(now, self.in_flight, silence) {
            Phase::Suspect
        } else if self.recovery.view(now, 0).is_some() {
            Phase::Recovering
        } else {
            Phase::Up
        })
    }

    pub fn snapshot(&self, now: Nanos, terms: Terms, phase: Phase) -> ServerSnapshot {
        let recovery = self.recovery.view(now, self.batch_least());
        let why = self.why(now, terms);
        ServerSnapshot {
            name: self.name.clone(),
            phase,
            limit: self.limit,
            why: LimitView { mode: if recovery.is_some() { LimitMode::Recovering } else { why.mode }, ..why },
            recovery,
            in_flight: self.in_flight,
            orphans: self.orphans,
            admitted: self.admitted,
            in_flight_max: self.in_flight_max,
            standby: self.standby,
            standing: self.standing,
        }
    }
}

/// The limit and what it is found from.
impl Server {
    /// A new plan for it. A limit that is found stays where it is, within the new bound.
    pub fn replan(&mut self, plan: &ServerPlan, now: Nanos) {
        match (plan.limit, &mut self.finder) {
            (LimitPlan::Adaptive { most, first }, Some(finder)) => finder.bound((first, most), now),
            (LimitPlan::Adaptive { most, first }, none) => *none = Some(Adaptive::new((first, most), None, now)),
            (LimitPlan::Static(_), finder) => *finder = None,
        }
        self.limit = self.finder.as_ref().map_or(plan.limit.most(), Adaptive::limit);
        self.standby = plan.standby;
    }

    /// A call was admitted.
    pub fn begin(&mut self, now: Nanos, index: u32, work: u64) -> u32 {
        self.finder.as_mut().map_or(0, |finder| finder.begin(now, index, work))
    }

    /// A call has given its slot back.
    pub fn end(&mut self, since: Nanos, index: u32) {
        self.finder.iter_mut().for_each(|finder| finder.end(since, index));
    }

    /// Whether somebody waits: with no slot free, the limit is what keeps them.
    pub fn full(&mut self, waiting: bool) {
        let full = waiting && self.down.is_none() && self.load() >= self.room();
        self.finder.iter_mut().for_each(|finder| finder.full(full));
    }

    /// Looks at how things are; the limit may change.
    pub fn judge(&mut self, now: Nanos, terms: Terms) {
        if let Some(finder) = &mut self.finder {
            finder.judge(now, terms);
            self.limit = finder.limit();
        }
    }

    /// Looks whether calls in flight are stuck; the limit may go down.
    pub fn guard(&mut self, now: Nanos, terms: Terms) {
        if let Some(finder) = &mut self.finder {
            finder.guard(now, terms);
            self.limit = finder.limit();
        }
    }

    /// What a later run may begin with.
    pub fn learned(&self) -> Option<LearnedServer> {
        let (limit, base) = self.finder.as_ref()?.remember()?;
        Some(LearnedServer { name: self.name.clone(), limit, base: Span::from_secs_f64(base) })
    }

    fn why(&self, now: Nanos, terms: Terms) -> LimitView {
        let set = || LimitView {
            mode: LimitMode::Static,
            cause: LimitCause::Start,
            since: Span::ZERO,
            best: None,
            base: None,
            unit: None,
            rate_milli: None,
            next: None,
        };
        self.finder.as_ref().map_or_else(set, |finder| finder.view(now, terms))
    }
}

/// The server with the smallest part of what it may be given in use that `fits`: the one with most room.
pub(super) fn least_loaded(servers: &[Server], fits: impl Fn(ServerId, &Server) -> bool) -> Option<ServerId> {
    let ids = servers.iter().enumerate().map(|(index, server)| (ServerId(index as u16), server));
    let load = |server: &Server| u64::from(server.in_flight) * 65_536 / u64::from(server.allowed().max(1));
    ids.filter(|(id, server)| fits(*id, server)).min_by_key(|(id, server)| (load(server), *id)).map(|(id, _)| id)
}
