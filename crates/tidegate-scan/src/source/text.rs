//! A member's text, told to its reader.

use super::dump::Dump;
use super::run::Run;
use super::stream::{Fault, Stream};
use super::{Ended, Reader};

/// Work that any thread can do: one member.
pub(super) struct Job<'r> {
    pub(super) path: String,
    pub(super) reader: Box<dyn Reader>,
    pub(super) stream: Box<dyn Stream + 'r>,
}

impl Job<'_> {
    pub(super) fn run(mut self, run: &Run<'_>) {
        tell(run, &self.path, self.reader, &mut self.stream);
    }
}

/// Tells all of a stream to a reader.
pub(super) fn tell(run: &Run<'_>, path: &str, mut reader: Box<dyn Reader>, stream: &mut (impl Stream + ?Sized)) {
    let mut room = run.limits.member_bytes;
    let mut dump = Dump::of(path);
    let ended = loop {
        match stream.fill() {
            Ok([]) => break Ended::Whole,
            Ok(block) if block.len() as u64 > room => {
                reader.data(&block[..usize::try_from(room).unwrap_or(0)]);
                break Fault::Budget(format!("It holds more than {} bytes.", run.limits.member_bytes)).ended();
            }
            Ok(block) => {
                if let Some(dump) = &mut dump {
                    dump.look(block);
                }
                reader.data(block);
                let count = block.len();
                room -= count as u64;
                stream.eat(count);
            }
            Err(fault) => break fault.ended(),
        }
    };
    if let Ended::Budget(why) = &ended {
        run.trouble(path, "budget", why.clone());
    }
    if let Some(detail) = dump.and_then(|dump| dump.end(path)) {
        run.trouble(path, "zdump", detail);
    }
    reader.end(ended);
}
