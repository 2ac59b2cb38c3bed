//! A plan that is ready, and the ways to use it.

use crate::collect::Collector;
use crate::error::ScanError;
use crate::plan::Plan;
use crate::source::{self, Desk, Ended, Input, Limits, Member, Stopped};
use std::path::PathBuf;
use std::sync::Arc;

/// Threads that read at a time, at most.
const THREADS: usize = 64;

/// Told how many bytes of the inputs are read, and how many there are (0: unknown); `false` ends the scan.
pub type Progress<'a> = &'a (dyn Fn(u64, u64) -> bool + Sync);

/// A plan that is ready to be used, any number of times.
#[derive(Clone, Debug)]
pub struct Scanner {
    plan: Arc<Plan>,
}

impl Scanner {
    /// Reads a plan (JSON, format 1).
    ///
    /// # Errors
    /// [`ScanError`] when it is no plan.
    pub fn new(plan: &[u8]) -> Result<Scanner, ScanError> {
        Ok(Scanner { plan: Arc::new(Plan::parse(plan)?) })
    }

    /// Scans one text, which comes in one block, or in two with the second from byte `cut` on. Results as JSON.
    pub fn scan_text(&self, name: &str, text: &[u8], cut: Option<usize>) -> String {
        let collector = Collector::new(Arc::clone(&self.plan));
        let member = Member { index: 0, path: name.to_owned(), modified: None };
        if let Some(mut reader) = collector.open(member) {
            let (first, second) = text.split_at(cut.unwrap_or(text.len()).min(text.len()));
            for block in [first, second].into_iter().filter(|block| !block.is_empty()) {
                reader.data(block);
            }
            reader.end(Ended::Whole);
        }
        collector.json()
    }

    /// Scans files, folders and archives, and standard input when `stdin`; results as JSON.
    ///
    /// `progress` may be told from any of the `threads`.
    ///
    /// # Errors
    /// [`Stopped`] when `progress` has ended the scan.
    pub fn scan(
        &self,
        paths: &[PathBuf],
        stdin: bool,
        threads: usize,
        progress: Progress<'_>,
    ) -> Result<String, Stopped> {
        let collector = Collector::new(Arc::clone(&self.plan));
        let files = paths.iter().cloned().map(Input::Path);
        let inputs: Vec<Input> = files.chain(stdin.then_some(Input::Stdin)).collect();
        source::read(&inputs, &Limits::default(), threads.clamp(1, THREADS), &collector, progress)?;
        Ok(collector.json())
    }
}
