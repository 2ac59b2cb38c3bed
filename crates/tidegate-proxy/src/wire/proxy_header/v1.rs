//! Version 1: one line of text.

use super::{Header, Progress, ProxyHeaderError};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

pub(super) const SIGNATURE: &[u8] = b"PROXY ";

/// Longest line with its CRLF (proxy-protocol.txt, 2.1).
const LINE_MAX: usize = 107;

pub(super) fn parse(bytes: &[u8]) -> Result<Progress, ProxyHeaderError> {
    let window = &bytes[..bytes.len().min(LINE_MAX)];
    let Some(end) = memchr::memchr2(b'\r', b'\n', window) else {
        return if window.len() == LINE_MAX {
            Err(ProxyHeaderError::V1("no end of line within 107 bytes"))
        } else {
            Ok(Progress::NeedMore)
        };
    };
    match window[end..] {
        [b'\r', b'\n', ..] => {}
        [b'\r'] if end + 1 < LINE_MAX => return Ok(Progress::NeedMore),
        _ => return Err(ProxyHeaderError::V1("the line does not end with CRLF")),
    }
    let header = line(window.get(SIGNATURE.len()..end).unwrap_or_default()).map_err(ProxyHeaderError::V1)?;
    Ok(Progress::Header(header, end + 2))
}

/// What stands between the signature and the end of the line.
fn line(rest: &[u8]) -> Result<Header, &'static str> {
    let text = std::str::from_utf8(rest).map_err(|_| "not ASCII")?;
    let mut words = text.split(' ');
    match words.next() {
        Some("TCP4") => addresses::<Ipv4Addr>(words),
        Some("TCP6") => addresses::<Ipv6Addr>(words),
        // What follows UNKNOWN must be ignored (2.1).
        Some("UNKNOWN") => Ok(Header::Unknown),
        _ => Err("unknown family; TCP4, TCP6 or UNKNOWN expected"),
    }
}

fn addresses<'a, A: FromStr + Into<IpAddr>>(mut words: impl Iterator<Item = &'a str>) -> Result<Header, &'static str> {
    let mut address = || words.next().and_then(|w| w.parse::<A>().ok()).map(Into::into);
    let (Some(source), Some(destination)) = (address(), address()) else {
        return Err("bad address");
    };
    let mut number = || words.next().and_then(port);
    let (Some(source_port), Some(destination_port)) = (number(), number()) else {
        return Err("bad port");
    };
    if words.next().is_some() {
        return Err("more words than expected");
    }
    Ok(Header::Tcp {
        source: SocketAddr::new(source, source_port),
        destination: SocketAddr::new(destination, destination_port),
    })
}

/// Decimal, without sign or leading zeroes (2.1).
fn port(word: &str) -> Option<u16> {
    let canonical = word.bytes().all(|b| b.is_ascii_digit()) && (word.len() == 1 || !word.starts_with('0'));
    canonical.then(|| word.parse().ok()).flatten()
}

pub(super) fn encode(source: SocketAddr, destination: SocketAddr, out: &mut Vec<u8>) {
    let family = if source.is_ipv4() { "TCP4" } else { "TCP6" };
    let (from, to) = (source.ip(), destination.ip());
    let line = format!("PROXY {family} {from} {to} {} {}\r\n", source.port(), destination.port());
    out.extend_from_slice(line.as_bytes());
}

pub(super) fn encode_unknown(out: &mut Vec<u8>) {
    out.extend_from_slice(b"PROXY UNKNOWN\r\n");
}
