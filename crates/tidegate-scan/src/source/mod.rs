//! Where text comes from: files, folders, archives in archives, stdin. Members are told in a fixed order.
//!
//! ```text
//! read    inputs ──► streams ──► what kind? ──► text: told to its reader, here or by a worker
//!   │                               ├── gzip    the same again, with the unpacked stream
//!   │                               └── tar, zip, folder ──► walk: the same again, for every entry
//!   run   what all of it shares: budgets, progress, the wish to stop, what was wrong
//! ```
//!
//! Kinds are found by content, never by name. Nothing is extracted: an entry is a stream inside a stream, and memory is a
//! block per layer. What a reader is not sure of (a name that leads outside, a link) becomes a [`Trouble`].

mod descend;
mod dump;
mod folder;
mod fragments;
mod gzip;
mod kind;
mod limits;
mod names;
mod order;
mod read;
mod run;
mod stdin;
mod stream;
mod tar;
mod text;
mod walk;
mod zip;

pub use limits::Limits;
pub use read::{Input, Stopped, read};

/// One thing to read: a file, or a member of an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its number, from 0, in the order in which the inputs and the archives name them.
    pub index: usize,
    /// For people: `bundle.tgz!esx-a/var/run/log/hostd.0.gz`. Not cleaned of control characters.
    pub path: String,
    /// Seconds since 1970 at which it was written last, where that is known.
    pub modified: Option<i64>,
}

/// How a member ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// All of it was read.
    Whole,
    /// It stops in the middle (a truncated gzip, a missing end): what came before was read.
    Truncated(String),
    /// It cannot be read on: what came before was read.
    Broken(String),
    /// A budget was used up: what came before was read.
    Budget(String),
}

/// Something about the inputs that the reader must know, beside how members end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// The path of what it is about, as in [`Member::path`].
    pub path: String,
    /// A word for programs. Something is missing: `unreadable`, `truncated`, `broken`, `missing-fragment`,
    /// `fragment-order`, `budget`, `too-deep`. It is not read: `link`, `device`, `sparse`, `encrypted`, `packed` (in a way
    /// that is not read), `utf-16`, `zdump`. It is worth knowing: `escape` (a name that leads outside), `trailing` (bytes after an
    /// end), `same` (a file that was named twice), `bundle` (what kind of support bundle it is).
    pub what: &'static str,
    /// One sentence for people.
    pub detail: String,
}

/// Reads the text of one member, block by block.
pub trait Reader: Send {
    /// The next bytes, at least one; a block may have any length up to 1 MiB.
    fn data(&mut self, block: &[u8]);
    /// There is no more.
    fn end(self: Box<Self>, ended: Ended);
}

/// Opens a reader for every member. Members may be read by several threads at a time; each by one only.
pub trait Desk: Sync {
    /// A member is about to be read. `None`: it is not wanted.
    fn open(&self, member: Member) -> Option<Box<dyn Reader>>;
    /// Something is wrong. Those of members that other threads read come in any order.
    fn trouble(&self, trouble: Trouble);
}
