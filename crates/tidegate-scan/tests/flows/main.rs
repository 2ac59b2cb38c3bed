//! Flows of captures: what is found in them, however they are read.

mod orders;
mod play;
mod properties;
mod real;
