//! World time on the wall: the world runs `speed` times as fast.

use std::time::Duration;
use tidegate_sim::time::{Nanos, Span};
use tokio::time::Instant;

/// Time since an origin, in the world and on the wall.
#[derive(Clone, Copy, Debug)]
pub struct WorldClock {
    origin: Instant,
    speed: f64,
}

impl WorldClock {
    /// A world that begins now. `speed` > 0.
    pub fn start(speed: f64) -> WorldClock {
        WorldClock { origin: Instant::now(), speed }
    }

    /// World time now.
    pub fn now(&self) -> Nanos {
        Nanos(0) + Span::from_secs_f64(self.wall_s() * self.speed)
    }

    /// Wall seconds since the origin.
    pub fn wall_s(&self) -> f64 {
        self.origin.elapsed().as_secs_f64()
    }

    /// When on the wall it is `at` in the world; what is too far away is a year from the origin.
    pub fn wall(&self, at: Nanos) -> Instant {
        const YEAR_S: f64 = 365.0 * 86_400.0;
        let seconds = (at.since(Nanos(0)).as_secs_f64() / self.speed).min(YEAR_S);
        self.origin + Duration::from_secs_f64(seconds)
    }

    /// World time in wall seconds.
    pub fn wall_s_at(&self, at: Nanos) -> f64 {
        at.since(Nanos(0)).as_secs_f64() / self.speed
    }

    /// How long `span` of the world takes on the wall.
    pub fn wall_span(&self, span: Span) -> Duration {
        Duration::from_secs_f64(span.as_secs_f64() / self.speed)
    }

    /// How long a stretch of the wall is in the world.
    pub fn world_span(&self, wall_s: f64) -> Span {
        Span::from_secs_f64(wall_s * self.speed)
    }
}
