//! The gate's clock: nanoseconds since a month before the process first asked. The core gets its `now` from here and nowhere
//! else.

use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tidegate_core::time::{Nanos, Span};

/// What another process hands over lies before the first `now`, as far back as this.
const BEFORE: Duration = Duration::from_secs(30 * 86_400);

static ORIGIN: OnceLock<(Instant, SystemTime)> = OnceLock::new();

fn origin() -> &'static (Instant, SystemTime) {
    ORIGIN.get_or_init(|| (Instant::now(), SystemTime::now()))
}

/// Monotonic time now.
pub(crate) fn now() -> Nanos {
    Nanos(u64::try_from((BEFORE + origin().0.elapsed()).as_nanos()).unwrap_or(u64::MAX))
}

/// Seconds since 1970 of a point in time, for people.
pub(crate) fn unix_seconds(at: Nanos) -> f64 {
    let start = origin().1.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    (start.as_secs_f64() - BEFORE.as_secs_f64()) + at.0 as f64 / 1e9
}

/// The point in time that is so many seconds after 1970; one before the clock began is its beginning.
pub(crate) fn at_unix(seconds: i64) -> Nanos {
    let ahead = seconds as f64 - unix_seconds(Nanos(0));
    Nanos((ahead.max(0.0) * 1e9) as u64)
}

/// A span as the standard library's type.
pub(crate) fn duration(span: Span) -> Duration {
    Duration::from_nanos(span.0)
}
