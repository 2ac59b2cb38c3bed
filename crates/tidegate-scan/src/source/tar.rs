//! tar, entry by entry: ustar, GNU long names, pax. The crate `tar` reads the headers; how much is read, and what is gone
//! past when a part is damaged, is decided here (the crate's own walk keeps names of any length in memory).

use tar::{EntryType, Header};

use super::kind::is_header;
use super::run::Run;
use super::stream::{Fault, Stream, skip, take};
use super::walk::{Entry, Pack, Sort};

const HEADER: usize = 512;
/// Bytes of a long name or of a set of pax records; longer ones are passed over.
const RECORDS: u64 = 256 << 10;

/// What the entries before a file said about it.
#[derive(Default)]
struct Said {
    name: Option<Vec<u8>>,
    size: Option<u64>,
    modified: Option<i64>,
    sparse: bool,
}

pub(super) struct Tar<'r, S> {
    run: &'r Run<'r>,
    path: String,
    stream: S,
    /// Bytes of the present entry that are still to come, and the zeros after them.
    left: u64,
    padding: u64,
    /// Blocks that were no headers.
    strange: u64,
    /// The end was marked.
    ended: bool,
}

impl<'r, S: Stream> Tar<'r, S> {
    pub(super) fn new(run: &'r Run<'r>, path: String, stream: S) -> Self {
        Self { run, path, stream, left: 0, padding: 0, strange: 0, ended: false }
    }

    /// Passes over what is left of the present entry.
    fn leave(&mut self) -> Result<(), Fault> {
        let rest = self.left.saturating_add(self.padding);
        // The zeros after the last entry may be missing.
        if skip(&mut self.stream, rest)? < self.left {
            return Err(truncated());
        }
        (self.left, self.padding) = (0, 0);
        Ok(())
    }

    /// The next header, or nothing at the end. Damaged parts are passed over.
    fn header(&mut self) -> Result<Option<Header>, Fault> {
        let mut block = [0; HEADER];
        loop {
            let have = take(&mut self.stream, &mut block)?;
            if have == HEADER && is_header(&block) {
                if self.strange > 0 {
                    let detail = format!("{} bytes between two entries are damaged and were left out.", self.strange);
                    self.run.trouble(&self.path, "broken", detail);
                }
                (self.strange, self.ended) = (0, false);
                return Ok(Some(Header::from_byte_slice(&block).clone()));
            }
            if block[..have].iter().any(|&byte| byte != 0) {
                self.strange += have as u64;
            } else if have > 0 {
                self.ended = true;
            }
            if have < HEADER {
                return self.end();
            }
        }
    }

    fn end(&mut self) -> Result<Option<Header>, Fault> {
        if self.strange > 0 {
            let why =
                format!("The last {} bytes are no entries: they are damaged, or do not belong to it.", self.strange);
            return Err(Fault::Broken(why));
        }
        if self.ended { Ok(None) } else { Err(truncated()) }
    }

    /// The bytes of an entry that says something about the next one; nothing when they are too many.
    fn records(&mut self, size: u64) -> Result<Option<Vec<u8>>, Fault> {
        (self.left, self.padding) = (size, padding(size));
        if size > RECORDS {
            self.run.trouble(&self.path, "broken", format!("A name of {size} bytes was left out."));
            self.leave()?;
            return Ok(None);
        }
        let mut bytes = vec![0; usize::try_from(size).unwrap_or(0)];
        if take(&mut self.stream, &mut bytes)? < bytes.len() {
            return Err(truncated());
        }
        self.left = 0;
        self.leave()?;
        Ok(Some(bytes))
    }

