//! An exact fair queue: start-time fair queuing (Goyal, Vin, Cheng 1996) with one flow per client, in units of work.
//!
//! Each flow has a virtual start: the virtual time at which its next call would begin if all flows were served side by
//! side. The flow with the smallest start goes first; being served moves its start on by the work of the call. When the
//! server is done and the true work is known, the start is put right (as Kubernetes' API priority and fairness does), so
//! that a client with calls heavier than they looked does not gain from it.
//!
//! Task slots use it too, one flow per principal, where the call that goes is not always the first one
//! ([`Fair::find`], [`Fair::take`]).

use crate::admission::ClientKey;
use crate::recent::{KeyMap, sorted};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, VecDeque};

/// Most idle flows that are remembered for having been served ahead of the others (a few MiB). Beyond it those that are
/// ahead the least are forgotten first: they gain at most what they were ahead.
const IDLE_MAX: usize = 65_536;

#[derive(Clone, Serialize, Deserialize)]
struct Flow<C> {
    start: u64,
    /// Waiting calls by arrival number: (arrival number, call, work).
    calls: VecDeque<(u64, C, u64)>,
    in_flight: u32,
}

impl<C> Default for Flow<C> {
    fn default() -> Flow<C> {
        Flow { start: 0, calls: VecDeque::new(), in_flight: 0 }
    }
}

impl<C> Flow<C> {
    fn idle(&self) -> bool {
        self.calls.is_empty() && self.in_flight == 0
    }

    fn insert(&mut self, order: u64, call: C, work: u64) {
        let place = self.calls.partition_point(|held| held.0 < order);
        self.calls.insert(place, (order, call, work)); // nearly always at the back, which costs nothing
    }
}

/// Calls (named by a `C`) of many clients, the least served client first.
#[derive(Clone, Serialize, Deserialize)]
#[serde(bound(serialize = "C: Serialize", deserialize = "C: Deserialize<'de>"))]
pub struct Fair<C = u32> {
    #[serde(with = "sorted")]
    flows: KeyMap<ClientKey, Flow<C>>,
    /// Flows with waiting calls, by (start, arrival number of the front call).
    active: BTreeSet<(u64, u64, ClientKey)>,
    /// Idle flows that were served ahead of the others, by start: kept while others wait and until the virtual time has
    /// caught up with them, so that leaving and coming back gains nothing.
    idle: BTreeSet<(u64, ClientKey)>,
}

impl<C> Default for Fair<C> {
    fn default() -> Fair<C> {
        Fair { flows: KeyMap::default(), active: BTreeSet::new(), idle: BTreeSet::new() }
    }
}

impl<C: Copy + PartialEq> Fair<C> {
    /// Changes a flow, keeps its place among the active or idle ones right, and forgets what need not be known any more.
    fn with_flow<T>(&mut self, client: ClientKey, virtual_time: u64, change: impl FnOnce(&mut Flow<C>) -> T) -> T {
        let flow = self.flows.entry(client).or_default();
        let before = flow.calls.front().map(|head| (flow.start, head.0, client));
        self.idle.remove(&(flow.start, client));
        let result = change(flow);
        let after = flow.calls.front().map(|head| (flow.start, head.0, client));
        if flow.idle() {
            self.idle.insert((flow.start, client));
        }
        if before != after {
            if let Some(key) = before {
                self.active.remove(&key);
            }
            self.active.extend(after);
        }
        self.forget_idle(virtual_time);
        result
    }

    /// Forgets idle flows that are not ahead of `virtual_time`, all of them when nobody waits.
    fn forget_idle(&mut self, virtual_time: u64) {
        while let Some(&(start, client)) = self.idle.first() {
            if start > virtual_time && !self.active.is_empty() && self.idle.len() <= IDLE_MAX {
                return;
            }
            self.idle.pop_first();
            self.flows.remove(&client);
        }
    }

    /// Puts a call in behind its client's older ones; `again`: it was served in vain and comes back.
    pub fn push(&mut self, client: ClientKey, order: u64, call: C, work: u64, virtual_time: u64, again: bool) {
        self.with_flow(client, virtual_time, |flow| {
            if again {
                flow.start = flow.start.saturating_sub(work);
                flow.in_flight = flow.in_flight.saturating_sub(1);
            } else if flow.calls.is_empty() {
                flow.start = flow.start.max(virtual_time);
            }
            flow.insert(order, call, work);
        });
    }

