//! `/proc/net/tcp` and `tcp6`, where netlink is not to be had: proc(5).

use super::{Connection, MOST, STATES};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::net::{IpAddr, SocketAddr};

/// Every connection to these ports that holds its tuple.
pub(super) fn connections(to: &BTreeSet<u16>) -> io::Result<Vec<Connection>> {
    let mut found = Vec::new();
    for name in ["/proc/net/tcp", "/proc/net/tcp6"] {
        let file = match File::open(name) {
            Err(error) if name.ends_with('6') && error.kind() == io::ErrorKind::NotFound => continue, // no IPv6 here
            opened => opened?,
        };
        for line in BufReader::new(file).lines() {
            found.extend(connection(&line?).filter(|c| to.contains(&c.to.port()) && found.len() < MOST));
        }
    }
    Ok(found)
}

/// One line: number, address here, address there, state, and more.
fn connection(line: &str) -> Option<Connection> {
    let mut words = line.split_whitespace().skip(1);
    let (from, to, state) = (words.next()?, words.next()?, words.next()?);
    if !STATES.contains(&u8::from_str_radix(state, 16).ok()?) {
        return None;
    }
    Some(Connection::new(address(from)?, address(to)?))
}

/// `0100007F:1F90`: words of 32 bits in the machine's order, in hexadecimal.
fn address(text: &str) -> Option<SocketAddr> {
    let (host, port) = text.split_once(':')?;
    let mut bytes = Vec::with_capacity(16);
    for at in (0..host.len()).step_by(8) {
        bytes.extend(u32::from_str_radix(host.get(at..at + 8)?, 16).ok()?.to_ne_bytes());
    }
    let ip = match bytes[..] {
        [a, b, c, d] => IpAddr::from([a, b, c, d]),
        _ => IpAddr::from(<[u8; 16]>::try_from(bytes).ok()?),
    };
    Some(SocketAddr::new(ip, u16::from_str_radix(port, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_are_none_are_nothing() {
        let head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode";
        for line in [head, "", "0: 0100007F 0100007F:01BB 01", "0: 0100007F:1F90 0100007F:01BB 0A", "0: é:1 é:1 01"] {
            assert_eq!(connection(line), None, "{line}");
        }
        assert!(connection("0: 0100007F:1F90 0100007F:01BB 01 00000000:00000000").is_some());
    }
}
