//! tidegate-scan READS: logs, support bundles, pasted text and captures, streaming, in bounded memory.
//!
//! ```text
//! source   files, archives in archives, stdin  ──► blocks of text, one member at a time   (bounded, nothing is extracted)
//! needle   literals of all signatures at once   ──► places worth a look
//! record   the record around such a place       ──► header and body, whatever container it came in
//! findings signatures, tallies, marks           ──► hits, counts, version evidence, in the order of the members (collect)
//! ```
//!
//! Only records around a literal are assembled and parsed; everything else is looked at by the literal search alone.
//! [`capture`] reads packets the same way, and [`flows`] finds in them what went wrong. [`Scanner`] is the way in to the others;
//! [`plan`] says what is looked for.

pub mod capture;
mod collect;
mod content;
mod dump;
mod error;
mod findings;
pub mod flows;
pub mod needle;
pub mod plan;
pub mod record;
mod scanner;
pub mod source;
mod tally;
mod text;

pub use collect::Collector;
pub use error::ScanError;
pub use scanner::{Progress, Scanner};
pub use text::TextScan;
