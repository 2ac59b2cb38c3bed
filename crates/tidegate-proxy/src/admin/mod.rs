//! The gate tells about itself: a tiny HTTP server on a Unix socket, and on TCP with a token, in a thread of its own.
//!
//! It shares nothing with Python and little with the I/O thread, so it answers while either is busy.

mod record;
mod routes;
mod socket;

use crate::error::GateError;
use crate::gate::Shared;
use crate::http1::reply::Reply;
use crate::http1::request::{FieldRoom, Request};
use crate::http1::scan::Scan;
use crate::http1::{Framing, Refusal};
use crate::plan::AdminPlan;
use crate::ports;
use routes::Answer;
use socket::Sockets;
use std::io;
use std::mem::MaybeUninit;
use std::net::TcpListener;
use std::sync::{Arc, mpsc};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::Notify;

/// Longest request, head and body together.
const REQUEST_MAX: usize = 64 * 1024;
/// How long a request and its answer may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long accepting rests when the process has no file descriptors left.
const REST: Duration = Duration::from_millis(50);
/// Most connections at once; more wait in the backlog.
const CONNECTIONS_MAX: usize = 64;

/// What is bound but not served yet.
pub(crate) struct Bound(Sockets);

/// The running admin thread.
pub(crate) struct Admin {
    stop: Arc<Notify>,
    thread: Option<std::thread::JoinHandle<()>>,
    /// A second handle of the TCP socket, for a process that takes over.
    pub(crate) tcp: Option<TcpListener>,
}

/// Binds what the plan asks for.
///
/// # Errors
/// A socket cannot be bound, or the token cannot be read.
pub(crate) fn bind(plan: &AdminPlan, tcp: Option<TcpListener>, replaces: bool) -> Result<Bound, GateError> {
    socket::bind(plan, tcp, replaces).map(Bound)
}

/// Starts to answer. The thread has all its descriptors when this returns: one that lacked them later would leave a gate that
/// serves and cannot be asked.
///
/// # Errors
/// The thread cannot be started, or there are no descriptors for it.
pub(crate) fn start(mut bound: Bound, shared: Arc<Shared>) -> Result<Admin, GateError> {
    bound.0.publish()?;
    let tcp = bound.0.tcp.as_ref().and_then(|tcp| tcp.try_clone().ok());
    let stop = Arc::new(Notify::new());
    let stopped = stop.clone();
    let (tell, told) = mpsc::sync_channel(1);
    let body = move || {
        let runtime = Builder::new_current_thread().enable_io().enable_time().build_local(LocalOptions::default());
        match runtime {
            Ok(runtime) => runtime.block_on(run(bound.0, shared, stopped, tell)),
            Err(error) => drop(tell.send(Err(error))),
        }
    };
    let thread = std::thread::Builder::new().name("tidegate-admin".into()).spawn(body).map_err(|e| cannot_start(&e))?;
    match told.recv() {
        Ok(Ok(())) => Ok(Admin { stop, thread: Some(thread), tcp }),
        Ok(Err(error)) => Err(cannot_start(&error)),
        Err(gone) => Err(cannot_start(&io::Error::other(gone))),
    }
}

fn cannot_start(error: &io::Error) -> GateError {
    let hint = "check the limits on threads and open files";
    GateError::new("runtime", format!("the admin thread cannot start: {error}"), hint)
}

impl Drop for Admin {
    fn drop(&mut self) {
        self.stop.notify_one();
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}

/// The listeners, as the runtime of this thread has them.
struct Listeners {
    unix: Option<tokio::net::UnixListener>,
    tcp: Option<tokio::net::TcpListener>,
}

impl Listeners {
    fn of(sockets: &Sockets) -> io::Result<Listeners> {
        let unix = sockets.unix.as_ref().map(|socket| tokio::net::UnixListener::from_std(socket.try_clone()?));
        let tcp = sockets.tcp.as_ref().map(|socket| tokio::net::TcpListener::from_std(socket.try_clone()?));
        Ok(Listeners { unix: unix.transpose()?, tcp: tcp.transpose()? })
    }
}

/// Says whether it can serve, and does.
async fn run(sockets: Sockets, shared: Arc<Shared>, stop: Arc<Notify>, tell: mpsc::SyncSender<io::Result<()>>) {
    match Listeners::of(&sockets) {
        Ok(listeners) => {
            let _starter_waits = tell.send(Ok(()));
            serve(&sockets, listeners, shared, stop).await;
        }
        Err(error) => drop(tell.send(Err(error))),
    }
}

async fn serve(sockets: &Sockets, listeners: Listeners, shared: Arc<Shared>, stop: Arc<Notify>) {
    tokio::task::spawn_local(ports::watch(shared.way.ports.clone()));
    let places = Arc::new(tokio::sync::Semaphore::new(CONNECTIONS_MAX));
    let token = sockets.token.clone();
    let Listeners { unix, tcp } = listeners;
    loop {
        let place = tokio::select! {
            () = stop.notified() => return,
            place = places.clone().acquire_owned() => place,
        };
        tokio::select! {
            () = stop.notified() => return,
            accepted = accept_unix(unix.as_ref()) => {
                let shared = shared.clone();
                tokio::task::spawn_local(async move {
                    answer(accepted, &shared, None).await;
                    drop(place);
                });
            }
            accepted = accept_tcp(tcp.as_ref()) => {
                let (shared, token) = (shared.clone(), token.clone());
                tokio::task::spawn_local(async move {
                    answer(accepted, &shared, token.as_deref()).await;
                    drop(place);
                });
            }
        }
    }
}

async fn accept_unix(listener: Option<&tokio::net::UnixListener>) -> tokio::net::UnixStream {
    let Some(listener) = listener else { return std::future::pending().await };
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            Err(_) => tokio::time::sleep(REST).await,
        }
    }
}

