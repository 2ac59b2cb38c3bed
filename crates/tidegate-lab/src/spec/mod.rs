//! What lab processes are told: JSON, unknown keys refused. All spans are seconds of world time, but a load's.

mod floor;
mod load;
mod provider;
mod storm;
mod tls;

pub use floor::{FloorAnswer, FloorSpec};
pub use load::{LoadMode, LoadSpec};
pub use provider::{OriginSpec, ProviderSpec};
pub use storm::StormSpec;
pub use tls::{ProviderTls, StormTls, Version, Versions};

use crate::LabError;
use serde::de::DeserializeOwned;
use std::net::SocketAddr;
use tidegate_sim::law::{Law, LawKind};
use tidegate_sim::time::Span;

/// Reads a spec: JSON text, or `@FILE`.
pub fn parse<T: DeserializeOwned>(text: &str) -> Result<T, LabError> {
    let owned;
    let json = match text.strip_prefix('@') {
        None => text,
        Some(path) => {
            owned = std::fs::read_to_string(path).map_err(|error| LabError(format!("cannot read {path}: {error}")))?;
            &owned
        }
    };
    serde_json::from_str(json).map_err(|error| LabError(format!("the spec is not as expected: {error}")))
}

fn law(kind: LawKind, knee: u32, unit_s: f64) -> Result<Law, LabError> {
    positive("unit_s", unit_s)?;
    Law::new(kind, knee, Span::from_secs_f64(unit_s)).map_err(|error| LabError(error.to_string()))
}

fn positive(key: &str, value: f64) -> Result<(), LabError> {
    if value.is_finite() && value > 0.0 {
        return Ok(());
    }
    Err(LabError(format!("{key} is {value}: give more than 0")))
}

fn any_port() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

fn usl() -> LawKind {
    LawKind::Usl
}

fn knee() -> u32 {
    22
}

fn unit_s() -> f64 {
    0.5
}

fn speed() -> f64 {
    5.0
}

fn seed() -> u64 {
    1
}

fn sample_s() -> f64 {
    0.25
}

fn hosts() -> u32 {
    300
}

fn poll_s() -> f64 {
    10.0
}

fn follow_ups() -> u32 {
    3
}

fn source_prefix() -> String {
    "127.1".to_owned()
}
