//! The rate at which a saturated pool completes work, and how long one unit of work takes there.

use crate::time::{Nanos, Span};
use serde::{Deserialize, Serialize};

/// Weight of a new window, or of one unit of work, in the running means: about the last three windows, the last ten
/// units count.
const WINDOW_WEIGHT: f64 = 0.4;
const UNIT_WEIGHT: f64 = 0.1;

/// A rate is believed for so many windows.
const BELIEVED: f64 = 16.0;

/// Measures completed work over windows in which somebody waited, and no slot was free, from beginning to end. A window
/// with a free slot says nothing of what the pool can do, so it is thrown away.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Rate {
    since: Option<Nanos>,
    work: u64,
    per_second: Option<f64>,
    /// Until when that is believed.
    until: Nanos,
    /// Mean seconds per unit, and the work that it comes from (up to where its weight is constant).
    unit_seconds: f64,
    unit_work: f64,
}

impl Rate {
    /// Whether somebody waits now. Call it on each change; the window starts when it becomes true.
    pub fn saturated(&mut self, now: Nanos, saturated: bool) {
        if !saturated {
            self.since = None;
        } else if self.since.is_none() {
            self.since = Some(now);
            self.work = 0;
        }
    }

    /// `work` (thousandths of a unit) was completed after `service`. True when a window has just closed.
    pub fn completed(&mut self, now: Nanos, work: u64, service: Span, window: Span) -> bool {
        let per_unit = service.as_secs_f64() / (work.max(1) as f64 / 1000.0);
        // A plain mean at first, so that a tiny first call, which is all overhead, does not stand for a whole unit.
        let units = work.max(1) as f64 / 1000.0;
        self.unit_work = (self.unit_work + units).min(1.0 / UNIT_WEIGHT);
        self.unit_seconds += (units / self.unit_work).min(1.0) * (per_unit - self.unit_seconds);
        let Some(since) = self.since else {
            return false;
        };
        self.work += work;
        let elapsed = now.since(since);
        if elapsed < window || self.work < 1000 {
            return false;
        }
        let sample = self.work as f64 / elapsed.as_secs_f64();
        let known = self.per_second.unwrap_or(sample);
        self.per_second = Some(known + WINDOW_WEIGHT * (sample - known));
        self.until = now + window.mul_f64(BELIEVED);
        self.since = Some(now);
        self.work = 0;
        true
    }

    /// Thousandths of a unit per second, once a saturated window has closed, and while that is not long ago: a rate measured
    /// in a collapse would keep clients away that alone could show that it is over.
    pub fn per_second(&self, now: Nanos) -> Option<f64> {
        self.per_second.filter(|rate| *rate > 0.0 && now <= self.until)
    }

    /// Mean seconds per unit of work, once a whole unit was answered.
    fn unit(&self) -> Option<f64> {
        Some(self.unit_seconds).filter(|seconds| self.unit_work >= 1.0 && *seconds > 0.0)
    }

    /// How long so much work takes from admission to answer; zero until a whole unit was answered.
    pub fn service(&self, work: u64) -> Span {
        Span::from_secs_f64(self.unit().unwrap_or(0.0) * work as f64 / 1000.0)
    }

    /// The true work behind a service time, to within a factor of four of the estimate; the estimate until a unit is
    /// known. The bound keeps one slow answer from locking its client out.
    pub fn true_work(&self, estimate: u64, service: Span) -> u64 {
        let Some(unit) = self.unit() else {
            return estimate;
        };
        let work = (service.as_secs_f64() / unit * 1000.0) as u64;
        work.clamp(estimate / 4, estimate.saturating_mul(4))
    }
}
