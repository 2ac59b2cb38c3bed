//! A trace: a machine as it was, and everything that it was told from then on.
//!
//! The live gate and the simulator run the same code, and a trace proves it: replayed, the machine must say to each step
//! what it said then. A trace is text, one JSON object per line: `begin` (the format, the whole machine), `step` (time,
//! what was told, a digest of the actions that it gave), and `end` (how many steps, a checksum of all lines before). A
//! recording that could not keep up ends with `cut` instead, and is refused like one without an end.
//!
//! - [`Taped`]: a machine whose steps are noted until somebody has time to write them; [`Writer`]: makes them lines.
//! - [`replay`]: reads a trace and plays it again.

mod digest;
mod error;
mod lines;
mod read;
mod replay;
mod tape;

pub use error::TraceError;
pub use lines::{Begin, TRACE_FORMAT, Told, Writer};
#[cfg(fuzzing)]
pub use replay::tell_lines;
pub use replay::{Difference, Report, replay};
pub use tape::{Step, Taped};
