//! The calls under way: from the client's sending to the moment at which nobody knows of them any more.

use crate::provider::JobId;
use tidegate_core::admission::{OperationKey, Role};

/// A call; never used again for another one. The index of its slot, with the slot's generation above it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallNo(pub u64);

/// Who calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// A host, by its index over all populations.
    Host(u32),
    /// A population's bulk call.
    Bulk(u16),
}

/// A session: the server that knows it and its number there.
pub type Session = (u16, u64);

/// What a call asks for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// The operation.
    pub operation: OperationKey,
    /// What for.
    pub role: Role,
    /// Its true work.
    pub units: f64,
}

/// One call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    pub who: Who,
    pub step: Step,
    pub session: Option<Session>,
    /// Whether the client still waits.
    pub present: bool,
    /// Where it is worked on, and as which job.
    pub at: Option<(u16, JobId)>,
    /// The server does not know its session.
    pub stray: bool,
}

/// The table.
#[derive(Debug, Default)]
pub(super) struct Calls {
    slots: Vec<(u32, Option<Call>)>,
    free: Vec<u32>,
}

impl Calls {
    pub fn insert(&mut self, call: Call) -> CallNo {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push((0, None));
            self.slots.len() as u32 - 1
        });
        let Some(slot) = self.slots.get_mut(index as usize) else { return CallNo(u64::MAX) };
        slot.0 = slot.0.wrapping_add(1);
        slot.1 = Some(call);
        CallNo(u64::from(slot.0) << 32 | u64::from(index))
    }

    pub fn get(&self, number: CallNo) -> Option<&Call> {
        let slot = self.slots.get(number.0 as u32 as usize)?;
        slot.1.as_ref().filter(|_| slot.0 == (number.0 >> 32) as u32)
    }

    pub fn get_mut(&mut self, number: CallNo) -> Option<&mut Call> {
        let slot = self.slots.get_mut(number.0 as u32 as usize)?;
        slot.1.as_mut().filter(|_| slot.0 == (number.0 >> 32) as u32)
    }

    pub fn remove(&mut self, number: CallNo) -> Option<Call> {
        self.get(number)?;
        self.free.push(number.0 as u32);
        self.slots.get_mut(number.0 as u32 as usize)?.1.take()
    }

    /// All of them, in the order of their slots.
    pub fn all(&self) -> Vec<CallNo> {
        let live = self.slots.iter().enumerate().filter(|(_, slot)| slot.1.is_some());
        live.map(|(index, slot)| CallNo(u64::from(slot.0) << 32 | index as u64)).collect()
    }
}
