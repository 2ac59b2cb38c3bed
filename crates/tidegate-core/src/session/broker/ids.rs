//! Numbers and small words of the broker.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A call, numbered by the shell. A number may not be used again while its call is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AskId(pub u64);

/// A downstream session: the gate's own, one per login of a client. Numbered by the broker, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DownId(pub u64);

/// An upstream session: at vCenter, held by the gate. Numbered by the broker, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UpId(pub u64);

/// Who logs in: a keyed hash that the shell makes of user, tenant and the subject of the client's certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PrincipalKey(pub u64);

/// A keyed digest of a password, made by the shell with a key of this process. Never written anywhere, not even by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub [u8; 32]);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// What a call needs of its upstream session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Any session of its principal: it leaves nothing there that others could meet.
    Shared,
    /// One that no other client uses.
    Own,
    /// The shared session that a page of an answer came from, also when the client has a clone by now; else as `Shared`.
    Page(UpId),
}

/// What an upstream session is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The one that all clients of a principal use, as long as they leave nothing there.
    Shared,
    /// Lent to one client at a time.
    Clone,
    /// Made by a client's own login by token, SSPI or extension: that client's for as long as it lives.
    Own,
}

/// What a client holds on its clone when a call is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// As before the call.
    Unchanged,
    /// So many objects. With none the clone goes back when no call is on it.
    Count(u32),
    /// The session itself was changed (locale, identity): it is the client's until it logs out, and then it is ended.
    Sticky,
}

/// How the call that a session was lent to establishes it first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Make {
    /// Log in with the password that the shell keeps.
    Login,
    /// AcquireCloneTicket on `of`, CloneSession on a fresh cookie.
    Clone {
        /// The principal's shared session.
        of: UpId,
    },
}
