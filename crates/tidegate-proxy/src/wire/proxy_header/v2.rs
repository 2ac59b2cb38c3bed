//! Version 2: sixteen bytes, the addresses, and TLVs that are checked for their bounds and not looked into.

use super::{HEADER_MAX, Header, Progress, ProxyHeaderError};
use std::net::{IpAddr, SocketAddr};

pub(super) const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

const FIXED: usize = 16;
const VERSION_LOCAL: u8 = 0x20;
const VERSION_PROXY: u8 = 0x21;
const TCP4: u8 = 0x11;
const TCP6: u8 = 0x21;
const UNIX_STREAM: u8 = 0x31;
const UNSPECIFIED: u8 = 0x00;
const UNIX_ADDRESSES: usize = 216;

pub(super) fn parse(bytes: &[u8]) -> Result<Progress, ProxyHeaderError> {
    let command = bytes.get(12).copied();
    if command.is_some_and(|c| c != VERSION_LOCAL && c != VERSION_PROXY) {
        return Err(ProxyHeaderError::V2("unknown version or command"));
    }
    let Some((fixed, rest)) = bytes.split_first_chunk::<FIXED>() else {
        return Ok(Progress::NeedMore);
    };
    let length = usize::from(u16::from_be_bytes([fixed[14], fixed[15]]));
    if FIXED + length > HEADER_MAX {
        return Err(ProxyHeaderError::TooLong);
    }
    let Some(body) = rest.get(..length) else {
        return Ok(Progress::NeedMore);
    };
    // The family of a LOCAL header and all that follows it must be ignored (2.2).
    let header = if command == Some(VERSION_LOCAL) {
        Header::Local
    } else {
        addresses(fixed[13], body).map_err(ProxyHeaderError::V2)?
    };
    Ok(Progress::Header(header, FIXED + length))
}

fn addresses(family: u8, body: &[u8]) -> Result<Header, &'static str> {
    const SHORT: &str = "too short for its addresses";
    let (header, tlvs) = match family {
        TCP4 => {
            let (a, tlvs) = body.split_first_chunk::<12>().ok_or(SHORT)?;
            let ip = |i: usize| IpAddr::from([a[i], a[i + 1], a[i + 2], a[i + 3]]);
            (tcp(ip(0), ip(4), [a[8], a[9], a[10], a[11]]), tlvs)
        }
        TCP6 => {
            let (source, rest) = body.split_first_chunk::<16>().ok_or(SHORT)?;
            let (destination, rest) = rest.split_first_chunk::<16>().ok_or(SHORT)?;
            let (ports, tlvs) = rest.split_first_chunk::<4>().ok_or(SHORT)?;
            (tcp(IpAddr::from(*source), IpAddr::from(*destination), *ports), tlvs)
        }
        UNIX_STREAM => (Header::Unknown, body.get(UNIX_ADDRESSES..).ok_or(SHORT)?),
        UNSPECIFIED => (Header::Unknown, &[][..]),
        _ => return Err("unknown family or not a stream"),
    };
    check_tlvs(tlvs)?;
    Ok(header)
}

fn tcp(source: IpAddr, destination: IpAddr, ports: [u8; 4]) -> Header {
    Header::Tcp {
        source: SocketAddr::new(source, u16::from_be_bytes([ports[0], ports[1]])),
        destination: SocketAddr::new(destination, u16::from_be_bytes([ports[2], ports[3]])),
    }
}

/// Type (1 byte), length (2), value, until the end.
fn check_tlvs(mut tlvs: &[u8]) -> Result<(), &'static str> {
    const OUTSIDE: &str = "a TLV reaches past the header";
    while !tlvs.is_empty() {
        let (head, rest) = tlvs.split_first_chunk::<3>().ok_or(OUTSIDE)?;
        let length = usize::from(u16::from_be_bytes([head[1], head[2]]));
        tlvs = rest.get(length..).ok_or(OUTSIDE)?;
    }
    Ok(())
}

pub(super) fn encode(source: SocketAddr, destination: SocketAddr, out: &mut Vec<u8>) {
    out.extend_from_slice(SIGNATURE);
    match (source.ip(), destination.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            out.extend_from_slice(&[VERSION_PROXY, TCP4, 0, 12]);
            out.extend_from_slice(&from.octets());
            out.extend_from_slice(&to.octets());
        }
        (from, to) => {
            out.extend_from_slice(&[VERSION_PROXY, TCP6, 0, 36]);
            out.extend_from_slice(&octets6(from));
            out.extend_from_slice(&octets6(to));
        }
    }
    out.extend_from_slice(&source.port().to_be_bytes());
    out.extend_from_slice(&destination.port().to_be_bytes());
}

fn octets6(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    }
}

pub(super) fn encode_local(out: &mut Vec<u8>) {
    out.extend_from_slice(SIGNATURE);
    out.extend_from_slice(&[VERSION_LOCAL, UNSPECIFIED, 0, 0]);
}
