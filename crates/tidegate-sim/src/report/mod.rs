//! What came of a run, as JSON of format 1.

mod fairness;

use crate::engine::{Failed, Sample, World};
use crate::floor;
use crate::policy::{Policy, PolicySpec};
use crate::spec::{FORMAT, Spec};
use serde::Serialize;
use tidegate_core::time::Nanos;

/// The whole report. Times are seconds since the beginning; `null`: never.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// [`FORMAT`].
    pub format: u32,
    /// The policy's word.
    pub policy: &'static str,
    /// Hosts of all populations.
    pub hosts: u32,
    /// Of these, connected at the end.
    pub connected: u32,
    /// The least time that anything could take.
    pub floor_s: Option<f64>,
    /// When the last host was connected, if all are.
    pub last_connected_s: Option<f64>,
    /// When half of them were.
    pub t50_s: Option<f64>,
    /// When 99 % were.
    pub t99_s: Option<f64>,
    /// Failed calls of the hosts.
    pub failed_attempts: Failed,
    /// Wasted work as a share of all.
    pub wasted_work: f64,
    /// Work for clients that waited for it.
    pub useful_units: f64,
    /// Work for clients that had left.
    pub wasted_units: f64,
    /// Work that crashes threw away.
    pub lost_units: f64,
    /// How evenly the time to connect is spread.
    pub jain_connect_time: Option<f64>,
    /// How evenly the attempts to connect are spread.
    pub jain_attempts: Option<f64>,
    /// The most jobs that one server ever had.
    pub max_in_flight: usize,
    /// Decisions of the policy.
    pub decisions: u64,
    /// Events of the run.
    pub events: u64,
    /// How long it was played.
    pub played_s: f64,
    /// How long it took; whoever has a clock fills it in.
    pub wall_s: Option<f64>,
    /// What was played.
    pub parameters: Parameters,
    /// How it went.
    pub curves: Curves,
    /// By population.
    pub populations: Vec<PopulationReport>,
}

/// What was played.
#[derive(Clone, Debug, Serialize)]
pub struct Parameters {
    /// The spec.
    #[serde(flatten)]
    pub spec: Spec,
    /// The policy with its numbers.
    pub policy: PolicySpec,
}

/// One point every `sample_s`, and one at the end.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Curves {
    /// When.
    pub t: Vec<f64>,
    /// Hosts connected.
    pub connected: Vec<u32>,
    /// Calls held.
    pub held: Vec<u32>,
    /// Jobs at the servers.
    pub in_flight: Vec<u32>,
    /// The policy's limit; 0 where it has none.
    pub limit: Vec<u32>,
}

/// One population.
#[derive(Clone, Debug, Serialize)]
pub struct PopulationReport {
    /// Its name.
    pub name: String,
    /// Its hosts; 0 for principals.
    pub hosts: u32,
    /// Of these, connected at the end.
    pub connected: u32,
    /// When half of them were connected.
    pub t50_s: Option<f64>,
    /// When 99 % were.
    pub t99_s: Option<f64>,
    /// When all were.
    pub last_connected_s: Option<f64>,
    /// Calls that it made and that were answered.
    pub answered: u64,
    /// Calls that failed.
    pub failed_attempts: Failed,
}

impl Report {
    /// The report of a world that has been played.
    pub fn of<P: Policy>(world: &World<P>, policy: &PolicySpec) -> Report {
        let spec = world.spec();
        let tallies: Vec<_> = (0..spec.servers.len()).map(|server| world.server_tally(server as u16)).collect();
        let sum = |of: fn(&crate::provider::Tally) -> f64| tallies.iter().map(of).sum::<f64>();
        let (useful_units, wasted_units) = (sum(|t| t.useful_units), sum(|t| t.wasted_units));
        let (hosts, rises) = (world.host_count(), world.rises());
        let times = world.connect_times();
        Report {
            format: FORMAT,
            policy: policy.kind(),
            hosts,
            connected: world.connected(),
            floor_s: floor::of(spec),
            last_connected_s: quantile(rises, hosts, 1.0),
            t50_s: quantile(rises, hosts, 0.5),
            t99_s: quantile(rises, hosts, 0.99),
            failed_attempts: world.failed_of_hosts(),
            wasted_work: if useful_units + wasted_units > 0.0 {
                wasted_units / (useful_units + wasted_units)
            } else {
                0.0
            },
            useful_units,
            wasted_units,
            lost_units: sum(|t| t.lost_units),
            jain_connect_time: fairness::jain(times.into_iter()),
            jain_attempts: fairness::jain(world.attempts().into_iter().map(f64::from)),
            max_in_flight: tallies.iter().map(|tally| tally.max_in_flight).max().unwrap_or(0),
            decisions: world.policy().decisions(),
            events: world.events(),
            played_s: seconds(world.now()),
            wall_s: None,
            parameters: Parameters { spec: spec.clone(), policy: policy.clone() },
            curves: curves(&world.curves()),
            populations: populations(world),
        }
    }
}

fn seconds(at: Nanos) -> f64 {
    at.0 as f64 / 1e9
}

/// When so large a share of `all` had risen; never when they have not.
fn quantile(rises: &[Nanos], all: u32, share: f64) -> Option<f64> {
    let nth = (f64::from(all) * share).ceil() as usize;
    rises.get(nth.checked_sub(1)?).map(|at| seconds(*at))
}

fn curves(samples: &[Sample]) -> Curves {
    let of = |which: fn(&Sample) -> u32| samples.iter().map(which).collect();
    Curves {
        t: samples.iter().map(|sample| seconds(sample.at)).collect(),
        connected: of(|sample| sample.connected),
        held: of(|sample| sample.held),
        in_flight: of(|sample| sample.in_flight),
        limit: of(|sample| sample.limit),
    }
}

fn populations<P: Policy>(world: &World<P>) -> Vec<PopulationReport> {
    let report = |standing: crate::engine::Standing<'_>| PopulationReport {
        name: standing.name.to_owned(),
        hosts: standing.hosts,
        connected: standing.rises.len() as u32,
        t50_s: quantile(standing.rises, standing.hosts, 0.5),
        t99_s: quantile(standing.rises, standing.hosts, 0.99),
        last_connected_s: quantile(standing.rises, standing.hosts, 1.0),
        answered: standing.answered,
        failed_attempts: standing.failed,
    };
    world.populations().map(report).collect()
}
