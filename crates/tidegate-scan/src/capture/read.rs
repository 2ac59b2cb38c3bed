//! Captures below files, folders and archives, told to one sink.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Capture, Sink};
use crate::Progress;
use crate::source::{self, Desk, Ended, Input, Limits, Member, Reader, Stopped, Trouble};

/// Reads everything below the inputs that is a capture, one file after the other, and tells it to the sink.
///
/// The other files are told by [`Sink::end`] as well, without a format. `progress` is told how many bytes of the inputs were read,
/// and how many there are (0: not known); false ends it.
///
/// # Errors
///
/// [`Stopped`] after `progress` said false. The sink has what was read before.
pub fn read<S: Sink + 'static>(inputs: &[Input], sink: &Arc<Mutex<S>>, progress: Progress<'_>) -> Result<(), Stopped> {
    // One thread: what a sink keeps of flows depends on the order of their packets.
    source::read(inputs, &Limits::default(), 1, &Opener { sink: Arc::clone(sink) }, progress)
}

/// Opens a reader for each file.
struct Opener<S> {
    sink: Arc<Mutex<S>>,
}

/// Reads one file.
struct Reading<S> {
    capture: Capture,
    sink: Arc<Mutex<S>>,
}

pub(super) fn lock<S>(sink: &Mutex<S>) -> MutexGuard<'_, S> {
    // A sink that panicked ends the run; until then it is told what there is.
    sink.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<S: Sink + 'static> Desk for Opener<S> {
    fn open(&self, member: Member) -> Option<Box<dyn Reader>> {
        let index = u32::try_from(member.index).unwrap_or(u32::MAX);
        Some(Box::new(Reading { capture: Capture::new(index, member.path), sink: Arc::clone(&self.sink) }))
    }

    fn trouble(&self, trouble: Trouble) {
        lock(&self.sink).trouble(trouble);
    }
}

impl<S: Sink> Reader for Reading<S> {
    fn data(&mut self, block: &[u8]) {
        let mut sink = lock(&self.sink);
        self.capture.data(block, |batch| sink.packets(batch));
    }

    fn end(self: Box<Self>, ended: Ended) {
        lock(&self.sink).end(self.capture.end(ended));
    }
}
