//! Reading a trace: first that it is whole, then line by line. Lines come from a file that anybody may have touched.

use super::digest::Digest;
use super::error::TraceError;
use super::lines::{Begin, Ending, First, Line, TRACE_FORMAT};
use serde::Deserialize;
use std::hash::Hasher;
use std::io::{BufRead, Read};

/// Longest line: a machine with a million clients and as many sessions.
const LINE_MAX: u64 = 1 << 30;

/// The lines of a trace, one at a time.
pub(super) struct Lines<R> {
    input: R,
    /// The number of the line that was read last.
    pub number: u64,
    line: Vec<u8>,
}

impl<R: BufRead> Lines<R> {
    pub fn new(input: R) -> Lines<R> {
        Lines { input, number: 0, line: Vec::new() }
    }

    /// The next whole line with its newline; `None` at the end, or when the rest is none.
    pub fn read(&mut self) -> Result<Option<&[u8]>, TraceError> {
        self.line.clear();
        (&mut self.input).take(LINE_MAX).read_until(b'\n', &mut self.line)?;
        self.number += 1;
        Ok(Some(self.line.as_slice()).filter(|line| line.ends_with(b"\n")))
    }

    /// The next line after the first.
    pub fn step(&mut self) -> Result<Line, TraceError> {
        let parsed = self.read()?.map(serde_json::from_slice);
        let line = self.number;
        parsed.ok_or(TraceError::Corrupt { line })?.map_err(|_| TraceError::Corrupt { line })
    }
}

/// Checks that the trace has its last line, nothing after it, and that nothing before it was touched.
pub(super) fn check<R: BufRead>(input: R) -> Result<(), TraceError> {
    let mut lines = Lines::new(input);
    let mut checksum = Digest::default();
    let mut steps = 0;
    check_format(lines.read()?.ok_or(TraceError::NotATrace)?)?;
    checksum.write(&lines.line);
    loop {
        let Some(line) = lines.read()? else {
            return Err(TraceError::Short { steps });
        };
        if line.starts_with(b"{\"step\"") {
            checksum.write(line);
            steps += 1;
            continue;
        }
        let line = lines.number;
        let sealed = |ending: &Ending| ending.steps == steps && ending.checksum == checksum.finish();
        return match serde_json::from_slice(&lines.line) {
            Ok(Line::End(ending)) if sealed(&ending) && at_end(&mut lines)? => Ok(()),
            Ok(Line::Cut(ending)) if sealed(&ending) => Err(TraceError::Cut { steps }),
            _ => Err(TraceError::Corrupt { line }),
        };
    }
}

fn at_end<R: BufRead>(lines: &mut Lines<R>) -> Result<bool, TraceError> {
    lines.read()?;
    Ok(lines.line.is_empty())
}

#[derive(Deserialize)]
struct Known {
    format: u64,
    #[serde(default)]
    version: String,
}

fn check_format(line: &[u8]) -> Result<Known, TraceError> {
    let first: First<Known> = serde_json::from_slice(line).map_err(|_| TraceError::NotATrace)?;
    match first.begin.format {
        format if format == u64::from(TRACE_FORMAT) => Ok(first.begin),
        format => Err(TraceError::Format(format)),
    }
}

/// The first line, of a trace that was checked.
pub(super) fn begin(line: &[u8]) -> Result<Begin, TraceError> {
    let known = check_format(line)?;
    let first: Result<First<Begin>, _> = serde_json::from_slice(line);
    first.map(|first| first.begin).map_err(|why| TraceError::Machine { version: known.version, why: why.to_string() })
}
