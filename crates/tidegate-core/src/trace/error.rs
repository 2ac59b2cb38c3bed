//! Why a trace cannot be replayed.

use super::lines::TRACE_FORMAT;

/// Why a trace cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// It cannot be read at all.
    #[error("the trace cannot be read: {0}")]
    Read(#[from] std::io::Error),
    /// It does not begin as one.
    #[error("this is not a trace of tidegate")]
    NotATrace,
    /// It is of another format.
    #[error("the trace has format {0}, and this version reads format {TRACE_FORMAT} only")]
    Format(u64),
    /// Its machine has another shape.
    #[error("the machine in the trace, recorded by version {version}, cannot be read: {why}")]
    Machine {
        /// Of tidegate.
        version: String,
        /// What is wrong with it.
        why: String,
    },
    /// It has no last line.
    #[error("the trace ends after {steps} events without its last line: it was cut short")]
    Short {
        /// Events that are there.
        steps: u64,
    },
    /// It says itself that events are missing.
    #[error("the trace was cut after {steps} events: more happened than could be written down")]
    Cut {
        /// Events that are there.
        steps: u64,
    },
    /// It is not what was written.
    #[error("line {line} of the trace is not what was recorded")]
    Corrupt {
        /// Counted from 1.
        line: u64,
    },
}

impl TraceError {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            TraceError::Read(_) => "check the path, and that this user may read it",
            TraceError::NotATrace => "record one with `tidegate gate record FILE`",
            TraceError::Format(_) | TraceError::Machine { .. } => "replay it with the version that recorded it",
            TraceError::Short { .. } | TraceError::Corrupt { .. } => {
                "copy it again from where it was recorded, or record it again"
            }
            TraceError::Cut { .. } => "record it again, to a faster disk or on a machine with less to do",
        }
    }
}
