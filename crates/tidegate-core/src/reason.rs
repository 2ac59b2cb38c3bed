//! The closed lists: why a call was turned away ([`Reason`]), and who ended it in which step ([`End`]).
//!
//! One Rust enum, one word: the same word is the metric label, the log word, the JSON value and the Python member.

use serde::{Deserialize, Serialize};

/// Declares an enum whose variants have one fixed word each, with `ALL` and `word()`. Where it is used `Serialize` and
/// `Deserialize` must be in scope.
#[macro_export]
macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name { $($(#[$doc])* #[serde(rename = $word)] $variant,)+ }

        impl $name {
            /// Every member, in the order of declaration: the index of a member is `self as usize`.
            pub const ALL: &'static [$name] = &[$($name::$variant,)+];

            /// The one word for it, everywhere.
            pub const fn word(self) -> &'static str {
                match self { $($name::$variant => $word,)+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.word())
            }
        }
    };
}
pub(crate) use words;

words! {
    /// Why the gate turned a call away.
    Reason {
        /// The queue is full and this call does not outrank anything in it.
        QueueFull = "queue-full",
        /// The predicted wait is longer than the client's patience.
        TooLate = "too-late",
        /// It was held until its deadline.
        Deadline = "deadline",
        /// This client has as many calls held as one client may have.
        ClientCap = "client-cap",
        /// The same client sent the same call again: the newer one took its place in line.
        Superseded = "superseded",
        /// Its session is known to have ended; the server would refuse it.
        TokenDead = "token-dead",
        /// No server could be reached before the deadline.
        ServerDown = "server-down",
        /// The gate, or the service, is shutting down.
        Draining = "draining",
        /// The operator has announced a planned restart of the server.
        Maintenance = "maintenance",
        /// No source port was free (the ledger).
        NoPort = "no-port",
        /// The gate's own memory budget is used up.
        Memory = "memory",
        /// The request is not one that may be forwarded (framing, size, syntax).
        BadRequest = "bad-request",
        /// The TLS or PROXY handshake failed or did not end in time.
        Handshake = "handshake",
    }
}

words! {
    /// Who ended a call.
    Who {
        /// The client closed, reset or fell silent.
        Client = "client",
        /// The gate itself.
        Gate = "gate",
        /// The server closed, reset, answered garbage or fell silent.
        Server = "server",
        /// The operator, by drain, reload or maintenance.
        Operator = "operator",
    }
}

words! {
    /// In which step of its life a call ended (ARCHITECTURE.md, "The life of a connection").
    Step {
        /// Before the first byte: accepting, PROXY header.
        Accept = "accept",
        /// TLS handshake with the client, or reading its hello.
        Handshake = "handshake",
        /// Reading the request head or the prefix of its body.
        Head = "head",
        /// While held.
        Queue = "queue",
        /// Getting a connection to the server.
        Connect = "connect",
        /// Sending the request to the server.
        Request = "request",
        /// Waiting for the server's answer.
        Wait = "wait",
        /// Relaying the answer.
        Response = "response",
        /// All done.
        Done = "done",
    }
}

/// How a call ended: who ended it, in which step. Printed as `who/step`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct End {
    /// Who ended it.
    pub who: Who,
    /// In which step.
    pub step: Step,
}

impl std::fmt::Display for End {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.who, self.step)
    }
}
