//! The broker itself: its tables, and which file handles which event.

use super::event::{Action, Event};
use super::ids::{DownId, UpId};
use super::settings::Settings;
use super::view::{DownView, Snapshot, Tally};
use crate::time::Nanos;

/// Lends the upstream sessions of one service. Time is passed in and must not go back.
#[derive(Debug)]
pub struct Broker {
    settings: Settings,
    tally: Tally,
}

impl Broker {
    /// A broker without any session.
    pub fn new(settings: Settings) -> Broker {
        Broker { settings, tally: Tally::default() }
    }

    /// What it works with.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Other settings from now on. What stands lives on, also over a smaller cap. The seed is that of the first settings.
    pub fn apply(&mut self, settings: Settings) {
        self.settings = settings;
    }

    /// Takes in what happened, and appends what is to be done.
    pub fn on_event(&mut self, _now: Nanos, _event: Event, _out: &mut Vec<Action>) {}

    /// When [`Event::Wake`] is due at the latest; none while nothing stands or waits.
    pub fn next_wake(&self) -> Option<Nanos> {
        None
    }

    /// Everything, for people.
    pub fn snapshot(&self, _now: Nanos) -> Snapshot {
        Snapshot { ups: Vec::new(), downs: Vec::new(), principals: 0, waiting: 0, tally: self.tally.clone() }
    }

    /// One downstream session, while it lives.
    pub fn down(&self, _now: Nanos, _down: DownId) -> Option<DownView> {
        None
    }

    /// Where a downstream session lives now.
    pub fn up_of(&self, _down: DownId) -> Option<UpId> {
        None
    }

    /// Counts since the start.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }
}
