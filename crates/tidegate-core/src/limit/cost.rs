//! What each operation costs, in units, learned from how long it takes beside the others.
//!
//! All calls at a server are slowed down alike, so an operation's mean service time divided by that of another one *over the
//! same short time* is what it costs beside it, whatever the load. (Measuring at low load only, as is usual, would learn
//! nothing during a storm, when it matters; dividing by what a unit was last known to take goes wrong whenever the load has
//! just changed.) The other one is the yardstick, which keeps its configured cost, or all costs together could drift: an
//! operation that opens a session, since that is what a unit means; until one is seen, the first one that was seen. Where the
//! yardstick is rare (a gate that shares sessions logs in a few times a day), an operation is compared with all that were
//! answered together instead, at what they cost so far: their sum stays, and with it the scale. What a unit takes may then be
//! another one than it was while costs were guesses, and who has measured it is told so.

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
/// A yardstick that comes less than [`YARDSTICKS`] times in so many calls is rare: a login is one call in twenty or so.
const STRETCH: u32 = 200;
/// A cost that changes by more than this factor changes what a unit is, where the operation has …
const CHANGED: f64 = 1.25;
/// … this share of the time.
const SHARE: f64 = 0.1;
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
    /// Calls of this stretch, and yardsticks among them.
    #[serde(default)]
    stretch: (u32, u32),
    /// The last stretch had hardly any.
    #[serde(default)]
    rare: bool,
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

    /// A call of `operation` took `service`. `opens`: it opens a session. True when a unit is not what it was.
    pub fn answered(&mut self, operation: OperationKey, configured: u32, opens: bool, service: Span) -> bool {
        let full = self.table.len() >= OPERATIONS_MAX && !self.table.contains_key(&operation.0);
        if operation.0 == 0 || full {
            return false;
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
        self.stretch(operation.0);
        self.unit().is_some_and(|unit| self.compare(unit))
    }

    /// Tells whether yardsticks are rare.
    fn stretch(&mut self, operation: u32) {
        let yardstick = self.yardstick.is_some_and(|(key, _)| key == operation);
        self.stretch = (self.stretch.0 + 1, self.stretch.1 + u32::from(yardstick));
        let seen = self.stretch.1 >= YARDSTICKS;
        if seen || self.stretch.0 >= STRETCH {
            (self.stretch, self.rare) = ((0, 0), !seen);
        }
    }

    /// Seconds that a unit took since the last comparison, once that can be said.
    fn unit(&self) -> Option<f64> {
        if self.calls < CALLS {
            return None;
        }
        let (seconds, units) = if self.rare {
            let sum =
                |(seconds, units), cost: &Cost| (seconds + cost.seconds, units + f64::from(cost.calls) * cost.units);
            self.table.values().fold((0.0, 0.0), sum)
        } else {
            let cost =
                self.yardstick.and_then(|(key, _)| self.table.get(&key)).filter(|cost| cost.calls >= YARDSTICKS)?;
            (cost.seconds, f64::from(cost.calls) * cost.configured)
        };
        (seconds > 0.0 && units > 0.0).then_some(seconds / units)
    }

    /// Learns from what was seen since the last comparison, in which a unit took so many seconds.
    fn compare(&mut self, unit: f64) -> bool {
        self.calls = 0;
        // One that opens sessions says what a unit is, however rare it is.
        let keeps = self.yardstick.filter(|(_, opens)| *opens || !self.rare).map(|(key, _)| key);
        let all: f64 = self.table.values().map(|cost| cost.seconds).sum();
        let mut changed = false;
        for (operation, cost) in &mut self.table {
            if cost.calls > 0 && Some(*operation) != keeps {
                let before = cost.units;
                cost.learn(cost.seconds / f64::from(cost.calls) / unit);
                let factor = (cost.units / before).max(before / cost.units);
                changed |= factor > CHANGED && cost.seconds > SHARE * all;
            }
            (cost.calls, cost.seconds) = (0, 0.0);
        }
        changed && self.rare
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
    fn without_yardsticks_all_are_compared_with_all() {
        let (often, dear) = (OperationKey(4), OperationKey(5));
        let mut costs = Costs::default();
        costs.answered(OPEN, 1000, true, Span::millis(30));
        let mut told = 0;
        for _ in 0..2000 {
            told += u32::from(costs.answered(often, 100, false, Span::millis(10)));
            told += u32::from(costs.answered(often, 100, false, Span::millis(10)));
            told += u32::from(costs.answered(dear, 100, false, Span::millis(80)));
        }
        let (cheap, dear) = (costs.expected(often, 100), costs.expected(dear, 100));
        assert!((dear / cheap - 8.0).abs() < 0.1, "eight times as much: {dear} and {cheap}");
        assert!((2.0 * cheap + dear - 0.3).abs() < 0.03, "together what they were");
        assert!((1..=10).contains(&told), "who measures units is told, and not for ever: {told}");
        assert_eq!(costs.expected(OPEN, 1000), 1.0, "a login is what a unit means");
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
