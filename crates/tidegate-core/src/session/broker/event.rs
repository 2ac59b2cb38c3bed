//! What the broker is told, and what it wants done.

use super::ids::{AskId, DownId, Holds, Make, Need, PrincipalKey, Secret, UpId};
use serde::{Deserialize, Serialize};

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A client logs in with a password.
    Login {
        /// Its call.
        ask: AskId,
        /// As whom.
        principal: PrincipalKey,
        /// Digest of the password.
        secret: Secret,
    },
    /// A client logs in by token, SSPI or as an extension: the call itself makes the upstream session, which nobody shares.
    LoginOwn {
        /// Its call.
        ask: AskId,
        /// As whom.
        principal: PrincipalKey,
    },
    /// The session that was asked for ([`Action::Verify`], or [`Action::Lend`] with `make`) stands. Exactly one of this,
    /// `Denied` and `Failed` follows each of them, also when the client has left meanwhile. From a [`Action::Verify`] of
    /// [`Event::Login`] on, the shell keeps the password that made it, instead of any before, until [`Action::Forget`].
    Verified {
        /// Which.
        up: UpId,
    },
    /// vCenter refused the credentials (InvalidLogin).
    Denied {
        /// Which session does not come to be.
        up: UpId,
    },
    /// There was no answer, or another fault; also: the password for [`Make::Login`] is gone. A session that may exist all
    /// the same is the shell's to end.
    Failed {
        /// Which session does not come to be.
        up: UpId,
    },
    /// A call with a session.
    Use {
        /// The call.
        ask: AskId,
        /// Its downstream session.
        down: DownId,
        /// What it needs.
        need: Need,
    },
    /// A call that a session was lent to is over. To be lent another one, the shell asks again under a new number.
    /// Before `Verified`, `Denied` or `Failed` it means that the call gave up: another one is told to try.
    Done {
        /// Which.
        ask: AskId,
        /// What its client holds now on a clone.
        holds: Holds,
    },
    /// The client left while its call waited or verified. A verification goes on: others may wait for it.
    Left {
        /// Which.
        ask: AskId,
    },
    /// vCenter does not know this session any more (NotAuthenticated, first or second shape). The shell forgets its cookie.
    Dead {
        /// Which.
        up: UpId,
    },
    /// Something behind this session refuses it, for example the host gateway: no call is lent it any more, and it is
    /// ended when its calls are over.
    Stale {
        /// Which.
        up: UpId,
    },
    /// A client logs out.
    Logout {
        /// Its session.
        down: DownId,
    },
    /// The time that [`Broker::next_wake`](super::Broker::next_wake) named has come.
    Wake,
    /// The gate stops: nothing is lent any more, and every upstream session is ended when its calls are over.
    Drain,
}

/// Something to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// The login is fine: hand the client this session. The call is over for the broker.
    Open {
        /// The login.
        ask: AskId,
        /// The client's new session.
        down: DownId,
        /// Where it lives now.
        up: UpId,
    },
    /// This call logs in upstream, with what is in its body. `Open` or `Refuse` follows for it.
    Verify {
        /// The login.
        ask: AskId,
        /// The session that it makes.
        up: UpId,
    },
    /// This call goes out on this session. `Done` must follow.
    Lend {
        /// The call.
        ask: AskId,
        /// Its client's session.
        down: DownId,
        /// The session to use. It may differ from that of the client's last call: what the client had on that one it does
        /// not have here.
        up: UpId,
        /// The call establishes the session first, and the shell says how that went. After `Denied` or `Failed` nothing
        /// else is lent to this call: the shell answers it and says `Done`.
        make: Option<Make>,
    },
    /// This call waits for one of the three above, or for `Refuse`.
    Wait {
        /// Which.
        ask: AskId,
    },
    /// This call is not served. It is over for the broker.
    Refuse {
        /// Which.
        ask: AskId,
        /// Why.
        why: Refusal,
    },
    /// Log this session out at vCenter, in the background, and forget its cookie.
    End {
        /// Which.
        up: UpId,
    },
    /// Send a cheap call on this session, in the background. Only `Dead` has to be told of it.
    KeepAlive {
        /// Which.
        up: UpId,
    },
    /// Zeroise the password of this principal.
    Forget {
        /// Whose.
        principal: PrincipalKey,
    },
    /// This downstream session is over without a logout: its next call is told that it is not authenticated.
    Expired {
        /// Which.
        down: DownId,
        /// Why.
        why: Expiry,
    },
}

/// Why a call is not served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Refusal {
    /// vCenter refused the credentials.
    InvalidLogin,
    /// There is no such downstream session (any more).
    NotAuthenticated,
    /// A cap is reached.
    TooMany(Cap),
    /// It has waited for as long as a call may.
    Late,
    /// The gate stops.
    Draining,
    /// The login that it waited for failed for another reason than its credentials.
    Upstream,
}

/// Which cap is reached, named as its setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cap {
    /// `sessions_max`
    Sessions,
    /// `sessions_per_principal_max`
    SessionsPerPrincipal,
    /// `own_max`
    Own,
    /// `principals_max`
    Principals,
    /// `waiting_max`
    Waiting,
    /// `clones_max`, and it is zero: with any other number calls wait.
    Clones,
}

/// Why a downstream session is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Expiry {
    /// No call for `idle`.
    Idle,
    /// It, or the upstream session that held its objects, has lived for `life`.
    Life,
    /// The upstream session that held its objects is gone, or none can be made for it without its password.
    Upstream,
}

impl Refusal {
    /// Its name in metrics and logs.
    pub fn name(self) -> &'static str {
        match self {
            Refusal::InvalidLogin => "invalid-login",
            Refusal::NotAuthenticated => "not-authenticated",
            Refusal::TooMany(Cap::Sessions) => "sessions-max",
            Refusal::TooMany(Cap::SessionsPerPrincipal) => "sessions-per-principal-max",
            Refusal::TooMany(Cap::Own) => "own-max",
            Refusal::TooMany(Cap::Principals) => "principals-max",
            Refusal::TooMany(Cap::Waiting) => "waiting-max",
            Refusal::TooMany(Cap::Clones) => "clones-max",
            Refusal::Late => "late",
            Refusal::Draining => "draining",
            Refusal::Upstream => "upstream",
        }
    }
}