async fn accept_tcp(listener: Option<&tokio::net::TcpListener>) -> tokio::net::TcpStream {
    let Some(listener) = listener else { return std::future::pending().await };
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            Err(_) => tokio::time::sleep(REST).await,
        }
    }
}

/// Reads one request, answers it, closes.
async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin, shared: &Shared, token: Option<&[u8]>) {
    let talk = async {
        let answer = match read(&mut stream).await {
            Ok(Some((head, body))) => decide(shared, &head, &body, token),
            Ok(None) => return None,
            Err(refusal) => Answer::text(refusal.status, refusal.why),
        };
        if answer.recording.is_some() {
            return answer.recording;
        }
        let mut bytes = Vec::new();
        let reply = Reply {
            status: answer.status,
            kind: answer.kind,
            body: answer.body.as_bytes(),
            retry_after: None,
            lines: "",
            close: true,
            head_only: false,
        };
        reply.write_to(&mut bytes);
        let _client_left = stream.write_all(&bytes).await;
        let _client_left = stream.shutdown().await;
        None
    };
    if let Ok(Some(recording)) = tokio::time::timeout(TIMEOUT, talk).await {
        recording.send(&mut stream).await;
    }
}

fn decide(shared: &Shared, head: &[u8], body: &[u8], token: Option<&[u8]>) -> Answer {
    let mut room: FieldRoom<'_> = [MaybeUninit::uninit(); _];
    match Request::parse(head, &mut room) {
        Err(refusal) => Answer::text(refusal.status, refusal.why),
        Ok(request) if !authorized(&request, token) => {
            Answer::text(401, "a bearer token is needed: see admin.token_file")
        }
        Ok(request) => routes::route(shared, request.method, request.target, body),
    }
}

fn authorized(request: &Request<'_, '_>, token: Option<&[u8]>) -> bool {
    let Some(token) = token else { return true };
    let given = request.header("authorization").and_then(|value| value.strip_prefix(b"Bearer "));
    // Every byte is compared whatever the others are, so that the time tells nothing.
    given.is_some_and(|given| {
        given.len() == token.len() && given.iter().zip(token).fold(0, |sum, (a, b)| sum | (a ^ b)) == 0
    })
}

async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Result<Option<(Vec<u8>, Vec<u8>)>, Refusal> {
    let mut bytes = Vec::new();
    let mut scan = Scan::default();
    let end = loop {
        if let Some(end) = scan.look(&bytes)? {
            break end;
        }
        if bytes.len() > REQUEST_MAX {
            return Err(Refusal::with(431, "a head of more than 64 KiB"));
        }
        if !matches!(stream.read_buf(&mut bytes).await, Ok(n) if n > 0) {
            return Ok(None);
        }
    };
    let mut body = bytes.split_off(end);
    let mut room: FieldRoom<'_> = [MaybeUninit::uninit(); _];
    let length = match Request::parse(&bytes, &mut room)?.facts.framing {
        Framing::None => 0,
        Framing::Length(n) if n <= REQUEST_MAX as u64 => n as usize,
        _ => return Err(Refusal::with(413, "a body that is chunked, or of more than 64 KiB")),
    };
    while body.len() < length {
        if !matches!(stream.read_buf(&mut body).await, Ok(n) if n > 0) {
            return Ok(None);
        }
    }
    Ok(Some((bytes, body)))
}
