//! Envoy's adaptive concurrency: a limit that follows the gradient of latency, and no queue.
//!
//! `limit = limit × gradient + √(limit × gradient)`, where the gradient is the ideal latency, a buffer added, over the
//! sampled one, within 0.5 and 2. The ideal latency is measured in windows of their own in which only `min_concurrency`
//! calls are let through: at the start, every `min_rtt_interval_s`, and after five windows at the lowest limit.

use super::pool::Pool;
use super::{Arriving, End, Gauges, Policy, Verdict};
use crate::engine::CallNo;
use crate::rng::SplitMix64;
use serde::{Deserialize, Serialize};
use tidegate_core::recent::KeyMap;
use tidegate_core::time::{Nanos, Span};

/// Windows in a row at the lowest limit after which the ideal latency is measured anew.
const LOWEST: u32 = 5;

/// How the filter is set; what is left out has Envoy's documented default.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EnvoyAdaptiveKnobs {
    /// `sample_aggregate_percentile`.
    pub percentile: f64,
    /// `concurrency_update_interval`.
    pub update_s: f64,
    /// `max_concurrency_limit`.
    pub max_concurrency: u32,
    /// `min_rtt_calc_params.interval`.
    pub min_rtt_interval_s: f64,
    /// `min_rtt_calc_params.request_count`.
    pub request_count: u32,
    /// `min_rtt_calc_params.jitter`, in percent.
    pub jitter: f64,
    /// `min_rtt_calc_params.min_concurrency`.
    pub min_concurrency: u32,
    /// `min_rtt_calc_params.buffer`, in percent.
    pub buffer: f64,
}

impl Default for EnvoyAdaptiveKnobs {
    fn default() -> EnvoyAdaptiveKnobs {
        EnvoyAdaptiveKnobs {
            percentile: 50.0,
            update_s: 0.1,
            max_concurrency: 1000,
            min_rtt_interval_s: 60.0,
            request_count: 50,
            jitter: 15.0,
            min_concurrency: 3,
            buffer: 25.0,
        }
    }
}

/// The filter.
#[derive(Clone, Debug)]
pub struct EnvoyAdaptive {
    knobs: EnvoyAdaptiveKnobs,
    pool: Pool,
    rng: SplitMix64,
    limit: u32,
    /// The limit to go back to: set while the ideal latency is measured.
    after: Option<u32>,
    /// When this measuring, or sampling, began: what was sent before does not count.
    since: Nanos,
    began: KeyMap<CallNo, Nanos>,
    samples: Vec<f64>,
    ideal: Option<f64>,
    lowest: u32,
    next_update: Nanos,
    next_ideal: Nanos,
    decisions: u64,
}

impl EnvoyAdaptive {
    /// In front of a pool of `servers`.
    pub fn new(servers: u16, knobs: EnvoyAdaptiveKnobs, seed: u64) -> EnvoyAdaptive {
        EnvoyAdaptive {
            knobs,
            pool: Pool::new(servers),
            rng: SplitMix64::stream(seed, 0xe1),
            limit: knobs.min_concurrency,
            after: Some(knobs.min_concurrency),
            since: Nanos(0),
            began: KeyMap::default(),
            samples: Vec::new(),
            ideal: None,
            lowest: 0,
            next_update: Nanos(0) + Span::from_secs_f64(knobs.update_s),
            next_ideal: Nanos::NEVER,
            decisions: 0,
        }
    }

    fn measure(&mut self, now: Nanos) {
        self.after = Some(self.limit);
        self.limit = self.knobs.min_concurrency;
        self.samples.clear();
        (self.since, self.lowest) = (now, 0);
        self.next_ideal = Nanos::NEVER;
    }

    fn sampled(&mut self) -> Option<f64> {
        self.samples.sort_by(f64::total_cmp);
        let at = (self.samples.len() as f64 * self.knobs.percentile / 100.0).ceil() as usize;
        let sampled = self.samples.get(at.clamp(1, self.samples.len().max(1)) - 1).copied();
        self.samples.clear();
        sampled
    }

    fn sample(&mut self, now: Nanos, seconds: f64) {
        self.samples.push(seconds);
        let Some(after) = self.after.filter(|_| self.samples.len() >= self.knobs.request_count as usize) else {
            return;
        };
        self.ideal = self.sampled();
        (self.after, self.limit) = (None, after);
        let interval = Span::from_secs_f64(self.knobs.min_rtt_interval_s);
        self.next_ideal = now + interval + interval.mul_f64(self.knobs.jitter / 100.0 * self.rng.unit());
        self.next_update = now + Span::from_secs_f64(self.knobs.update_s);
    }

    fn update(&mut self) {
        let (Some(ideal), Some(sampled)) = (self.ideal, self.sampled()) else { return };
        let gradient = (ideal * (1.0 + self.knobs.buffer / 100.0) / sampled.max(1e-9)).clamp(0.5, 2.0);
        let limit = f64::from(self.limit) * gradient;
        let (low, high) = (self.knobs.min_concurrency, self.knobs.max_concurrency);
        let next = ((limit + limit.sqrt()) as u32).clamp(low, high.max(low));
        self.lowest = if next == low && self.limit == low { self.lowest + 1 } else { 0 };
        self.limit = next;
    }
}

impl Policy for EnvoyAdaptive {
    fn arrive(&mut self, now: Nanos, call: CallNo, arriving: &Arriving, out: &mut Vec<Verdict>) {
        self.decisions += 1;
        if self.pool.total() >= self.limit {
            return out.push(Verdict::TurnAway(call, None));
        }
        let server = self.pool.pick(arriving.bound);
        self.pool.send(call, server);
        self.began.insert(call, now);
        out.push(Verdict::Send(call, server));
    }

    fn client_gone(&mut self, _now: Nanos, call: CallNo, _sent: bool, _out: &mut Vec<Verdict>) {
        self.pool.back(call); // the stream is reset and no sample taken, although the server works on
        self.began.remove(&call);
    }

    fn done(&mut self, now: Nanos, call: CallNo, end: End, out: &mut Vec<Verdict>) {
        self.pool.back(call);
        if let Some(began) = self.began.remove(&call)
            && (self.after.is_none() || began >= self.since)
        {
            self.sample(now, now.since(began).as_secs_f64());
        }
        if end == End::Refused {
            out.push(Verdict::TurnAway(call, None)); // 503 at once
        }
    }

    fn next_wake(&self) -> Option<Nanos> {
        Some(self.next_update.min(self.next_ideal))
    }

    fn wake(&mut self, now: Nanos, _out: &mut Vec<Verdict>) {
        if self.next_ideal <= now {
            self.measure(now);
        }
        if self.next_update <= now {
            self.next_update = now + Span::from_secs_f64(self.knobs.update_s);
            if self.after.is_none() {
                self.update();
                if self.lowest >= LOWEST {
                    self.measure(now);
                }
            }
        }
    }

    fn restart(&mut self, now: Nanos) {
        let (knobs, rng, decisions) = (self.knobs, self.rng.clone(), self.decisions);
        let fresh = EnvoyAdaptive::new(self.pool.servers(), knobs, 0);
        let next_update = now + Span::from_secs_f64(knobs.update_s);
        *self = EnvoyAdaptive { rng, decisions, since: now, next_update, ..fresh };
    }

    fn gauges(&self) -> Gauges {
        Gauges { held: 0, limit: self.limit }
    }

    fn decisions(&self) -> u64 {
        self.decisions
    }
}
