//! What arrives before any request: PROXY protocol headers, forwarded addresses, TLS records and hellos, as pure
//! readers. Each takes the bytes that are there and says what they are, or that more are needed; none does I/O.
//!
//! - [`proxy_header`]: PROXY protocol v1 and v2, in and out.
//! - [`forwarded`]: the client's address from X-Forwarded-For, over trusted hops only.
//! - [`hello`]: ClientHello and ServerHello, which are in clear.
//! - [`record`]: the headers of TLS records.
//! - [`turns`]: when a call is in progress on an encrypted connection, from those headers alone.

pub mod forwarded;
pub mod hello;
pub mod proxy_header;
pub mod record;
pub mod turns;
