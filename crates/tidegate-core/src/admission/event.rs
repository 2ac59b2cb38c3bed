//! What happens to the machine ([`Event`]) and what it asks for ([`Action`]).

use crate::health::{Cause, Standing};
use crate::reason::{Reason, words};
use crate::time::{Nanos, Span};
use serde::{Deserialize, Serialize};

/// One call, from arrival to the moment the server is done with it. Given out by the machine, never reused while live.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CallId(pub u64);

/// One client identity, as a number that the driver derived from it (certificate subject, else session, else user, else
/// source address). Equal identities give equal keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ClientKey(pub u64);

/// One session at a server, as a number that the driver derived from its token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SessionKey(pub u64);

/// An operation of the protocol, as a number that stays the same from run to run (a hash of its name); what it costs is
/// learned by this key. 0: not known, nothing is learned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct OperationKey(pub u32);

/// A kind of clients that have the same patience (one product, one user agent), as a number that stays the same from run
/// to run. 0: not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct KindKey(pub u32);

/// How many keys there are for operations that nobody has listed: strangers choose their names.
const UNLISTED: u32 = 1024;

impl OperationKey {
    /// The operation with this name, which comes from the plan or from the protocol.
    pub fn listed(name: &[&[u8]]) -> OperationKey {
        OperationKey(UNLISTED + 1 + hash(name) % (u32::MAX - UNLISTED))
    }

    /// The operation with this name, which a stranger chose: one of a few keys, so that they cannot fill a table.
    pub fn unlisted(name: &[&[u8]]) -> OperationKey {
        OperationKey(1 + hash(name) % UNLISTED)
    }
}

impl KindKey {
    /// The kind of clients with this name.
    pub fn named(name: &[u8]) -> KindKey {
        KindKey(hash(&[name]).max(1))
    }
}

/// FNV-1a: the same number in every run and on every machine.
fn hash(parts: &[&[u8]]) -> u32 {
    let bytes = parts.iter().flat_map(|part| part.iter());
    bytes.fold(0x811c_9dc5, |hash: u32, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

/// A server of the service: its index in the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ServerId(pub u16);

words! {
    /// What a call is for, as its protocol tells from its bytes. The class follows from the role and the session.
    Role {
        /// A health check.
        Probe = "probe",
        /// Opens a session (setContext, Login, session create).
        Open = "open",
        /// Renews a session's token.
        Renew = "renew",
        /// A periodic poll of a connected client: its first one shows that the session is settled.
        Poll = "poll",
        /// Any other call.
        Call = "call",
        /// Bulk work, by principal or operation.
        Bulk = "bulk",
    }
}

words! {
    /// The class of a call: who goes first. Declared in order of rank.
    Class {
        /// Health checks, the gate's own among them: one reserved slot outside the limit.
        Probe = "probe",
        /// Calls of a session that is not settled yet.
        Continuation = "continuation",
        /// Renewals of a token that is about to expire, earliest expiry first.
        Renewal = "renewal",
        /// Calls that open a session, in order of seniority.
        NewSession = "new-session",
        /// Calls of settled sessions, polls among them, and calls with no session at all.
        Steady = "steady",
        /// Bulk work.
        Bulk = "bulk",
    }
}

/// A call that has just arrived.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Arrival {
    /// Who calls.
    pub client: ClientKey,
    /// What kind of client that is.
    pub kind: KindKey,
    /// What for.
    pub role: Role,
    /// Which operation of the protocol.
    pub operation: OperationKey,
    /// The session that the call carries, if any.
    pub session: Option<SessionKey>,
    /// The only server that may have it: its client has authenticated on a connection to it. Goes before the session's.
    #[serde(default)]
    pub server: Option<ServerId>,
    /// Expected work in thousandths of a unit (one unit: one session open), until it is learned. 1..=1_000_000; 0 is
    /// taken as 1.
    pub cost_milli: u32,
    /// When the client gives up, if it said so; else the plan's client timeout counts from now.
    pub deadline: Option<Nanos>,
    /// When the token that the call carries expires, if known.
    pub token_expiry: Option<Nanos>,
    /// Whether this client is known to wait as long as Retry-After says.
    pub honours_retry_after: bool,
    /// Whether this client has a place of its own that nobody else can take (vCenter's own session).
    pub reserved: bool,
}

impl Arrival {
    /// The configured cost, within its bounds.
    pub(super) fn configured(&self) -> u32 {
        self.cost_milli.clamp(1, 1_000_000)
    }
}

/// How the server was done with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// It answered. `opened`: the session that the answer carries; `closed`: the call's own session has ended (logout).
    Answered {
        /// A new session, from the answer.
        opened: Option<SessionKey>,
        /// The session of the call is over.
        closed: bool,
    },
    /// It answered that it cannot: 503, 429, a busy fault.
    Overload,
    /// Nothing was sent: connect refused, reset or timed out.
    ConnectFailed,
    /// Nothing was sent, and the server is not to blame: our own side had no port, no descriptor, no memory, or the server
    /// takes no more connections from us. The call is held again.
    NotConnected(Cause),
    /// The connection broke, or the answer was garbage.
    Broken,
    /// The client left before the request was whole, so the server cannot be working on it.
    Incomplete,
    /// The server keeps the call and does nothing about it until something happens there (a long poll): its slot is given
    /// back, and how long it takes says nothing.
    Parked,
}

