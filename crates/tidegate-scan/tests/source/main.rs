//! What comes out of files, folders and archives: every byte of every member, in order, and what was wrong.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may panic")]

mod bounds;
mod conserve;
mod damage;
mod desk;
mod fragments;
mod kinds;
mod make;
mod threads;
mod zips;
