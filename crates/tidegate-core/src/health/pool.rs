//! The monitors of all servers of all services.
//!
//! A service's servers are compared with one another ([`outlier`](super::outlier)): one that fails where the others do not is
//! ejected for a while. Never more than 30 % of a service at a time, or one; never the last one that can be reached; and when
//! the others go down, it is tried again at once. All servers together may show that the fault is our own
//! ([`suspicion`](super::suspicion)).

use super::monitor::{Action, Event, Findings, Freeze, Monitor, View};
use super::outlier::{Outcomes, WINDOW, ejected_max};
use super::settings::{Settings, SettingsError};
use super::standing::Standing;
use super::suspicion::{self, Alarms, Held};
use crate::admission::{Phase, ServerId};
use crate::rng::Rng;
use crate::time::Nanos;
use serde::{Deserialize, Serialize};

/// One server with a monitor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// `SERVICE/SERVER`, unique: by this it is found again after a reload.
    pub name: String,
    /// Its service's number.
    pub service: u16,
    /// What its service calls it.
    pub server: ServerId,
    /// The host that it runs on, as configured: two members on one host fail together.
    pub host: String,
    /// How it is probed.
    pub settings: Settings,
}

/// What is known of one server, as another process takes it over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Passed {
    /// The member's name,
    pub name: String,
    /// and its host: only a member that has both is the same.
    pub host: String,
    /// What was found out.
    pub findings: Findings,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Watched {
    member: Member,
    monitor: Monitor,
    outcomes: Outcomes,
    /// Since when it is suspect or down by what its monitor found.
    bad: Option<Nanos>,
    ejected: bool,
    /// What was said last.
    said: Standing,
}

impl Watched {
    fn is(&self, name: &str, host: &str) -> bool {
        self.member.name == name && self.member.host == host
    }

    fn for_suspicion(&self) -> suspicion::Standing<'_> {
        let Settings { interval, timeout, .. } = self.member.settings;
        let (service, host) = (self.member.service, self.member.host.as_str());
        suspicion::Standing { service, host, bad: self.bad, round: interval + timeout, interval }
    }
}

/// The pool. See the module.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Pool {
    watched: Vec<Watched>,
    rng: Rng,
    held: Option<Held>,
    alarms: Alarms,
    /// When the window of the outcomes began.
    window: Nanos,
}

/// What the pool tells about itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolView {
    /// Why states are held, in words.
    pub held: Option<String>,
    /// Each member's name and view, in the order of the plan.
    pub servers: Vec<(String, View)>,
}

/// What to do, and for which member (its index).
pub type Actions = Vec<(usize, Action)>;

impl Pool {
    /// A pool that knows nothing yet. `seed`: of all jitter.
    ///
    /// # Errors
    /// The settings of a member are none.
    pub fn new(members: Vec<Member>, seed: u64, now: Nanos) -> Result<Pool, SettingsError> {
        let mut pool =
            Pool { watched: Vec::new(), rng: Rng::new(seed), held: None, alarms: Alarms::default(), window: now };
        pool.apply(now, members)?;
        Ok(pool)
    }

    /// New members and settings. What is known of a member of the same name on the same host stays.
    ///
    /// # Errors
    /// The settings of a member are none; nothing was changed.
    pub fn apply(&mut self, now: Nanos, members: Vec<Member>) -> Result<(), SettingsError> {
        members.iter().try_for_each(|member| member.settings.check())?;
        let mut old = std::mem::take(&mut self.watched);
        for member in members {
            let known = old.iter().position(|old| old.is(&member.name, &member.host));
            let watched = match known.map(|at| old.swap_remove(at)) {
                Some(mut known) => {
                    known.monitor.apply(now, member.settings)?;
                    Watched { member, ..known }
                }
                None => Watched {
                    monitor: Monitor::new(member.settings, self.rng.next_u64(), now)?,
                    member,
                    outcomes: Outcomes::default(),
                    bad: None,
                    ejected: false,
                    said: Standing::UP,
                },
            };
            self.watched.push(watched);
        }
        self.held = None; // it names members by their places
        self.watched.iter_mut().for_each(|watched| watched.monitor.thaw());
        Ok(())
    }

    /// What is known of each member of which anything is, as another process can take it over.
    pub fn pass_on(&self, now: Nanos) -> Vec<Passed> {
        let passed = |watched: &Watched| {
            let Member { name, host, .. } = watched.member.clone();
            Some(Passed { name, host, findings: watched.monitor.pass_on(now)? })
        };
        self.watched.iter().filter_map(passed).collect()
    }

