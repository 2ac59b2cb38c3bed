//! Whether a request that was not answered may be sent again: RFC 9110 §9.2.2, and what is known of the connection.
//!
//! | the server's connection | GET HEAD OPTIONS TRACE PUT DELETE | POST PATCH and others |
//! | --- | --- | --- |
//! | never stood | again, by the machine | again, by the machine |
//! | used before, not a byte taken by the kernel | again | again |
//! | used before, bytes taken, closed before any byte of an answer | again | never |
//! | new, closed before any byte of an answer | never | never |
//! | any byte of an answer | never | never |
//!
//! Again means once: on a new connection. What is not here any more (a long body) cannot be sent again.

use crate::stats::Again;

/// How far a request came on its connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attempt {
    /// The connection had served before.
    pub(crate) reused: bool,
    /// The kernel took at least one byte of it.
    pub(crate) taken: bool,
    /// At least one byte of an answer came.
    pub(crate) heard: bool,
    /// Its method may be repeated.
    pub(crate) repeatable: bool,
    /// All of it is still here.
    pub(crate) here: bool,
}

/// What is to be done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It may be sent again.
    Again(Again),
    /// It may not.
    Never(Never),
}

/// Why a request is not sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Never {
    /// The server closed a new connection: it meant this request.
    New,
    /// An answer had begun.
    Heard,
    /// The server may have seen it, and it must not be done twice.
    Unrepeatable,
    /// It is not here any more.
    Gone,
    /// Too many are sent again already.
    Budget,
}

impl Never {
    /// For the client.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Never::New => "the server closed the connection without an answer",
            Never::Heard => "the server broke its answer off in the head",
            Never::Unrepeatable => {
                "the server closed a connection without an answer; it may have seen the request, whose method must not be \
                 repeated, so it was not sent again"
            }
            Never::Gone => {
                "the server closed a connection without an answer; the request's body is too long to be kept, so it was \
                 not sent again"
            }
            Never::Budget => {
                "the server closed a connection without an answer; too many requests are being sent again already"
            }
        }
    }
}

impl Attempt {
    /// The verdict.
    pub(crate) fn judge(self) -> Verdict {
        match self {
            Attempt { heard: true, .. } => Verdict::Never(Never::Heard),
            Attempt { reused: false, .. } => Verdict::Never(Never::New),
            Attempt { taken: false, .. } => Verdict::Again(Again::Unsent),
            Attempt { repeatable: false, .. } => Verdict::Never(Never::Unrepeatable),
            Attempt { here: false, .. } => Verdict::Never(Never::Gone),
            _ => Verdict::Again(Again::Stale),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_matrix() {
        let all = [false, true];
        for (reused, taken, heard) in all.iter().flat_map(|a| all.map(|b| all.map(|c| (*a, b, c)))).flatten() {
            for (repeatable, here) in all.iter().flat_map(|a| all.map(|b| (*a, b))) {
                let attempt = Attempt { reused, taken, heard, repeatable, here };
                let again = matches!(attempt.judge(), Verdict::Again(_));
                let unsent = reused && !heard && !taken;
                let stale = reused && !heard && taken && repeatable && here;
                assert_eq!(again, unsent || stale, "{attempt:?}");
            }
        }
    }
}
