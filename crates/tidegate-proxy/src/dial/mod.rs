//! One way to connect to a server, for calls, for what passes through and for probes.
//!
//! A port from the ledger, the connect, and, when that fails, what the failure says: a server is blamed only after an
//! inquiry (`tidegate_core::health`), which tries again from ports that are kept for that. One inquiry at a time per server:
//! whoever else fails meanwhile takes its verdict.

mod address;
mod attempt;
mod fault;

pub(crate) use address::Addresses;
pub(crate) use attempt::{Attempted, attempt};
pub(crate) use fault::{of_error, of_handshake};

use crate::clock;
use crate::monitor::Health;
use crate::pool::Server;
use crate::ports::begin::Begin;
use crate::ports::{Guard, Ports};
use crate::stream::Sock;
use crate::timers::Timers;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tidegate_core::health::{Around, Cause, Evidence, Inquiry, Next, Verdict, Weight};
use tidegate_core::ledger::{Use, Watermark};
use tidegate_core::time::{Nanos, Span};
use tokio::net::TcpStream;

/// A verdict that was reached so short a time ago is that of everybody who failed meanwhile.
const SAME: Span = Span::millis(200);

/// How this process connects to servers.
pub(crate) struct Way {
    pub(crate) ports: Arc<Ports>,
    pub(crate) health: Arc<Health>,
}

/// A connection that stands, and the port that it holds.
pub(crate) struct Dialled {
    pub(crate) tcp: TcpStream,
    pub(crate) port: Guard,
}

impl Dialled {
    /// The socket, which gives the port back when it is closed.
    pub(crate) fn sock(self) -> Sock {
        Sock::to_server(self.tcp, self.port)
    }

    /// Closes it by a reset: nothing is left of it on either side, and the port is free at once.
    pub(crate) fn reset(self) {
        let mut sock = self.sock();
        sock.reset();
    }
}

/// Why there is no connection. Nothing was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotDialled {
    /// The server is to blame.
    Failed,
    /// It is not, or that cannot be told.
    NotConnected(Cause),
}

impl NotDialled {
    /// Whom a verdict blames for what is not there.
    fn by(verdict: Verdict) -> NotDialled {
        match verdict {
            Verdict::Inconclusive(cause) => NotDialled::NotConnected(cause),
            Verdict::Ok | Verdict::Failed(_) => NotDialled::Failed,
        }
    }
}

/// Connects for a client. `limit`: how long the server may take to answer an attempt; `spares`: whether ports that
/// are nearly used up are spared, so that calls wait.
///
/// # Errors
/// Why there is no connection, after at most three attempts more.
pub(crate) async fn connect(
    way: &Way,
    timers: &Timers,
    server: &Arc<Server>,
    limit: Duration,
    spares: impl Fn() -> bool,
) -> Result<Dialled, NotDialled> {
    let began = clock::now();
    let found = server.addresses.of(&server.address, limit).await;
    let addresses = found.map_err(|fault| told(way, timers, server, &Attempted::without_port(fault, began)))?;
    let mut last = None;
    for address in addresses {
        // An idle connection that this call may not use holds a port that it can have instead.
        if way.ports.pressure(address) >= Watermark::Hold && spares() && !server.spare_one() {
            // What is left is for those who come when some of it is free again; idle connections serve meanwhile.
            last = last.or(Some(Err(NotDialled::NotConnected(Cause::NoPort))));
            continue;
        }
        match attempt(way, address, Begin::of(Use::Traffic), limit).await {
            Attempted { dialled: Some(dialled), .. } => {
                server.addresses.reached(address);
                return Ok(dialled);
            }
            failed => last = Some(Ok((address, failed))),
        }
    }
    let (address, failed) = last.unwrap_or(Err(NotDialled::Failed))?;
    let verdict = inquire(way, timers, server, address, failed, limit).await;
    match verdict {
        // It was our own port, or the server has just come up: another port will do.
        Verdict::Ok | Verdict::Inconclusive(Cause::Collision) => {
            let again = attempt(way, address, Begin::of(Use::Traffic), limit).await;
            again.dialled.ok_or(NotDialled::NotConnected(Cause::Collision))
        }
        verdict => Err(NotDialled::by(verdict)),
    }
}

/// Something went wrong before the first attempt, or after the handshake of TCP: tells the server's monitor what that says
/// without another attempt. What only another attempt could tell is weak, and the next probe makes it.
pub(crate) fn told(way: &Way, timers: &Timers, server: &Server, met: &Attempted) -> NotDialled {
    let now = clock::now();
    let around = around(way, timers, server, now);
    let (verdict, evidence) = match Inquiry::new().on_attempt(now, &met.attempt(), &around) {
        Next::Decided(verdict, evidence) => (verdict, evidence),
        Next::TryFresh | Next::TrySource(_) => (Verdict::Failed(Weight::Weak), Evidence::of(now, met.fault)),
    };
    way.health.dialled(server, verdict, evidence);
    NotDialled::by(verdict)
}

