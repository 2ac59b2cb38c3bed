//! From a lease to a socket that connects: bound to exactly the port that was leased.

use super::{Guard, Ports};
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{IpAddr, SocketAddr, SocketAddrV6, TcpStream};
use std::sync::Arc;
use tidegate_core::ledger::{Ending, NoPort, Use};

/// So many ports are tried when other processes have them; more would be a search, and the next attempt goes on from there.
const TRIES: usize = 8;

/// Linux: a connect that goes on.
const EINPROGRESS: i32 = 115;

/// How a connection begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Begin {
    /// What for.
    pub(crate) usage: Use,
    /// From this address of ours, and no other.
    pub(crate) from: Option<IpAddr>,
    /// The handshake is not completed before something is written: the kernel keeps its last segment back for 200 ms.
    pub(crate) mute: bool,
}

impl Begin {
    /// From any address of ours.
    pub(crate) fn of(usage: Use) -> Begin {
        Begin { usage, from: None, mute: false }
    }
}

/// A connection that is being established, or is.
pub(crate) struct Begun {
    /// Not blocking; writable when the connect is over, and then its error is `take_error`.
    pub(crate) tcp: TcpStream,
    /// Holds the port; noted on it: the peer may hold the tuple.
    pub(crate) guard: Guard,
}

/// Why nothing is being established.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotBegun {
    /// There is no port.
    #[error(transparent)]
    NoPort(#[from] NoPort),
    /// Other processes had every port that was tried.
    #[error("{tried} source ports to {destination} were tried, and other programs have them all: {error}")]
    Foreign {
        /// What was to be reached.
        destination: SocketAddr,
        /// So many.
        tried: usize,
        /// What the kernel said last.
        error: io::Error,
    },
    /// The kernel would not begin, for a reason of its own or of the server's.
    #[error("a connection to {destination} cannot begin: {error}")]
    Io {
        /// What was to be reached.
        destination: SocketAddr,
        /// What the kernel said.
        error: io::Error,
    },
}

impl Ports {
    /// Leases a port and begins to connect from it.
    ///
    /// # Errors
    /// Why not; the lease is over then.
    pub(crate) fn begin(self: &Arc<Ports>, destination: SocketAddr, way: Begin) -> Result<Begun, NotBegun> {
        let mut last = None;
        for _ in 0..TRIES {
            let lease = match self.lease(destination, way.from, way.usage) {
                Ok(lease) => lease,
                Err(no_port) => return Err(last.unwrap_or(NotBegun::NoPort(no_port))),
            };
            let mut guard = Guard::new(self.clone(), lease);
            match connect(&mut guard, way.mute) {
                Ok(tcp) => return Ok(Begun { tcp, guard }),
                Err(error) if is_foreign(&error) => {
                    guard.ends(Ending::Foreign);
                    last = Some(NotBegun::Foreign { destination, tried: TRIES, error });
                }
                Err(error) => return Err(NotBegun::Io { destination, error }),
            }
        }
        Err(last.unwrap_or(NotBegun::Foreign { destination, tried: TRIES, error: io::ErrorKind::AddrInUse.into() }))
    }
}

fn connect(guard: &mut Guard, mute: bool) -> io::Result<TcpStream> {
    let (source, destination) = (guard.lease().source, guard.lease().destination);
    let mut from = SocketAddr::new(source, guard.lease().port);
    if let (SocketAddr::V6(to), SocketAddr::V6(v6)) = (destination, from) {
        from = SocketAddrV6::new(*v6.ip(), v6.port(), 0, to.scope_id()).into();
    }
    let socket = Socket::new(Domain::for_address(destination), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    // With it a bind also takes over our own TIME_WAIT.
    socket.set_reuse_address(true)?;
    // That the address is no longer ours is no matter of ports.
    socket.bind(&from.into()).map_err(|error| match error.kind() {
        io::ErrorKind::AddrNotAvailable => io::Error::other(format!("{source} is not an address of this machine")),
        _ => error,
    })?;
    if mute {
        let _else_the_server_sees_a_reset = rustix::net::sockopt::set_tcp_quickack(&socket, false);
    }
    match socket.connect(&destination.into()) {
        Err(error) if error.raw_os_error() != Some(EINPROGRESS) => Err(error),
        _ => {
            guard.ends(Ending::Unknown);
            Ok(socket.into())
        }
    }
}

fn is_foreign(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::AddrInUse | io::ErrorKind::AddrNotAvailable)
}
