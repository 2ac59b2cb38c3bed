//! The PROXY protocol (haproxy's proxy-protocol.txt, versions 1 and 2): who connected to the balancer in front of us.
//!
//! [`parse`] reads a header from the first bytes of a connection, strictly: one that is not exactly as the text says is
//! an error, never "probably no header". [`encode`] writes one for the server behind us.

mod v1;
mod v2;

use std::net::{IpAddr, SocketAddr};

/// Longest header that is read, in bytes. Version 1 allows 107; version 2 could be 65 551, but addresses take 52 at the
/// most and what balancers add to them (TLVs: authority, TLS subject, endpoint ids) stays far below this.
pub const HEADER_MAX: usize = 4096;

/// Who a connection is from, as the balancer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Header {
    /// The balancer's own connection (a health check): there is no client behind it. Version 2 only.
    Local,
    /// A client whose addresses the balancer does not know, or that has none (a Unix socket).
    Unknown,
    /// A client over TCP.
    Tcp {
        /// The client.
        source: SocketAddr,
        /// Where it connected to.
        destination: SocketAddr,
    },
}

impl Header {
    /// The client's address, when the header names one.
    pub fn source(&self) -> Option<SocketAddr> {
        match self {
            Header::Tcp { source, .. } => Some(*source),
            Header::Local | Header::Unknown => None,
        }
    }
}

/// What the bytes so far are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The beginning of a header; more bytes are needed, never more than [`HEADER_MAX`] in all.
    NeedMore,
    /// A whole header, and how many bytes it took.
    Header(Header, usize),
}

/// Why bytes are not a PROXY header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProxyHeaderError {
    /// Neither version's signature: a client that came past the balancer, or a balancer that does not send the header.
    #[error("the connection does not begin with a PROXY header; check that the balancer sends one")]
    Missing,
    /// Version 1, and not as the text says.
    #[error("malformed PROXY v1 header: {0}")]
    V1(&'static str),
    /// Version 2, and not as the text says.
    #[error("malformed PROXY v2 header: {0}")]
    V2(&'static str),
    /// Longer than [`HEADER_MAX`].
    #[error("PROXY header of more than {HEADER_MAX} bytes")]
    TooLong,
}

/// Which version to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// Text.
    V1,
    /// Binary.
    V2,
}

/// Reads a header from the beginning of `bytes`: all that came over the connection so far, maybe with what follows the
/// header behind it.
///
/// # Errors
/// As soon as the bytes cannot become a valid header.
pub fn parse(bytes: &[u8]) -> Result<Progress, ProxyHeaderError> {
    if common_prefix(bytes, v1::SIGNATURE) {
        v1::parse(bytes)
    } else if common_prefix(bytes, v2::SIGNATURE) {
        v2::parse(bytes)
    } else {
        Err(ProxyHeaderError::Missing)
    }
}

/// Appends a header that says that `source` connected to `destination`. Where only one of them is IPv6, both are
/// written as IPv6 (the other one mapped), for a header has one family.
pub fn encode(version: Version, source: SocketAddr, destination: SocketAddr, out: &mut Vec<u8>) {
    let (source, destination) = same_family(source, destination);
    match version {
        Version::V1 => v1::encode(source, destination, out),
        Version::V2 => v2::encode(source, destination, out),
    }
}

/// Appends a header for a connection of the gate's own (a probe), which has no client behind it.
pub fn encode_local(version: Version, out: &mut Vec<u8>) {
    match version {
        Version::V1 => v1::encode_unknown(out),
        Version::V2 => v2::encode_local(out),
    }
}

/// Whether one of the two begins with the other.
fn common_prefix(bytes: &[u8], signature: &[u8]) -> bool {
    let n = bytes.len().min(signature.len());
    bytes[..n] == signature[..n]
}

fn same_family(a: SocketAddr, b: SocketAddr) -> (SocketAddr, SocketAddr) {
    match (a.ip().to_canonical(), b.ip().to_canonical()) {
        (IpAddr::V4(x), IpAddr::V6(y)) => (at(x.to_ipv6_mapped().into(), a), at(y.into(), b)),
        (IpAddr::V6(x), IpAddr::V4(y)) => (at(x.into(), a), at(y.to_ipv6_mapped().into(), b)),
        (x, y) => (at(x, a), at(y, b)),
    }
}

fn at(ip: IpAddr, from: SocketAddr) -> SocketAddr {
    SocketAddr::new(ip, from.port())
}

#[cfg(test)]
mod tests;
