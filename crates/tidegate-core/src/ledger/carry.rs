//! What a ledger hands to that of the next process: everything that the next one must not use at once.

use super::book::{BUCKETS_MAX, Ledger, canonical};
use super::slot::{Slot, State};
use super::words::Ending;
use crate::time::{Nanos, Span};
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};

/// Of what is handed over; another number is not read.
pub const CARRIED_FORMAT: u32 = 1;

/// One port that is leased, at rest or another's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CarriedPort {
    /// The port.
    pub port: u16,
    /// How its last use ended when it rests; a port that is leased or another's is foreign to the next process.
    pub rests: Option<Ending>,
    /// How long ago that was.
    #[serde(rename = "ago_ns")]
    pub ago: Span,
}

/// One bucket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CarriedBucket {
    /// Our address.
    pub source: IpAddr,
    /// The server's.
    pub destination: SocketAddr,
    /// In the order of the ports.
    pub ports: Vec<CarriedPort>,
}

/// A ledger on its way to the next process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Carried {
    /// [`CARRIED_FORMAT`].
    pub format: u32,
    /// Of the process that wrote it.
    pub generation: u64,
    /// By destination, then source.
    pub buckets: Vec<CarriedBucket>,
}

/// Why it is not used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CarriedError {
    /// It is of another version.
    #[error("its format is {0}, and this version reads {CARRIED_FORMAT}")]
    Format(u32),
    /// More than any ledger holds.
    #[error("it has {buckets} buckets with up to {ports} ports, and no ledger holds so many")]
    Absurd {
        /// So many buckets.
        buckets: usize,
        /// Most ports of one of them.
        ports: usize,
    },
}

impl Ledger {
    /// What the next process must know.
    pub fn export(&mut self, now: Nanos) -> Carried {
        let quarantine = self.settings.quarantine;
        self.buckets.values_mut().for_each(|bucket| bucket.pass(now, quarantine));
        let carry = |(port, slot): (u16, Slot)| {
            let rests =
                (slot.state() == State::Quarantined).then(|| slot.history()).flatten().map(|(_, ending)| ending);
            (slot.state() != State::Free).then(|| CarriedPort { port, rests, ago: now.since(slot.when()) })
        };
        let buckets = self.buckets.iter().map(|((destination, source), bucket)| CarriedBucket {
            source: *source,
            destination: *destination,
            ports: bucket.known().into_iter().filter_map(carry).collect(),
        });
        Carried {
            format: CARRIED_FORMAT,
            generation: self.generation,
            buckets: buckets.filter(|bucket| !bucket.ports.is_empty()).collect(),
        }
    }

    /// Takes over what another process exported: quarantines go on, everything else that was in use there is foreign until
    /// the kernel's list says otherwise. Own leases win; ports and sources that are not configured are left out.
    ///
    /// # Errors
    /// Why nothing of it is used.
    pub fn import(&mut self, now: Nanos, carried: &Carried) -> Result<(), CarriedError> {
        if carried.format != CARRIED_FORMAT {
            return Err(CarriedError::Format(carried.format));
        }
        let ports = carried.buckets.iter().map(|bucket| bucket.ports.len()).max().unwrap_or(0);
        if carried.buckets.len() > BUCKETS_MAX || ports > usize::from(u16::MAX) {
            return Err(CarriedError::Absurd { buckets: carried.buckets.len(), ports });
        }
        for from in &carried.buckets {
            if !Ledger::lends(&self.settings, from.source) {
                continue;
            }
            let (split, mut rng) = (self.split.clone(), self.rng.clone());
            let Ok(bucket) = self.bucket(now, (canonical(from.destination), from.source)) else { continue };
            let mut known = bucket.known();
            for port in &from.ports {
                if known.get(&port.port).is_none_or(|slot| slot.state() == State::Free) {
                    known.insert(port.port, taken_over(now, port));
                }
            }
            bucket.rebuild(&split, known, &mut rng);
            self.rng = rng;
        }
        self.generation = self.generation.max(carried.generation.saturating_add(1));
        Ok(())
    }
}

fn taken_over(now: Nanos, port: &CarriedPort) -> Slot {
    let mut slot = Slot::FRESH;
    match port.rests {
        Some(ending) if ending != Ending::Never => {
            slot.set_history(now - port.ago, ending);
            slot.set_state(State::Quarantined);
        }
        _ => {
            slot.set_history(now, Ending::Foreign);
            slot.set_state(State::ForeignSeen);
        }
    }
    slot
}
