//! HAProxy with `maxconn` per server and a queue: ordered by class, then by time; who waits for longer than `timeout queue`
//! is answered 503. A connect that is refused is tried again three times, a second apart, before 503.

use super::pool::Pool;
use super::{Arriving, End, Gauges, Policy, Verdict};
use crate::engine::CallNo;
use std::collections::{BTreeMap, BTreeSet};
use tidegate_core::admission::Role;
use tidegate_core::recent::KeyMap;
use tidegate_core::time::{Nanos, Span};

/// `retries`, and the least time from one to the next.
const RETRIES: u32 = 3;
const TURN_AROUND: Span = Span::secs(1);

/// How HAProxy is set.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HaproxyKnobs {
    /// Calls at once per server.
    pub maxconn: u32,
    /// How long a call may wait.
    pub timeout_queue: Span,
    /// Calls that open sessions have a class of their own, behind all others.
    pub class_by_operation: bool,
}

/// A call that waits: (class, arrival number).
type Rank = (u8, u64);

/// HAProxy. The slot of a call whose client has left is free when the server is done.
#[derive(Clone, Debug)]
pub struct Haproxy {
    knobs: HaproxyKnobs,
    pool: Pool,
    /// Who waits for each server, and at the end who waits for any.
    queues: Vec<BTreeMap<Rank, CallNo>>,
    waiting: KeyMap<CallNo, (usize, Rank, Nanos)>,
    /// When the waits are over, and when refused connects are tried again.
    timers: BTreeSet<(Nanos, CallNo)>,
    tries: KeyMap<CallNo, (u32, Option<Nanos>)>,
    arrivals: u64,
    decisions: u64,
}

impl Haproxy {
    /// In front of a pool of `servers`.
    pub fn new(servers: u16, knobs: HaproxyKnobs) -> Haproxy {
        let pool = Pool::new(servers);
        Haproxy {
            knobs,
            queues: vec![BTreeMap::new(); usize::from(pool.servers()) + 1],
            pool,
            waiting: KeyMap::default(),
            timers: BTreeSet::new(),
            tries: KeyMap::default(),
            arrivals: 0,
            decisions: 0,
        }
    }

    /// Gives free slots of a server to who is first in line.
    fn fill(&mut self, server: u16, out: &mut Vec<Verdict>) {
        while self.pool.load(server) < self.knobs.maxconn {
            let any = self.queues.len() - 1;
            let heads = [usize::from(server), any].into_iter();
            let first = heads.filter_map(|queue| self.queues.get(queue)?.first_key_value()).min();
            let Some(call) = first.map(|(_, call)| *call) else { return };
            self.dequeue(call);
            self.pool.send(call, server);
            out.push(Verdict::Send(call, server));
        }
    }

    /// Takes a call out of its queue; false when it does not wait.
    fn dequeue(&mut self, call: CallNo) -> bool {
        let Some((queue, rank, until)) = self.waiting.remove(&call) else { return false };
        self.queues.get_mut(queue).and_then(|queue| queue.remove(&rank));
        self.timers.remove(&(until, call));
        true
    }

    fn give_back(&mut self, call: CallNo, out: &mut Vec<Verdict>) {
        if let Some((_, Some(at))) = self.tries.remove(&call) {
            self.timers.remove(&(at, call));
        }
        let server = self.pool.back(call);
        server.into_iter().for_each(|server| self.fill(server, out));
    }
}

impl Policy for Haproxy {
    fn arrive(&mut self, now: Nanos, call: CallNo, arriving: &Arriving, out: &mut Vec<Verdict>) {
        self.decisions += 1;
        self.arrivals += 1;
        let class = u8::from(self.knobs.class_by_operation && arriving.role == Role::Open);
        let any = self.queues.len() - 1;
        let queue = arriving.bound.map_or(any, |server| usize::from(server).min(any));
        let rank = (class, self.arrivals);
        let until = now + self.knobs.timeout_queue;
        self.queues.get_mut(queue).and_then(|queue| queue.insert(rank, call));
        self.waiting.insert(call, (queue, rank, until));
        self.timers.insert((until, call));
        let server = self.pool.pick(arriving.bound);
        self.fill(server, out);
    }

    fn client_gone(&mut self, _now: Nanos, call: CallNo, sent: bool, out: &mut Vec<Verdict>) {
        if !self.dequeue(call) && !sent {
            self.give_back(call, out); // between two tries to connect
        }
    }

    fn done(&mut self, now: Nanos, call: CallNo, end: End, out: &mut Vec<Verdict>) {
        let tries = self.tries.get(&call).map_or(0, |tries| tries.0);
        if end == End::Refused && tries < RETRIES {
            let at = now + TURN_AROUND;
            self.tries.insert(call, (tries + 1, Some(at)));
            self.timers.insert((at, call));
            return;
        }
        self.give_back(call, out);
        if end == End::Refused {
            out.push(Verdict::TurnAway(call, None));
        }
    }

    fn next_wake(&self) -> Option<Nanos> {
        self.timers.first().map(|first| first.0)
    }

    fn wake(&mut self, now: Nanos, out: &mut Vec<Verdict>) {
        while let Some(&(at, call)) = self.timers.first().filter(|first| first.0 <= now) {
            self.timers.remove(&(at, call));
            if self.dequeue(call) {
                self.decisions += 1;
                out.push(Verdict::TurnAway(call, None));
            } else if let Some((_, next)) = self.tries.get_mut(&call) {
                *next = None;
                let server = self.pool.at(call);
                server.into_iter().for_each(|server| out.push(Verdict::Send(call, server)));
            }
        }
    }

    fn restart(&mut self, _now: Nanos) {
        self.queues.iter_mut().for_each(BTreeMap::clear);
        self.waiting.clear();
        self.timers.clear();
        self.tries.clear();
        self.pool.clear();
    }

    fn gauges(&self) -> Gauges {
        let limit = self.knobs.maxconn.saturating_mul(u32::from(self.pool.servers()));
        Gauges { held: self.waiting.len() as u32, limit }
    }

    fn decisions(&self) -> u64 {
        self.decisions
    }
}
