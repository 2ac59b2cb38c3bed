//! One TCP flow after another: what is known of it, and what each segment changes.
//!
//! - [`Flow`]: the machine. Start at [`Flow::step`].
//! - [`Segment`]: what the machine is told. [`Side`]: who sent it; [`Role`]: who that is in its flow.
//! - [`State`]: what is known of a flow. [`Step`]: what a segment did to it.
//! - [`Table`]: all flows by [`Key`], in bounded memory.
//! - [`decide`]: fast path or not, and why not; [`punted`]: what the slow path does. [`Paths`]: both together; [`drill`]: their
//!   proof.
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
mod drill;
mod handshake;
mod index;
mod key;
mod machine;
mod note;
mod path;
mod paths;
pub mod profile;
mod records;
mod segment;
mod shadow;
mod slow;
mod state;
mod step;
mod stream;
mod table;
mod window;

pub use drill::{DRILL_FLOWS_MAX, DrillReport, drill};
pub use key::Key;
pub use machine::Flow;
pub use note::{Invalid, Note, Outcome, Step};
pub use path::{Entry, PROMOTE_AGAIN, Path, Punt, decide};
pub use paths::{Passed, Paths};
pub use profile::Profile;
pub use records::{Class, Record};
pub use segment::{Event, Segment, Side, flags};
pub use shadow::SHADOW;
pub use slow::{Course, Policy, Refusal, Slow, punted};
pub use state::{Role, State};
pub use table::{Counts, FLOWS_MAX, Seek, Table, Turn};
