//! All literals of a plan, found in one pass.
//!
//! For each literal its rarest window is chosen ([`rarity`]), and windows are searched; where one is met, whole literals
//! are compared. Few literals go to a vector search ([`few`]), many to an interleaved Wu–Manber ([`many`]). Literals are
//! classed by length, because the shortest of a class decides how fast it goes, and those that ignore the case of
//! ASCII letters are a class apart. Exact: every place of every literal is told, also of those that overlap.

mod few;
mod many;
mod rarity;

#[cfg(test)]
mod tests;

use few::Few;
use many::Many;

/// A literal has at least this many bytes.
pub const SHORTEST: usize = 4;
/// A literal has at most this many bytes.
pub const LONGEST: usize = 1024;
/// Literals of at least this many bytes are searched together.
const LONG: usize = 10;
/// Up to this many literals the vector search is faster, where windows are short, and where they are not.
const FEW: [usize; 2] = [8, 4];
/// From this many bytes on a window is not short.
const FAR: usize = 14;

/// A literal to find.
#[derive(Clone, Debug)]
pub struct Needle {
    /// Its bytes; in lower case where `fold`.
    pub bytes: Vec<u8>,
    /// Whether the case of ASCII letters is ignored.
    pub fold: bool,
}

/// Where a literal was met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Found {
    /// Where its window begins: inside the literal, which begins at most [`LONGEST`] bytes before.
    pub at: usize,
    /// Its number.
    pub needle: usize,
}

/// A literal with the part of it that is searched.
#[derive(Clone, Debug)]
struct Window {
    needle: usize,
    bytes: Vec<u8>,
    fold: bool,
    /// Where the window begins in the literal.
    from: usize,
    /// How long it is; the same in all of a class.
    length: usize,
}

impl Window {
    fn part(&self) -> &[u8] {
        self.bytes.get(self.from..self.from + self.length).unwrap_or_default()
    }

    /// Whether the whole literal stands in `text` when its window begins at `at`.
    fn stands(&self, text: &[u8], at: usize) -> bool {
        let Some(begin) = at.checked_sub(self.from) else { return false };
        let Some(there) = text.get(begin..begin + self.bytes.len()) else { return false };
        if self.fold { there.eq_ignore_ascii_case(&self.bytes) } else { there == self.bytes }
    }
}

#[derive(Debug)]
enum Class {
    Few(Few),
    Many(Many),
}

/// All literals, ready to be found.
#[derive(Debug)]
pub struct Needles {
    classes: Vec<Class>,
}

impl Needles {
    /// Makes them ready; their numbers are their places in `needles`.
    pub fn new(needles: Vec<Needle>) -> Needles {
        let mut sorted: [Vec<(usize, Needle)>; 4] = Default::default();
        for (number, needle) in needles.into_iter().enumerate() {
            let class = usize::from(needle.fold) * 2 + usize::from(needle.bytes.len() < LONG);
            if let Some(class) = sorted.get_mut(class) {
                class.push((number, needle));
            }
        }
        Needles { classes: sorted.into_iter().filter(|class| !class.is_empty()).map(class).collect() }
    }

    /// Every literal whose window begins in `from..to` and that stands whole in `text`, in order of place and number.
    ///
    /// `found` is emptied first. Text before `from` and after `to` is looked at, so that nothing is missed at the edges.
    pub fn find(&self, text: &[u8], from: usize, to: usize, found: &mut Vec<Found>) {
        found.clear();
        for class in &self.classes {
            match class {
                Class::Few(few) => few.find(text, from, to, found),
                Class::Many(many) => many.find(text, from, to, found),
            }
        }
        found.sort_unstable();
    }
}

fn class(needles: Vec<(usize, Needle)>) -> Class {
    let shortest = needles.iter().map(|(_, needle)| needle.bytes.len()).min().unwrap_or(SHORTEST);
    let length = shortest.min(many::WINDOW);
    let window = |(needle, Needle { bytes, fold }): (usize, Needle)| {
        let from = rarity::rarest(&bytes, length);
        Window { needle, bytes, fold, from, length }
    };
    let windows: Vec<Window> = needles.into_iter().map(window).collect();
    let fold = windows.iter().any(|window| window.fold);
    let few = FEW[usize::from(length >= FAR)];
    if !fold && (windows.len() <= few || length < LONG) {
        match Few::new(windows) {
            Ok(few) => Class::Few(few),
            Err(windows) => Class::Many(Many::new(windows)),
        }
    } else {
        Class::Many(Many::new(windows))
    }
}
