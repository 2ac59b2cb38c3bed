//! nginx with `limit_req`: a leaky bucket. Calls that come faster than the rate are delayed; beyond the burst they are
//! answered 503.

use super::pool::Pool;
use super::{Arriving, End, Gauges, Policy, Verdict};
use crate::engine::CallNo;
use std::collections::BTreeSet;
use tidegate_core::recent::KeyMap;
use tidegate_core::time::{Nanos, Span};

/// One bucket for the whole service.
#[derive(Clone, Debug)]
pub struct NginxReq {
    rate: f64,
    burst: f64,
    /// Calls in the bucket beyond the one that may go now, and when that was.
    excess: f64,
    last: Option<Nanos>,
    /// Calls that are delayed, by the time at which they go on.
    delayed: BTreeSet<(Nanos, CallNo)>,
    waiting: KeyMap<CallNo, (Nanos, Option<u16>)>,
    pool: Pool,
    decisions: u64,
}

impl NginxReq {
    /// So many calls per second, and a burst, in front of a pool of `servers`.
    pub fn new(servers: u16, rate_per_s: f64, burst: u32) -> NginxReq {
        NginxReq {
            rate: rate_per_s,
            burst: f64::from(burst),
            excess: 0.0,
            last: None,
            delayed: BTreeSet::new(),
            waiting: KeyMap::default(),
            pool: Pool::new(servers),
            decisions: 0,
        }
    }

    fn go(&mut self, call: CallNo, bound: Option<u16>, out: &mut Vec<Verdict>) {
        let server = self.pool.pick(bound);
        self.pool.send(call, server);
        out.push(Verdict::Send(call, server));
    }
}

impl Policy for NginxReq {
    fn arrive(&mut self, now: Nanos, call: CallNo, arriving: &Arriving, out: &mut Vec<Verdict>) {
        self.decisions += 1;
        let leaked = self.last.map(|last| now.since(last).as_secs_f64() * self.rate);
        // The first call finds the bucket empty.
        let excess = leaked.map_or(0.0, |leaked| (self.excess - leaked + 1.0).max(0.0));
        if excess > self.burst {
            return out.push(Verdict::TurnAway(call, None));
        }
        (self.excess, self.last) = (excess, Some(now));
        if excess == 0.0 {
            return self.go(call, arriving.bound, out);
        }
        let at = now + Span::from_secs_f64(excess / self.rate);
        self.delayed.insert((at, call));
        self.waiting.insert(call, (at, arriving.bound));
    }

    fn client_gone(&mut self, _now: Nanos, call: CallNo, _sent: bool, _out: &mut Vec<Verdict>) {
        self.pool.back(call);
        if let Some((at, _)) = self.waiting.remove(&call) {
            self.delayed.remove(&(at, call));
        }
    }

    fn done(&mut self, _now: Nanos, call: CallNo, end: End, out: &mut Vec<Verdict>) {
        self.pool.back(call);
        if end == End::Refused {
            out.push(Verdict::TurnAway(call, None)); // 502 at once
        }
    }

    fn next_wake(&self) -> Option<Nanos> {
        self.delayed.first().map(|first| first.0)
    }

    fn wake(&mut self, now: Nanos, out: &mut Vec<Verdict>) {
        while let Some(&(at, call)) = self.delayed.first().filter(|first| first.0 <= now) {
            self.delayed.remove(&(at, call));
            if let Some((_, bound)) = self.waiting.remove(&call) {
                self.go(call, bound, out);
            }
        }
    }

    fn restart(&mut self, _now: Nanos) {
        (self.excess, self.last) = (0.0, None);
        self.delayed.clear();
        self.waiting.clear();
        self.pool.clear();
    }

    fn gauges(&self) -> Gauges {
        Gauges { held: self.delayed.len() as u32, limit: 0 }
    }

    fn decisions(&self) -> u64 {
        self.decisions
    }
}
