//! tidegate-scan READS: logs, support bundles and pasted text, streaming, in bounded memory.
//!
//! ```text
//! source  files, archives in archives, stdin  ──► blocks of text, one member at a time   (bounded, nothing is extracted)
//! needle  literals of all signatures at once   ──► places worth a look
//! record  the record around such a place       ──► header and body, whatever container it came in
//! match   signatures, tallies, marks           ──► hits, counts, version evidence
//! ```
//!
//! Only records around a literal are assembled and parsed; everything else is looked at by the literal search alone.

pub mod source;
