//! From a stream to the members in it: what it is, what it holds, and who reads it.

use std::io::{Read, Seek, SeekFrom};
use std::sync::mpsc::{SyncSender, TrySendError};

use super::Member;
use super::gzip::{Gzip, Packed};
use super::kind::{Kind, LOOK, kind};
use super::run::Run;
use super::stream::{Feed, FromFile, FromMemory, Looked, Meter, Stream, UNSIZED};
use super::tar::Tar;
use super::text::{Job, tell};
use super::zip::{Directory, Forward};

/// Packed bytes of a member that are taken into memory, so that a worker can unpack them.
const POCKET: usize = 16 << 20;
/// Packed bytes in memory from which the thread that finds members unpacks them itself.
const POCKETS: usize = 48 << 20;

/// Where a stream is.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) path: String,
    /// Archives around it.
    pub(super) depth: u32,
    /// It is the content of a gzip, of which a tar is a part.
    pub(super) unpacked: bool,
    /// Bytes, where they are known.
    pub(super) size: Option<u64>,
    pub(super) modified: Option<i64>,
    /// Counts the bytes of its input, and where that stood before it.
    pub(super) meter: Meter,
    pub(super) base: u64,
    /// Bytes of its input that it took, when it is in memory.
    pub(super) spent: Option<u64>,
}

impl Place {
    /// The place of an input.
    pub(super) fn top(path: &str) -> Self {
        let (path, meter) = (path.to_owned(), Meter::default());
        Self { path, depth: 0, unpacked: false, size: None, modified: None, meter, base: 0, spent: None }
    }

    /// The place of what is unpacked from it.
    fn inside(&self) -> Self {
        Self { depth: self.depth + 1, unpacked: true, size: None, ..self.clone() }
    }
}

/// What the one thread knows that gives members their numbers.
pub(super) struct Descent<'r> {
    pub(super) run: &'r Run<'r>,
    jobs: Option<SyncSender<Job<'r>>>,
    members: usize,
    /// Entries of archives and folders so far.
    pub(super) entries: usize,
}

impl<'r> Descent<'r> {
    pub(super) fn new(run: &'r Run<'r>, jobs: Option<SyncSender<Job<'r>>>) -> Self {
        Self { run, jobs, members: 0, entries: 0 }
    }

