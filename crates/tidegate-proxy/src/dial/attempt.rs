//! One attempt to connect: a port, a SYN, and what came of it.

use super::fault::{of_begin, of_error};
use super::{Dialled, Way};
use crate::clock;
use crate::ports::begin::{Begin, Begun};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;
use tidegate_core::health::{Attempt, Fault, LastUse, Left};
use tidegate_core::ledger::{Ending, Use};
use tidegate_core::time::{Nanos, Span};
use tokio::net::TcpStream;

/// What an attempt met.
pub(crate) struct Attempted {
    /// The connection, if it stands.
    pub(crate) dialled: Option<Dialled>,
    /// What else it met.
    pub(crate) fault: Fault,
    /// Where it went.
    pub(super) to: Option<SocketAddr>,
    began: Nanos,
    /// How much later than asked for the timer fired that ended it.
    late: Span,
    last_use: Option<(Nanos, Ending)>,
    pub(super) source: IpAddr,
    usage: Use,
}

impl Attempted {
    /// It had no port, or no address to go to.
    pub(crate) fn without_port(fault: Fault, began: Nanos) -> Attempted {
        let source = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        Attempted {
            dialled: None,
            fault,
            to: None,
            began,
            late: Span::ZERO,
            last_use: None,
            source,
            usage: Use::Traffic,
        }
    }

    /// What it met after it was connected.
    pub(crate) fn then(mut self, fault: Fault) -> Attempted {
        self.fault = fault;
        self
    }

    /// A timer has ended it now that should have fired after `limit`.
    pub(crate) fn late_for(mut self, limit: Duration) -> Attempted {
        let late = clock::duration(clock::now().since(self.began)).saturating_sub(limit);
        self.late = Span(u64::try_from(late.as_nanos()).unwrap_or(u64::MAX));
        self
    }

    /// As the inquiry takes it; its time ends now.
    pub(crate) fn attempt(&self) -> Attempt {
        let left = |ending| match ending {
            Ending::Refused | Ending::Never | Ending::Foreign => Left::Nothing,
            Ending::Clean | Ending::Reset => Left::Little,
            Ending::Unknown | Ending::Collision => Left::Unknown,
        };
        let last_use = self.last_use.map(|(at, ending)| LastUse { ago: self.began.since(at), left: left(ending) });
        Attempt {
            fault: self.fault,
            took: clock::now().since(self.began),
            late: self.late,
            // The headroom is used by probes alone, longest rest first.
            fresh_tuple: self.usage == Use::Probe,
            last_use,
            source: self.source,
        }
    }
}

/// Tries once. `limit`: how long the other side may take.
pub(crate) async fn attempt(way: &Way, to: SocketAddr, how: Begin, limit: Duration) -> Attempted {
    let began = clock::now();
    let usage = how.usage;
    let Begun { tcp, mut guard } = match way.ports.begin(to, how) {
        Ok(begun) => begun,
        Err(error) => return Attempted { usage, ..Attempted::without_port(of_begin(&error), began) },
    };
    let (source, last_use) = (guard.lease().source, guard.last_use());
    let late = Span::ZERO;
    let met = |fault, dialled| Attempted { dialled, fault, to: Some(to), began, late, last_use, source, usage };
    let tcp = match TcpStream::from_std(tcp) {
        Ok(tcp) => tcp,
        Err(error) => return met(of_error(&error, true), None),
    };
    match tokio::time::timeout(limit, established(&tcp)).await {
        Ok(Ok(())) => {
            guard.connected(&tcp);
            let _only_a_hint = tcp.set_nodelay(true);
            met(Fault::None, Some(Dialled { tcp, port: guard }))
        }
        Ok(Err(error)) => {
            let fault = of_error(&error, false);
            if matches!(fault, Fault::Refused | Fault::ResetAfterAccept) {
                guard.ends(Ending::Refused);
            }
            drop(tcp); // before its port is free
            met(fault, None)
        }
        Err(_) => {
            drop(tcp);
            met(Fault::TimedOut, None).late_for(limit)
        }
    }
}

async fn established(tcp: &TcpStream) -> io::Result<()> {
    tcp.writable().await?;
    match tcp.take_error()? {
        Some(error) => Err(error),
        // A reset that came after the handshake shows in the peer's name alone.
        None => tcp.peer_addr().map(drop).map_err(|_| io::Error::from_raw_os_error(104)),
    }
}
