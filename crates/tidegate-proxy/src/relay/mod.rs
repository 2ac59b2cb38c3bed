//! Moves one exchange: a request to the server, the answer back to the client, both at once, nothing kept whole.

pub(crate) mod burst;
pub(crate) mod exchange;
pub(crate) mod pump;
pub(crate) mod tunnel;
pub(crate) mod whole;
