//! The two hellos, the only messages of a handshake that every version sends in clear.

use super::super::bytes::{be16, from, up_to};

/// Longest hello that is believed: the 2^16 bytes of its extensions, and what stands before them.
const HELLO_MAX: usize = 1 << 17;
/// Longest host name (RFC 1035 §2.3.4).
pub(super) const NAME_MAX: usize = 253;
const CLIENT_HELLO: u8 = 1;
const SERVER_HELLO: u8 = 2;
pub(super) const SERVER_NAME: u16 = 0;
pub(super) const SUPPORTED_VERSIONS: u16 = 43;
/// The random of a ServerHello that asks for another ClientHello (RFC 8446 §4.1.3): its first eight bytes.
pub(super) const RETRY: [u8; 8] = [0xCF, 0x21, 0xAD, 0x74, 0xE5, 0x9A, 0x61, 0x11];

/// What a client asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClientHello<'a> {
    /// The server's name as it was written: letters, digits, dots, dashes and underlines. With `cut`, it may not have been kept.
    pub name: Option<&'a str>,
    /// The newest version that it takes (0x0304 is TLS 1.3). With `cut` it may take newer ones.
    pub newest: u16,
    /// Its end was not kept.
    pub cut: bool,
}

/// What a server agreed to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServerHello {
    /// The version (0x0304 is TLS 1.3). With `cut`, 0x0303 may stand for a newer one.
    pub version: u16,
    /// The number of the cipher suite; 0 if it was not kept.
    pub suite: u16,
    /// It wants another ClientHello first.
    pub retry: bool,
    /// Its end was not kept.
    pub cut: bool,
}

/// A hello.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hello<'a> {
    /// Of a client.
    Client(ClientHello<'a>),
    /// Of a server.
    Server(ServerHello),
}

/// The name of a version.
pub fn version(number: u16) -> &'static str {
    match number {
        0x0300 => "SSL 3.0",
        0x0301 => "TLS 1.0",
        0x0302 => "TLS 1.1",
        0x0303 => "TLS 1.2",
        0x0304 => "TLS 1.3",
        _ => "unknown",
    }
}

/// The hello that such content of a record begins with.
pub(super) fn read(kept: &[u8]) -> Option<Hello<'_>> {
    let [kind, high, middle, low, body @ ..] = kept else { return None };
    let length = usize::from(*high) << 16 | usize::from(*middle) << 8 | usize::from(*low);
    if length > HELLO_MAX {
        return None;
    }
    let mut read = Read { kept: up_to(body, length), length };
    let cut = read.kept.len() < length;
    match *kind {
        CLIENT_HELLO => {
            let mut hello = ClientHello::default();
            hello.cut = told(client(&mut hello, &mut read))? || cut;
            (hello.newest != 0).then_some(Hello::Client(hello))
        }
        SERVER_HELLO => {
            let mut hello = ServerHello::default();
            hello.cut = told(server(&mut hello, &mut read))? || cut;
            (hello.version != 0).then_some(Hello::Server(hello))
        }
        _ => None,
    }
}

/// Why a hello was not read to its end.
enum Stop {
    /// It goes on, but not in the capture.
    Cut,
    /// It contradicts itself.
    Bad,
}

/// Whether it was cut; `None`: it is no hello.
fn told(read: Result<(), Stop>) -> Option<bool> {
    match read {
        Ok(()) => Some(false),
        Err(Stop::Cut) => Some(true),
        Err(Stop::Bad) => None,
    }
}

fn client<'a>(hello: &mut ClientHello<'a>, read: &mut Read<'a>) -> Result<(), Stop> {
    hello.newest = legacy(read)?;
    read.take(32)?;
    if read.vec8()?.length > 32 {
        return Err(Stop::Bad);
    }
    let suites = read.vec16()?.length;
    if suites < 2 || !suites.is_multiple_of(2) || read.vec8()?.length == 0 {
        return Err(Stop::Bad);
    }
    extensions(read, |kind, mut body| match kind {
        SERVER_NAME if hello.name.is_some() => Err(Stop::Bad),
        SERVER_NAME => {
            hello.name = Some(name(&mut body)?);
            Ok(())
        }
        SUPPORTED_VERSIONS => {
            let mut list = body.vec8()?;
            while list.length > 0 {
                // Others are drafts, or made up so that servers stay used to strange ones (RFC 8701).
                hello.newest = match list.u16()? {
                    known @ 0x0300..=0x0304 => hello.newest.max(known),
                    _ => hello.newest,
                };
            }
            Ok(())
        }
        _ => Ok(()),
    })
}

fn server<'a>(hello: &mut ServerHello, read: &mut Read<'a>) -> Result<(), Stop> {
    hello.version = legacy(read)?;
    hello.retry = read.take(32)?.starts_with(&RETRY);
    if read.vec8()?.length > 32 {
        return Err(Stop::Bad);
    }
    hello.suite = read.u16()?;
    read.take(1)?;
    extensions(read, |kind, mut body| {
        if kind == SUPPORTED_VERSIONS {
            hello.version = body.u16()?;
        }
        Ok(())
    })
}

/// The version before there were extensions for it.
fn legacy(read: &mut Read<'_>) -> Result<u16, Stop> {
    read.u16().and_then(|version| if matches!(version, 0x0300..=0x0303) { Ok(version) } else { Err(Stop::Bad) })
}

/// Each extension; there may be none.
fn extensions<'a>(read: &mut Read<'a>, mut each: impl FnMut(u16, Read<'a>) -> Result<(), Stop>) -> Result<(), Stop> {
    if read.length == 0 {
        return Ok(());
    }
    let mut list = read.vec16()?;
    if read.length > 0 {
        return Err(Stop::Bad);
    }
    while list.length > 0 {
        let kind = list.u16()?;
        each(kind, list.vec16()?)?;
    }
    Ok(())
}

/// The host name of RFC 6066 §3.
fn name<'a>(body: &mut Read<'a>) -> Result<&'a str, Stop> {
    let mut list = body.vec16()?;
    let kind = list.take(1)?;
    let length = usize::from(list.u16()?);
    let name = list.take(length)?;
    let plain = name.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'));
    if kind != [0] || !plain || !(1..=NAME_MAX).contains(&length) {
        return Err(Stop::Bad);
    }
    std::str::from_utf8(name).map_err(|_| Stop::Bad)
}

/// Bytes that were kept, of as many as there were.
struct Read<'a> {
    kept: &'a [u8],
    length: usize,
}

impl<'a> Read<'a> {
    fn part(&mut self, length: usize) -> Result<Read<'a>, Stop> {
        self.length = self.length.checked_sub(length).ok_or(Stop::Bad)?;
        let part = Read { kept: up_to(self.kept, length), length };
        self.kept = from(self.kept, length);
        Ok(part)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Stop> {
        let part = self.part(length)?;
        if part.kept.len() < length { Err(Stop::Cut) } else { Ok(part.kept) }
    }

    fn u16(&mut self) -> Result<u16, Stop> {
        be16(self.take(2)?, 0).ok_or(Stop::Cut)
    }

    /// Bytes behind a length of one byte.
    fn vec8(&mut self) -> Result<Read<'a>, Stop> {
        let length = self.take(1)?.first().copied().ok_or(Stop::Cut)?;
        self.part(usize::from(length))
    }

    /// Bytes behind a length of two bytes.
    fn vec16(&mut self) -> Result<Read<'a>, Stop> {
        let length = self.u16()?;
        self.part(usize::from(length))
    }
}
