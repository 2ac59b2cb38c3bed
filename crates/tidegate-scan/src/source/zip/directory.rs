//! zip, by the directory at its end.

use std::io::{Read, Seek, SeekFrom};

use super::super::gzip::Packed;
use super::super::run::Run;
use super::super::stream::{Fault, FromFile, Meter, Stream};
use super::super::walk::{Entry, Pack, Sort};
use super::content::Content;
use super::{CENTRAL, Header, LOCAL, common, name, u16_at, u32_at, u64_at};

/// Bytes of the end of a directory, of the one for large archives, and of what says where that is.
const END: usize = 22;
const LARGE_END: usize = 56;
const LARGE_PLACE: usize = 20;
/// Bytes of the longest comment after it.
const COMMENT: u64 = 65_535;

pub(in super::super) struct Directory<'r, R> {
    source: FromFile<'r, R>,
    content: Content<'r>,
    /// The next header of the directory, and its end.
    at: u64,
    end: u64,
    /// Bytes before the archive, which its offsets leave out.
    before: u64,
}

impl<'r, R: Read + Seek + Send> Directory<'r, R> {
    /// Opens an archive; without a directory that makes sense, gives the file back, at its beginning.
    pub(in super::super) fn open(run: &'r Run<'r>, meter: &Meter, path: &str, mut file: R) -> Result<Self, R> {
        let found = find(&mut file);
        let _ = file.seek(SeekFrom::Start(0));
        let Some((at, end, before)) = found else { return Err(file) };
        if before > 0 {
            let detail = format!("{before} bytes before the archive that its directory describes were left out.");
            run.trouble(path, "broken", detail);
        }
        let packed = Packed { path: path.to_owned(), nested: false, meter: meter.clone(), base: 0, spent: None };
        let source = FromFile::new(run, meter.clone(), file, None);
        Ok(Self { source, content: Content::new(run, packed), at, end, before })
    }

    fn read(&mut self, at: u64, into: &mut [u8]) -> Result<(), Fault> {
        let wrong = |_| Fault::Broken("Its directory is damaged: entries after this may be missing.".to_owned());
        self.source.restart(0);
        self.source.file().seek(SeekFrom::Start(at)).map_err(wrong)?;
        self.source.file().read_exact(into).map_err(wrong)
    }

    fn header(&mut self) -> Result<Header, Fault> {
        let mut fixed = [0; 46];
        self.read(self.at, &mut fixed)?;
        let [a, b, c, d, _, system, same @ ..] = fixed;
        if [a, b, c, d] != CENTRAL {
            return Err(Fault::Broken("Its directory is damaged: entries after this may be missing.".to_owned()));
        }
        let mut part = [0; 26];
        part.copy_from_slice(&same[..26]);
        let mut header = common(&part);
        header.mode = (system == 3).then(|| u32_at(&fixed, 38) >> 16);
        header.offset = u64::from(u32_at(&fixed, 42));
        let [names, extras, comment] = [28, 30, 32].map(|at| usize::from(u16_at(&fixed, at)));
        let mut rest = vec![0; names + extras];
        self.read(self.at + 46, &mut rest)?;
        header.name = name(&rest[..names]);
        header.extra(&rest[names..]);
        self.at += (46 + names + extras + comment) as u64;
        Ok(header)
    }

    /// Goes to the content of an entry.
    fn go_to(&mut self, header: &Header) -> Result<(), Fault> {
        let mut local = [0; 30];
        let at = header.offset.saturating_add(self.before);
        self.read(at, &mut local)?;
        if local[..4] != LOCAL {
            return Err(Fault::Broken("The directory leads to a place where it is not.".to_owned()));
        }
        let content = at + 30 + u64::from(u16_at(&local, 26)) + u64::from(u16_at(&local, 28));
        let wrong = |_| Fault::Broken("It cannot be read.".to_owned());
        self.source.file().seek(SeekFrom::Start(content)).map_err(wrong)?;
        self.source.restart(header.packed);
        Ok(())
    }
}

impl<R: Read + Seek + Send> Stream for Directory<'_, R> {
    fn fill(&mut self) -> Result<&[u8], Fault> {
        self.content.fill(&mut self.source)
    }

    fn eat(&mut self, count: usize) {
        self.content.eat(&mut self.source, count);
    }
}

impl<R: Read + Seek + Send> Pack for Directory<'_, R> {
    fn next_entry(&mut self) -> Result<Option<Entry>, Fault> {
        self.content.none();
        self.source.go_on()?;
        if self.at >= self.end {
            return Ok(None);
        }
        let header = self.header().inspect_err(|_| self.at = self.end)?;
        let mut entry = header.entry();
        if entry.sort == Sort::File {
            match self.go_to(&header) {
                Ok(()) => self.content.begin(&header, false),
                Err(fault) => entry.sort = Sort::Refused("broken", fault.told().1.to_owned()),
            }
        }
        entry.size = Some(header.size);
        Ok(Some(entry))
    }
}

/// Where the directory begins and ends, and how many bytes come before the archive.
fn find(file: &mut (impl Read + Seek)) -> Option<(u64, u64, u64)> {
    let size = file.seek(SeekFrom::End(0)).ok()?;
    let from = size.saturating_sub(COMMENT + (END + LARGE_PLACE + LARGE_END) as u64);
    file.seek(SeekFrom::Start(from)).ok()?;
    let mut tail = Vec::new();
    file.take(size - from).read_to_end(&mut tail).ok()?;
    let ends = memchr::memmem::rfind_iter(&tail, b"PK\x05\x06");
    ends.filter_map(|at| directory(file, &tail, from, at)).next()
}

fn directory(file: &mut (impl Read + Seek), tail: &[u8], from: u64, at: usize) -> Option<(u64, u64, u64)> {
    let end = tail.get(at..at + END)?;
    let (mut length, mut offset) = (u64::from(u32_at(end, 12)), u64::from(u32_at(end, 16)));
    let mut after = from + at as u64;
    let place = at.checked_sub(LARGE_PLACE).and_then(|place| tail.get(place..at));
    if let Some(place) = place.filter(|place| place.starts_with(b"PK\x06\x07")) {
        let mut large = [0; LARGE_END];
        // Bytes before the archive shift it; it is directly before what says where it is, or where that says.
        let shifted = (after - LARGE_PLACE as u64).checked_sub(LARGE_END as u64)?;
        for at in [u64_at(place, 8), shifted] {
            file.seek(SeekFrom::Start(at)).ok()?;
            if file.read_exact(&mut large).is_ok() && large.starts_with(b"PK\x06\x06") {
                (length, offset, after) = (u64_at(&large, 40), u64_at(&large, 48), at);
                break;
            }
        }
    }
    let begin = after.checked_sub(length)?;
    let before = begin.checked_sub(offset)?;
    let mut first = [0; 4];
    file.seek(SeekFrom::Start(begin)).ok()?;
    let sound = length == 0 || (file.read_exact(&mut first).is_ok() && first == CENTRAL);
    sound.then_some((begin, after, before))
}