    /// The call to serve next among clients with fewer than `cap` in flight: its (start, order) and itself.
    pub fn first(&self, cap: u32) -> Option<((u64, u64), C)> {
        self.active.iter().find_map(|&(start, order, client)| {
            let flow = self.flows.get(&client).filter(|flow| flow.in_flight < cap)?;
            flow.calls.front().map(|head| ((start, order), head.1))
        })
    }

    /// Takes out the client's front call, which `first` has just named, to be served. Returns the new virtual time.
    pub fn serve(&mut self, client: ClientKey, virtual_time: u64) -> u64 {
        self.with_flow(client, virtual_time, |flow| {
            let Some((_, _, work)) = flow.calls.pop_front() else {
                return virtual_time;
            };
            let served_at = flow.start;
            flow.start = flow.start.saturating_add(work);
            flow.in_flight += 1;
            virtual_time.max(served_at)
        })
    }

    /// The call to serve next among those that may be served now: the oldest of the least served client that has one.
    pub fn find(&self, mut may: impl FnMut(C) -> bool) -> Option<C> {
        let mut calls =
            self.active.iter().filter_map(|(_, _, client)| self.flows.get(client)).flat_map(|flow| &flow.calls);
        calls.find(|call| may(call.1)).map(|call| call.1)
    }

    /// Takes out a call that `find` has named, to be served. A client whose calls could not be served for a while is
    /// not served more than others for that: it begins where they are. Returns the new virtual time.
    pub fn take(&mut self, client: ClientKey, order: u64, virtual_time: u64) -> u64 {
        self.with_flow(client, virtual_time, |flow| {
            let place = flow.calls.partition_point(|held| held.0 < order);
            let Some((_, _, work)) = flow.calls.get(place).copied().filter(|held| held.0 == order) else {
                return virtual_time;
            };
            flow.calls.remove(place);
            let served_at = flow.start.max(virtual_time);
            flow.start = served_at.saturating_add(work);
            flow.in_flight += 1;
            served_at
        })
    }

    /// Charges a client for a call that never waited.
    pub fn charge(&mut self, client: ClientKey, work: u64, virtual_time: u64) {
        self.with_flow(client, virtual_time, |flow| {
            flow.start = flow.start.max(virtual_time).saturating_add(work);
            flow.in_flight += 1;
        });
    }

    /// Takes a call out that is not served (its client left, it was turned away); false when it is not in.
    pub fn remove(&mut self, client: ClientKey, order: u64, call: C, virtual_time: u64) -> bool {
        let place = self.flows.get(&client).and_then(|flow| {
            let place = flow.calls.partition_point(|held| held.0 < order);
            flow.calls.get(place).is_some_and(|held| held.1 == call).then_some(place)
        });
        place.is_some_and(|place| self.with_flow(client, virtual_time, |flow| flow.calls.remove(place)).is_some())
    }

    /// The server is done with a call of the client: `estimated` work was charged, `actual` is true.
    pub fn done(&mut self, client: ClientKey, estimated: u64, actual: u64, virtual_time: u64) {
        if !self.flows.contains_key(&client) {
            return;
        }
        self.with_flow(client, virtual_time, |flow| {
            flow.in_flight = flow.in_flight.saturating_sub(1);
            flow.start = flow.start.saturating_add(actual).saturating_sub(estimated);
        });
    }

    /// The call that would be served last, roughly: the last call of the most served client.
    pub fn last(&self) -> Option<C> {
        let &(_, _, client) = self.active.last()?;
        self.flows.get(&client)?.calls.back().map(|call| call.1)
    }

    /// All calls, client by client in the order of their starts.
    pub fn iter(&self) -> impl Iterator<Item = C> + '_ {
        let flows = self.active.iter().filter_map(|(_, _, client)| self.flows.get(client));
        flows.flat_map(|flow| flow.calls.iter().map(|call| call.1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_period_without_end_leaves_nothing_behind() {
        let mut fair: Fair = Fair::default();
        let mut virtual_time = 0;
        let waits = ClientKey(0);
        (0..3).for_each(|n| fair.push(waits, n, n as u32, 1000, virtual_time, false));
        for n in 3..3000 {
            // Somebody always waits, while others come once, are served and leave.
            let guest = ClientKey(n);
            fair.push(guest, n, n as u32, 1000, virtual_time, false);
            fair.push(waits, 10_000 + n, 0, 1000, virtual_time, false);
            for client in [guest, waits] {
                virtual_time = fair.serve(client, virtual_time);
                fair.done(client, 1000, 1000, virtual_time);
            }
            assert!(
                fair.flows.len() <= 4 && fair.idle.len() <= 3,
                "{} flows, {} idle",
                fair.flows.len(),
                fair.idle.len()
            );
        }
    }
}
