//! HTTP/1.1 on the wire: strict heads, strict bodies, and what is written instead of them.
//!
//! A message that two parsers could read in two ways is refused, never forwarded: that is what makes it safe to share a
//! server's connection between clients.

pub(crate) mod body;
pub(crate) mod fields;
pub(crate) mod reply;
pub(crate) mod request;
pub(crate) mod response;
pub(crate) mod scan;

/// How the end of a body is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// There is none.
    None,
    /// By its length.
    Length(u64),
    /// By its last chunk.
    Chunked,
    /// By the end of the connection (answers only).
    UntilClose,
}

/// Why a message is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// Status of the answer.
    pub(crate) status: u16,
    /// What is wrong, in a few words.
    pub(crate) why: &'static str,
}

impl Refusal {
    pub(crate) const fn bad(why: &'static str) -> Refusal {
        Refusal { status: 400, why }
    }
    pub(crate) const fn with(status: u16, why: &'static str) -> Refusal {
        Refusal { status, why }
    }
}
