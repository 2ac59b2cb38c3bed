//! tidegate-lab STORMS: the models of `tidegate-sim` on real sockets, for demos, tests and benchmarks.
//!
//! - [`provider`]: a server that collapses past its knee, works on for clients that have left, restarts and crashes.
//! - [`storm`]: hosts that reconnect, each over a connection of its own from a source address of its own.
//! - [`origin`] and [`load`]: a server that always answers, and a client that offers a constant rate or idles.
//! - [`spec`]: what the two are told, as JSON; all spans are seconds of *world* time, divided by `speed` on the wall.
//! - [`certificates`]: a certificate authority for a test, and what it signs; [`tls`] uses them.
//! - [`protocol`]: the two protocols that they speak, `vasa` and `http`.
#![forbid(unsafe_code)]

pub mod certificates;
mod clock;
mod dial;
mod link;
pub mod load;
pub mod origin;
pub mod process;
pub mod protocol;
pub mod provider;
mod rest;
mod soap;
pub mod spec;
pub mod storm;
pub mod tls;
mod wire;

/// Why a lab process could not do what it was told: one sentence with a hint.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct LabError(pub String);
