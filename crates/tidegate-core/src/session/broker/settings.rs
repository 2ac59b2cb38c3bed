//! Caps and times of the broker.

use crate::time::Span;
use serde::{Deserialize, Serialize};

/// What the broker works with. Everything may be zero: then nothing of the kind is allowed, or it is over at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// Most clones of one principal, the ones that are on their way out included. Usually 8.
    pub clones_max: u32,
    /// Most downstream sessions.
    pub sessions_max: u32,
    /// Most downstream sessions of one principal.
    pub sessions_per_principal_max: u32,
    /// Most upstream sessions that clients made by themselves (token, SSPI, extension), of all principals together.
    pub own_max: u32,
    /// Most principals that are known at one time.
    pub principals_max: u32,
    /// Most calls of one principal that wait at one time.
    pub waiting_max: u32,
    /// Longest wait of a call.
    pub wait_max: Span,
    /// A downstream session without a call for so long is expired. At least a millisecond counts.
    pub idle: Span,
    /// Longest life of a downstream and of an upstream session.
    pub life: Span,
    /// So long after vCenter accepted it a password is trusted, and kept.
    pub verify: Span,
    /// An upstream session that was not used for so long gets a call to keep it, or is ended when nobody needs it. At least
    /// a millisecond counts. Must be below vCenter's own idle timeout (30 minutes unless changed there).
    pub keepalive: Span,
    /// Seed of the jitter: an upstream session is renewed at 80 to 95 % of its life.
    pub seed: u64,
}
