//! Files that were named, and all files below folders that were named. Links below folders are not followed.

use std::collections::BTreeSet;
use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::order;
use super::run::Run;
use super::stream::{Fault, FromFile, Meter, Stream, UNSIZED};
use super::walk::{Entry, Pack, Sort};

/// Folders in folders.
const DEPTH: usize = 128;

/// A file that was found, or what is there instead.
pub(super) struct Found {
    path: PathBuf,
    entry: Entry,
}

/// Everything below some paths.
pub(super) struct Search {
    pub(super) found: Vec<Found>,
    /// Bytes of all files.
    pub(super) bytes: u64,
    most: usize,
    seen: BTreeSet<(u64, u64)>,
}

impl Search {
    /// Finds no more than this many entries, and one more.
    pub(super) fn new(most: usize) -> Self {
        Self { found: Vec::new(), bytes: 0, most, seen: BTreeSet::new() }
    }

    /// A path that was named: a link is followed.
    pub(super) fn add(&mut self, path: &Path) {
        match fs::metadata(path) {
            Ok(data) => self.look(path, &data, 0),
            Err(error) => self.push(path, refused(&error), None),
        }
    }

    fn look(&mut self, path: &Path, data: &Metadata, depth: usize) {
        let kind = data.file_type();
        if kind.is_dir() {
            if depth == DEPTH {
                let detail = format!("There are more than {DEPTH} folders in folders.");
                return self.push(path, Sort::Refused("too-deep", detail), None);
            }
            return self.folder(path, depth);
        }
        let sort = match () {
            () if kind.is_file() && !self.seen.insert((data.dev(), data.ino())) => {
                Sort::Refused("same", "It is the same file as one before, and was read once.".to_owned())
            }
            () if kind.is_file() => Sort::File,
            () if kind.is_symlink() => Sort::Link,
            () => Sort::Device,
        };
        if sort == Sort::File {
            self.bytes = self.bytes.saturating_add(data.len());
        }
        self.push(path, sort, Some(data));
    }

    fn folder(&mut self, path: &Path, depth: usize) {
        let names = fs::read_dir(path).and_then(|entries| {
            let left = self.most.saturating_sub(self.found.len()) + 1;
            entries.take(left).map(|entry| entry.map(|entry| entry.file_name())).collect::<io::Result<Vec<_>>>()
        });
        let mut names = match names {
            Ok(names) => names,
            Err(error) => return self.push(path, refused(&error), None),
        };
        names.sort_by(|one, other| {
            order::compare(&one.to_string_lossy(), &other.to_string_lossy()).then_with(|| one.cmp(other))
        });
        for name in names {
            if self.found.len() > self.most {
                return;
            }
            let path = path.join(name);
            match fs::symlink_metadata(&path) {
                Ok(data) => self.look(&path, &data, depth + 1),
                Err(error) => self.push(&path, refused(&error), None),
            }
        }
    }

    fn push(&mut self, path: &Path, sort: Sort, data: Option<&Metadata>) {
        let name = path.to_string_lossy().into_owned();
        let entry = Entry { name, sort, size: data.map(Metadata::len), modified: data.map(Metadata::mtime) };
        self.found.push(Found { path: path.to_owned(), entry });
    }
}

fn refused(error: &io::Error) -> Sort {
    Sort::Refused("unreadable", format!("It cannot be opened: {error}."))
}

/// Opens a file, and not what took its place since it was found: a pipe would make it wait for ever.
fn open(path: &Path) -> Result<(File, u64), Sort> {
    let file = fs::OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path);
    let file = file.map_err(|error| refused(&error))?;
    let data = file.metadata().map_err(|error| refused(&error))?;
    if data.is_file() { Ok((file, data.len())) } else { Err(Sort::Device) }
}

/// Files, as if they were an archive.
pub(super) struct Folder<'r> {
    run: &'r Run<'r>,
    found: std::vec::IntoIter<Found>,
    file: Option<(File, u64)>,
    stream: Option<FromFile<'r, File>>,
    /// Counts the bytes of the files that are read here.
    meter: Meter,
}

impl<'r> Folder<'r> {
    pub(super) fn new(run: &'r Run<'r>, found: Vec<Found>) -> Self {
        Self { run, found: found.into_iter(), file: None, stream: None, meter: Meter::default() }
    }
}

/// The size to which a file is read; files of `/proc` say 0, and are read to their end.
pub(super) fn known(size: u64) -> Option<u64> {
    (size > 0).then_some(size)
}

impl Stream for Folder<'_> {
    fn fill(&mut self) -> Result<&[u8], Fault> {
        if let Some((file, size)) = self.file.take() {
            self.stream = Some(FromFile::new(self.run, self.meter.clone(), file, known(size)).at_most(UNSIZED));
        }
        self.stream.as_mut().map_or(Ok(&[]), FromFile::fill)
    }

    fn eat(&mut self, count: usize) {
        if let Some(stream) = &mut self.stream {
            stream.eat(count);
        }
    }
}

impl Pack for Folder<'_> {
    fn next_entry(&mut self) -> Result<Option<Entry>, Fault> {
        (self.file, self.stream) = (None, None);
        self.run.go_on()?;
        let Some(Found { path, mut entry }) = self.found.next() else { return Ok(None) };
        if entry.sort == Sort::File {
            match open(&path) {
                Ok((file, size)) => {
                    entry.size = known(size);
                    self.file = Some((file, size));
                }
                Err(sort) => entry.sort = sort,
            }
        }
        Ok(Some(entry))
    }

    fn file(&mut self) -> Option<File> {
        self.file.take().map(|(file, _)| file)
    }

    fn folder(&self) -> Option<Meter> {
        Some(self.meter.clone())
    }
}
