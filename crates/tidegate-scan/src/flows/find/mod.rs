//! The findings: one module each, all of the same form.
//!
//! `wants` says which segments a finding is shown, `note` shows one, `over` tells of an incarnation that left the table, `absorb`
//! merges what another shard remembers, and `find` says what it comes to. Words, thresholds and their sources stand in the doc
//! comment of each. Data and acknowledgements that mean nothing (`Note::Quiet`) are shown to nobody, whatever is wanted, but the
//! first data of each side, the first packet after a silence of 30 s, and the packets of a flow that a ladder shows or in which
//! a finding waits for something (`Cold::eager`).

mod cases;
pub(crate) mod collision;
mod groups;
pub(crate) mod half_open;
pub(crate) mod idle;
pub(crate) mod keepalive;
pub(crate) mod ports;
mod range;
pub(crate) mod reset;
mod retries;
mod sample;
#[cfg(test)]
pub(crate) mod script;
mod shape;
pub(crate) mod sides;
mod spread;
pub(crate) mod storm;
#[cfg(test)]
mod tests;
pub(crate) mod tls;