    /// Takes over what another process knew of these members; what is known of others is left out. Nothing is said of it:
    /// [`Pool::standing`] tells. That all turned bad together is found out anew.
    pub fn take_over(&mut self, now: Nanos, passed: Vec<Passed>) {
        for Passed { name, host, findings } in passed {
            let Some(watched) = self.watched.iter_mut().find(|watched| watched.is(&name, &host)) else { continue };
            watched.monitor.take_over(now, findings);
            watched.said = watched.monitor.standing(now);
            watched.ejected = watched.monitor.is_ejected();
            let bad = matches!(watched.said.phase, Phase::Suspect | Phase::Down) && !watched.ejected;
            watched.bad = bad.then(|| watched.monitor.since());
        }
    }

    /// The members.
    pub fn members(&self) -> impl Iterator<Item = &Member> {
        self.watched.iter().map(|watched| &watched.member)
    }

    /// How a member stands.
    pub fn standing(&self, at: usize) -> Option<Standing> {
        self.watched.get(at).map(|watched| watched.said)
    }

    /// At most so many connections are taken from us by a member, as learned.
    pub fn limit(&self, at: usize) -> Option<u32> {
        self.watched.get(at).and_then(|watched| watched.monitor.limit())
    }

    /// Something happened to a member.
    pub fn on_event(&mut self, now: Nanos, at: usize, event: Event, out: &mut Actions) {
        let mut said = Vec::new();
        self.tell(now, at, event, &mut said);
        self.end_event(now, said, out);
    }

    /// A call to a member has ended: answered, or broken off, or answered that it cannot. Cheap where nothing follows.
    pub fn traffic(&mut self, now: Nanos, at: usize, good: bool, out: &mut Actions) {
        let mut said = Vec::new();
        let Some(watched) = self.watched.get_mut(at) else { return };
        let too_many = watched.outcomes.note(good);
        if good && watched.monitor.hear(now) {
            self.tell(now, at, Event::Answered, &mut said);
        } else if too_many {
            self.eject(now, at, &mut said);
        }
        if !said.is_empty() {
            self.end_event(now, said, out);
        }
    }

    /// Our own side is in trouble, or no longer.
    pub fn alarms(&mut self, now: Nanos, alarms: Alarms, out: &mut Actions) {
        self.alarms = alarms;
        self.end_event(now, Vec::new(), out);
    }

    /// The time that [`Pool::next_wake`] named has come.
    pub fn wake(&mut self, now: Nanos, out: &mut Actions) {
        let mut said = Vec::new();
        for at in 0..self.watched.len() {
            if self.watched.get(at).is_some_and(|watched| watched.monitor.next_wake() <= now) {
                self.tell(now, at, Event::Wake, &mut said);
            }
        }
        if now.since(self.window) >= WINDOW {
            self.compare(now, &mut said);
        }
        self.end_event(now, said, out);
    }

    /// When the driver must call [`Pool::wake`], if nothing else happens before.
    pub fn next_wake(&self) -> Option<Nanos> {
        let counted = self.watched.iter().any(|watched| watched.outcomes.good + watched.outcomes.bad > 0);
        let window = counted.then(|| self.window + WINDOW);
        let held = self.held.as_ref().map(|held| held.until);
        self.watched.iter().map(|watched| watched.monitor.next_wake()).chain(window).chain(held).min()
    }

    /// What the pool knows.
    pub fn view(&self, now: Nanos) -> PoolView {
        let held = self.held.as_ref().map(|held| {
            let (bad, all) = (held.servers.len(), self.watched.len());
            let what =
                if held.what == Freeze::All { "the fault must be our own" } else { "we are slow or short of ports" };
            format!("{bad} of {all} servers turned bad at once: {what}; the phases are held")
        });
        let servers = self.watched.iter().map(|watched| (watched.member.name.clone(), watched.monitor.view(now)));
        PoolView { held, servers: servers.collect() }
    }

    fn tell(&mut self, now: Nanos, at: usize, event: Event, said: &mut Actions) {
        let Some(watched) = self.watched.get_mut(at) else { return };
        let mut actions = Vec::new();
        watched.monitor.on_event(now, event, &mut actions);
        let phase = watched.monitor.standing(now).phase;
        watched.ejected &= phase == Phase::Down;
        let bad = matches!(phase, Phase::Suspect | Phase::Down) && !watched.ejected;
        watched.bad = if bad { watched.bad.or(Some(now)) } else { None };
        said.extend(actions.into_iter().map(|action| (at, action)));
    }