/// Finds out what a failed connect of traffic says, and tells the server's monitor.
async fn inquire(
    way: &Way,
    timers: &Timers,
    server: &Arc<Server>,
    address: SocketAddr,
    failed: Attempted,
    limit: Duration,
) -> Verdict {
    let began = clock::now();
    let mut last = server.inquiry.lock().await;
    let shared = last.filter(|(at, _)| *at > began || began.since(*at) <= SAME);
    if let Some((_, verdict)) = shared {
        return verdict;
    }
    let attempts = |how| attempt(way, address, how, limit);
    let (verdict, evidence) = judge(way, timers, server, failed, attempts).await;
    *last = Some((clock::now(), verdict)).filter(|(_, verdict)| *verdict != Verdict::Ok);
    drop(last);
    way.health.dialled(server, verdict, evidence);
    verdict
}

/// Carries an inquiry to its end; `again` makes a further attempt.
pub(crate) async fn judge<F: Future<Output = Attempted>>(
    way: &Way,
    timers: &Timers,
    server: &Arc<Server>,
    first: Attempted,
    again: impl Fn(Begin) -> F,
) -> (Verdict, Evidence) {
    let mut inquiry = Inquiry::new();
    let mut met = first;
    let mut tried = Vec::with_capacity(3);
    loop {
        tried.push(met.source);
        let now = clock::now();
        server.prune(timers.now());
        let other_source = met.to.and_then(|to| way.ports.other_source(to, &tried));
        let around = Around { other_source, ..around(way, timers, server, now) };
        let next = inquiry.on_attempt(now, &met.attempt(), &around);
        if let Some(dialled) = met.dialled.take() {
            dialled.reset();
        }
        match next {
            Next::Decided(verdict, evidence) => return (verdict, evidence),
            Next::TryFresh => met = again(Begin::of(Use::Probe)).await,
            Next::TrySource(source) => met = again(Begin { from: Some(source), ..Begin::of(Use::Probe) }).await,
        }
    }
}

/// What else is known of a server now.
fn around(way: &Way, timers: &Timers, server: &Server, now: Nanos) -> Around {
    Around {
        heard: server.heard(now),
        open: u32::try_from(server.stats.open_conns.get()).unwrap_or(u32::MAX),
        learned_limit: way.health.learned_limit(server),
        loop_lag: timers.lag(),
        other_source: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::PortsPlan;
    use std::cell::RefCell;
    use std::net::{IpAddr, TcpListener};
    use tidegate_core::health::Fault;

    /// A device that refuses one address of ours: from there the way leads to a closed port.
    #[tokio::test]
    async fn a_device_that_refuses_one_source_does_not_make_the_server_look_dead() {
        let sources = [2, 3].map(|last| IpAddr::from([127, 0, 0, last]));
        let plan = PortsPlan { ranges: vec![(21_200..=21_219).into()], sources: sources.into(), headroom: 8 };
        let way = Way { ports: Ports::new(&plan).unwrap(), health: Health::new(1).unwrap() };
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (open, closed) = (listener.local_addr().unwrap(), {
            let parked = TcpListener::bind("127.0.0.1:0").unwrap();
            parked.local_addr().unwrap()
        });
        let server = Server::new(("a", &open.to_string()), None, None, None, Arc::default());
        // The second source is used more, so that a fresh port is one of the first.
        let from = |source| Begin { from: Some(source), ..Begin::of(Use::Probe) };
        let _busy: Vec<_> = (0..4).map(|_| way.ports.begin(closed, from(sources[1]))).collect();
        let asked = RefCell::new(Vec::new());
        let again = |how: Begin| {
            asked.borrow_mut().push(how.from);
            let to = if how.from == Some(sources[1]) { open } else { closed };
            attempt(&way, to, how, Duration::from_secs(5))
        };
        let first = again(Begin::of(Use::Probe)).await;
        let (verdict, evidence) = judge(&way, &Timers::new(), &server, first, again).await;
        assert_eq!(*asked.borrow(), [None, None, Some(sources[1])]);
        let notes: Vec<_> = evidence.notes.iter().map(|note| (note.source, note.fault)).collect();
        assert_eq!(notes, [(sources[0], Fault::Refused), (sources[0], Fault::Refused), (sources[1], Fault::None)]);
        assert_eq!(verdict, Verdict::Ok);
    }
}
