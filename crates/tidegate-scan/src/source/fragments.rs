//! Parts of a file: vm-support cuts large ones into `NAME.FRAG-00000`, `NAME.FRAG-00001`, …

use std::collections::BTreeMap;

use super::run::Run;
use super::stream::{Fault, Stream};
use super::walk::{Entry, Pack, Sort};

/// Parts that are told as missing, of one file.
const TOLD: usize = 20;

/// The name of the file and the number of its part, when this is the name of a part.
pub(super) fn part(name: &str) -> Option<(&str, u32)> {
    let (file, number) = name.rsplit_once(".FRAG-")?;
    let digits = (5..=9).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit());
    if digits && !file.is_empty() { Some((file, number.parse().ok()?)) } else { None }
}

/// The parts of an archive that were seen: by file, those that were read as one.
#[derive(Default)]
pub(super) struct Parts(BTreeMap<String, Vec<(u32, u32)>>);

impl Parts {
    /// These were read as one.
    pub(super) fn saw(&mut self, file: &str, first: u32, last: u32) {
        self.0.entry(file.to_owned()).or_default().push((first, last));
    }

    /// Tells what is missing, and what was not in order.
    pub(super) fn tell(self, run: &Run<'_>, path_of: impl Fn(&str) -> String) {
        for (file, mut runs) in self.0 {
            let (in_order, several) = (runs.is_sorted(), runs.len() > 1);
            runs.sort_unstable();
            let (mut next, mut gaps) = (0, 0);
            for (first, last) in runs {
                for missing in next..first {
                    gaps += 1;
                    if gaps > TOLD {
                        break;
                    }
                    let detail = format!("It is missing, before FRAG-{first:05}: what it held was not read.");
                    run.trouble(&path_of(&format!("{file}.FRAG-{missing:05}")), "missing-fragment", detail);
                }
                next = next.max(last.saturating_add(1));
            }
            if !in_order || (several && gaps == 0) {
                let detail = "Its parts do not follow one another: they were read one by one, and a record in two of them is cut.";
                run.trouble(&path_of(&file), "fragment-order", detail);
            }
        }
    }
}

/// The parts of one file as one stream, as long as one follows the other.
pub(super) struct Joined<'p> {
    pack: &'p mut dyn Pack,
    file: String,
    pub(super) last: u32,
    /// Entries that were used up.
    pub(super) entries: usize,
    /// The entry that follows, or why there is none.
    pub(super) after: Option<Result<Option<Entry>, Fault>>,
}

impl<'p> Joined<'p> {
    pub(super) fn new(pack: &'p mut dyn Pack, file: &str, first: u32) -> Self {
        Self { pack, file: file.to_owned(), last: first, entries: 0, after: None }
    }

    /// Goes to the next part, if that is what follows.
    fn advance(&mut self) {
        let next = self.pack.next_entry();
        if let Ok(Some(entry)) = &next
            && entry.sort == Sort::File
            && part(&entry.name) == self.last.checked_add(1).map(|number| (self.file.as_str(), number))
        {
            self.last += 1;
            self.entries += 1;
            return;
        }
        self.after = Some(next);
    }

    /// Passes over the parts that were not read.
    pub(super) fn finish(mut self) -> (u32, usize, Result<Option<Entry>, Fault>) {
        loop {
            if let Some(after) = self.after.take() {
                return (self.last, self.entries, after);
            }
            self.advance();
        }
    }
}

impl Stream for Joined<'_> {
    fn fill(&mut self) -> Result<&[u8], Fault> {
        while self.after.is_none() && self.pack.fill()?.is_empty() {
            self.advance();
        }
        match &self.after {
            Some(Err(fault)) => Err(fault.clone()),
            Some(Ok(_)) => Ok(&[]),
            None => self.pack.fill(),
        }
    }

    fn eat(&mut self, count: usize) {
        self.pack.eat(count);
    }
}
