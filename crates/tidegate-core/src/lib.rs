//! tidegate-core DECIDES: `(state, event, now) -> actions`, with no I/O and no clock.
//!
//! - [`admission`]: the machine that admits, holds and turns away: start at [`admission::Machine`].
//! - [`queue`]: where held calls wait: exact fair queues per client, order by seniority, by expiry.
//! - [`limit`]: how fast work is done.
//! - [`ledger`]: which source ports are leased, and how long each of them rests.
//! - [`session`]: which session belongs to which client, and whether it is settled.
//! - [`flow`]: what is known of each TCP connection that passes by, and which of its packets may take the fast path.
//! - [`health`]: which servers can be reached: verdicts with evidence, monitors, outliers.
//! - [`reason`]: the closed lists of reasons and ends.
//! - [`trace`]: what a machine was told, written down and replayed.
//! - [`key`], [`recent`], [`rng`]: numbers for identities, a bounded map, seeded randomness.
//! - [`time`]: the only time types. Time is passed in, never read.
#![forbid(unsafe_code)]
#![warn(clippy::iter_over_hash_type)]

pub mod admission;
pub mod flow;
pub mod health;
pub mod key;
pub mod ledger;
pub mod limit;
pub mod queue;
pub mod reason;
pub mod recent;
pub mod rng;
pub mod session;
mod sums;
pub mod time;
pub mod trace;
