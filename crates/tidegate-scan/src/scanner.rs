//! A plan that is ready, and the ways to use it.

use crate::collect::Collector;
use crate::error::ScanError;
use crate::plan::Plan;
use crate::source::{Desk, Ended, Member, Trouble};
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

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

    /// Scans files, folders and archives, and standard input when `stdin`; results as JSON, or none when `progress`
    /// has ended the scan.
    pub fn scan(&self, paths: &[String], _stdin: bool, _threads: usize, progress: Progress<'_>) -> Option<String> {
        let collector = Collector::new(Arc::clone(&self.plan));
        read(paths, &collector, progress).then(|| collector.json())
    }
}

/// Plain files, one after the other.
fn read(paths: &[String], desk: &dyn Desk, progress: Progress<'_>) -> bool {
    let mut read = 0;
    for (index, path) in paths.iter().enumerate() {
        match one(index, path, desk, &mut read, progress) {
            Ok(true) => {}
            Ok(false) => return false,
            Err(error) => desk.trouble(Trouble {
                path: path.clone(),
                what: "unreadable",
                detail: format!("It cannot be read: {error}."),
            }),
        }
    }
    true
}

fn one(index: usize, path: &str, desk: &dyn Desk, read: &mut u64, progress: Progress<'_>) -> std::io::Result<bool> {
    let mut file = std::fs::File::open(Path::new(path))?;
    let member = Member { index, path: path.to_owned(), modified: None };
    let Some(mut reader) = desk.open(member) else { return Ok(true) };
    let mut block = vec![0; 1 << 20];
    loop {
        let length = match file.read(&mut block) {
            Ok(length) => length,
            Err(error) => {
                reader.end(Ended::Broken(error.to_string()));
                return Ok(true);
            }
        };
        if length == 0 {
            reader.end(Ended::Whole);
            return Ok(true);
        }
        reader.data(block.get(..length).unwrap_or_default());
        *read += length as u64;
        if !progress(*read, 0) {
            return Ok(false);
        }
    }
}
