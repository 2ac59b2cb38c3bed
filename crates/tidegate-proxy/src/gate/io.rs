//! The thread that moves bytes: one current-thread runtime, and what it can be told from outside.

use crate::clock;
use crate::dial::Way;
use crate::error::GateError;
use crate::home::Home;
use crate::listener;
use crate::service::Service;
use crate::timers::{TICK, Timers};
use std::collections::HashMap;
use std::io;
use std::net::TcpListener;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use tidegate_core::time::Nanos;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

/// Commands that may wait; they come from people and plans, so one place per service and then some is plenty.
const COMMANDS: usize = 4096;
/// Between two looks at the idle connections to servers, in ticks: one second.
const SWEEP_TICKS: u32 = 20;

/// How long a command may take to be carried out: a loop that is later than that hangs.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(5);

/// What the thread can be told.
pub(super) enum Command {
    /// Serve this service on this socket.
    Listen(Arc<Service>, TcpListener),
    /// Accept no more for this service.
    Unlisten(Arc<Service>),
    /// Say so when all commands before this one are carried out.
    Settle(std::sync::mpsc::SyncSender<()>),
    /// End.
    Close,
}

/// The way to tell the thread something.
pub(super) struct Shard {
    commands: mpsc::Sender<Command>,
    turned: Arc<AtomicU64>,
}

impl Shard {
    /// When the loop last turned.
    pub(super) fn last_turn(&self) -> Nanos {
        Nanos(self.turned.load(Ordering::Relaxed))
    }

    /// Sends a command; one to a thread that has ended is dropped.
    pub(super) fn send(&self, command: Command) {
        let _ended_or_full = self.commands.try_send(command);
    }

    /// Waits until the thread has carried out what it was told, for a while.
    pub(super) fn settle(&self) {
        let (tell, told) = std::sync::mpsc::sync_channel(1);
        self.send(Command::Settle(tell));
        let _or_it_has_ended = told.recv_timeout(PATIENCE);
    }
}

/// Starts the thread.
pub(super) fn start(way: Arc<Way>) -> Result<(Shard, JoinHandle<()>), GateError> {
    let (commands, inbox) = mpsc::channel(COMMANDS);
    let (ready, started) = std::sync::mpsc::sync_channel::<Result<(), String>>(1);
    let turned = Arc::new(AtomicU64::new(clock::now().0));
    let turning = turned.clone();
    let body = move || {
        let mut builder = Builder::new_current_thread();
        match builder.enable_io().enable_time().build_local(LocalOptions::default()) {
            Ok(runtime) => {
                let _nobody_waits = ready.send(Ok(()));
                runtime.block_on(run(inbox, &turning, way));
            }
            Err(error) => drop(ready.send(Err(error.to_string()))),
        }
    };
    let cannot = |error: String| {
        GateError::new(
            "runtime",
            format!("the I/O thread cannot start: {error}"),
            "check the limits on threads and files",
        )
    };
    let thread = std::thread::Builder::new()
        .name("tidegate-io".into())
        .spawn(body)
        .map_err(|error| cannot(error.to_string()))?;
    match started.recv() {
        Ok(Ok(())) => Ok((Shard { commands, turned }, thread)),
        Ok(Err(error)) => Err(cannot(error)),
        Err(error) => Err(cannot(error.to_string())),
    }
}

async fn run(mut inbox: mpsc::Receiver<Command>, turned: &AtomicU64, way: Arc<Way>) {
    let timers = Rc::new(Timers::new());
    tokio::task::spawn_local(way.health.clone().run(way.clone(), timers.clone()));
    let mut homes: HashMap<String, (Rc<Home>, AbortHandle, AbortHandle)> = HashMap::new();
    let mut tick = tokio::time::interval(clock::duration(TICK));
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut ticks = 0;
    loop {
        tokio::select! {
            _ = tick.tick() => {
                timers.advance();
                turned.store(timers.now().0, Ordering::Relaxed);
                ticks += 1;
                homes.values().for_each(|(home, ..)| tend(home));
                if ticks % SWEEP_TICKS == 0 {
                    homes.values().for_each(|(home, ..)| sweep(home));
                }
            }
            command = inbox.recv() => match command {
                Some(Command::Listen(service, socket)) => {
                    let known = homes.remove(&*service.name);
                    if let Some((home, accepting, waking)) = serve(known, service.clone(), socket, &timers) {
                        homes.insert(service.name.to_string(), (home, accepting, waking));
                    }
                }
                Some(Command::Unlisten(service)) => {
                    // Another service may have taken over the name.
                    let home = homes.get(&*service.name).filter(|(home, ..)| Arc::ptr_eq(&home.service, &service));
                    if let Some((_, accepting, _)) = home {
                        accepting.abort();
                    }
                }
                Some(Command::Settle(tell)) => drop(tell.try_send(())),
                Some(Command::Close) | None => return,
            },
        }
    }
}

/// Begins to accept; a service that moves keeps its home.
fn serve(
    known: Option<(Rc<Home>, AbortHandle, AbortHandle)>,
    service: Arc<Service>,
    socket: TcpListener,
    timers: &Rc<Timers>,
) -> Option<(Rc<Home>, AbortHandle, AbortHandle)> {
    let listener = match tokio::net::TcpListener::from_std(socket) {
        Ok(listener) => listener,
        Err(_) => return known,
    };
    let (home, waking) = match known {
        Some((home, accepting, waking)) if Arc::ptr_eq(&home.service, &service) => {
            accepting.abort();
            (home, waking)
        }
        _ => {
            let waking = tokio::task::spawn_local(service.clone().run_timer()).abort_handle();
            (Home::new(service, timers.clone()), waking)
        }
    };
    let accepting = tokio::task::spawn_local(listener::accept(listener, home.clone())).abort_handle();
    Some((home, accepting, waking))
}

/// Each tick: closes the idle connections to servers that have stirred.
fn tend(home: &Home) {
    let now = home.timers.now();
    home.service.setup().servers.iter().for_each(|server| server.tend(now));
}

/// Once a second: closes stale connections to servers, follows the plan's budget, shows what is lent.
fn sweep(home: &Home) {
    let setup = home.service.setup();
    let now = home.timers.now();
    home.service.sweep(now);
    home.buffers.set_max(usize::try_from(setup.io.buffers_max_bytes).unwrap_or(usize::MAX));
    home.passthrough.sweep(home, now);
    home.service.stats.buffer_bytes.set(home.buffers.used() as u64);
}

/// Binds a listening socket: close-on-exec, address reuse, a backlog that a storm of connects fits in.
pub(crate) fn bind(address: std::net::SocketAddr) -> io::Result<TcpListener> {
    use socket2::{Domain, Protocol, Socket, Type};
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(4096)?;
    Ok(socket.into())
}
