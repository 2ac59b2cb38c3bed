//! What each operation costs, in thousandths of a unit, learned from how long it takes beside the others.
//!
//! A call's service time divided by what a unit of work takes at that moment is its cost, whatever the load: all calls at a
//! server are slowed down alike. (Measuring at low load only, as is usual, would learn nothing during a storm, when it
//! matters.) One operation is the yardstick and keeps its configured cost, or all costs together could drift: one that
//! opens a session, since that is what a unit means; until one is seen, the first operation that was seen.

use crate::admission::OperationKey;
use crate::time::Span;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Operations that are remembered; more keep what is configured.
const OPERATIONS_MAX: usize = 1024;
/// Samples after which a new one weighs no less.
const SAMPLES_MAX: u32 = 20;
/// A learned cost stays within this factor of the configured one (both ways).
const FARTHEST: f64 = 32.0;
/// One sample counts as no more than this factor away from what is known (both ways).
const JUMP: f64 = 4.0;

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Cost {
    milli: f64,
    samples: u32,
}

/// Costs by operation.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Costs {
    table: BTreeMap<u32, Cost>,
    yardstick: Option<(u32, bool)>,
}

impl Costs {
    /// What an earlier machine learned.
    pub fn remembered(costs: &[(OperationKey, u32)]) -> Costs {
        let cost = |milli: u32| Cost { milli: f64::from(milli.clamp(1, 1_000_000)), samples: 1 };
        let known = costs.iter().filter(|(key, _)| key.0 != 0).take(OPERATIONS_MAX);
        Costs { table: known.map(|(key, milli)| (key.0, cost(*milli))).collect(), yardstick: None }
    }

    /// What this machine has learned, to begin another one with.
    pub fn remember(&self) -> Vec<(OperationKey, u32)> {
        self.table.iter().map(|(key, cost)| (OperationKey(*key), cost.milli.round().max(1.0) as u32)).collect()
    }

    /// The cost of an operation: learned, or as configured.
    pub fn expected(&self, operation: OperationKey, configured: u32) -> u32 {
        let learned = self.table.get(&operation.0).filter(|cost| cost.samples > 0);
        learned.map_or(configured, |cost| cost.milli.round().max(1.0) as u32)
    }

    /// A call of `operation` took `service` when a unit of work took `unit` seconds. `opens`: it opens a session.
    pub fn learn(&mut self, operation: OperationKey, configured: u32, opens: bool, service: Span, unit: f64) {
        if operation.0 == 0
            || unit <= 0.0
            || (self.table.len() >= OPERATIONS_MAX && !self.table.contains_key(&operation.0))
        {
            return;
        }
        if self.yardstick.is_none_or(|(_, other_opens)| opens && !other_opens) {
            self.yardstick = Some((operation.0, opens));
            self.table.remove(&operation.0);
        }
        if self.yardstick.is_some_and(|(yardstick, _)| yardstick == operation.0) {
            return;
        }
        let known = f64::from(configured.max(1));
        let cost = self.table.entry(operation.0).or_insert(Cost { milli: known, samples: 1 });
        let seen = (service.as_secs_f64() / unit * 1000.0).clamp(cost.milli / JUMP, cost.milli * JUMP);
        cost.samples = (cost.samples + 1).min(SAMPLES_MAX);
        cost.milli += (seen - cost.milli) / f64::from(cost.samples);
        cost.milli = cost.milli.clamp((known / FARTHEST).max(1.0), (known * FARTHEST).min(1_000_000.0));
    }
}
