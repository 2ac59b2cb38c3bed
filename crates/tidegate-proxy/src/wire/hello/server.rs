//! What a server has agreed to, from its ServerHello: enough to read the records that follow.

use super::read::Read;
use super::{Gathered, HelloError, PRE_SHARED_KEY, SERVER_HELLO, SUPPORTED_VERSIONS, TLS13, gather};

/// The random of a ServerHello that is a request for another ClientHello (RFC 8446, 4.1.3).
const RETRY: [u8; 32] = [
    0xCF, 0x21, 0xAD, 0x74, 0xE5, 0x9A, 0x61, 0x11, 0xBE, 0x1D, 0x8C, 0x02, 0x1E, 0x65, 0xB8, 0x91, 0xC2, 0xA2, 0x11,
    0x16, 0x7A, 0xBB, 0x8C, 0x5E, 0x07, 0x9E, 0x09, 0xE2, 0xC8, 0xA8, 0x33, 0x9C,
];

/// What a server has agreed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerHello {
    /// TLS 1.3, else an older one.
    pub tls13: bool,
    /// A session of TLS 1.3 is resumed.
    pub resumed: bool,
    /// It wants another ClientHello first; another ServerHello will follow.
    pub retry: bool,
    /// The cipher suite's number.
    pub suite: u16,
}

/// Reads it from the beginning of `bytes`: all that the server has sent so far. `Ok(None)`: more bytes are needed.
///
/// # Errors
/// When it is something else: an alert, for one.
pub fn parse(bytes: &[u8]) -> Result<Option<ServerHello>, HelloError> {
    match gather(bytes, SERVER_HELLO)? {
        Gathered::Part => Ok(None),
        Gathered::Whole(message) => read(&message).map(Some).ok_or(HelloError::Malformed("not a ServerHello")),
    }
}

fn read(body: &[u8]) -> Option<ServerHello> {
    let mut read = Read(body);
    read.u16()?;
    let retry = read.take(32)? == RETRY;
    read.vec8()?;
    let suite = read.u16()?;
    read.u8()?;
    let mut hello = ServerHello { tls13: false, resumed: false, retry, suite };
    if read.done() {
        return Some(hello);
    }
    let mut extensions = read.vec16()?;
    while !extensions.done() {
        let (kind, mut body) = (extensions.u16()?, extensions.vec16()?);
        match kind {
            SUPPORTED_VERSIONS => hello.tls13 = body.u16()? == TLS13,
            PRE_SHARED_KEY => hello.resumed = true,
            _ => {}
        }
    }
    Some(hello)
}
