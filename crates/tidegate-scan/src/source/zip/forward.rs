//! zip, forward from its beginning: as a stream inside an archive, or when its directory is missing.

use super::super::gzip::Packed;
use super::super::run::Run;
use super::super::stream::{Fault, Stream, skip, take};
use super::super::walk::{Entry, Pack, Sort};
use super::content::Content;
use super::{CENTRAL, Header, LOCAL, common, name, u16_at, u32_at};

pub(in super::super) struct Forward<'r, S> {
    run: &'r Run<'r>,
    path: String,
    stream: S,
    content: Content<'r>,
    fault: Option<Fault>,
}

impl<'r, S: Stream> Forward<'r, S> {
    pub(in super::super) fn new(run: &'r Run<'r>, packed: Packed, stream: S) -> Self {
        let path = packed.path.clone();
        Self { run, path, stream, content: Content::new(run, packed), fault: None }
    }

    /// Leaves the present entry.
    fn leave(&mut self) -> Result<(), Fault> {
        if self.content.left().is_none() {
            // Where it ends is known only by reading it. If it is damaged, the search for a signature goes on after it.
            while let Ok(block) = self.content.fill(&mut self.stream) {
                if block.is_empty() {
                    break;
                }
                let count = block.len();
                self.content.eat(&mut self.stream, count);
            }
        }
        let left = self.content.left().unwrap_or(0);
        self.content.none();
        if skip(&mut self.stream, left)? < left {
            return Err(truncated());
        }
        Ok(())
    }

    fn next(&mut self) -> Result<Option<Entry>, Fault> {
        self.leave()?;
        let Some((signature, passed)) = self.signature()? else { return Err(truncated()) };
        // What follows the content may have up to 20 bytes: sizes that were not known before.
        if passed > 20 {
            let detail = format!("{passed} bytes between two entries were left out.");
            self.run.trouble(&self.path, "broken", detail);
        }
        if signature != LOCAL {
            self.directory(signature)?;
            return Ok(None);
        }
        let mut fixed = [0; 26];
        self.exactly(&mut fixed)?;
        let mut header = common(&fixed);
        let (names, extras) = (usize::from(u16_at(&fixed, 22)), usize::from(u16_at(&fixed, 24)));
        let mut rest = vec![0; names + extras];
        self.exactly(&mut rest)?;
        header.name = name(&rest[..names]);
        header.extra(&rest[names..]);
        Ok(Some(self.begin(&header)))
    }

    fn begin(&mut self, header: &Header) -> Entry {
        let mut entry = header.entry();
        let later = header.told_later() && (header.packed == 0 || header.crc == 0);
        let unknown = later && !header.deflated() && !matches!(entry.sort, Sort::Folder);
        if unknown && entry.sort == Sort::File {
            let detail =
                "It is stored, and its length is told only after it: unpack the archive, and read what comes out.";
            entry.sort = Sort::Refused("packed", detail.to_owned());
        }
        if !unknown {
            self.content.begin(header, later);
        }
        entry
    }

    /// The next signature, and how many bytes were passed over before it.
    fn signature(&mut self) -> Result<Option<([u8; 4], u64)>, Fault> {
        let mut window = [0; 4];
        let mut passed = take(&mut self.stream, &mut window)? as u64;
        if passed < 4 {
            return Ok(None);
        }
        while !matches!(&window, b"PK\x03\x04" | b"PK\x01\x02" | b"PK\x05\x06" | b"PK\x06\x06") {
            let block = self.stream.fill()?;
            if block.is_empty() {
                return Ok(None);
            }
            let mut count = 0;
            for &byte in block {
                window = [window[1], window[2], window[3], byte];
                count += 1;
                if window[..2] == *b"PK" && window[2] < 7 {
                    break;
                }
            }
            self.stream.eat(count);
            passed += count as u64;
        }
        Ok(Some((window, passed - 4)))
    }

    /// Everything was read: the directory tells which entries were links.
    fn directory(&mut self, mut signature: [u8; 4]) -> Result<(), Fault> {
        while signature == CENTRAL {
            let mut fixed = [0; 42];
            self.exactly(&mut fixed)?;
            let [names, extras, comment] = [24, 26, 28].map(|at| usize::from(u16_at(&fixed, at)));
            let mut bytes = vec![0; names];
            self.exactly(&mut bytes)?;
            skip(&mut self.stream, (extras + comment) as u64)?;
            if fixed[1] == 3 && u32_at(&fixed, 34) >> 28 == 0o12 {
                let path = format!("{}!{}", self.path, name(&bytes));
                self.run.trouble(&path, "link", "It is a link, and was read as the text that says where it leads.");
            }
            if take(&mut self.stream, &mut signature)? < 4 {
                return Err(truncated());
            }
        }
        // The rest of what it is inside of has its own sum.
        skip(&mut self.stream, u64::MAX)?;
        Ok(())
    }

    fn exactly(&mut self, into: &mut [u8]) -> Result<(), Fault> {
        if take(&mut self.stream, into)? < into.len() { Err(truncated()) } else { Ok(()) }
    }
}

impl<S: Stream> Stream for Forward<'_, S> {
    fn fill(&mut self) -> Result<&[u8], Fault> {
        self.content.fill(&mut self.stream)
    }

    fn eat(&mut self, count: usize) {
        self.content.eat(&mut self.stream, count);
    }
}

impl<S: Stream> Pack for Forward<'_, S> {
    fn next_entry(&mut self) -> Result<Option<Entry>, Fault> {
        if let Some(fault) = &self.fault {
            return Err(fault.clone());
        }
        self.next().inspect_err(|fault| self.fault = Some(fault.clone()))
    }
}

fn truncated() -> Fault {
    Fault::Truncated("The archive stops in the middle: entries after this may be missing.".to_owned())
}
