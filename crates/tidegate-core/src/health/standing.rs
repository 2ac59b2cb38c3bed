//! What admission is told about a server.

use crate::admission::Phase;
use serde::{Deserialize, Serialize};

/// How a server stands: what its monitor says to the machine that admits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Standing {
    /// Its phase: `up`, `suspect`, `degraded`, `down` or `recovering`.
    pub phase: Phase,
    /// At most so many calls in flight, because it takes no more connections from us; at least 1.
    pub cap: Option<u32>,
    /// The part of its limit that may be used, in thousandths, 100..=1000.
    pub ramp_milli: u32,
    /// It is down because it refused one connect after another: its process is gone, and its sessions with it.
    pub refused: bool,
}

impl Standing {
    /// The least part of a limit.
    pub const RAMP_LEAST: u32 = 100;

    /// A server of which nothing bad is known.
    pub const UP: Standing = Standing { phase: Phase::Up, cap: None, ramp_milli: 1000, refused: false };

    /// How much of `limit` may be used; at least 1.
    pub fn allowed(&self, limit: u32) -> u32 {
        let ramp = u64::from(self.ramp_milli.clamp(Standing::RAMP_LEAST, 1000));
        let ramped = (u64::from(limit) * ramp).div_ceil(1000) as u32;
        ramped.min(self.cap.unwrap_or(u32::MAX)).max(1)
    }
}
