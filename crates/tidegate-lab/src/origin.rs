//! A server that answers every request at once with 200 and the same body: what is behind a proxy that is measured.

use crate::LabError;
use crate::process::{Command, SelfReport, SelfWatch, cannot_bind, commands, say};
use crate::spec::OriginSpec;
use crate::wire::{read_request, response};
use serde::Serialize;
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};

/// A lag of the event loop above this counts.
const TOLERATED: Duration = Duration::from_millis(5);
/// A pause after a failed accept, which is for want of file descriptors as a rule.
const BREATH: Duration = Duration::from_millis(10);

#[derive(Serialize)]
struct Ready {
    kind: &'static str,
    address: String,
    pid: u32,
}

#[derive(Serialize)]
struct Final {
    kind: &'static str,
    requests: u64,
    connections: u64,
    #[serde(flatten)]
    itself: SelfReport,
}

#[derive(Default)]
struct Counts {
    requests: Cell<u64>,
    connections: Cell<u64>,
}

/// Runs it until it is told to stop.
pub async fn run(spec: OriginSpec) -> Result<(), LabError> {
    let refused = |error| cannot_bind(&spec.listen.to_string(), &error);
    let listener = TcpListener::bind(spec.listen).await.map_err(refused)?;
    let address = listener.local_addr().map_err(refused)?.to_string();
    let answer: Rc<[u8]> = response(200, "text/plain", "", &"x".repeat(spec.body_bytes)).into();
    let (counts, watch) = (Rc::new(Counts::default()), SelfWatch::begin(TOLERATED));
    say(&Ready { kind: "ready", address, pid: std::process::id() });
    let mut commands = commands();
    loop {
        tokio::select! {
            command = commands.recv() => if matches!(command, Some(Command::Stop) | None) { break },
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    counts.connections.set(counts.connections.get() + 1);
                    tokio::task::spawn_local(serve(stream, Rc::clone(&answer), Rc::clone(&counts)));
                }
                Err(_) => tokio::time::sleep(BREATH).await,
            },
        }
    }
    let (requests, connections) = (counts.requests.get(), counts.connections.get());
    say(&Final { kind: "final", requests, connections, itself: watch.report() });
    Ok(())
}

async fn serve(mut stream: TcpStream, answer: Rc<[u8]>, counts: Rc<Counts>) {
    let mut buffer = Vec::new();
    // Small answers must not wait for more of them; where the option is refused they come later.
    let _ = stream.set_nodelay(true);
    while let Ok(Some(request)) = read_request(&mut stream, &mut buffer).await {
        counts.requests.set(counts.requests.get() + 1);
        if stream.write_all(&answer).await.is_err() || !request.headers.keep_alive() {
            return;
        }
    }
}
