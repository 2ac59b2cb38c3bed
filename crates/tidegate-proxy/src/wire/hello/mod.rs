//! The hellos, the only parts of a TLS handshake that are in clear: where a client wants to go ([`parse`]) and what a
//! server has agreed to ([`server`]).

mod read;
pub mod server;

use super::record::{Content, HEADER, Record};
use read::Read;
use std::borrow::Cow;

/// Most bytes of a connection that are read for its hello. With post-quantum keys a hello has about 2 KiB.
pub const HELLO_MAX: usize = 16 * 1024;

/// Longest host name (RFC 1035).
const NAME_MAX: usize = 253;
/// Most extensions; browsers send about 20.
const EXTENSIONS_MAX: usize = 128;

const CLIENT_HELLO: u8 = 1;
const SERVER_HELLO: u8 = 2;

const SERVER_NAME: u16 = 0;
const ALPN: u16 = 16;
const PRE_SHARED_KEY: u16 = 41;
const EARLY_DATA: u16 = 42;
const SUPPORTED_VERSIONS: u16 = 43;
const PSK_MODES: u16 = 45;
const TLS12: u16 = 0x0303;
const TLS13: u16 = 0x0304;

/// What a client asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientHello {
    /// The server's name, in lower case and without a dot at its end.
    pub server_name: Option<String>,
    /// The protocols that it speaks, best first; empty when it does not say.
    pub alpn: Vec<Vec<u8>>,
    /// Whether it takes TLS 1.2.
    pub tls12: bool,
    /// Whether it takes TLS 1.3.
    pub tls13: bool,
    /// Whether it would resume a session of TLS 1.3 later, and so can be sent tickets.
    pub takes_tickets: bool,
    /// Whether it offers to resume a session of TLS 1.3 now.
    pub resumes: bool,
    /// Whether it sends its request with the hello (0-RTT).
    pub early_data: bool,
}

/// What the bytes so far are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The beginning of a hello; never said of [`HELLO_MAX`] bytes.
    NeedMore,
    /// A whole one.
    Hello(ClientHello),
}

/// Why bytes are not a hello.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HelloError {
    /// Something other than TLS, such as cleartext HTTP.
    #[error("the connection does not begin with a TLS handshake")]
    NotTls,
    /// TLS, and not as its text says.
    #[error("malformed ClientHello: {0}")]
    Malformed(&'static str),
    /// Longer than [`HELLO_MAX`].
    #[error("ClientHello of more than {HELLO_MAX} bytes")]
    TooLong,
}

/// Reads the hello from the beginning of `bytes`: all that came over the connection so far, maybe with more behind it.
///
/// # Errors
/// As soon as the bytes cannot become a hello.
pub fn parse(bytes: &[u8]) -> Result<Progress, HelloError> {
    let message = match gather(bytes, CLIENT_HELLO)? {
        Gathered::Whole(message) => message,
        Gathered::Part if bytes.len() >= HELLO_MAX => return Err(HelloError::TooLong),
        Gathered::Part => return Ok(Progress::NeedMore),
    };
    client_hello(&message).map(Progress::Hello).map_err(HelloError::Malformed)
}

enum Gathered<'a> {
    Part,
    /// The message without its type and length.
    Whole(Cow<'a, [u8]>),
}