    /// Reads a file, or what can be read like one, whatever it is.
    pub(super) fn file<R: Read + Seek + Send + 'r>(&mut self, place: &Place, mut file: R) {
        let mut head = Vec::new();
        // What cannot be read is told by the one who reads it.
        let _ = file.by_ref().take(4).read_to_end(&mut head);
        let _ = file.seek(SeekFrom::Start(0));
        if kind(&head) == Kind::Zip {
            match Directory::open(self.run, &place.meter, &place.path, file) {
                Ok(mut archive) => return self.walk(&Place { unpacked: false, ..place.inside() }, &mut archive),
                Err(same) => file = same,
            }
        }
        let stream = FromFile::new(self.run, place.meter.clone(), file, place.size).at_most(UNSIZED);
        self.stream(place, Feed::Own(Box::new(stream)));
    }

    /// Reads a stream, whatever it is.
    pub(super) fn stream(&mut self, place: &Place, feed: Feed<'_, 'r>) {
        match feed {
            Feed::Own(stream) => {
                let (stream, kind) = Looked::at(stream, LOOK, kind);
                self.kind(place, kind, Feed::Own(Box::new(stream)));
            }
            Feed::Lent(stream) => {
                let (mut stream, kind) = Looked::at(stream, LOOK, kind);
                self.kind(place, kind, Feed::Lent(&mut stream));
            }
        }
    }

    fn kind(&mut self, place: &Place, kind: Kind, feed: Feed<'_, 'r>) {
        let deeper = match kind {
            Kind::Tar => !place.unpacked,
            Kind::Gzip | Kind::Zip => true,
            Kind::Text | Kind::Utf16 | Kind::Foreign(_) => false,
        };
        if deeper && place.depth >= self.run.limits.depth {
            let detail = format!("It is an archive inside {} others, and was left out.", place.depth);
            return self.run.trouble(&place.path, "too-deep", detail);
        }
        match kind {
            Kind::Text => self.text(place, feed),
            Kind::Utf16 => {
                let detail =
                    "It is text in UTF-16, which is not read: turn it into UTF-8 (`iconv -f UTF-16 -t UTF-8`).";
                self.run.trouble(&place.path, "utf-16", detail);
                self.text(place, feed);
            }
            Kind::Foreign(how) => {
                let detail = format!("It is packed with {how}, which is not read: unpack it, and read what comes out.");
                self.run.trouble(&place.path, "packed", detail);
                self.text(place, feed);
            }
            Kind::Gzip => self.gzip(place, feed),
            Kind::Tar => {
                let mut inside = place.inside();
                inside.depth = place.depth + u32::from(deeper);
                let (run, path) = (self.run, place.path.clone());
                match feed {
                    Feed::Own(stream) => self.walk(&inside, &mut Tar::new(run, path, stream)),
                    Feed::Lent(stream) => self.walk(&inside, &mut Tar::new(run, path, stream)),
                }
            }
            Kind::Zip => {
                let (inside, packed) = (Place { unpacked: false, ..place.inside() }, packed(place));
                match feed {
                    Feed::Own(stream) => self.walk(&inside, &mut Forward::new(self.run, packed, stream)),
                    Feed::Lent(stream) => self.walk(&inside, &mut Forward::new(self.run, packed, stream)),
                }
            }
        }
    }

    fn gzip(&mut self, place: &Place, feed: Feed<'_, 'r>) {
        let (run, mut inside, mut packed) = (self.run, place.inside(), packed(place));
        match feed {
            Feed::Own(stream) => {
                let stream = Box::new(Gzip::new(run, packed, stream));
                self.stream(&inside, Feed::Own(stream));
            }
            Feed::Lent(stream) => match pocketed(place, stream) {
                Some((bytes, true)) => {
                    let spent = place.spent.or(Some(place.meter.now().saturating_sub(place.base)));
                    (packed.spent, inside.spent) = (spent, spent);
                    let stream = Box::new(Gzip::new(run, packed, FromMemory::new(run, bytes)));
                    self.stream(&inside, Feed::Own(stream));
                }
                Some((bytes, false)) => {
                    let mut stream = Gzip::new(run, packed, Looked::after(bytes, stream));
                    self.stream(&inside, Feed::Lent(&mut stream));
                }
                None => self.stream(&inside, Feed::Lent(&mut Gzip::new(run, packed, stream))),
            },
        }
    }

    fn text(&mut self, place: &Place, feed: Feed<'_, 'r>) {
        if self.run.stopped() {
            return;
        }
        let member = Member { index: self.members, path: place.path.clone(), modified: place.modified };
        self.members += 1;
        let Some(reader) = self.run.desk.open(member) else { return };
        match feed {
            Feed::Lent(mut stream) => tell(self.run, &place.path, reader, &mut stream),
            Feed::Own(stream) => self.hand_over(Job { path: place.path.clone(), reader, stream }),
        }
    }

    /// Gives a job to a worker, or does it here while they are all busy.
    fn hand_over(&self, job: Job<'r>) {
        let Some(jobs) = self.jobs.as_ref().filter(|_| self.run.held() <= POCKETS) else { return job.run(self.run) };
        if let Err(TrySendError::Full(job) | TrySendError::Disconnected(job)) = jobs.try_send(job) {
            job.run(self.run);
        }
    }
}

/// Takes a stream into memory unless it is long: its bytes, and whether they are all. Whether there are workers makes no
/// difference, so that a ratio is looked at at the same byte.
fn pocketed(place: &Place, stream: &mut (impl Stream + ?Sized)) -> Option<(Vec<u8>, bool)> {
    let size = place.size.map(|size| usize::try_from(size).unwrap_or(usize::MAX));
    if size.is_some_and(|size| size > POCKET) {
        return None;
    }
    let mut bytes = Vec::with_capacity(size.unwrap_or(0));
    while bytes.len() < POCKET {
        match stream.fill() {
            Ok([]) => return Some((bytes, true)),
            Ok(block) => {
                let part = block.len().min(POCKET - bytes.len());
                bytes.extend_from_slice(&block[..part]);
                stream.eat(part);
            }
            // Whoever reads on meets it again.
            Err(_) => break,
        }
    }
    Some((bytes, false))
}

fn packed(place: &Place) -> Packed {
    let (path, meter) = (place.path.clone(), place.meter.clone());
    Packed { path, nested: place.depth > 0, meter, base: place.base, spent: place.spent }
}
