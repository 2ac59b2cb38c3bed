//! What holds members one after another, and the way through it: what is refused, and parts that belong together.

use std::fs::File;

use super::descend::{Descent, Place};
use super::fragments::{Joined, Parts, part};
use super::names::{self, Bundles};
use super::stream::{Fault, Feed, Meter, Stream};

/// What an entry is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Sort {
    File,
    Folder,
    Link,
    /// A device, a pipe or a socket.
    Device,
    /// It cannot be read: a word and a sentence.
    Refused(&'static str, String),
}

/// An entry of an archive or a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// As it is written there.
    pub(super) name: String,
    pub(super) sort: Sort,
    /// Bytes, where they are known before they are read.
    pub(super) size: Option<u64>,
    pub(super) modified: Option<i64>,
}

/// An archive or a folder. As a stream it is the content of the present entry.
pub(super) trait Pack: Stream {
    /// Leaves the present entry, however much of it was read, for the next one.
    fn next_entry(&mut self) -> Result<Option<Entry>, Fault>;

    /// The present entry as a file that somebody else may read.
    fn file(&mut self) -> Option<File> {
        None
    }

    /// For a folder, whose names are paths of this machine and not what a stranger wrote: what counts the bytes of its files.
    fn folder(&self) -> Option<Meter> {
        None
    }
}

impl<'r> Descent<'r> {
    /// Reads every entry of an archive or a folder.
    pub(super) fn walk(&mut self, place: &Place, pack: &mut dyn Pack) {
        let (mut parts, folder) = (Parts::default(), pack.folder().is_some());
        if let Err(fault) = self.entries_of(place, pack, &mut parts)
            && fault != Fault::Stopped
        {
            let (what, detail) = fault.told();
            self.run.trouble(&place.path, what, detail);
        }
        parts.tell(self.run, |name| names::path(place, name, folder, self.run.limits));
    }

    fn entries_of(&mut self, place: &Place, pack: &mut dyn Pack, parts: &mut Parts) -> Result<(), Fault> {
        let mut bundles = Bundles::default();
        let mut next = pack.next_entry()?;
        while let Some(mut entry) = next {
            bundles.look(self.run, place, &entry.name, pack.folder().is_some());
            if self.entries >= self.run.limits.members {
                let most = self.run.limits.members;
                return Err(Fault::Budget(format!("There are more than {most} entries: the others were left out.")));
            }
            self.entries += 1;
            if entry.sort == Sort::Folder {
                next = pack.next_entry()?;
                continue;
            }
            let part = if entry.sort == Sort::File { part(&entry.name) } else { None };
            let Some((file, first)) = part.map(|(file, number)| (file.to_owned(), number)) else {
                self.entry(&self.place(place, pack, &entry), &entry.sort, pack);
                next = pack.next_entry()?;
                continue;
            };
            if first == 0 {
                entry.name.clone_from(&file);
            }
            // All parts together are longer.
            entry.size = None;
            let inside = self.place(place, pack, &entry);
            let mut joined = Joined::new(pack, &file, first);
            self.stream(&inside, Feed::Lent(&mut joined));
            let (last, entries, after) = joined.finish();
            self.entries += entries;
            parts.saw(&file, first, last);
            next = after?;
        }
        Ok(())
    }

    fn entry(&mut self, place: &Place, sort: &Sort, pack: &mut dyn Pack) {
        match sort {
            Sort::Folder => {}
            Sort::Link => self.run.trouble(&place.path, "link", "It is a link, which is not followed."),
            Sort::Device => {
                let detail = if pack.folder().is_some() {
                    "It is a device, a pipe or a socket, which is not read: give what it says to standard input (`-`)."
                } else {
                    "It is a device, a pipe or a socket, which is not read."
                };
                self.run.trouble(&place.path, "device", detail);
            }
            Sort::Refused(what, detail) => self.run.trouble(&place.path, what, detail.clone()),
            Sort::File => match pack.file() {
                // Others may read of it while the next one is read here.
                Some(file) => self.file(&Place { meter: Meter::default(), base: 0, ..place.clone() }, file),
                None => self.stream(place, Feed::Lent(pack)),
            },
        }
    }

    /// The place of an entry, and a word when its name leads elsewhere.
    fn place(&self, place: &Place, pack: &dyn Pack, entry: &Entry) -> Place {
        let (size, modified, folder) = (entry.size, entry.modified, pack.folder());
        let path = names::path(place, &entry.name, folder.is_some(), self.run.limits);
        if let Some(meter) = folder {
            return Place { size, modified, base: meter.now(), meter, ..Place::top(&path) };
        }
        if entry.sort == Sort::File && names::escapes(&entry.name) {
            let detail = "Its name leads outside of the archive. It was read all the same: nothing is extracted.";
            self.run.trouble(&path, "escape", detail);
        }
        Place { path, size, modified, unpacked: false, base: place.meter.now(), ..place.clone() }
    }
}
