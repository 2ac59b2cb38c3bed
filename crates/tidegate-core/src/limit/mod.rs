//! How much may be in flight, and how fast work is done.

mod rate;

pub use rate::Rate;
