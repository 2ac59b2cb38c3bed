//! What is counted while a world is played.

use super::World;
use super::clients::HostState;
use crate::policy::Policy;
use serde::Serialize;
use tidegate_core::time::Nanos;

/// Calls that failed, as their clients see it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Failed {
    /// No answer in time.
    pub timeout: u64,
    /// Told that there is no room.
    pub turned_away: u64,
    /// Connection refused.
    pub refused: u64,
    /// Connection broken, or the session not known.
    pub broken: u64,
}

/// A point of the curves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// When.
    pub at: Nanos,
    /// Hosts connected.
    pub connected: u32,
    /// Calls held.
    pub held: u32,
    /// Jobs at the servers.
    pub in_flight: u32,
    /// The policy's limit; 0 where it has none.
    pub limit: u32,
}

/// How a population stands.
#[derive(Clone, Copy, Debug)]
pub struct Standing<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its hosts.
    pub hosts: u32,
    /// When the number of those connected rose to 1, 2, … and has not been below it since.
    pub rises: &'a [Nanos],
    /// Its calls that were answered.
    pub answered: u64,
    /// Its calls that failed.
    pub failed: Failed,
}

/// All of it.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Hosts that stand, now.
    pub standing: u32,
    /// When the number of those that stand rose to each number and has not been below it since.
    pub rises: Vec<Nanos>,
    /// The same by population.
    pub rises_of: Vec<Vec<Nanos>>,
    /// By population.
    pub failed: Vec<Failed>,
    /// The same for calls that were answered.
    pub answered: Vec<u64>,
    /// Calls that reached a server which did not know their session.
    pub strays: u64,
    /// The curves.
    pub samples: Vec<Sample>,
}

impl Tally {
    pub fn new(populations: usize) -> Tally {
        Tally {
            rises_of: vec![Vec::new(); populations],
            failed: vec![Failed::default(); populations],
            answered: vec![0; populations],
            ..Tally::default()
        }
    }
}

impl<P: Policy> World<P> {
    /// Notes that a host is connected from now on, or is not.
    pub(super) fn stand(&mut self, host: u32, at: Option<Nanos>) {
        let Some(state) = self.hosts.get_mut(host as usize) else { return };
        let rises_of = self.tally.rises_of.get_mut(usize::from(state.population));
        match (state.stands, at) {
            (None, Some(at)) => {
                self.tally.standing += 1;
                self.tally.rises.push(at);
                rises_of.into_iter().for_each(|rises| rises.push(at));
                state.stands = Some(at);
            }
            (Some(_), None) => {
                self.tally.standing -= 1;
                self.tally.rises.pop();
                rises_of.and_then(Vec::pop);
                state.stands = None;
            }
            _ => {}
        }
    }

    /// When the number of connected hosts rose to 1, 2, … and has not been below it since.
    pub fn rises(&self) -> &[Nanos] {
        &self.tally.rises
    }

    /// How each population stands.
    pub fn populations(&self) -> impl Iterator<Item = Standing<'_>> {
        let tally = &self.tally;
        self.populations.iter().enumerate().map(|(index, population)| Standing {
            name: &population.name,
            hosts: population.hosts,
            rises: tally.rises_of.get(index).map_or(&[], Vec::as_slice),
            answered: tally.answered.get(index).copied().unwrap_or_default(),
            failed: tally.failed.get(index).copied().unwrap_or_default(),
        })
    }

    /// Failed calls of all hosts.
    pub fn failed_of_hosts(&self) -> Failed {
        self.populations().filter(|standing| standing.hosts > 0).fold(Failed::default(), |sum, standing| Failed {
            timeout: sum.timeout + standing.failed.timeout,
            turned_away: sum.turned_away + standing.failed.turned_away,
            refused: sum.refused + standing.failed.refused,
            broken: sum.broken + standing.failed.broken,
        })
    }

    /// Calls that reached a server which did not know their session.
    pub fn strays(&self) -> u64 {
        self.tally.strays
    }

    /// How long each host that is connected took, in seconds.
    pub fn connect_times(&self) -> Vec<f64> {
        let took = |host: &HostState| host.stands.map(|at| at.since(host.began).as_secs_f64());
        self.hosts.iter().filter_map(took).collect()
    }

    /// How many sessions each host asked for.
    pub fn attempts(&self) -> Vec<u32> {
        self.hosts.iter().map(|host| host.attempts).collect()
    }

    /// The curves so far, with a last point now.
    pub fn curves(&self) -> Vec<Sample> {
        let mut samples = self.tally.samples.clone();
        if samples.last().is_none_or(|last| last.at < self.now) {
            samples.push(self.point());
        }
        samples
    }

    /// Takes a point of the curves.
    pub(super) fn sample(&mut self) {
        let point = self.point();
        self.tally.samples.push(point);
    }

    fn point(&self) -> Sample {
        let gauges = if self.gate_up { self.policy.gauges() } else { Default::default() };
        let in_flight = self.servers.iter().map(|server| server.in_flight() as u32).sum();
        let (at, connected) = (self.now, self.tally.standing);
        Sample { at, connected, held: gauges.held, in_flight, limit: gauges.limit }
    }
}
