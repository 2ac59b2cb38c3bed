//! tidegate-sim PLAYS: storms in virtual time, and the models of the servers and the hosts that they are made of.
//!
//! Time is passed in ([`tidegate_core::time`]), randomness is seeded state: the same seed gives the same trace anywhere.
//!
//! - [`run`]: plays a [`spec`] under a [`policy`] and gives a [`report`].
//! - [`engine`]: the world that it plays, for those who drive one themselves.
//! - [`law`]: how much a server gets done at a given concurrency, and where its knee is.
//! - [`provider`]: a server under such a law: threads, backlog, work for clients that have left.
//! - [`session`]: its session table, with idle expiry.
//! - [`host`] and [`retry`]: a host that connects, follows up and polls, and what it does after a failure.
//! - [`floor`]: the time that all hosts need when all work is done at the best rate.
//! - [`rng`]: the seeded random numbers that all of them use.
#![forbid(unsafe_code)]
#![warn(clippy::iter_over_hash_type)]

pub mod engine;
pub mod error;
pub mod floor;
pub mod host;
mod lane;
pub mod law;
pub mod policy;
pub mod provider;
pub mod report;
pub mod retry;
pub mod rng;
pub mod run;
pub mod session;
pub mod spec;

/// The core's time types, for those who drive these models.
pub use tidegate_core::time;
