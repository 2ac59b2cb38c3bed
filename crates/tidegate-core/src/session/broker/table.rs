//! What the broker remembers: calls, principals, sessions of both sides.

use super::ids::{AskId, DownId, Kind, Need, PrincipalKey, Secret, UpId};
use super::settings::Settings;
use super::view::Stand;
use crate::time::{Nanos, Span};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Order of arrival.
pub(super) type Turn = u64;

/// Shortest time between two looks at one session.
const LOOK: Span = Span::millis(1);

/// A call that is not over.
#[derive(Debug)]
pub(super) struct Ask {
    pub principal: PrincipalKey,
    pub turn: Turn,
    pub since: Nanos,
    pub waiting: bool,
    pub what: What,
}

#[derive(Debug)]
pub(super) enum What {
    /// `secret`: none when the login is unshared. `up`: what it verifies.
    Login { secret: Option<Secret>, up: Option<UpId> },
    /// `up`: what was lent to it.
    Use { down: DownId, need: Need, up: Option<UpId> },
}

impl Ask {
    /// Neither answered, nor lent anything.
    pub fn pending(&self) -> bool {
        self.waiting || matches!(self.what, What::Login { .. })
    }

    /// Which queue a call stands in that nobody makes a session for.
    pub fn waits_for(&self) -> For {
        match self.what {
            What::Login { .. } => For::Login,
            What::Use { need: Need::Shared | Need::Page(_), .. } => For::Shared,
            What::Use { need: Need::Own, .. } => For::Clone,
        }
    }
}

/// Where a downstream session lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// On whatever its principal's shared session is.
    Shared,
    Clone(UpId),
    Own(UpId),
}

#[derive(Debug)]
pub(super) struct Down {
    pub principal: PrincipalKey,
    pub place: Place,
    pub opened: Nanos,
    pub used: Nanos,
    pub calls: u32,
    /// Those that wait: in a queue of the principal, or for the clone that this session is getting.
    pub waiting: BTreeMap<Turn, AskId>,
    pub holds: u32,
    pub sticky: bool,
}

impl Down {
    pub fn new(principal: PrincipalKey, place: Place, now: Nanos) -> Down {
        let waiting = BTreeMap::new();
        Down { principal, place, opened: now, used: now, calls: 0, waiting, holds: 0, sticky: false }
    }

    pub fn busy(&self) -> bool {
        self.calls > 0 || !self.waiting.is_empty()
    }

    pub fn bare(&self) -> bool {
        self.holds == 0 && !self.sticky
    }

    /// When to look at it next.
    pub fn due(&self, now: Nanos, settings: &Settings) -> Nanos {
        let used = if self.busy() { now } else { self.used };
        (used + settings.idle.max(LOOK)).min(self.opened + settings.life)
    }
}

/// A session that is being established.
#[derive(Debug)]
pub(super) struct Flight {
    /// The call that does it; none when its client has left.
    pub asker: Option<AskId>,
    /// Whether that is a client's own login; else a session is made for a call.
    pub login: bool,
    /// Digest of the password that is tried, if one is.
    pub secret: Option<Secret>,
}

#[derive(Debug)]
pub(super) struct Up {
    pub principal: PrincipalKey,
    pub kind: Kind,
    pub stand: Stand,
    pub flight: Option<Flight>,
    /// Digest of the password that made it.
    pub secret: Option<Secret>,
    pub born: Nanos,
    pub used: Nanos,
    /// Used, or kept alive.
    pub touched: Nanos,
    pub calls: u32,
    /// The part of `life` after which it is renewed.
    pub ripeness: f64,
    /// Past that, or stale: it is not lent to anybody else.
    pub aged: bool,
    /// Whose it is now: clones and own ones.
    pub holder: Option<DownId>,
}

impl Up {
    pub fn ready(&self) -> bool {
        self.stand == Stand::Ready
    }

    pub fn ripe(&self, settings: &Settings) -> Nanos {
        self.born + settings.life.mul_f64(self.ripeness)
    }

    /// When to look at it next.
    pub fn due(&self, now: Nanos, settings: &Settings) -> Nanos {
        let touched = if self.calls > 0 { now } else { self.touched };
        let old = if self.aged { self.born + settings.life } else { self.ripe(settings) };
        (touched + settings.keepalive.max(LOOK)).min(old)
    }
}

/// A password that the shell keeps.
#[derive(Debug)]
pub(super) struct Kept {
    pub secret: Secret,
    /// When a login with it succeeded last.
    pub at: Nanos,
    /// vCenter has refused a password of this principal since.
    pub doubted: bool,
}

/// What a waiting call waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum For {
    /// A verification.
    Login,
    /// The shared session.
    Shared,
    /// A clone that nobody else has.
    Clone,
    /// The clone that its own session is getting.
    Held,
}

#[derive(Debug, Default)]
pub(super) struct Principal {
    pub used: Nanos,
    pub downs: BTreeSet<DownId>,
    /// Downstream sessions that are not on a session of their own.
    pub sharers: u32,
    pub ups: BTreeSet<UpId>,
    pub shared: Option<UpId>,
    /// Clones, with those that are made or retiring.
    pub clones: u32,
    /// Clones that nobody has, the last returned last.
    pub spare: Vec<UpId>,
    /// Shared ones on their way out.
    pub retiring: VecDeque<UpId>,
    /// Logins in progress, in order; those that make a clone, too.
    pub flights: Vec<UpId>,
    /// One of them has ended, and the logins that wait have not been looked at since.
    pub landed: bool,
    pub kept: Option<Kept>,
    pub waiting: u32,
    queues: [BTreeMap<Turn, AskId>; 3],
}

impl Principal {
    fn place(of: For) -> Option<usize> {
        match of {
            For::Login => Some(0),
            For::Shared => Some(1),
            For::Clone => Some(2),
            For::Held => None,
        }
    }

    pub fn queue(&self, of: For) -> Vec<AskId> {
        let queue = Self::place(of).map(|place| &self.queues[place]);
        queue.into_iter().flat_map(|queue| queue.values().copied()).collect()
    }

    pub fn first(&self, of: For) -> Option<AskId> {
        self.queues[Self::place(of)?].values().next().copied()
    }

    pub fn push(&mut self, of: For, turn: Turn, ask: AskId) {
        if let Some(place) = Self::place(of) {
            self.queues[place].insert(turn, ask);
        }
    }

    /// Out of whatever queue it is in.
    pub fn pull(&mut self, turn: Turn) {
        for queue in &mut self.queues {
            queue.remove(&turn);
        }
    }

    /// Whether a login with this password needs no call to vCenter.
    pub fn trusts(&self, secret: &Secret) -> bool {
        self.kept.as_ref().is_some_and(|kept| kept.secret == *secret && !kept.doubted)
    }

    pub fn forgettable(&self) -> bool {
        self.downs.is_empty() && self.ups.is_empty() && self.waiting == 0
    }
}
