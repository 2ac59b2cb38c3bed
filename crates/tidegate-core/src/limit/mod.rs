//! How much may be in flight, and how fast work is done.
//!
//! [`Adaptive`] finds the limit of a server, [`Costs`] what each operation costs, [`Rate`] how fast the whole pool works,
//! [`Patience`] how long clients wait, [`IdleTimeout`] how long connections may idle, [`Retries`] how many requests may be
//! sent again, [`Absence`] how long those stay away that were turned away. [`tasks`] bounds work that outlives its calls.

mod absence;
mod adaptive;
mod cost;
mod idle;
mod level;
mod overdue;
mod patience;
mod rate;
mod retries;
pub mod tasks;
mod view;
mod window;

pub use absence::Absence;
pub use adaptive::{Adaptive, Terms, TooEarly};
pub use cost::Costs;
pub use idle::{IdleSource, IdleTimeout};
pub use patience::Patience;
pub use rate::Rate;
pub use retries::{RETRIES_AT_ONCE, Retries};
pub use view::{LimitCause, LimitMode, LimitView};
