//! What the operator decided about a monitor.

use crate::time::Span;
use serde::{Deserialize, Serialize};

/// How one server is probed. Spans are nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Between two probes, ± 10 % (default 2 s, as HAProxy's `inter`).
    #[serde(rename = "interval_ns")]
    pub interval: Span,
    /// How long a probe may take (default: the interval).
    #[serde(rename = "timeout_ns")]
    pub timeout: Span,
    /// Between two probes while the phase is in doubt (default: half of the interval).
    #[serde(rename = "fast_ns")]
    pub fast: Span,
    /// Failed probes in a row after which a server is down, 1..=50 (default 3, as HAProxy). Two strong ones are enough.
    pub fall: u32,
    /// Good probes in a row after which it is back, 1..=50 (default 2, as HAProxy).
    pub rise: u32,
    /// How long a server that is back takes to get its whole limit (default 30 s); zero: none.
    #[serde(rename = "slow_start_ns")]
    pub slow_start: Span,
}

/// Why settings were refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} must be {range}")]
pub struct SettingsError {
    /// Which field.
    pub field: &'static str,
    /// The range in words.
    pub range: &'static str,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            interval: Span::secs(2),
            timeout: Span::secs(2),
            fast: Span::secs(1),
            fall: 3,
            rise: 2,
            slow_start: Span::secs(30),
        }
    }
}

impl Settings {
    /// Checks what types cannot.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(&self) -> Result<(), SettingsError> {
        let within = |field, span: Span, low: Span, high: Span, range| {
            if low <= span && span <= high { Ok(()) } else { Err(SettingsError { field, range }) }
        };
        let (least, hour) = (Span::millis(10), Span::secs(3600));
        within("interval", self.interval, least, hour, "10 ms to 1 hour")?;
        within("timeout", self.timeout, least, hour, "10 ms to 1 hour")?;
        within("fast", self.fast, least, self.interval, "10 ms to the interval")?;
        within("slow_start", self.slow_start, Span::ZERO, Span::secs(86_400), "at most one day")?;
        let count = |field, n: u32| {
            let range = "1 to 50";
            if (1..=50).contains(&n) { Ok(()) } else { Err(SettingsError { field, range }) }
        };
        count("fall", self.fall)?;
        count("rise", self.rise)
    }

    /// Strong failures that are enough.
    pub(super) fn fall_strong(&self) -> u32 {
        self.fall.min(2)
    }
}
