//! A server that cannot protect itself: at most `threads` jobs run at once and share its capacity by its [`Law`], a bounded
//! FIFO backlog waits behind them, and what a client asked for is worked on to its end even when that client has left.
//!
//! No clock: every call passes `now`, which never goes back. Each of them first plays everything that ended up to `now`,
//! at the exact times, into `done`; a driver that is late therefore costs its clients latency, never the server capacity.

use crate::lane::{JobNo, Lane};
use crate::law::Law;
use std::collections::{BTreeMap, VecDeque};
use tidegate_core::time::{Nanos, Span};

/// The least work that a job may be, in units.
const LEAST_UNITS: f64 = 1e-6;

/// The shape of a server.
#[derive(Clone, Copy, Debug)]
pub struct ProviderModel {
    /// How its throughput depends on its concurrency.
    pub law: Law,
    /// Jobs that run at once, ≥ 1.
    pub threads: usize,
    /// Jobs that may wait for a thread.
    pub backlog: usize,
    /// Breaks down when this many jobs are in flight.
    pub crash_at: Option<usize>,
}

/// Which job; rising, never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(JobNo);

/// What became of a job that was offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offer {
    /// It runs or waits for a thread.
    Taken(JobId),
    /// Threads and backlog are full: refused.
    Full,
    /// It was the one too many (`crash_at`): the server is gone with all its jobs. Call [`Provider::crash`] to begin anew.
    Crashed,
}

/// A job that has ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Done {
    /// Which one.
    pub job: JobId,
    /// When, exactly.
    pub at: Nanos,
    /// Whether its client was still there.
    pub useful: bool,
}

/// What a server has done so far; units of work.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Tally {
    /// Jobs taken.
    pub taken: u64,
    /// Jobs refused because the backlog was full.
    pub refused: u64,
    /// Work of jobs that ended with their client still there.
    pub useful_units: f64,
    /// Work spent on jobs whose client left before their end, running ones included.
    pub wasted_units: f64,
    /// Work that a crash threw away.
    pub lost_units: f64,
    /// The most jobs in flight at once, waiting ones included.
    pub max_in_flight: usize,
}

impl Tally {
    /// Wasted work as a share of all work whose fate is known, 0 when there is none.
    pub fn wasted_share(&self) -> f64 {
        let all = self.useful_units + self.wasted_units;
        if all > 0.0 { self.wasted_units / all } else { 0.0 }
    }
}

#[derive(Clone, Copy, Debug)]
struct Job {
    units: f64,
    left: bool,
    place: Place,
}

#[derive(Clone, Copy, Debug)]
enum Place {
    Backlog,
    Fast(f64),
    Slow(f64),
}

/// The server.
#[derive(Clone, Debug)]
pub struct Provider {
    model: ProviderModel,
    now: Nanos,
    next: JobNo,
    jobs: BTreeMap<JobNo, Job>,
    fast: Lane,
    slow: Lane,
    backlog: VecDeque<JobNo>,
    tally: Tally,
}

impl Provider {
    /// An idle server at `now`. No threads are taken as one.
    pub fn new(model: ProviderModel, now: Nanos) -> Provider {
        let model = ProviderModel { threads: model.threads.max(1), ..model };
        Provider {
            model,
            now,
            next: 0,
            jobs: BTreeMap::new(),
            fast: Lane::default(),
            slow: Lane::default(),
            backlog: VecDeque::new(),
            tally: Tally::default(),
        }
    }

    /// Offers a job of `units` of work (at least 10⁻⁶).
    pub fn offer(&mut self, now: Nanos, units: f64, done: &mut Vec<Done>) -> Offer {
        self.advance(now, done);
        if self.model.crash_at.is_some_and(|most| self.in_flight() + 1 >= most) {
            return Offer::Crashed;
        }
        if self.running() >= self.model.threads && self.backlog.len() >= self.model.backlog {
            self.tally.refused += 1;
            return Offer::Full;
        }
        let job = self.next;
        self.next += 1;
        self.jobs.insert(job, Job { units: units.max(LEAST_UNITS), left: false, place: Place::Backlog });
        if self.running() < self.model.threads {
            self.start(job);
            self.balance();
        } else {
            self.backlog.push_back(job);
        }
        self.tally.taken += 1;
        self.tally.max_in_flight = self.tally.max_in_flight.max(self.in_flight());
        Offer::Taken(JobId(job))
    }

    /// Says that the client of a job has left: the job stays, its work is wasted. A job that is not known is passed over.
    pub fn leave(&mut self, now: Nanos, job: JobId, done: &mut Vec<Done>) {
        self.advance(now, done);
        let Some(entry) = self.jobs.get_mut(&job.0).filter(|entry| !entry.left) else { return };
        entry.left = true;
        let spent = match entry.place {
            Place::Backlog => 0.0,
            Place::Fast(key) => {
                self.fast.mark_left();
                entry.units - self.fast.remaining(key)
            }
            Place::Slow(key) => {
                self.slow.mark_left();
                entry.units - self.slow.remaining(key)
            }
        };
        self.tally.wasted_units += spent.max(0.0);
    }

