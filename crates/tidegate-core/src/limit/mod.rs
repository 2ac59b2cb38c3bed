//! How much may be in flight, and how fast work is done.

mod rate;
mod view;

pub use rate::Rate;
pub use view::{LimitCause, LimitMode, LimitView};
