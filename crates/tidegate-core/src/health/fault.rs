//! What one attempt to reach a server met, and what that can be taken for.

use crate::reason::words;
use crate::time::Span;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

words! {
    /// Why an attempt says nothing about the server.
    Cause {
        /// No source port was free, or somebody else holds the one that was tried.
        NoPort = "no-port",
        /// No file descriptor was free.
        NoDescriptor = "no-descriptor",
        /// The kernel had no memory for the socket.
        NoMemory = "no-memory",
        /// A rule of this machine forbade it (netfilter).
        Permission = "permission",
        /// There is no way out of this machine: a link is down, or there is no route.
        NetworkDown = "network-down",
        /// Our own timer fired so late that the server may have answered in time.
        LoopLag = "loop-lag",
        /// The server, or a device before it, still holds an earlier connection from the same port.
        Collision = "collision",
        /// The server lives, but takes no more connections from us: it, or a device before it, is at its limit.
        PeerLimit = "peer-limit",
        /// So many servers failed at once that the fault must be our own.
        SelfSuspicion = "self-suspicion",
    }
}

/// How much a failure says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Weight {
    /// Nothing was heard: the way there may be at fault.
    Weak,
    /// The server, or its kernel, has said no.
    Strong,
}

/// What became of a probe or a connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The server has answered.
    Ok,
    /// It has not, and the fault is not ours.
    Failed(Weight),
    /// Nothing can be said about the server.
    Inconclusive(Cause),
}

/// What an attempt met. Errors of the kernel are told apart by who is to blame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// All went well.
    None,
    /// The ledger had no port, or EADDRNOTAVAIL.
    AddrNotAvail,
    /// EADDRINUSE: the port is somebody else's.
    AddrInUse,
    /// EMFILE, ENFILE.
    TooManyFiles,
    /// ENOMEM, ENOBUFS, EAGAIN of a socket.
    NoMemory,
    /// EPERM, EACCES.
    Permission,
    /// ENETUNREACH, EHOSTUNREACH, ENETDOWN.
    Unreachable {
        /// This machine's own link or route is missing; else a router on the way said so.
        local: bool,
    },
    /// A reset in the handshake (ECONNREFUSED).
    Refused,
    /// The handshake of TCP succeeded, and a reset came before any byte.
    ResetAfterAccept,
    /// No answer in time.
    TimedOut,
    /// The handshake of TLS failed.
    Tls,
    /// Another status than the ones that were hoped for.
    Http(u16),
    /// An answer that is none, or a connection that ended in the middle of one.
    Garbage,
}

/// Whom a fault may be blamed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Blame {
    Nobody,
    /// Our own side.
    Local(Cause),
    /// The server, a device before it, or an earlier connection of ours.
    Ambiguous,
    /// The other side.
    Remote(Weight),
}

impl Fault {
    pub(super) fn blame(self) -> Blame {
        match self {
            Fault::None => Blame::Nobody,
            Fault::AddrNotAvail | Fault::AddrInUse => Blame::Local(Cause::NoPort),
            Fault::TooManyFiles => Blame::Local(Cause::NoDescriptor),
            Fault::NoMemory => Blame::Local(Cause::NoMemory),
            Fault::Permission => Blame::Local(Cause::Permission),
            Fault::Unreachable { local: true } => Blame::Local(Cause::NetworkDown),
            Fault::Refused | Fault::ResetAfterAccept => Blame::Ambiguous,
            Fault::Unreachable { local: false } | Fault::TimedOut => Blame::Remote(Weight::Weak),
            Fault::Tls | Fault::Http(_) | Fault::Garbage => Blame::Remote(Weight::Strong),
        }
    }

    /// Whether the other side might have given up on us because we were slow.
    pub(super) fn needs_haste(self) -> bool {
        matches!(self, Fault::ResetAfterAccept | Fault::Tls | Fault::Garbage)
    }
}

/// What the last use of a port may have left at the other side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Left {
    /// Nothing: it was refused, or the port was never used at all.
    Nothing,
    /// Nothing, most likely: both sides agreed to the end, or it was reset.
    Little,
    /// Perhaps a connection.
    Unknown,
}

/// When a port was used towards this server last, and how that ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastUse {
    /// How long ago.
    pub ago: Span,
    /// What may be left of it.
    pub left: Left,
}

/// One attempt to reach a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// What it met.
    pub fault: Fault,
    /// From its beginning to its end.
    pub took: Span,
    /// How much later than asked for the timer fired that ended it; zero when none did.
    pub late: Span,
    /// Its port is known to be one that was not used towards this server for long, as
    /// [`TryFresh`](super::Next::TryFresh) asks for.
    pub fresh_tuple: bool,
    /// The last use of exactly this port and address towards this server; `None`: none is known.
    pub last_use: Option<LastUse>,
    /// Where from.
    pub source: IpAddr,
}

/// What else is known at the time of an attempt's end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Around {
    /// Since the last byte from that server on any connection; `None`: never.
    pub heard: Option<Span>,
    /// Our connections to it that stand: those that the server has ended do not count.
    pub open: u32,
    /// Connections at which it, or a device before it, was found to be at its limit.
    pub learned_limit: Option<u32>,
    /// How late the event loop runs.
    pub loop_lag: Span,
    /// Another address of ours from which it can be tried.
    pub other_source: Option<IpAddr>,
}
