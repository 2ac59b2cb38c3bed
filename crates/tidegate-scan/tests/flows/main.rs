//! Flows of captures: what is found in them, however they are read.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

mod orders;
mod pcap;
mod play;
mod properties;
mod reading;
mod real;
