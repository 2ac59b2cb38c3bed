//! tidegate-proxy MOVES BYTES: sockets, TLS, HTTP/1.1, relay and pool around the admission machine of `tidegate-core`.
//!
//! - [`plan`]: what the gate is told; [`Gate`]: its handle; [`GateError`]: why it would not.
//! - `listener` → `connection` → `call` (prepare, dispatch, refuse) → `relay` (exchange, pump): the life of a call.
//! - `listener` → `passthrough`: the life of a connection that is not read: `tcp`, or TLS that is not opened.
//! - `service`: the machine behind one mutex; `pool`: connections to servers; `http1`: strict heads and bodies.
//! - `soap`: the one walk over envelopes; [`vasa`] and [`vcenter`]: what is understood of those, and said in their place.
//! - `ports`: the ledger of source ports, and sockets that connect from them.
//! - `admin`, `status`, `metrics`, `explain`, `why`: what the gate tells about itself, from a thread of its own.

mod admin;
mod broker;
mod buffer;
mod call;
mod clock;
mod connection;
mod dial;
mod error;
mod explain;
#[cfg(fuzzing)]
pub mod fuzzing;
mod gate;
pub mod handed;
mod handshake;
mod home;
mod http1;
mod listener;
mod lobby;
mod metrics;
mod monitor;
mod passthrough;
pub mod plan;
mod pool;
mod ports;
mod protocol;
mod relay;
mod service;
mod setup;
mod soap;
mod stats;
mod status;
mod stream;
mod tasks;
mod timers;
pub mod tls;
pub mod vasa;
pub mod vcenter;
mod why;
pub mod wire;

pub use error::GateError;
pub use explain::ExplainQuery;
pub use gate::{ApplyReport, DrainReport, Gate, Handed, Inherited, ServiceChange, check_learned, check_plan};
