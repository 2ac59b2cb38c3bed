//! Netlink's `NETLINK_SOCK_DIAG`, as sock_diag(7) and `linux/inet_diag.h` have it: no privilege is needed to ask.
//!
//! Two fixed structures and one loop are less than a crate for them would be, and need nothing unsafe.

use super::{Connection, MOST, STATES};
use socket2::{Domain, Protocol, Socket, Type};
use std::collections::BTreeSet;
use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

const AF_NETLINK: i32 = 16;
const NETLINK_SOCK_DIAG: i32 = 4;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
const IPPROTO_TCP: u8 = 6;

/// Of messages.
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLM_F_REQUEST_DUMP: u16 = 0x301;

/// `nlmsghdr`, then `inet_diag_req_v2` or `inet_diag_msg`.
const HEAD: usize = 16;
const REQUEST: usize = HEAD + 56;
/// The kernel sends a dump in pieces of at most 32 KiB.
const PIECE: usize = 1 << 16;
/// The kernel answers from memory: a second without a piece means that there will be none.
const PATIENCE: Duration = Duration::from_secs(1);

/// The kernel looks at every connection for each question. To more ports than this one list of all is cheaper.
const QUESTIONS: usize = 8;
/// Stands for any port in a question.
const ANY: u16 = 0;

/// Every connection to one of the ports `to` that holds its tuple.
pub(super) fn connections(to: &BTreeSet<u16>) -> io::Result<Vec<Connection>> {
    let mut found = Vec::new();
    if to.len() > QUESTIONS {
        ask(ANY, to, &mut found)?;
    } else {
        to.iter().try_for_each(|port| ask(*port, to, &mut found))?;
    }
    Ok(found)
}

fn ask(port: u16, to: &BTreeSet<u16>, found: &mut Vec<Connection>) -> io::Result<()> {
    for family in [AF_INET, AF_INET6] {
        let mut socket = Socket::new(Domain::from(AF_NETLINK), Type::DGRAM, Some(Protocol::from(NETLINK_SOCK_DIAG)))?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.send(&request(family, port))?;
        let mut piece = vec![0; PIECE];
        loop {
            let length = socket.read(&mut piece)?;
            if take(&piece[..length], to, found)? {
                break;
            }
        }
    }
    Ok(())
}

fn request(family: u8, port: u16) -> [u8; REQUEST] {
    let states = STATES.iter().fold(0u32, |mask, state| mask | 1 << state);
    let mut bytes = [0; REQUEST];
    bytes[0..4].copy_from_slice(&(REQUEST as u32).to_ne_bytes());
    bytes[4..6].copy_from_slice(&SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    bytes[6..8].copy_from_slice(&NLM_F_REQUEST_DUMP.to_ne_bytes());
    bytes[HEAD..HEAD + 4].copy_from_slice(&[family, IPPROTO_TCP, 0, 0]);
    bytes[HEAD + 4..HEAD + 8].copy_from_slice(&states.to_ne_bytes());
    bytes[HEAD + 10..HEAD + 12].copy_from_slice(&port.to_be_bytes()); // after the port that it comes from
    bytes
}

/// Reads the messages of one piece; true when the list is at its end.
fn take(mut piece: &[u8], to: &BTreeSet<u16>, found: &mut Vec<Connection>) -> io::Result<bool> {
    while let Some(head) = piece.get(..HEAD) {
        let length = u32::from_ne_bytes([head[0], head[1], head[2], head[3]]) as usize;
        let broken = || io::Error::from(io::ErrorKind::InvalidData);
        let body = piece.get(HEAD..length).ok_or_else(broken)?;
        match u16::from_ne_bytes([head[4], head[5]]) {
            NLMSG_DONE => return Ok(true),
            NLMSG_ERROR => {
                let number = body.first_chunk().map_or(0, |bytes| i32::from_ne_bytes(*bytes));
                return Err(io::Error::from_raw_os_error(-number));
            }
            SOCK_DIAG_BY_FAMILY => {
                found.extend(connection(body).filter(|c| to.contains(&c.to.port()) && found.len() < MOST))
            }
            _ => {}
        }
        piece = piece.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(false)
}

/// `inet_diag_msg`: family, state, timer and retransmits, then ports and addresses in network order.
fn connection(body: &[u8]) -> Option<Connection> {
    let port = |at: usize| Some(u16::from_be_bytes(*body.get(at..)?.first_chunk()?));
    let address = |at: usize| {
        let bytes: &[u8; 16] = body.get(at..)?.first_chunk()?;
        match *body.first()? {
            AF_INET => Some(IpAddr::V4(Ipv4Addr::new(bytes[0], bytes[1], bytes[2], bytes[3]))),
            AF_INET6 => Some(IpAddr::V6(Ipv6Addr::from(*bytes))),
            _ => None,
        }
    };
    Some(Connection::new(SocketAddr::new(address(8)?, port(4)?), SocketAddr::new(address(24)?, port(6)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broken_pieces_are_errors_or_nothing() {
        let (mut found, to) = (Vec::new(), BTreeSet::from([443]));
        let piece = request(AF_INET, 443);
        assert!(!take(&[], &to, &mut found).unwrap());
        for length in 1..piece.len() {
            assert!(take(&piece[..length], &to, &mut found).is_ok_and(|done| !done && length < HEAD) || length >= HEAD);
        }
        for length in [0u32, 15, u32::MAX] {
            let mut wrong = piece;
            wrong[..4].copy_from_slice(&length.to_ne_bytes());
            assert!(take(&wrong, &to, &mut found).is_err());
        }
        let mut refused = piece;
        refused[4] = NLMSG_ERROR as u8;
        assert!(take(&refused, &to, &mut found).is_err());
        assert_eq!(found, []);
    }
}