    fn entry(&mut self, header: &Header, said: Said) -> Entry {
        let name = said.name.unwrap_or_else(|| header.path_bytes().into_owned());
        let kind = header.entry_type();
        let size = said.size.or_else(|| header.entry_size().ok());
        let sort = match kind {
            EntryType::GNUSparse => refused_sparse(),
            _ if said.sparse => refused_sparse(),
            EntryType::Directory => Sort::Folder,
            EntryType::Link | EntryType::Symlink => Sort::Link,
            EntryType::Char | EntryType::Block | EntryType::Fifo => Sort::Device,
            // Before ustar, a folder was a file with such a name.
            EntryType::Regular if name.ends_with(b"/") => Sort::Folder,
            // Kinds that are not known are files (POSIX).
            _ => Sort::File,
        };
        let has_content = !matches!(sort, Sort::Link | Sort::Device) && kind != EntryType::Directory;
        let size = if has_content { size.unwrap_or(0) } else { 0 };
        (self.left, self.padding) = (size, padding(size));
        let modified = said.modified.or_else(|| header.mtime().ok().and_then(|time| i64::try_from(time).ok()));
        Entry { name: String::from_utf8_lossy(&name).into_owned(), sort, size: Some(size), modified }
    }
}

impl<S: Stream> Stream for Tar<'_, S> {
    fn fill(&mut self) -> Result<&[u8], Fault> {
        if self.left == 0 {
            return Ok(&[]);
        }
        let block = self.stream.fill()?;
        if block.is_empty() {
            return Err(Fault::Truncated("The archive stops in the middle of it.".to_owned()));
        }
        Ok(&block[..block.len().min(usize::try_from(self.left).unwrap_or(usize::MAX))])
    }

    fn eat(&mut self, count: usize) {
        self.stream.eat(count);
        self.left = self.left.saturating_sub(count as u64);
    }
}

impl<S: Stream> Pack for Tar<'_, S> {
    fn next_entry(&mut self) -> Result<Option<Entry>, Fault> {
        self.leave()?;
        let mut said = Said::default();
        loop {
            let Some(header) = self.header()? else { return Ok(None) };
            let size = header.entry_size().unwrap_or(0);
            match header.entry_type() {
                EntryType::GNULongName => {
                    if let Some(mut name) = self.records(size)? {
                        while name.last() == Some(&0) {
                            name.pop();
                        }
                        said.name = Some(name);
                    }
                }
                EntryType::XHeader => {
                    if let Some(records) = self.records(size)? {
                        pax(&records, &mut said);
                    }
                }
                // Where a link leads, and what is said about all entries, is of no use here.
                EntryType::GNULongLink | EntryType::XGlobalHeader => {
                    (self.left, self.padding) = (size, padding(size));
                    self.leave()?;
                }
                // The name of the volume.
                kind if kind.as_byte() == b'V' => {}
                _ => return Ok(Some(self.entry(&header, said))),
            }
        }
    }
}

fn padding(size: u64) -> u64 {
    (HEADER as u64 - size % HEADER as u64) % HEADER as u64
}

fn truncated() -> Fault {
    Fault::Truncated("The archive stops in the middle: entries after this may be missing.".to_owned())
}

fn refused_sparse() -> Sort {
    Sort::Refused("sparse", "It is stored with holes (sparse), which is not read.".to_owned())
}

/// `LENGTH KEY=VALUE\n`, where the length counts all of it. Values may hold anything.
fn pax(mut records: &[u8], said: &mut Said) {
    while let Some(space) = records.iter().take(20).position(|&byte| byte == b' ') {
        let length = std::str::from_utf8(&records[..space]).ok().and_then(|digits| digits.parse::<usize>().ok());
        let Some(record) = length.and_then(|length| records.get(space + 1..length)) else { return };
        let Some((record, equals)) =
            record.strip_suffix(b"\n").and_then(|r| Some((r, r.iter().position(|&b| b == b'=')?)))
        else {
            return;
        };
        let (key, value) = (&record[..equals], &record[equals + 1..]);
        let number = || std::str::from_utf8(value).ok();
        match key {
            b"path" => said.name = Some(value.to_vec()),
            b"size" => said.size = number().and_then(|digits| digits.parse().ok()),
            b"mtime" => said.modified = number().and_then(|digits| digits.split('.').next()?.parse().ok()),
            _ if key.starts_with(b"GNU.sparse.") => said.sparse = true,
            _ => {}
        }
        records = &records[space + 2 + record.len()..];
    }
}
