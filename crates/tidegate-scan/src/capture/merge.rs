//! Captures of the same time, merged: ESXi's `pktcap-uw` writes each direction into a file of its own.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use super::chunk::Chunk;
use super::read::{lock, read};
use super::{BATCH, File, Packet, Sink};
use crate::Progress;
use crate::source::{Input, Stopped, Trouble};

/// Inputs that are merged, at most: a thread reads each.
const INPUTS: usize = 64;
/// Chunks that wait for the others, of each input.
const WAITING: usize = 4;
/// Who waits for an input tells the progress this often.
const TELL: Duration = Duration::from_millis(20);

/// Reads captures as [`read`] does, all at a time, and tells their packets in the order of time.
///
/// Files that one input holds come one after the other; those of different inputs are merged, and of packets of the same time
/// those of the first input come first. A batch holds packets of several files.
/// Inputs after the first 64 are a trouble, `budget`, and are left out.
///
/// # Errors
///
/// [`Stopped`] after `progress` said false. The sink has what was read before.
pub fn read_merged<S: Sink>(inputs: &[Input], sink: &Mutex<S>, progress: Progress<'_>) -> Result<(), Stopped> {
    let (merged, others) = inputs.split_at(inputs.len().min(INPUTS));
    if !others.is_empty() {
        let detail = format!("No more than {INPUTS} captures are merged: {} were left out.", others.len());
        lock(sink).trouble(Trouble { path: String::new(), what: "budget", detail });
    }
    let shared = Shared { done: merged.iter().map(|_| Default::default()).collect(), stopped: AtomicBool::new(false) };
    thread::scope(|scope| {
        let mut lanes = Vec::new();
        for (number, input) in merged.iter().enumerate() {
            let (sender, receiver) = sync_channel(WAITING);
            lanes.push(Lane { receiver, chunk: Chunk::default(), next: 0, open: true });
            let (shared, outlet) = (&shared, Outlet { sender, chunk: Chunk::default(), number, inputs: merged.len() });
            scope.spawn(move || {
                let tell = |read, all| shared.tell(Some((number, read, all)), progress);
                // Who stopped it has said so.
                let _ = read(std::slice::from_ref(input), &Arc::new(Mutex::new(outlet)), &tell);
            });
        }
        merge(&mut lanes, sink, &|| shared.tell(None, progress));
    });
    if shared.stopped.load(SeqCst) { Err(Stopped) } else { Ok(()) }
}

/// How far the inputs are: bytes read, and bytes there are (0: not known).
struct Shared {
    done: Vec<(AtomicU64, AtomicU64)>,
    stopped: AtomicBool,
}

impl Shared {
    /// Tells the progress of all, after that of one has changed; false: stop.
    fn tell(&self, one: Option<(usize, u64, u64)>, progress: Progress<'_>) -> bool {
        if let Some((number, now, total)) = one
            && let Some((read, all)) = self.done.get(number)
        {
            read.store(now, SeqCst);
            all.store(total, SeqCst);
        }
        let each = || self.done.iter().map(|(read, all)| (read.load(SeqCst), all.load(SeqCst)));
        let read = each().fold(0_u64, |sum, (read, _)| sum.saturating_add(read));
        let all = each().try_fold(0_u64, |sum, (_, all)| (all > 0).then(|| sum.saturating_add(all)));
        if !self.stopped.load(SeqCst) && !progress(read, all.unwrap_or(0)) {
            self.stopped.store(true, SeqCst);
        }
        !self.stopped.load(SeqCst)
    }
}

/// What one thread tells the one that merges.
enum Message {
    Packets(Chunk),
    End(File),
    Trouble(Trouble),
}

/// The sink of one input.
struct Outlet {
    sender: SyncSender<Message>,
    chunk: Chunk,
    /// The number of the input, and how many there are: both make the numbers of its files.
    number: usize,
    inputs: usize,
}

impl Outlet {
    fn file(&self, index: u32) -> u32 {
        let all = (index as usize).saturating_mul(self.inputs).saturating_add(self.number);
        u32::try_from(all).unwrap_or(u32::MAX)
    }

    fn send(&self, message: Message) {
        // Whoever merges goes on to the end of all inputs: only a panic has ended it.
        let _ = self.sender.send(message);
    }

    fn flush(&mut self) {
        if !self.chunk.is_empty() {
            let chunk = std::mem::take(&mut self.chunk);
            self.send(Message::Packets(chunk));
        }
    }
}

impl Sink for Outlet {
    fn packets(&mut self, batch: &[Packet<'_>]) {
        for packet in batch {
            self.chunk.push(&Packet { file: self.file(packet.file), ..*packet });
            if self.chunk.is_full() {
                self.flush();
            }
        }
    }

    fn end(&mut self, file: File) {
        self.flush();
        self.send(Message::End(File { index: self.file(file.index), ..file }));
    }

    fn trouble(&mut self, trouble: Trouble) {
        self.flush();
        self.send(Message::Trouble(trouble));
    }
}

/// What came of one input, and the packet of it whose turn is next.
struct Lane {
    receiver: Receiver<Message>,
    chunk: Chunk,
    next: usize,
    open: bool,
}

impl Lane {
    /// Waits until there is a packet, or nothing more.
    fn refill<S: Sink>(&mut self, sink: &Mutex<S>, tell: &dyn Fn() -> bool) {
        while self.open && self.chunk.get(self.next).is_none() {
            match self.receiver.recv_timeout(TELL) {
                Ok(Message::Packets(chunk)) => {
                    (self.chunk, self.next) = (chunk, 0);
                    tell();
                }
                Ok(Message::End(file)) => lock(sink).end(file),
                Ok(Message::Trouble(trouble)) => lock(sink).trouble(trouble),
                // Those who read ask for themselves whether there is to be more.
                Err(RecvTimeoutError::Timeout) => drop(tell()),
                Err(RecvTimeoutError::Disconnected) => self.open = false,
            }
        }
    }
}

/// Tells the packets of all lanes in the order of time.
fn merge<S: Sink>(lanes: &mut [Lane], sink: &Mutex<S>, tell: &dyn Fn() -> bool) {
    loop {
        lanes.iter_mut().for_each(|lane| lane.refill(sink, tell));
        let mut places: Vec<usize> = lanes.iter().map(|lane| lane.next).collect();
        let mut batch = Vec::with_capacity(BATCH);
        // Until one of them has to be filled again.
        while batch.len() < BATCH {
            let heads = lanes.iter().zip(&mut places).filter(|(lane, _)| lane.open);
            let heads = heads.map(|(lane, place)| (lane.chunk.get(*place), place));
            let Some((Some(packet), place)) = heads.min_by_key(|(packet, _)| packet.map(|packet| packet.at)) else {
                break;
            };
            batch.push(packet);
            *place = place.saturating_add(1);
        }
        if batch.is_empty() {
            return;
        }
        lock(sink).packets(&batch);
        drop(batch);
        lanes.iter_mut().zip(places).for_each(|(lane, place)| lane.next = place);
    }
}
