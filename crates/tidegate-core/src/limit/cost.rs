//! What each operation costs, in units, learned from how long it takes beside the others.
//!
//! All calls at a server are slowed down alike, so an operation's mean service time divided by that of another one *over the
//! same short time* is what it costs beside it, whatever the load. (Measuring at low load only, as is usual, would learn
//! nothing during a storm, when it matters; dividing by what a unit was last known to take goes wrong whenever the load has
//! just changed.) The other one is the yardstick, which keeps its configured cost, or all costs together could drift: an
//! operation that opens a session, since that is what a unit means; until one is seen, the first one that was seen.

use crate::admission::OperationKey;
use crate::time::Span;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Operations that are remembered; more keep what is configured.
const OPERATIONS_MAX: usize = 1024;
/// A comparison is made once the yardstick was seen so often …
const YARDSTICKS: u32 = 4;
/// … and all operations together so often.
const CALLS: u32 = 20;
/// Comparisons after which a new one weighs no less.
const COMPARISONS_MAX: u32 = 20;
/// A learned cost stays within this factor of the configured one (both ways).
const FARTHEST: f64 = 32.0;
/// One comparison counts as no more than this factor away from what is known (both ways).
const JUMP: f64 = 4.0;

/// What is known of an operation, and what was seen since the last comparison.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Cost {
    units: f64,
    configured: f64,
    comparisons: u32,
    calls: u32,
    seconds: f64,
}

/// Costs by operation.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Costs {
    table: BTreeMap<u32, Cost>,
    /// Which operation it is, and whether it opens a session.
    yardstick: Option<(u32, bool)>,
    /// Calls since the last comparison.
    calls: u32,
}

impl Costs {
    /// What an earlier machine learned.
    pub fn remembered(costs: &[(OperationKey, u32)]) -> Costs {
        let cost = |milli: u32| {
            let units = f64::from(milli.clamp(1, 1_000_000)) / 1000.0;
            Cost { units, configured: units, comparisons: 1, calls: 0, seconds: 0.0 }
        };
        let known = costs.iter().filter(|(key, _)| key.0 != 0).take(OPERATIONS_MAX);
        Costs { table: known.map(|(key, milli)| (key.0, cost(*milli))).collect(), ..Costs::default() }
    }

    /// What this machine has learned, to begin another one with.
    pub fn remember(&self) -> Vec<(OperationKey, u32)> {
        let learned = self.table.iter().filter(|(_, cost)| cost.comparisons > 0);
        learned.map(|(key, cost)| (OperationKey(*key), ((cost.units * 1000.0).round() as u32).max(1))).collect()
    }

    /// The cost of an operation in units: learned, or as configured (in thousandths).
    pub fn expected(&self, operation: OperationKey, configured: u32) -> f64 {
        let learned = self.table.get(&operation.0).filter(|cost| cost.comparisons > 0);
        learned.map_or(f64::from(configured) / 1000.0, |cost| cost.units)
    }

    /// A call of `operation` took `service`. `opens`: it opens a session.
    pub fn answered(&mut self, operation: OperationKey, configured: u32, opens: bool, service: Span) {
        let full = self.table.len() >= OPERATIONS_MAX && !self.table.contains_key(&operation.0);
        if operation.0 == 0 || full {
            return;
        }
        let configured = f64::from(configured.max(1)) / 1000.0;
        let fresh = Cost { units: configured, configured, comparisons: 0, calls: 0, seconds: 0.0 };
        let cost = self.table.entry(operation.0).or_insert(fresh);
        cost.configured = configured;
        cost.calls += 1;
        cost.seconds += service.as_secs_f64();
        if self.yardstick.is_none_or(|(_, other_opens)| opens && !other_opens) {
            self.yardstick = Some((operation.0, opens));
            (cost.units, cost.comparisons) = (configured, 0);
        }
        self.calls += 1;
        self.compare();
    }

    /// Compares what was seen with the yardstick, once it is enough.
    fn compare(&mut self) {
        let Some((key, yardstick)) = self.yardstick.and_then(|(key, _)| Some((key, *self.table.get(&key)?))) else {
            return;
        };
        if yardstick.calls < YARDSTICKS || self.calls < CALLS || yardstick.seconds <= 0.0 {
            return;
        }
        let unit = yardstick.seconds / (f64::from(yardstick.calls) * yardstick.configured);
        self.calls = 0;
        for (operation, cost) in &mut self.table {
            if cost.calls > 0 && *operation != key {
                cost.learn(cost.seconds / f64::from(cost.calls) / unit);
            }
            (cost.calls, cost.seconds) = (0, 0.0);
        }
    }
}

impl Cost {
    fn learn(&mut self, seen: f64) {
        let seen = seen.clamp(self.units / JUMP, self.units * JUMP);
        self.comparisons = (self.comparisons + 1).min(COMPARISONS_MAX);
        // What is configured counts as one comparison.
        self.units += (seen - self.units) / f64::from(self.comparisons + 1);
        let (least, most) = (self.configured / FARTHEST, self.configured * FARTHEST);
        self.units = self.units.clamp(least.max(1e-6), most.min(1000.0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPEN: OperationKey = OperationKey(1);
    const OTHER: OperationKey = OperationKey(2);

    #[test]
    fn a_cost_is_learned_whatever_the_load() {
        let mut costs = Costs::default();
        for n in 0..4000u32 {
            let slow = 1.0 + f64::from(n / 40 % 3); // the load changes all the time
            costs.answered(OPEN, 1000, true, Span::from_secs_f64(0.5 * slow));
            costs.answered(OTHER, 1000, false, Span::from_secs_f64(0.005 * slow));
        }
        assert_eq!(costs.expected(OPEN, 1000), 1.0, "the yardstick stays");
        let learned = costs.expected(OTHER, 1000);
        assert!((learned - 1.0 / 32.0).abs() < 1e-3, "no farther than 32 times from what is configured: {learned}");
        assert_eq!(costs.remember(), [(OTHER, 31)], "in thousandths, without the yardstick");
    }

    #[test]
    fn nothing_is_learned_of_unknown_operations_or_without_a_yardstick() {
        let mut costs = Costs::default();
        for _ in 0..100 {
            costs.answered(OperationKey::default(), 700, false, Span::secs(1));
            costs.answered(OTHER, 500, false, Span::secs(9));
        }
        assert_eq!((costs.expected(OperationKey::default(), 700), costs.expected(OTHER, 500)), (0.7, 0.5));
    }
}