/// Something that happened.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Event {
    /// A call arrived. The first action that follows is about it.
    Arrive(Arrival),
    /// The client left. A held call leaves the queue; an admitted one keeps its slot until the server is done.
    ClientGone(CallId),
    /// A connection to the server of this admitted call stands (needs to be told only for new connections).
    Connected(CallId),
    /// The server is done with the call.
    Done(CallId, Outcome),
    /// The driver has seen that this server began anew (another instance, a shorter uptime).
    Restarted(ServerId),
    /// The server's monitor says how it stands.
    Health(ServerId, Standing),
    /// A session has ended although no call said so (its connection is closed).
    SessionOver(SessionKey),
    /// The time that [`next_wake`](super::Machine::next_wake) named has come.
    Wake,
    /// The operator announced (true) or ended (false) a planned restart.
    Maintenance(bool),
    /// The operator lets everything pass (true).
    Bypass(bool),
    /// The service shuts down: what is held is turned away, nothing more is admitted.
    Drain,
    /// Another process of this gate uses slots of this server, while one takes over from the other.
    Slots(ServerId, Slots),
}

/// What a machine may use of a server's limit while two processes share it.
///
/// The one that goes shrinks first and never grows; the one that comes is told after that. So the two together stay
/// within the limit, however long a message between them takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Slots {
    /// The one that goes: at most so many in flight, whatever the limit says.
    AtMost(u32),
    /// The one that comes: all but what the other one still uses, and one at the least of what that leaves by one.
    AllBut(u32),
}

impl Action {
    /// The call that it is about.
    pub fn call(&self) -> CallId {
        match *self {
            Action::Admit { call, .. }
            | Action::Hold { call, .. }
            | Action::TurnAway { call, .. }
            | Action::Observed { call, .. }
            | Action::Expire { call } => call,
        }
    }
}

/// Something that the driver must do. At most one `Admit` or `TurnAway` is pending per call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Action {
    /// Send the call to this server. Comes again for a call whose connect failed and that was held again.
    Admit {
        /// The call.
        call: CallId,
        /// Where to.
        server: ServerId,
    },
    /// Keep the call; read nothing more from its client; notice when the client leaves.
    Hold {
        /// The call.
        call: CallId,
        /// Calls in front of it, roughly.
        ahead: u32,
        /// The predicted wait, when a rate is known.
        predicted: Option<Span>,
    },
    /// Answer in the protocol's own words. The call is forgotten.
    TurnAway {
        /// The call.
        call: CallId,
        /// Why.
        reason: Reason,
        /// When to come back: a prediction, spread, bounded by the plan.
        retry_after: Span,
    },
    /// In observe mode, after the `Admit` that lets it pass: what would have become of the call.
    Observed {
        /// The call.
        call: CallId,
        /// It would have been turned away for this; `None`: held.
        turn_away: Option<Reason>,
        /// The predicted wait, when a rate is known.
        predicted: Option<Span>,
    },
    /// The server did not answer an admitted call within the upstream timeout: stop waiting for it. The slot stays taken
    /// until the driver says `Done`, or until the plan's quarantine is over.
    Expire {
        /// The call.
        call: CallId,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_give_the_same_keys_in_every_run() {
        assert_eq!(hash(&[b"foobar"]), 0xbf9c_f968, "from the reference of FNV-1a");
        assert_eq!(OperationKey::listed(&[b"foo", b"bar"]), OperationKey::listed(&[b"foobar"]));
        assert_ne!(OperationKey::listed(&[b"setContext"]), OperationKey::listed(&[b"getEvents"]));
    }

    #[test]
    fn strangers_cannot_make_more_than_a_few_keys_or_one_that_is_listed() {
        for n in 0..100_000_u32 {
            let key = OperationKey::unlisted(&[&n.to_be_bytes()]).0;
            assert!((1..=UNLISTED).contains(&key));
            assert!(OperationKey::listed(&[&n.to_be_bytes()]).0 > UNLISTED);
        }
    }
}
