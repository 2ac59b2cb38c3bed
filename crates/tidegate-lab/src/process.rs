//! What every lab process does: lines of JSON out, commands in, open files, and a watch over its own share of the blame.

use crate::LabError;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};
use std::cell::Cell;
use std::io::{BufRead, Write};
use std::rc::Rc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// A command on stdin, one JSON object per line: `{"cmd": "go"}`.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(tag = "cmd", rename_all = "lowercase", deny_unknown_fields)]
pub enum Command {
    /// Time begins.
    Go,
    /// The server stops, loses its sessions, and comes back.
    Restart {
        /// Seconds of world time that it is away.
        down_s: f64,
    },
    /// The same by accident: it is away as long as the spec says (`crash_down_s`).
    Crash,
    /// The server forgets all sessions at once, as tokens that were issued together end together.
    Expire,
    /// The hosts' network fails: every connection of theirs dies, and none can be made for a while.
    Flap {
        /// Seconds of world time until hosts can connect again.
        for_s: f64,
    },
    /// The end. So is the end of stdin.
    Stop,
}

/// The commands as they come; the last is [`Command::Stop`]. A line that is none is told on stderr.
pub fn commands() -> mpsc::Receiver<Command> {
    let (sender, receiver) = mpsc::channel(16);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            match serde_json::from_str(&line) {
                Ok(command) if sender.blocking_send(command).is_err() => return,
                Ok(_) => {}
                Err(error) => {
                    eprintln!("tidegate-lab: not a command: {error}: use go, restart, crash, expire, flap or stop")
                }
            }
        }
        // When nobody listens any more the process is ending anyway.
        let _ = sender.blocking_send(Command::Stop);
    });
    receiver
}

/// Tells on stderr of a command that means nothing to this process.
pub(crate) fn unheard(who: &str, command: Command) {
    eprintln!("tidegate-lab: a {who} has no {command:?}");
}

/// Writes one line of JSON to stdout. Whoever started the process and no longer listens has ended its stdin, too.
pub fn say(line: &impl Serialize) {
    if let Ok(text) = serde_json::to_string(line) {
        write_line(&text);
    }
}

fn write_line(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

/// Lines that may wait for a slow reader of stdout.
const SAMPLES_WAITING_MAX: usize = 1024;

/// Samples on their way to stdout. They are written by a thread of their own, so that a reader who is slow, or reads only
/// at the end, never stops the event loop; what does not fit is dropped, and counted.
pub struct Samples {
    sender: SyncSender<String>,
    writer: JoinHandle<()>,
    dropped: Cell<u64>,
}

impl Samples {
    /// Begins to write.
    pub fn begin() -> Samples {
        let (sender, receiver) = sync_channel::<String>(SAMPLES_WAITING_MAX);
        let writer = std::thread::spawn(move || receiver.iter().for_each(|text| write_line(&text)));
        Samples { sender, writer, dropped: Cell::new(0) }
    }

    /// Hands one over.
    pub fn say(&self, sample: &impl Serialize) {
        let Ok(text) = serde_json::to_string(sample) else { return };
        if self.sender.try_send(text).is_err() {
            self.dropped.set(self.dropped.get() + 1);
        }
    }

    /// Waits until all are written.
    pub fn end(self) {
        drop(self.sender);
        if self.writer.join().is_err() || self.dropped.get() > 0 {
            eprintln!("tidegate-lab: {} samples were dropped: read stdout while it runs", self.dropped.get());
        }
    }
}

/// Lifts the soft limit of open files to the hard one; where that is refused the old one stays.
pub fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}

fn cpu_s() -> f64 {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    used.tv_sec as f64 + used.tv_nsec as f64 / 1e9
}

/// How often the event loop's lag is taken.
const TICK: Duration = Duration::from_millis(5);
/// A timer's own coarseness, which is no lag.
const COARSE: Duration = Duration::from_millis(1);
/// Busier than this, the process itself may have been the limit.
const CPU_SHARE_MAX: f64 = 0.8;
/// The share of ticks that may be late: the model keeps its own exact time, so a few late answers change nothing.
const LATE_SHARE_MAX: f64 = 0.05;

/// Watches the process's own CPU time and the lag of its event loop.
#[derive(Clone)]
pub struct SelfWatch {
    began: Instant,
    cpu_began_s: f64,
    lag: Rc<Lag>,
}

#[derive(Default)]
struct Lag {
    ticks: Cell<u64>,
    late: Cell<u64>,
    max: Cell<Duration>,
}

/// What a process says about itself.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SelfReport {
    /// CPU time ÷ wall time since `go`.
    pub cpu_share: f64,
    /// The longest lag of the event loop, in wall seconds.
    pub lag_max_s: f64,
    /// Why the process itself, not what it models, may have been the limit.
    pub bottleneck: Option<String>,
}

impl SelfWatch {
    /// Begins to watch, in a task of its own. A lag above `tolerated` (wall) counts as late.
    pub fn begin(tolerated: Duration) -> SelfWatch {
        let lag = Rc::new(Lag::default());
        let ticking = Rc::clone(&lag);
        tokio::task::spawn_local(async move {
            loop {
                let due = Instant::now() + TICK;
                tokio::time::sleep_until(due).await;
                let late_by = due.elapsed().saturating_sub(COARSE);
                ticking.ticks.set(ticking.ticks.get() + 1);
                ticking.late.set(ticking.late.get() + u64::from(late_by > tolerated));
                ticking.max.set(ticking.max.get().max(late_by));
            }
        });
        SelfWatch { began: Instant::now(), cpu_began_s: cpu_s(), lag }
    }

    /// What was seen until now.
    pub fn report(&self) -> SelfReport {
        let wall_s = self.began.elapsed().as_secs_f64().max(1e-3);
        let cpu_share = (cpu_s() - self.cpu_began_s) / wall_s;
        let late_share = self.lag.late.get() as f64 / self.lag.ticks.get().max(1) as f64;
        let bottleneck = if cpu_share > CPU_SHARE_MAX {
            Some(format!("the lab process was {:.0} % busy itself: lower the speed", cpu_share * 100.0))
        } else if late_share > LATE_SHARE_MAX {
            Some(format!("the lab's event loop was late {:.1} % of the time: lower the speed", late_share * 100.0))
        } else {
            None
        };
        SelfReport { cpu_share, lag_max_s: self.lag.max.get().as_secs_f64(), bottleneck }
    }
}

/// The error of an address that cannot be used.
pub(crate) fn cannot_bind(address: &str, error: &std::io::Error) -> LabError {
    LabError(format!("cannot listen on {address}: {error}: give a free address, or port 0"))
}
