//! Envoy's admission control: turns calls away at random, the more the fewer of the last 30 s' calls ended well.
//!
//! `P = ((n − s / threshold) / (n + 1)) ^ (1 / aggression)`, at most 80 %: n calls of the window, s of them good. With
//! Envoy's documented defaults: threshold 95 %, aggression 1. A call whose client leaves before the answer counts as bad.

use super::pool::Pool;
use super::{Arriving, End, Gauges, Policy, Verdict};
use crate::engine::CallNo;
use crate::rng::SplitMix64;
use std::collections::VecDeque;
use tidegate_core::time::{Nanos, Span};

const WINDOW: Span = Span::secs(30);
/// Results are kept by the second.
const BUCKET: Span = Span::secs(1);
const THRESHOLD: f64 = 0.95;
const MOST: f64 = 0.8;

/// The filter.
#[derive(Clone, Debug)]
pub struct EnvoyAdmission {
    pool: Pool,
    rng: SplitMix64,
    /// When each bucket began, its calls, and the good ones of these.
    buckets: VecDeque<(Nanos, u64, u64)>,
    decisions: u64,
}

impl EnvoyAdmission {
    /// In front of a pool of `servers`.
    pub fn new(servers: u16, seed: u64) -> EnvoyAdmission {
        let rng = SplitMix64::stream(seed, 0xe2);
        EnvoyAdmission { pool: Pool::new(servers), rng, buckets: VecDeque::new(), decisions: 0 }
    }

    fn trim(&mut self, now: Nanos) {
        while self.buckets.front().is_some_and(|first| now.since(first.0) > WINDOW) {
            self.buckets.pop_front();
        }
    }

    fn note(&mut self, now: Nanos, good: bool) {
        self.trim(now);
        if self.buckets.back().is_none_or(|last| now.since(last.0) >= BUCKET) {
            self.buckets.push_back((now, 0, 0));
        }
        if let Some(last) = self.buckets.back_mut() {
            *last = (last.0, last.1 + 1, last.2 + u64::from(good));
        }
    }

    fn chance(&mut self, now: Nanos) -> f64 {
        self.trim(now);
        let (calls, good) = self.buckets.iter().fold((0, 0), |sum, each| (sum.0 + each.1, sum.1 + each.2));
        let (calls, good) = (calls as f64, good as f64);
        ((calls - good / THRESHOLD) / (calls + 1.0)).clamp(0.0, MOST)
    }
}

impl Policy for EnvoyAdmission {
    fn arrive(&mut self, now: Nanos, call: CallNo, arriving: &Arriving, out: &mut Vec<Verdict>) {
        self.decisions += 1;
        if self.rng.unit() < self.chance(now) {
            return out.push(Verdict::TurnAway(call, None));
        }
        let server = self.pool.pick(arriving.bound);
        self.pool.send(call, server);
        out.push(Verdict::Send(call, server));
    }

    fn client_gone(&mut self, now: Nanos, call: CallNo, _sent: bool, _out: &mut Vec<Verdict>) {
        if self.pool.back(call).is_some() {
            self.note(now, false);
        }
    }

    fn done(&mut self, now: Nanos, call: CallNo, end: End, out: &mut Vec<Verdict>) {
        if self.pool.back(call).is_some() {
            self.note(now, matches!(end, End::Answered { .. }));
        }
        if end == End::Refused {
            out.push(Verdict::TurnAway(call, None)); // 503 at once
        }
    }

    fn restart(&mut self, _now: Nanos) {
        self.pool.clear();
        self.buckets.clear();
    }

    fn gauges(&self) -> Gauges {
        Gauges::default()
    }

    fn decisions(&self) -> u64 {
        self.decisions
    }
}
