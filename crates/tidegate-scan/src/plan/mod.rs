//! What to look for: read from JSON, checked, and made ready once, before the first byte is read.

mod compile;
mod spec;

use crate::error::ScanError;
use crate::needle::Needles;
pub use compile::Pattern;

/// The format of plans and results.
pub const FORMAT: u32 = 1;

/// What a literal belongs to: an index into the list of its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum User {
    /// A signature.
    Signature(usize),
    /// A tally.
    Tally(usize),
    /// A mark.
    Mark(usize),
}

/// A record that holds one of its literals, matches every `all` and none of `not` is a hit.
#[derive(Debug)]
pub struct Signature {
    /// Its name, unique in the plan.
    pub id: String,
    /// All must match; their named groups are the fields of the hit.
    pub all: Vec<Pattern>,
    /// None may match.
    pub not: Vec<Pattern>,
    /// Programs whose records count, in lower case; none: any. A record without a program always counts.
    pub programs: Vec<String>,
}

/// Counts records per key, per minute and per value of one group.
#[derive(Debug)]
pub struct Tally {
    /// Its name.
    pub id: String,
    /// What a record must match.
    pub pattern: Pattern,
    /// The groups that are the key.
    pub key: Vec<String>,
    /// The group whose values are counted inside each key.
    pub by: Option<String>,
    /// Whether every match in a record counts, and not the first alone. A long text without headers makes records that
    /// overlap, where matches count twice: for keys that are joined, and never summed.
    pub every: bool,
}

/// Something to note wherever it is met: a version, a heading.
#[derive(Debug)]
pub struct Mark {
    /// Its name.
    pub id: String,
    /// Every match is noted.
    pub pattern: Pattern,
}

/// A text that is handed out whole when it begins in a known way.
#[derive(Debug)]
pub struct Dump {
    /// Its name.
    pub id: String,
    /// Looked for in the first 4 KiB.
    pub sniff: Pattern,
}

/// How much of a result is kept.
#[derive(Clone, Copy, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Keep {
    /// Hits of all signatures together.
    pub hits: usize,
    /// Hits of one signature that carry their record.
    pub evidence: usize,
    /// Keys of one tally.
    pub keys: usize,
}

impl Default for Keep {
    fn default() -> Keep {
        Keep { hits: 50_000, evidence: 50, keys: 2_000 }
    }
}

/// A plan that is ready to use.
#[derive(Debug)]
pub struct Plan {
    /// Nanoseconds since 1970: the years that logs leave out are taken from it.
    pub now: i64,
    /// What to find.
    pub signatures: Vec<Signature>,
    /// What to count.
    pub tallies: Vec<Tally>,
    /// What to note.
    pub marks: Vec<Mark>,
    /// What to hand out whole.
    pub dumps: Vec<Dump>,
    /// How much to keep.
    pub keep: Keep,
    /// All literals of all of them.
    pub needles: Needles,
    /// Who wants a literal, by its number.
    pub users: Vec<Vec<User>>,
}

impl Plan {
    /// Reads a plan (JSON, format 1).
    ///
    /// # Errors
    /// [`ScanError`] for anything that is no plan: no JSON, another format, an unknown field, a name used twice, a
    /// literal that is too short or too long, a regex that does not compile or is too big, a group that is not there.
    pub fn parse(json: &[u8]) -> Result<Plan, ScanError> {
        compile::compile(spec::read(json)?)
    }
}
