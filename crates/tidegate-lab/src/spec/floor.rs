//! What is asked of a floor.

use super::{follow_ups, hosts, knee, law, poll_s, positive, unit_s, usl};
use crate::LabError;
use crate::protocol::{POLL_UNITS, SESSION_UNITS};
use serde::{Deserialize, Serialize};
use tidegate_sim::floor::{Work, floor_s};
use tidegate_sim::law::LawKind;

/// A storm and a server, of which the floor is asked.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FloorSpec {
    #[serde(default = "hosts")]
    hosts: u32,
    #[serde(default = "follow_ups")]
    follow_ups: u32,
    #[serde(default = "poll_s")]
    poll_s: f64,
    #[serde(default = "usl")]
    law: LawKind,
    #[serde(default = "knee")]
    knee: u32,
    #[serde(default = "unit_s")]
    unit_s: f64,
}

impl FloorSpec {
    /// Works the floor out.
    pub fn answer(&self) -> Result<FloorAnswer, LabError> {
        positive("poll_s", self.poll_s)?;
        let law = law(self.law, self.knee, self.unit_s)?;
        let work = Work {
            hosts: self.hosts,
            session_units: SESSION_UNITS.0 + SESSION_UNITS.1 * f64::from(self.follow_ups),
            poll_units: POLL_UNITS,
            poll_s: self.poll_s,
        };
        let best_rate = law.best_rate();
        Ok(FloorAnswer { floor_s: floor_s(work, best_rate), best_rate, knee: law.knee() })
    }
}

/// The answer, in world time.
#[derive(Clone, Debug, Serialize)]
pub struct FloorAnswer {
    /// Seconds until the last host is connected when all work is done at the best rate.
    pub floor_s: f64,
    /// The server's best rate, in units per second.
    pub best_rate: f64,
    /// Where it has it, in jobs.
    pub knee: u32,
}
