//! One limit on tasks under way: of a vCenter, and of each of its hosts that is known.

use super::event::HostKey;
use super::feedback::{Begun, Feedback};
use super::pace::{Load, Pace};
use super::settings::Settings;
use crate::time::{Nanos, Span};
use std::collections::BTreeMap;

/// So many hosts have a limit of their own; a vCenter has 2500 at the most.
const HOSTS_MAX: usize = 4096;

/// A host begins with this part of what the vCenter begins with.
const START: u32 = 4;

fn start(settings: &Settings) -> u32 {
    (settings.start / START).max(1)
}

/// How many may be under way.
#[derive(Clone, Debug, Default)]
pub(super) struct Bound {
    pub pace: Pace,
    pub feedback: Feedback,
}

impl Bound {
    /// Time goes on until `now`. Call it before anything changes.
    pub fn advance(&mut self, now: Nanos, life: Span, start: u32) {
        if self.pace.advance(now, life) {
            self.feedback.quiet(start);
        }
    }

    /// So many, as of the last time that [`Bound::advance`] was called, if there were `start` at the beginning.
    pub fn limit(&self, start: u32, most: u32) -> u32 {
        self.feedback.limit(self.pace.limit(start, most), start, most)
    }
}

/// Of one host.
#[derive(Clone, Debug, Default)]
struct Host {
    bound: Bound,
    running: u32,
    /// Calls that wait, for whatever.
    waiting: u32,
}

impl Host {
    fn idle(&self) -> bool {
        self.running == 0 && self.waiting == 0
    }
}

/// Of all hosts that something was done on.
#[derive(Clone, Debug, Default)]
pub(super) struct Hosts {
    table: BTreeMap<HostKey, Host>,
}

impl Hosts {
    /// Whether as many tasks are under way on a host as it may have.
    pub fn full(&self, now: Nanos, settings: &Settings, host: HostKey) -> bool {
        self.table.get(&host).is_some_and(|host| {
            let mut bound = host.bound.clone();
            bound.advance(now, settings.token_life, start(settings));
            host.running >= bound.limit(start(settings), settings.most)
        })
    }

    /// So many more, or less, wait for it and are under way on it.
    pub fn count(&mut self, now: Nanos, settings: &Settings, host: HostKey, waiting: i32, running: i32) {
        self.with(now, settings, host, |host| {
            host.waiting = host.waiting.saturating_add_signed(waiting);
            host.running = host.running.saturating_add_signed(running);
        });
    }

    /// A task on it has ended well. True when it was late.
    pub fn ended(&mut self, now: Nanos, settings: &Settings, host: HostKey, task: Begun) -> bool {
        let mut late = false;
        self.with(now, settings, host, |host| {
            host.bound.pace.ended();
            let limit = host.bound.limit(start(settings), settings.most);
            host.bound.feedback.tries(now, task, settings.token_life, limit);
            late = host.bound.feedback.took(now, task, settings.token_life, (start(settings), limit));
        });
        late
    }

    /// A lease there was granted. True when that was late.
    pub fn granted(&mut self, now: Nanos, settings: &Settings, host: HostKey, task: Begun) -> bool {
        let mut late = false;
        self.with(now, settings, host, |host| {
            let limit = host.bound.limit(start(settings), settings.most);
            late = host.bound.feedback.took(now, task, settings.token_life, (start(settings), limit));
        });
        late
    }

    /// The token of a task on it has died.
    pub fn expired(&mut self, now: Nanos, settings: &Settings, host: HostKey, task: Begun) {
        self.with(now, settings, host, |host| {
            let limit = host.bound.limit(start(settings), settings.most);
            host.bound.feedback.expired(now, task, settings.token_life, limit);
        });
    }

    /// How many are under way on it.
    pub fn running(&self, host: HostKey) -> u32 {
        self.table.get(&host).map_or(0, |host| host.running)
    }

    /// How many have as many tasks under way as they may.
    pub fn full_ones(&self, now: Nanos, settings: &Settings) -> u32 {
        self.table.keys().filter(|host| self.full(now, settings, **host)).count() as u32
    }

    /// Changes a host, and tells its pace how full it is from now on.
    fn with(&mut self, now: Nanos, settings: &Settings, key: HostKey, change: impl FnOnce(&mut Host)) {
        if self.table.len() >= HOSTS_MAX && !self.table.contains_key(&key) {
            self.table.retain(|_, host| !host.idle());
            if self.table.len() >= HOSTS_MAX {
                return;
            }
        }
        let host = self.table.entry(key).or_default();
        host.bound.advance(now, settings.token_life, start(settings));
        change(host);
        let limit = host.bound.limit(start(settings), settings.most);
        let wanted = host.waiting > 0 && host.running >= limit;
        host.bound.pace.load(now, Load { running: host.running, wanted }, limit);
    }
}