    /// Looks at all together, and says what is left to say.
    fn end_event(&mut self, now: Nanos, mut said: Actions, out: &mut Actions) {
        self.suspect(now, &mut said);
        self.restore(now, &mut said);
        let last =
            |at: usize| said.iter().rposition(|(other, action)| *other == at && matches!(action, Action::Stand(_)));
        let lasts: Vec<Option<usize>> = (0..self.watched.len()).map(last).collect();
        for (index, (at, action)) in said.into_iter().enumerate() {
            let Some(watched) = self.watched.get_mut(at) else { continue };
            if let Action::Stand(standing) = &action {
                // What was taken back at once was never so.
                if lasts.get(at) != Some(&Some(index)) || watched.said == *standing {
                    continue;
                }
                watched.said = *standing;
            }
            out.push((at, action));
        }
    }

    fn suspect(&mut self, now: Nanos, said: &mut Actions) {
        let all: Vec<suspicion::Standing<'_>> = self.watched.iter().map(Watched::for_suspicion).collect();
        let over = self.held.as_ref().is_some_and(|held| held.over(now, &all));
        let found = suspicion::suspect(now, &all, self.alarms);
        let found = found.filter(|found| self.held.as_ref().is_none_or(|held| found.outweighs(held)));
        let back = all.iter().map(|server| server.round).max().unwrap_or_default();
        match found {
            Some(found) if !over => {
                let (what, servers) = (found.what, found.servers.clone());
                self.held = Some(found);
                self.freeze(now, what, said);
                if what == Freeze::All {
                    servers.into_iter().for_each(|at| self.tell(now, at, Event::TakeBack(back), said));
                }
            }
            _ if over => {
                self.held = None;
                self.freeze(now, Freeze::Off, said);
            }
            _ => {}
        }
    }

    fn freeze(&mut self, now: Nanos, what: Freeze, said: &mut Actions) {
        (0..self.watched.len()).for_each(|at| self.tell(now, at, Event::Freeze(what), said));
    }

    /// The window is over: who does worse than the rest of its service?
    fn compare(&mut self, now: Nanos, said: &mut Actions) {
        self.window = now;
        let of =
            |service: u16| self.watched.iter().enumerate().filter(move |(_, other)| other.member.service == service);
        let worse = |(at, watched): &(usize, &Watched)| {
            let rest =
                of(watched.member.service).filter(|(other, _)| other != at).map(|(_, other)| other.outcomes).sum();
            watched.outcomes.worse_than(&rest)
        };
        let outliers: Vec<usize> = self.watched.iter().enumerate().filter(worse).map(|(at, _)| at).collect();
        self.watched.iter_mut().for_each(|watched| watched.outcomes.begin());
        outliers.into_iter().for_each(|at| self.eject(now, at, said));
    }

    /// Ejects a member, if its service can do without.
    fn eject(&mut self, now: Nanos, at: usize, said: &mut Actions) {
        let Some(watched) = self.watched.get(at) else { return };
        let service = watched.member.service;
        let up = |watched: &Watched| watched.monitor.standing(now).phase != Phase::Down;
        let others = || self.watched.iter().enumerate().filter(|(_, other)| other.member.service == service);
        let ejected = others().filter(|(_, other)| other.ejected).count();
        let spared = others().any(|(other, watched)| other != at && up(watched));
        if self.held.is_some() || !up(watched) || !spared || ejected >= ejected_max(others().count()) {
            return;
        }
        let Some(watched) = self.watched.get_mut(at) else { return };
        watched.ejected = true;
        let span = watched.outcomes.eject(now);
        self.tell(now, at, Event::Eject(span), said);
    }

    /// Where no other server can be reached, those that are ejected are tried again.
    fn restore(&mut self, now: Nanos, said: &mut Actions) {
        let up = |watched: &Watched| watched.monitor.standing(now).phase != Phase::Down;
        let left = |service: u16| self.watched.iter().any(|other| other.member.service == service && up(other));
        let alone = |(_, watched): &(usize, &Watched)| watched.ejected && !left(watched.member.service);
        let needed: Vec<usize> = self.watched.iter().enumerate().filter(alone).map(|(at, _)| at).collect();
        needed.into_iter().for_each(|at| self.tell(now, at, Event::Restore, said));
    }
}
