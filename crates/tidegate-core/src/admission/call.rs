//! The table of live calls.

use super::event::{Arrival, CallId, Class, KindKey, OperationKey, Role, ServerId, SessionKey};
use crate::health::Cause;
use crate::queue::Place;
use crate::time::{Nanos, Span};
use serde::{Deserialize, Serialize};

/// Where a live call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum State {
    /// In the queue since `Call::arrived`.
    Held,
    /// At a server. It holds a slot there.
    InFlight(InFlight),
}

/// A call at a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct InFlight {
    pub server: ServerId,
    pub since: Nanos,
    /// Which limit of the server it was admitted under.
    pub epoch: u32,
    /// The batch of clients with which it was let in.
    pub batch: Option<u32>,
    /// It holds the reserved slot of the probes.
    pub reserved_slot: bool,
    /// It tries whether a server that is down is back.
    pub trial: bool,
    /// Its connection stands (or it was answered): it can no longer be held again.
    pub counted: bool,
    /// Its client has left.
    pub orphan: bool,
    /// The upstream timeout has passed.
    pub expired: bool,
}

/// One live call.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Call {
    pub place: Place,
    pub kind: KindKey,
    pub operation: OperationKey,
    /// Its cost as configured, in thousandths of a unit.
    pub configured: u32,
    pub session: Option<SessionKey>,
    pub arrived: Nanos,
    pub deadline: Nanos,
    /// It has less time than the plan gives, because clients like its own were seen to leave.
    pub hurried: bool,
    pub token_expiry: Option<Nanos>,
    pub honours_retry_after: bool,
    /// Its place in the queue is its own.
    pub reserved: bool,
    pub state: State,
    /// When something must be done about it: given up while held, expired while in flight.
    pub timer: Nanos,
    /// It is predicted not to be reached in time, and leaves at a moment of its own choosing.
    pub staggered: bool,
    /// It opens a session and can be superseded by a twin.
    pub opens: bool,
    /// It is a poll.
    pub polls: bool,
    /// What our side had not when it was to be connected last.
    #[serde(default)]
    pub wanting: Option<Cause>,
}

impl Call {
    pub fn new(now: Nanos, arrival: &Arrival, place: Place, patience: (Span, bool)) -> Call {
        Call {
            place,
            kind: arrival.kind,
            operation: arrival.operation,
            configured: arrival.configured(),
            session: arrival.session,
            arrived: now,
            deadline: arrival.deadline.unwrap_or(Nanos::NEVER).min(now + patience.0),
            hurried: patience.1 && arrival.deadline.is_none_or(|deadline| deadline > now + patience.0),
            token_expiry: arrival.token_expiry,
            honours_retry_after: arrival.honours_retry_after,
            reserved: arrival.reserved,
            state: State::Held,
            timer: Nanos::NEVER,
            staggered: false,
            opens: arrival.role == Role::Open,
            polls: arrival.role == Role::Poll,
            wanting: None,
        }
    }

    pub fn class(&self) -> Class {
        self.place.class
    }

    pub fn in_flight(&self) -> Option<InFlight> {
        match self.state {
            State::InFlight(in_flight) => Some(in_flight),
            State::Held => None,
        }
    }
}

/// Calls in a slab; an id is the index with the generation of its slot above it, so an old id finds nothing.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(super) struct Calls {
    slots: Vec<(u32, Option<Call>)>,
    free: Vec<u32>,
}

impl Calls {
    pub fn insert(&mut self, call: Call) -> (u32, CallId) {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push((0, None));
            self.slots.len() as u32 - 1
        });
        let slot = &mut self.slots[index as usize];
        slot.0 = slot.0.wrapping_add(1);
        slot.1 = Some(call);
        (index, id(slot.0, index))
    }

    /// The index of a live call.
    pub fn find(&self, call: CallId) -> Option<u32> {
        let (generation, index) = ((call.0 >> 32) as u32, call.0 as u32);
        let slot = self.slots.get(index as usize)?;
        (slot.0 == generation && slot.1.is_some()).then_some(index)
    }

    pub fn id(&self, index: u32) -> CallId {
        id(self.slots.get(index as usize).map_or(0, |slot| slot.0), index)
    }

    pub fn get(&self, index: u32) -> Option<&Call> {
        self.slots.get(index as usize)?.1.as_ref()
    }

    pub fn get_mut(&mut self, index: u32) -> Option<&mut Call> {
        self.slots.get_mut(index as usize)?.1.as_mut()
    }

    pub fn remove(&mut self, index: u32) -> Option<Call> {
        let call = self.slots.get_mut(index as usize)?.1.take()?;
        self.free.push(index);
        Some(call)
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Call> {
        self.slots.iter_mut().filter_map(|slot| slot.1.as_mut())
    }
}

fn id(generation: u32, index: u32) -> CallId {
    CallId(u64::from(generation) << 32 | u64::from(index))
}
