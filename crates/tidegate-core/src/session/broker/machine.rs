//! The broker itself: its tables, and which file handles which event.

use super::event::{Action, Event, Refusal};
use super::ids::{AskId, DownId, PrincipalKey, UpId};
use super::settings::Settings;
use super::table::{Ask, Down, For, Principal, Up, What};
use super::timers::{Timer, Timers};
use super::view::Tally;
use crate::rng::Rng;
use crate::time::Nanos;
use std::collections::{BTreeMap, BTreeSet};

/// Lends the upstream sessions of one service. Time is passed in and must not go back.
#[derive(Debug)]
pub struct Broker {
    pub(super) settings: Settings,
    pub(super) rng: Rng,
    pub(super) draining: bool,
    pub(super) principals: BTreeMap<PrincipalKey, Principal>,
    pub(super) downs: BTreeMap<DownId, Down>,
    pub(super) ups: BTreeMap<UpId, Up>,
    pub(super) asks: BTreeMap<AskId, Ask>,
    pub(super) timers: Timers,
    /// Principals whose queues have to be looked at before the event is over.
    pub(super) dirty: BTreeSet<PrincipalKey>,
    pub(super) turns: u64,
    pub(super) ups_ever: u64,
    pub(super) downs_ever: u64,
    /// Upstream sessions that clients made by themselves.
    pub(super) own: u32,
    pub(super) tally: Tally,
}

impl Broker {
    /// A broker without any session.
    pub fn new(settings: Settings) -> Broker {
        Broker {
            rng: Rng::new(settings.seed),
            settings,
            draining: false,
            principals: BTreeMap::new(),
            downs: BTreeMap::new(),
            ups: BTreeMap::new(),
            asks: BTreeMap::new(),
            timers: Timers::default(),
            dirty: BTreeSet::new(),
            turns: 0,
            ups_ever: 0,
            downs_ever: 0,
            own: 0,
            tally: Tally::default(),
        }
    }

    /// What it works with.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Other settings from the next event on. What stands lives on, also over a smaller cap. The seed is that of the first
    /// settings.
    pub fn apply(&mut self, settings: Settings) {
        self.settings = settings;
        let (settings, timers) = (&self.settings, &mut self.timers);
        for (id, down) in &self.downs {
            timers.set(Timer::Down(*id), down.due(down.used, settings));
        }
        for (id, up) in self.ups.iter().filter(|(_, up)| up.ready()) {
            timers.set(Timer::Up(*id), up.due(up.touched, settings));
        }
        for (id, ask) in self.asks.iter().filter(|(_, ask)| ask.waiting) {
            timers.set(Timer::Ask(*id), ask.since + settings.wait_max);
        }
        for (key, kept) in self.principals.iter().filter_map(|(key, p)| Some((key, p.kept.as_ref()?))) {
            timers.set(Timer::Password(*key), kept.at + settings.verify);
        }
        self.dirty.extend(self.principals.keys());
    }

    /// Takes in what happened, and appends what is to be done.
    pub fn on_event(&mut self, now: Nanos, event: Event, out: &mut Vec<Action>) {
        self.pass(now, out);
        match event {
            Event::Login { ask, principal, secret } => self.login(now, ask, principal, Some(secret), out),
            Event::LoginOwn { ask, principal } => self.login(now, ask, principal, None, out),
            Event::Verified { up } => self.verified(now, up, out),
            Event::Denied { up } => self.denied(up, out),
            Event::Failed { up } => self.failed(up, out),
            Event::Use { ask, down, need } => self.call(now, ask, down, need, out),
            Event::Done { ask, holds } => self.done(now, ask, holds, out),
            Event::Left { ask } => self.left(ask),
            Event::Dead { up } => self.dead(up, out),
            Event::Stale { up } => self.stale(up, out),
            Event::Logout { down } => self.close(down, out),
            Event::Wake => {}
            Event::Drain => self.drain(out),
        }
        self.settle(now, out);
        self.pass(now, out); // what was given no time at all
    }

    /// When [`Event::Wake`] is due at the latest; none while nothing stands or waits.
    pub fn next_wake(&self) -> Option<Nanos> {
        self.timers.next()
    }

    /// Counts since the start.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Serves whoever can be served now, and forgets principals of whom nothing is left.
    pub(super) fn settle(&mut self, now: Nanos, out: &mut Vec<Action>) {
        while let Some(key) = self.dirty.pop_first() {
            self.serve_logins(now, key, out);
            self.serve_calls(now, key, For::Shared, out);
            self.serve_calls(now, key, For::Clone, out);
            if self.principals.get(&key).is_some_and(Principal::forgettable) {
                self.forget(key, out);
                self.principals.remove(&key);
            }
        }
    }

    /// A call begins to wait, unless too many do.
    pub(super) fn wait(&mut self, id: AskId, of: For, out: &mut Vec<Action>) {
        let Some(ask) = self.asks.get_mut(&id) else { return };
        let Some(principal) = self.principals.get_mut(&ask.principal) else { return };
        if principal.waiting >= self.settings.waiting_max {
            return self.refuse(id, Refusal::TooMany(super::Cap::Waiting), out);
        }
        ask.waiting = true;
        principal.waiting += 1;
        principal.push(of, ask.turn, id);
        if let What::Use { down, .. } = &ask.what
            && let Some(down) = self.downs.get_mut(down)
        {
            down.waiting.insert(ask.turn, id);
        }
        self.timers.set(Timer::Ask(id), ask.since + self.settings.wait_max);
        out.push(Action::Wait { ask: id });
    }

    /// A call waits no longer.
    pub(super) fn resume(&mut self, id: AskId) {
        let Some(ask) = self.asks.get_mut(&id).filter(|ask| ask.waiting) else { return };
        ask.waiting = false;
        if let Some(principal) = self.principals.get_mut(&ask.principal) {
            principal.waiting -= 1;
            principal.pull(ask.turn);
        }
        if let What::Use { down, .. } = &ask.what
            && let Some(down) = self.downs.get_mut(down)
        {
            down.waiting.remove(&ask.turn);
        }
        self.timers.clear(Timer::Ask(id));
    }

    /// A call that is known is not served.
    pub(super) fn refuse(&mut self, id: AskId, why: Refusal, out: &mut Vec<Action>) {
        self.resume(id);
        if let Some(ask) = self.asks.remove(&id) {
            self.dirty.insert(ask.principal);
            self.turn_away(id, why, out);
        }
    }

    /// A call that is not known is not served.
    pub(super) fn turn_away(&mut self, ask: AskId, why: Refusal, out: &mut Vec<Action>) {
        *self.tally.refused.entry(why.name()).or_default() += 1;
        out.push(Action::Refuse { ask, why });
    }

    /// The password of a principal is not kept any longer.
    pub(super) fn forget(&mut self, key: PrincipalKey, out: &mut Vec<Action>) {
        self.timers.clear(Timer::Password(key));
        if self.principals.get_mut(&key).and_then(|principal| principal.kept.take()).is_some() {
            out.push(Action::Forget { principal: key });
        }
    }
}
