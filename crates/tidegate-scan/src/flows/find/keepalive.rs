//! Connections that nobody uses but their keepalives.

use tidegate_core::flow::Note;

use crate::flows::found::Found;
use crate::flows::look::{Ended, Look};
use crate::flows::summary::Summary;

/// What is remembered.
#[derive(Clone, Debug, Default)]
pub(crate) struct Keepalive {}

impl Keepalive {
    /// Whether such a segment is to be shown: what the machine made of it, and its flags.
    pub fn wants(_note: Note, _flags: u8) -> bool {
        false
    }

    /// Looks at a segment.
    pub fn note(&mut self, _look: &mut Look<'_, '_>) {}

    /// An incarnation is no longer in the table.
    pub fn over(&mut self, _ended: &Ended) {}

    /// Takes over what another shard remembers.
    pub fn absorb(&mut self, _other: Self) {}

    /// What it comes to.
    pub fn find(&self, _sum: &Summary<'_>) -> Vec<Found> {
        Vec::new()
    }
}
