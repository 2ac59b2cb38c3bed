//! The flow machine: its table cell by cell, collisions and other real sequences, and what holds of every sequence.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests may panic")]

mod cells;
mod path;
mod properties;
mod random;
mod sequences;
mod table;
mod talk;
