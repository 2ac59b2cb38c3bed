//! Captures: what is read of files as others write them, of made ones, and of any bytes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may panic")]

mod files;
mod headers;
mod make;
mod merge;
mod properties;
mod real;
