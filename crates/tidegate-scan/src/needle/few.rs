//! Few literals: the vector search of `aho_corasick::packed` (Teddy), called directly.
//!
//! `AhoCorasick::new` would choose a slower way for few literals; with one literal `memchr::memmem` is faster still.

use super::{Found, Window};
use aho_corasick::Span;
use aho_corasick::packed::Searcher;
use memchr::memmem::Finder;

#[derive(Debug)]
enum How {
    One(Box<Finder<'static>>),
    Some(Searcher),
}

/// A class of few literals.
#[derive(Debug)]
pub struct Few {
    how: How,
    windows: Vec<Window>,
    length: usize,
}

impl Few {
    /// Gives the windows back where this machine has no vector search for them.
    pub fn new(windows: Vec<Window>) -> Result<Few, Vec<Window>> {
        let length = windows.first().map_or(0, |window| window.length);
        let how = match windows.as_slice() {
            [one] => Some(How::One(Box::new(Finder::new(one.part()).into_owned()))),
            more => Searcher::new(more.iter().map(Window::part)).map(How::Some),
        };
        match how {
            Some(how) => Ok(Few { how, windows, length }),
            None => Err(windows),
        }
    }

    /// All windows.
    #[cfg(test)]
    pub fn windows(&self) -> std::slice::Iter<'_, Window> {
        self.windows.iter()
    }

    /// Adds every literal whose window begins in `from..to`.
    pub fn find(&self, text: &[u8], from: usize, to: usize, found: &mut Vec<Found>) {
        let end = text.len().min(to.saturating_add(self.length).saturating_sub(1));
        let mut at = from;
        while at < to {
            let next = match &self.how {
                How::One(finder) => text.get(at..end).and_then(|rest| finder.find(rest)).map(|place| at + place),
                How::Some(searcher) if at < end => {
                    searcher.find_in(text, Span { start: at, end }).map(|found| found.start())
                }
                How::Some(_) => None,
            };
            let Some(place) = next else { return };
            let here = self.windows.iter().filter(|window| window.stands(text, place));
            found.extend(here.map(|window| Found { at: place, needle: window.needle }));
            at = place + 1;
        }
    }
}
