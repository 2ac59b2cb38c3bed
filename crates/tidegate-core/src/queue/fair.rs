//! An exact fair queue: start-time fair queuing (Goyal, Vin, Cheng 1996) with one flow per client, in units of work.
//!
//! Each flow has a virtual start: the virtual time at which its next call would begin if all flows were served side by
//! side. The flow with the smallest start goes first; being served moves its start on by the work of the call. When the
//! server is done and the true work is known, the start is put right (as Kubernetes' API priority and fairness does), so
//! that a client with calls heavier than they looked does not gain from it.

use crate::admission::ClientKey;
use crate::recent::KeyMap;
use std::collections::{BTreeSet, VecDeque};

#[derive(Default)]
struct Flow {
    start: u64,
    /// Waiting calls: (arrival number, call, work).
    calls: VecDeque<(u64, u32, u64)>,
    in_flight: u32,
}

impl Flow {
    fn idle(&self) -> bool {
        self.calls.is_empty() && self.in_flight == 0
    }
}

/// Calls of many clients, the least served client first.
#[derive(Default)]
pub struct Fair {
    flows: KeyMap<ClientKey, Flow>,
    /// Flows with waiting calls, by (start, arrival number of the front call).
    active: BTreeSet<(u64, u64, ClientKey)>,
    /// Idle flows that were served ahead of the others: kept while others wait, so that leaving and coming back gains
    /// nothing; forgotten when the busy period ends.
    ahead: Vec<ClientKey>,
}

impl Fair {
    /// Changes a flow and keeps its place among the active ones right.
    fn with_flow<T>(&mut self, client: ClientKey, change: impl FnOnce(&mut Flow) -> T) -> T {
        let flow = self.flows.entry(client).or_default();
        let before = flow.calls.front().map(|head| (flow.start, head.0, client));
        let result = change(flow);
        let after = flow.calls.front().map(|head| (flow.start, head.0, client));
        if before != after {
            if let Some(key) = before {
                self.active.remove(&key);
            }
            self.active.extend(after);
        }
        result
    }

    /// Puts a call in behind its client's others; `front`: before them (it was served in vain and comes back).
    pub fn push(&mut self, client: ClientKey, order: u64, call: u32, work: u64, virtual_time: u64, front: bool) {
        self.with_flow(client, |flow| {
            if flow.calls.is_empty() {
                flow.start = flow.start.max(virtual_time);
            }
            if front {
                flow.start = flow.start.saturating_sub(work);
                flow.in_flight = flow.in_flight.saturating_sub(1);
                flow.calls.push_front((order, call, work));
            } else {
                flow.calls.push_back((order, call, work));
            }
        });
    }

    /// The call to serve next among clients with fewer than `cap` in flight: its (start, order) and itself.
    pub fn first(&self, cap: u32) -> Option<((u64, u64), u32)> {
        self.active.iter().find_map(|&(start, order, client)| {
            let flow = self.flows.get(&client).filter(|flow| flow.in_flight < cap)?;
            flow.calls.front().map(|head| ((start, order), head.1))
        })
    }

    /// Takes out the client's front call, which `first` has just named, to be served. Returns the new virtual time.
    pub fn serve(&mut self, client: ClientKey, virtual_time: u64) -> u64 {
        self.with_flow(client, |flow| {
            let Some((_, _, work)) = flow.calls.pop_front() else {
                return virtual_time;
            };
            let served_at = flow.start;
            flow.start = flow.start.saturating_add(work);
            flow.in_flight += 1;
            virtual_time.max(served_at)
        })
    }

    /// Charges a client for a call that never waited.
    pub fn charge(&mut self, client: ClientKey, work: u64, virtual_time: u64) {
        self.with_flow(client, |flow| {
            flow.start = flow.start.max(virtual_time).saturating_add(work);
            flow.in_flight += 1;
        });
    }

    /// Takes a call out that is not served (its client left, it was turned away); false when it is not in.
    pub fn remove(&mut self, client: ClientKey, call: u32) -> bool {
        let was_in = self.with_flow(client, |flow| {
            let place = flow.calls.iter().position(|held| held.1 == call);
            place.map(|place| flow.calls.remove(place)).is_some()
        });
        self.forget_idle(client, 0);
        was_in
    }

    /// The server is done with a call of the client: `estimated` work was charged, `actual` is true.
    pub fn done(&mut self, client: ClientKey, estimated: u64, actual: u64, virtual_time: u64) {
        if !self.flows.contains_key(&client) {
            return;
        }
        self.with_flow(client, |flow| {
            flow.in_flight = flow.in_flight.saturating_sub(1);
            flow.start = flow.start.saturating_add(actual).saturating_sub(estimated);
        });
        self.forget_idle(client, virtual_time);
    }

    fn forget_idle(&mut self, client: ClientKey, virtual_time: u64) {
        let Some(flow) = self.flows.get(&client).filter(|flow| flow.idle()) else {
            return;
        };
        if self.active.is_empty() || flow.start <= virtual_time {
            self.flows.remove(&client);
        } else {
            self.ahead.push(client);
        }
        if self.active.is_empty() {
            for client in std::mem::take(&mut self.ahead) {
                if self.flows.get(&client).is_some_and(Flow::idle) {
                    self.flows.remove(&client);
                }
            }
        }
    }

    /// The call that would be served last, roughly: the last call of the most served client.
    pub fn last(&self) -> Option<u32> {
        let &(_, _, client) = self.active.last()?;
        self.flows.get(&client)?.calls.back().map(|call| call.1)
    }

    /// All calls, client by client in the order of their starts.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        let flows = self.active.iter().filter_map(|(_, _, client)| self.flows.get(client));
        flows.flat_map(|flow| flow.calls.iter().map(|call| call.1))
    }
}
