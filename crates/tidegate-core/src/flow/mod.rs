//! One TCP flow after another: what is known of it, and what each segment changes.
//!
//! - [`Flow`]: the machine. Start at [`Flow::step`].
//! - [`Segment`]: what the machine is told. [`Side`]: who sent it; [`Role`]: who that is in its flow.
//! - [`State`]: what is known of a flow. [`Step`]: what a segment did to it.
//! - [`Table`]: all flows by [`Key`], in bounded memory.
//! - [`Profile`]: how long others would keep it.
//!
//! Nothing here can panic: no arithmetic that overflows, no index, no unwrap. What cannot be is counted and told.
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unreachable,
    clippy::arithmetic_side_effects
)]

mod cells;
mod index;
mod key;
mod machine;
mod note;
pub mod profile;
mod records;
mod segment;
mod shadow;
mod state;
mod step;
mod table;
mod window;

pub use key::Key;
pub use machine::Flow;
pub use note::{Invalid, Note, Outcome, Step};
pub use profile::Profile;
pub use records::{Class, Record};
pub use segment::{Event, Segment, Side, flags};
pub use shadow::SHADOW;
pub use state::{Role, State};
pub use table::{Counts, FLOWS_MAX, Table, Turn};
