//! The kernel's list of TCP connections: by netlink, else from `/proc`.

mod diag;
mod proc;

use std::collections::BTreeSet;
use std::net::SocketAddr;

/// Most connections of one list; a machine with more tells of the first ones.
const MOST: usize = 1 << 20;

/// One connection that holds its tuple: neither listening nor in TIME_WAIT, which an explicit bind takes over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Connection {
    pub(super) from: SocketAddr,
    pub(super) to: SocketAddr,
}

impl Connection {
    /// IPv4 in IPv6 is IPv4: the tuple is the same.
    fn new(from: SocketAddr, to: SocketAddr) -> Connection {
        let plain = |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
        Connection { from: plain(from), to: plain(to) }
    }
}

/// States of `linux/tcp_states.h` that hold a tuple for the side that connected: ESTABLISHED, SYN_SENT, FIN_WAIT1 and 2,
/// CLOSE_WAIT, LAST_ACK, CLOSING.
const STATES: [u8; 7] = [1, 2, 4, 5, 8, 9, 11];

/// All connections to these ports, and where the list is from.
pub(super) fn connections(to: &BTreeSet<u16>) -> Option<(&'static str, Vec<Connection>)> {
    if to.is_empty() {
        return None;
    }
    match diag::connections(to) {
        Ok(list) => Some(("inet_diag", list)),
        Err(_) => Some(("proc", proc::connections(to).ok()?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    /// A connection over IPv4, one over IPv6, one over IPv4 from a socket for IPv6.
    fn connected(listener: &TcpListener, from: &str) -> TcpStream {
        use socket2::{Domain, Socket, Type};
        let from: SocketAddr = from.parse().unwrap();
        let socket = Socket::new(Domain::for_address(from), Type::STREAM, None).unwrap();
        socket.bind(&from.into()).unwrap();
        let mut to = listener.local_addr().unwrap();
        if from.is_ipv6() && to.is_ipv4() {
            let SocketAddr::V4(v4) = to else { unreachable!() };
            to = SocketAddr::new(v4.ip().to_ipv6_mapped().into(), to.port());
        }
        socket.connect(&to.into()).unwrap();
        socket.into()
    }

    #[test]
    fn both_lists_have_every_connection_once() {
        let [v4, v6] = ["127.0.0.1:0", "[::1]:0"].map(|address| TcpListener::bind(address).unwrap());
        let made = [connected(&v4, "127.0.0.9:0"), connected(&v6, "[::1]:0"), connected(&v4, "[::ffff:127.0.0.8]:0")];
        let mut wanted: Vec<Connection> =
            made.iter().map(|tcp| Connection::new(tcp.local_addr().unwrap(), tcp.peer_addr().unwrap())).collect();
        wanted.sort_unstable();
        let to: BTreeSet<u16> = [&v4, &v6].map(|listener| listener.local_addr().unwrap().port()).into();
        let many: BTreeSet<u16> = to.iter().copied().chain(1..20).collect(); // nobody listens there
        let lists =
            [&to, &many].map(|to| [connections(to).unwrap(), ("proc", proc::connections(to).unwrap())]).concat();
        assert_eq!(lists[0].0, "inet_diag");
        for (listed_by, mut list) in lists {
            list.sort_unstable();
            assert_eq!(list, wanted, "{listed_by}");
        }
        assert_eq!(connections(&BTreeSet::new()), None);
    }
}
