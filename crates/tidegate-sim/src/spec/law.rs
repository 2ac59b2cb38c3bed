//! A server's law as a spec has it, and how it changes.

use crate::law::{Law, LawError, LawKind, SIGMA};
use serde::{Deserialize, Serialize};
use tidegate_core::time::Span;

/// A law: its knee, or for the USL its coefficients.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LawSpec {
    /// Which.
    pub kind: LawKind,
    /// The concurrency with the best rate.
    #[serde(default)]
    pub knee: Option<u32>,
    /// USL: the share of the work that is serial.
    #[serde(default)]
    pub sigma: Option<f64>,
    /// USL: the cost of keeping the jobs coherent.
    #[serde(default)]
    pub kappa: Option<f64>,
    /// How long one unit of work takes alone.
    pub unit_s: f64,
}

/// Something that happens to a server.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChangeSpec {
    /// When.
    pub at_s: f64,
    /// From then on its knee is this.
    #[serde(default)]
    pub knee: Option<u32>,
    /// From then on a unit of work takes so long.
    #[serde(default)]
    pub unit_s: Option<f64>,
    /// It is restarted, and away for so long.
    #[serde(default)]
    pub restart_for_s: Option<f64>,
}

impl LawSpec {
    /// The law, with a unit of work that takes `times` as long.
    ///
    /// # Errors
    /// The numbers make none.
    pub fn law(&self, times: f64) -> Result<Law, LawError> {
        let unit = Span::from_secs_f64(self.unit_s * times);
        match (self.kind, self.knee) {
            (LawKind::Usl, knee) if self.sigma.is_some() || self.kappa.is_some() => {
                let sigma = self.sigma.unwrap_or(SIGMA);
                let at = f64::from(knee.unwrap_or(1).max(1));
                Law::usl(sigma, self.kappa.unwrap_or((1.0 - sigma) / (at * at)), unit)
            }
            (kind, knee) => Law::new(kind, knee.unwrap_or(0), unit),
        }
    }

    /// The law after a change: a new knee takes the place of kappa.
    pub fn changed(&self, change: &ChangeSpec) -> LawSpec {
        LawSpec {
            knee: change.knee.or(self.knee),
            kappa: if change.knee.is_some() { None } else { self.kappa },
            unit_s: change.unit_s.unwrap_or(self.unit_s),
            ..*self
        }
    }
}