/// Puts the first handshake message together, which must be of this kind, from the records that it is spread over.
fn gather(mut bytes: &[u8], kind: u8) -> Result<Gathered<'_>, HelloError> {
    let mut message: Cow<[u8]> = Cow::Borrowed(&[]);
    let mut first = true;
    loop {
        if bytes.first().is_some_and(|content| *content != 22) {
            return Err(if first { HelloError::NotTls } else { HelloError::Malformed("broken off by another record") });
        }
        let record = Record::read(bytes).map_err(|_| match first {
            true => HelloError::NotTls,
            false => HelloError::Malformed("broken off by something that is not TLS"),
        })?;
        let Some(Record { content: Content::Handshake, length }) = record else { return Ok(Gathered::Part) };
        if length == 0 {
            return Err(HelloError::Malformed("an empty record"));
        }
        let end = bytes.len().min(HEADER + length);
        let content = &bytes[HEADER..end];
        if message.is_empty() {
            message = Cow::Borrowed(content);
        } else {
            message.to_mut().extend_from_slice(content);
        }
        if message.first().is_some_and(|first| *first != kind) {
            return Err(HelloError::Malformed("another message in its place"));
        }
        if let Some(head) = message.first_chunk::<4>() {
            let wanted = 4 + usize::from(u16::from_be_bytes([head[2], head[3]])) + (usize::from(head[1]) << 16);
            if wanted > HELLO_MAX {
                return Err(HelloError::TooLong);
            }
            if message.len() >= wanted {
                return Ok(Gathered::Whole(match message {
                    Cow::Borrowed(bytes) => Cow::Borrowed(&bytes[4..wanted]),
                    Cow::Owned(bytes) => Cow::Owned(bytes[4..wanted].to_vec()),
                }));
            }
        }
        if end < HEADER + length {
            return Ok(Gathered::Part);
        }
        bytes = &bytes[end..];
        first = false;
    }
}

fn client_hello(message: &[u8]) -> Result<ClientHello, &'static str> {
    const SHORT: &str = "shorter than its own lengths";
    let mut read = Read(message);
    let version = read.u16().ok_or(SHORT)?;
    read.take(32).ok_or(SHORT)?;
    if read.vec8().ok_or(SHORT)?.0.len() > 32 {
        return Err("a session id of more than 32 bytes");
    }
    let suites = read.vec16().ok_or(SHORT)?.0.len();
    if suites < 2 || suites % 2 != 0 {
        return Err("a bad list of cipher suites");
    }
    if read.vec8().ok_or(SHORT)?.done() {
        return Err("no compression method");
    }
    let mut hello = ClientHello { tls12: version >= TLS12, ..ClientHello::default() };
    if read.done() {
        return Ok(hello); // TLS 1.2 may have no extensions at all
    }
    let mut extensions = read.vec16().ok_or(SHORT)?;
    if !read.done() {
        return Err("bytes behind its extensions");
    }
    let mut seen = Vec::new();
    while !extensions.done() {
        let (kind, body) = extensions.u16().zip(extensions.vec16()).ok_or(SHORT)?;
        if seen.contains(&kind) || seen.len() == EXTENSIONS_MAX {
            return Err("an extension twice, or too many of them");
        }
        seen.push(kind);
        extension(&mut hello, kind, body).ok_or("a malformed extension")?;
    }
    Ok(hello)
}

/// `None`: malformed.
fn extension(hello: &mut ClientHello, kind: u16, mut body: Read) -> Option<()> {
    match kind {
        SERVER_NAME => hello.server_name = Some(server_name(&mut body)?),
        ALPN => {
            let mut list = body.vec16()?;
            while !list.done() {
                let protocol = list.vec8()?.0;
                (!protocol.is_empty()).then(|| hello.alpn.push(protocol.to_vec()))?;
            }
            (!hello.alpn.is_empty()).then_some(())?;
        }
        SUPPORTED_VERSIONS => {
            let mut list = body.vec8()?;
            hello.tls12 = false;
            while !list.done() {
                match list.u16()? {
                    TLS12 => hello.tls12 = true,
                    TLS13 => hello.tls13 = true,
                    _ => {}
                }
            }
        }
        PRE_SHARED_KEY => {
            hello.resumes = true;
            return Some(());
        }
        PSK_MODES => {
            let modes = body.vec8()?;
            hello.takes_tickets = !modes.done();
        }
        EARLY_DATA => hello.early_data = true,
        _ => return Some(()),
    }
    body.done().then_some(())
}

/// Exactly one host name (RFC 6066, 3), of characters that host names have.
fn server_name(body: &mut Read) -> Option<String> {
    let mut list = body.vec16()?;
    if list.u8()? != 0 {
        return None;
    }
    let name = list.vec16()?.0;
    let name = name.strip_suffix(b".").unwrap_or(name);
    let plain = name.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'));
    if !list.done() || !plain || name.is_empty() || name.len() > NAME_MAX {
        return None;
    }
    std::str::from_utf8(name).ok().map(str::to_ascii_lowercase)
}

#[cfg(test)]
mod tests;
