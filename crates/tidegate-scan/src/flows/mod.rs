//! Flows: what the packets of captures say about connections, and what went wrong with them.
//!
//! ```text
//! capture  packets, up to 32 at a time            ──► sink      hosts become numbers, flows are touched, each is stepped
//! core     the machine says what a segment meant  ──► cold      what is kept of each flow beside its state
//! sink     whatever is not quiet                  ──► dispatch  the findings that want to see it
//! find/    one module for each finding            ──► report    what they found, with frames and a ladder
//! ```
//!
//! Everything is bounded: flows by [`Options::flows_max`], the memory of each finding by itself. Several [`Flows`] may each take
//! a part of the flows (a shard) and be merged: the report is the same, as long as nothing was given up for lack of room.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

mod census;
mod cold;
mod desk;
mod dispatch;
mod each;
mod files;
mod find;
mod found;
mod hosts;
mod ladder;
mod look;
mod mixed;
mod notes;
mod read;
mod report;
mod series;
mod sink;
mod summary;

pub use each::FlowLine;
pub use files::FileLine;
pub use find::sides::Withheld;
pub use found::{BucketLine, Confidence, Found, Frame, Group, Severity};
pub use ladder::{Ladder, Row};
pub use read::{Analysis, How, NotCaptures, TroubleLine, analyse, analyse_bytes};
pub use report::Report;
pub use sink::{Flows, Options};
