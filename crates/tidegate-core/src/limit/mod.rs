//! How much may be in flight, and how fast work is done.
//!
//! [`Adaptive`] finds the limit of a server, [`Costs`] what each operation costs, [`Rate`] how fast the whole pool works,
//! [`Absence`] how long clients stay away that were turned away.

mod absence;
mod adaptive;
mod cost;
mod level;
mod overdue;
mod rate;
mod view;
mod window;

pub use absence::Absence;
pub use adaptive::{Adaptive, Terms, TooEarly};
pub use cost::Costs;
pub use rate::Rate;
pub use view::{LimitCause, LimitMode, LimitView};
