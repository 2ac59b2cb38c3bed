//! Who is shown what: every segment that is not quiet, to the findings that want it.

use super::find::collision::Collision;
use super::find::half_open::HalfOpen;
use super::find::idle::Idle;
use super::find::keepalive::Keepalive;
use super::find::ports::Ports;
use super::find::reset::Reset;
use super::find::sides::Sides;
use super::find::storm::Storm;
use super::find::tls::Tls;
use super::found::{BucketLine, Found};
use super::look::{Ended, Look, Undelivered};
use super::summary::Summary;

/// All findings. The order of their fields is the order in which they are told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Findings {
    collision: Collision,
    ports: Ports,
    half_open: HalfOpen,
    storm: Storm,
    tls: Tls,
    reset: Reset,
    keepalive: Keepalive,
    idle: Idle,
    sides: Sides,
}

/// The same for every finding.
macro_rules! each {
    ($($name:ident: $kind:ident),+) => {
        impl Findings {
            /// Shows a segment to those who want it.
            pub fn note(&mut self, look: &mut Look<'_, '_>) {
                let (note, flags) = (look.step.note, look.tcp.flags);
                $(if $kind::wants(note, flags) || look.step.lapsed.is_some() {
                    self.$name.note(look);
                })+
            }

            /// An incarnation is no longer in the table.
            pub fn over(&mut self, ended: &Ended) {
                $(self.$name.over(ended);)+
            }

            /// Takes over what another shard remembers.
            pub fn absorb(&mut self, other: Self) {
                $(self.$name.absorb(other.$name);)+
            }

            /// What it all comes to.
            pub fn find(&self, sum: &Summary<'_>) -> Vec<Found> {
                let mut found = Vec::new();
                $(found.extend(self.$name.find(sum));)+
                found
            }
        }
    };
}

each!(
    collision: Collision, ports: Ports, half_open: HalfOpen, storm: Storm, tls: Tls, reset: Reset, keepalive: Keepalive,
    idle: Idle, sides: Sides
);

impl Findings {
    /// Hears that a segment could not be delivered.
    pub fn unreachable(&mut self, word: &Undelivered<'_, '_>) {
        self.reset.unreachable(word);
    }

    /// The fullest buckets.
    pub fn buckets(&self, sum: &Summary<'_>) -> Vec<BucketLine> {
        self.ports.buckets(sum)
    }
}
