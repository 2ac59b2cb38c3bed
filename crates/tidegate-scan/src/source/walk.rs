//! What holds members one after another, and the way through it: what is refused, and parts that belong together.

use std::fs::File;

use super::descend::{Descent, Place};
use super::stream::{Fault, Feed, FromFile, Stream};

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

    /// Names are paths of this machine, and not what a stranger wrote into an archive.
    fn is_folder(&self) -> bool {
        false
    }
}

impl<'r> Descent<'r> {
    /// Reads every entry of an archive or a folder.
    pub(super) fn walk(&mut self, place: &Place, pack: &mut dyn Pack) {
        loop {
            let entry = match pack.next_entry() {
                Ok(Some(entry)) => entry,
                Ok(None) => return,
                Err(fault) => return self.fault(place, &fault),
            };
            if entry.sort == Sort::Folder {
                continue;
            }
            if self.entries == self.run.limits.members {
                let detail = format!("There are more than {} entries: the others were left out.", self.entries);
                return self.run.trouble(&place.path, "budget", detail);
            }
            self.entries += 1;
            let inside = self.entry_place(place, pack, &entry);
            match &entry.sort {
                Sort::Folder => {}
                Sort::Link => self.run.trouble(&inside.path, "link", "It is a link, which is not followed."),
                Sort::Device => {
                    self.run.trouble(&inside.path, "device", "It is a device, a pipe or a socket, which is not read.");
                }
                Sort::Refused(what, detail) => self.run.trouble(&inside.path, what, detail.clone()),
                Sort::File => self.entry(&inside, pack),
            }
        }
    }

    fn entry(&mut self, place: &Place, pack: &mut dyn Pack) {
        if let Some(file) = pack.file() {
            let stream = FromFile::new(self.run, place.meter.clone(), file, place.size);
            return self.stream(place, Feed::Own(Box::new(stream)));
        }
        self.stream(place, Feed::Lent(pack));
    }

    fn entry_place(&self, place: &Place, pack: &dyn Pack, entry: &Entry) -> Place {
        let (size, modified) = (entry.size, entry.modified);
        if pack.is_folder() {
            return Place { size, modified, ..Place::top(&entry.name) };
        }
        let name = entry.name.as_str();
        let path = format!("{}!{}", place.path, name.strip_prefix("./").unwrap_or(name));
        Place { path, size, modified, unpacked: false, base: place.meter.now(), ..place.clone() }
    }

    fn fault(&self, place: &Place, fault: &Fault) {
        let (what, detail) = fault.told();
        if *fault != Fault::Stopped {
            self.run.trouble(&place.path, what, detail);
        }
    }
}