    /// When the next job ends if nothing else happens.
    pub fn next_done(&self) -> Option<Nanos> {
        let seconds = match (self.fast.seconds_to_first(), self.slow.seconds_to_first()) {
            (Some(fast), Some(slow)) => fast.min(slow),
            (fast, slow) => fast.or(slow)?,
        };
        Some(self.now + Span((seconds * 1e9).ceil() as u64))
    }

    /// Plays everything that ends up to `now`. A `now` of the past changes nothing.
    pub fn advance(&mut self, now: Nanos, done: &mut Vec<Done>) {
        while let Some(at) = self.next_done().filter(|&at| at <= now) {
            self.pass(at);
            self.finish_first(at, done);
        }
        self.pass(now);
    }

    /// Loses everything at `now`, as a crash or a restart does; the tally stays.
    pub fn crash(&mut self, now: Nanos, done: &mut Vec<Done>) {
        self.advance(now, done);
        for job in self.jobs.values().filter(|job| !job.left) {
            let remaining = match job.place {
                Place::Backlog => job.units,
                Place::Fast(key) => self.fast.remaining(key),
                Place::Slow(key) => self.slow.remaining(key),
            };
            self.tally.lost_units += job.units - remaining;
        }
        self.jobs.clear();
        self.fast = Lane::default();
        self.slow = Lane::default();
        self.backlog.clear();
    }

    /// Its capacity changes: from `now` on another law holds, for the jobs that run too.
    pub fn change(&mut self, now: Nanos, law: Law, done: &mut Vec<Done>) {
        self.advance(now, done);
        self.model.law = law;
        self.balance();
    }

    /// Jobs that run.
    pub fn running(&self) -> usize {
        self.fast.len() + self.slow.len()
    }

    /// Jobs that wait for a thread.
    pub fn queued(&self) -> usize {
        self.backlog.len()
    }

    /// Jobs that run or wait.
    pub fn in_flight(&self) -> usize {
        self.running() + self.queued()
    }

    /// What has been done so far.
    pub fn tally(&self) -> Tally {
        self.tally
    }

    fn pass(&mut self, to: Nanos) {
        let seconds = to.since(self.now).as_secs_f64();
        if seconds > 0.0 {
            self.tally.wasted_units += self.fast.pass(seconds) + self.slow.pass(seconds);
            self.now = to;
        }
    }

    /// Ends the job that is first to end, and gives its thread to the oldest that waits.
    fn finish_first(&mut self, at: Nanos, done: &mut Vec<Done>) {
        let fast_first = match (self.fast.seconds_to_first(), self.slow.seconds_to_first()) {
            (Some(fast), Some(slow)) => fast <= slow,
            (fast, _) => fast.is_some(),
        };
        let lane = if fast_first { &mut self.fast } else { &mut self.slow };
        let Some((number, key)) = lane.first() else { return };
        lane.settle_at(key);
        let Some(job) = self.jobs.remove(&number) else { return };
        lane.remove(number, key, job.left);
        if !job.left {
            self.tally.useful_units += job.units;
        }
        done.push(Done { job: JobId(number), at, useful: !job.left });
        if let Some(waiting) = self.backlog.pop_front() {
            self.start(waiting);
        }
        self.balance();
    }

    fn start(&mut self, number: JobNo) {
        if let Some(job) = self.jobs.get_mut(&number) {
            job.place = Place::Slow(self.slow.insert(number, job.units, job.left));
        }
    }

    /// Moves jobs between the lanes until they are as the law says: free places go to the newest (a lock that is free goes
    /// to whoever asks, not to those asleep), and the newest are the first to lose theirs.
    fn balance(&mut self) {
        let split = self.model.law.split(self.running());
        while self.fast.len() > split.fast {
            let Some(number) = self.fast.newest() else { break };
            self.shift(number);
        }
        while self.fast.len() < split.fast {
            let Some(number) = self.slow.newest() else { break };
            self.shift(number);
        }
        self.fast.set_rate(split.fast_rate);
        self.slow.set_rate(split.slow_rate);
    }

    /// Moves one job to the other lane.
    fn shift(&mut self, number: JobNo) {
        let Some(job) = self.jobs.get_mut(&number) else { return };
        job.place = match job.place {
            Place::Fast(key) => {
                let remaining = self.fast.remove(number, key, job.left);
                Place::Slow(self.slow.insert(number, remaining, job.left))
            }
            Place::Slow(key) => {
                let remaining = self.slow.remove(number, key, job.left);
                Place::Fast(self.fast.insert(number, remaining, job.left))
            }
            Place::Backlog => Place::Backlog,
        };
    }
}
