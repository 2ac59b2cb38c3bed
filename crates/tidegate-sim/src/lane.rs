//! A lane: jobs that all move at the same speed, so that one number (`v`, the work that each of them has been given since
//! the lane began) says how far each one is. A job ends when `v` reaches its key; every operation is O(log n).

use std::collections::BTreeSet;

/// A job's number: rising with the time at which it was taken, so the smallest is the oldest.
pub(crate) type JobNo = u64;

/// Jobs that share one speed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lane {
    v: f64,
    rate: f64,
    by_key: BTreeSet<(u64, JobNo)>, // the key's bits: non-negative floats order like their bits
    by_age: BTreeSet<JobNo>,
    left: usize,
}

impl Lane {
    pub fn len(&self) -> usize {
        self.by_age.len()
    }

    /// Sets the speed of each job, in units of work per second.
    pub fn set_rate(&mut self, rate: f64) {
        self.rate = rate;
    }

    /// Puts a job with `remaining` units of work in; gives the key to find it by.
    pub fn insert(&mut self, job: JobNo, remaining: f64, left: bool) -> f64 {
        if self.by_age.is_empty() {
            self.v = 0.0; // keeps the sum small, so that it stays exact over long runs
        }
        let key = self.v + remaining.max(0.0);
        self.by_key.insert((key.to_bits(), job));
        self.by_age.insert(job);
        self.left += usize::from(left);
        key
    }

    /// Takes a job out; gives the units of work that it still needs.
    pub fn remove(&mut self, job: JobNo, key: f64, left: bool) -> f64 {
        self.by_key.remove(&(key.to_bits(), job));
        self.by_age.remove(&job);
        self.left -= usize::from(left);
        self.remaining(key)
    }

    /// The units of work that the job with this key still needs.
    pub fn remaining(&self, key: f64) -> f64 {
        (key - self.v).max(0.0)
    }

    /// Says that the client of one of the jobs has left.
    pub fn mark_left(&mut self) {
        self.left += 1;
    }

    /// The job that ends first.
    pub fn first(&self) -> Option<(JobNo, f64)> {
        self.by_key.first().map(|&(bits, job)| (job, f64::from_bits(bits)))
    }

    /// The job that came last.
    pub fn newest(&self) -> Option<JobNo> {
        self.by_age.last().copied()
    }

    /// Seconds until the first job ends, at today's speed; `None` when nothing moves.
    pub fn seconds_to_first(&self) -> Option<f64> {
        let (_, key) = self.first()?;
        (self.rate > 0.0).then(|| self.remaining(key) / self.rate)
    }

    /// Lets `seconds` pass; gives the units of work done for clients that have left.
    pub fn pass(&mut self, seconds: f64) -> f64 {
        let each = self.rate * seconds;
        self.v += each;
        each * self.left as f64
    }

    /// Makes up for rounding: the job with this key ends now.
    pub fn settle_at(&mut self, key: f64) {
        self.v = self.v.max(key);
    }
}
