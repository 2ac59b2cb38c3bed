//! Standard input, which may be silent for hours: whoever waits for it still asks whether there is to be more.

use std::io::{self, Read};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::run::Run;

/// From one question to the next: 100 ms.
const ASK: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

/// Standard input, which ends when the run is stopped.
pub(super) struct Stdin<'r> {
    run: &'r Run<'r>,
    input: io::Stdin,
}

impl<'r> Stdin<'r> {
    pub(super) fn new(run: &'r Run<'r>) -> Self {
        Self { run, input: io::stdin() }
    }
}

impl Read for Stdin<'_> {
    fn read(&mut self, block: &mut [u8]) -> io::Result<usize> {
        loop {
            match poll(&mut [PollFd::new(&self.input, PollFlags::IN)], Some(&ASK)) {
                Ok(0) | Err(Errno::INTR) => {
                    if self.run.go_on().is_err() {
                        return Ok(0);
                    }
                }
                // What cannot be asked is read, which says what is wrong.
                Ok(_) | Err(_) => return self.input.read(block),
            }
        }
    }
}
