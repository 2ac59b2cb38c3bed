//! One probe: a connection from the headroom, what the plan wants to see on it, and a reset.
//!
//! It makes no session and leaves nothing behind: the reset frees the port on both sides at once.

use crate::clock;
use crate::dial::{self, Attempted, Dialled, Way};
use crate::handshake::header_for;
use crate::http1::request::{FieldRoom, Method};
use crate::http1::response::Response;
use crate::http1::scan::Scan;
use crate::plan::{MonitorPlan, ProbePlan};
use crate::pool::Server;
use crate::ports::begin::Begin;
use crate::stream::{Sock, Stream};
use crate::timers::Timers;
use crate::tls::client::Upstream;
use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tidegate_core::health::{Evidence, Fault, Verdict};
use tidegate_core::ledger::Use;
use tokio::io::AsyncWriteExt;
use tokio_rustls::{TlsConnector, TlsStream};

/// Longest head of an answer that is read.
const HEAD_MAX: usize = 16 << 10;

/// Probes once, with as many attempts as the verdict takes.
pub(super) async fn run(way: &Way, timers: &Timers, server: &Arc<Server>, plan: &MonitorPlan) -> (Verdict, Evidence) {
    let limit = clock::duration(plan.settings.timeout);
    let mute = matches!(plan.probe, ProbePlan::HalfOpen {});
    let once = |how| one(way, server, &plan.probe, Begin { mute, ..how }, limit);
    dial::judge(way, timers, server, once(Begin::of(Use::Probe)).await, once).await
}

async fn one(way: &Way, server: &Server, probe: &ProbePlan, how: Begin, limit: Duration) -> Attempted {
    let began = clock::now();
    let addresses = match server.addresses.of(&server.address, limit).await {
        Ok(addresses) => addresses,
        Err(fault) => return Attempted::without_port(fault, began),
    };
    let mut last = Attempted::without_port(Fault::Unreachable { local: true }, began);
    for (after, address) in addresses.iter().enumerate() {
        // All of them together have the time of one.
        let left = limit.saturating_sub(clock::duration(clock::now().since(began)));
        let share = left / u32::try_from(addresses.len() - after).unwrap_or(u32::MAX);
        last = at(way, server, probe, *address, how, share).await;
        if last.fault == Fault::None {
            server.addresses.reached(*address);
            break;
        }
    }
    last
}

async fn at(
    way: &Way,
    server: &Server,
    probe: &ProbePlan,
    address: SocketAddr,
    how: Begin,
    limit: Duration,
) -> Attempted {
    let began = clock::now();
    let mut met = dial::attempt(way, address, how, limit).await;
    let Some(dialled) = met.dialled.take() else { return met };
    let left = limit.saturating_sub(clock::duration(clock::now().since(began)));
    match tokio::time::timeout(left, look(dialled, server, probe, address)).await {
        Ok(fault) => met.then(fault),
        Err(_) => met.then(Fault::TimedOut).late_for(limit),
    }
}

/// Looks at what the server does on a connection that stands; resets it then.
async fn look(dialled: Dialled, server: &Server, probe: &ProbePlan, address: SocketAddr) -> Fault {
    let mut sock = dialled.sock();
    sock.reset(); // whatever ends it now
    if matches!(probe, ProbePlan::Tcp {} | ProbePlan::HalfOpen {}) {
        return Fault::None;
    }
    if let (Some(version), Ok(here)) = (server.send_proxy, sock.tcp().local_addr())
        && let Err(error) = sock.write_all(&header_for(version, here, address)).await
    {
        return said(&error);
    }
    let mut stream = match &server.probe_tls {
        None => Stream::plain(sock),
        Some(tls) => match shake_hands(tls, sock).await {
            Ok(stream) => stream,
            Err(fault) => return fault,
        },
    };
    match probe {
        ProbePlan::Http { path, status } => ask(&mut stream, server.host(), path, status).await,
        _ => Fault::None,
    }
}

async fn shake_hands(tls: &Upstream, sock: Sock) -> Result<Stream, Fault> {
    let connecting = TlsConnector::from(tls.config.clone()).connect(tls.name.clone(), sock);
    match connecting.await {
        Ok(stream) => Ok(Stream::tls(TlsStream::Client(stream))),
        Err(error) => Err(dial::of_handshake(&error)),
    }
}

async fn ask(stream: &mut Stream, host: &str, path: &str, status: &[u16]) -> Fault {
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: tidegate-monitor\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    );
    let mut at = 0;
    let sent = poll_fn(|cx| {
        while let Some(rest) = request.as_bytes().get(at..).filter(|rest| !rest.is_empty()) {
            at += std::task::ready!(stream.poll_write(cx, rest))?;
        }
        stream.poll_flush(cx)
    });
    if let Err(error) = sent.await {
        return said(&error);
    }
    let (mut head, mut scan, mut room) = (Vec::new(), Scan::default(), [0; 4096]);
    loop {
        match scan.look(&head) {
            Ok(Some(end)) => match judged(head.get(..end).unwrap_or_default(), status) {
                // Not yet the answer, unless a switch was made that nobody asked for.
                Fault::Http(100 | 102..200) => {
                    head.drain(..end);
                    scan = Scan::default();
                    continue;
                }
                fault => return fault,
            },
            Ok(None) if head.len() < HEAD_MAX => {}
            _ => return Fault::Garbage,
        }
        match poll_fn(|cx| stream.poll_read(cx, &mut room)).await {
            Ok(0) => return Fault::Garbage,
            Ok(n) => head.extend_from_slice(room.get(..n).unwrap_or_default()),
            Err(error) => return said(&error),
        }
    }
}

fn judged(head: &[u8], status: &[u16]) -> Fault {
    let mut room: FieldRoom<'_> = [MaybeUninit::uninit(); _];
    match Response::parse(head, &mut room, Method::Idempotent) {
        Err(_) => Fault::Garbage,
        Ok(answer) if status.contains(&answer.facts.status) => Fault::None,
        Ok(answer) => Fault::Http(answer.facts.status),
    }
}

/// What an error says that came after the handshake.
fn said(error: &io::Error) -> Fault {
    match dial::of_error(error, false) {
        fault @ (Fault::ResetAfterAccept | Fault::TimedOut) => fault,
        _ => Fault::Garbage,
    }
}
