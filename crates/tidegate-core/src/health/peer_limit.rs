//! How many connections a server, or a device before it, takes from us: learned from its refusals.
//!
//! At the first refusal while it lives, as many connections stand as it takes. From then on there may be 0.95 of that many.
//! When nothing was refused for a while the limit is tried a twentieth higher, and so on; a refusal that meets us trying puts
//! it back, and the while is twice as long from then on, up to 16 times. At twice of what was learned it is forgotten.

use super::inquiry::cap_of;
use crate::time::{Nanos, Span};
use serde::{Deserialize, Serialize};

/// Without a refusal, before the limit is tried higher.
const HOLD: Span = Span::secs(30);
/// Times [`HOLD`], at the most.
const HOLDS_MAX: u64 = 16;

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PeerLimit {
    /// As learned.
    learned: u32,
    /// As tried now.
    tried: u32,
    holds: u64,
    /// When it is tried higher.
    grows: Nanos,
}

/// The same for another process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PassedLimit {
    learned: u32,
    tried: u32,
    holds: u64,
    /// After how long it is tried higher.
    grows: Span,
}

impl PassedLimit {
    /// By the clock of the process that goes on with it.
    pub fn taken_over(self, now: Nanos) -> PeerLimit {
        let PassedLimit { learned, tried, holds, grows } = self;
        PeerLimit { learned, tried, holds: holds.clamp(1, HOLDS_MAX), grows: now + grows }
    }
}

impl PeerLimit {
    /// For another process.
    pub fn pass_on(self, now: Nanos) -> PassedLimit {
        let PeerLimit { learned, tried, holds, grows } = self;
        PassedLimit { learned, tried, holds, grows: grows.since(now) }
    }

    /// It refused with so many connections open, at least one; `known`: what was known before.
    pub fn refused(now: Nanos, open: u32, known: Option<PeerLimit>) -> PeerLimit {
        let open = open.max(1);
        let holds = match known {
            Some(known) if known.tried > known.learned => (known.holds * 2).min(HOLDS_MAX),
            Some(known) => known.holds,
            None => 1,
        };
        let learned = match known {
            Some(known) if now < known.grows => known.learned, // a device forgets connections that have ended later than we
            Some(known) => open.min(known.tried),
            None => open,
        };
        PeerLimit { learned, tried: learned, holds, grows: now + Span(HOLD.0 * holds) }
    }

    /// A new connection was accepted; `None`: the limit is forgotten.
    pub fn accepted(mut self, now: Nanos) -> Option<PeerLimit> {
        if now >= self.grows {
            self.tried = self.tried.saturating_add((self.tried / 20).max(1));
            self.grows = now + Span(HOLD.0 * self.holds);
        }
        (self.tried < self.learned.saturating_mul(2)).then_some(self)
    }

    /// The limit, as tried now.
    pub fn limit(&self) -> u32 {
        self.tried
    }

    /// How many connections there may be.
    pub fn cap(&self) -> u32 {
        cap_of(self.tried)
    }
}
