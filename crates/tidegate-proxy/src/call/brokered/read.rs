//! Reads a SOAP request: whole where it fits a block, else as far as one goes; and of who is logged in, whole up to
//! [`BODY_MAX`].

use super::super::body::more;
use super::super::refuse;
use crate::buffer::{BLOCK, Buf, Buffers, Charge};
use crate::connection::{Conn, Next};
use crate::http1::body::Decoder;
use crate::http1::request::Facts;
use crate::http1::{Framing, Refusal};
use crate::setup::Setup;
use crate::soap::Seen;
use crate::vcenter::request::{BODY_MAX, LONG_LOGIN};
use crate::vcenter::{self, Operation, Spoken};
use std::rc::Rc;
use zeroize::Zeroizing;

/// A request that was read.
pub(super) struct Soap {
    pub(super) op: Operation,
    /// All of it, taken out of the buffer; `None`: it is longer than a block.
    pub(super) body: Option<Zeroizing<Vec<u8>>>,
}

/// What became of a body that is longer than a block.
pub(super) enum Long {
    /// It was read whole; it is paid as long as the charge lives.
    Whole(Box<Soap>, Option<Charge>),
    /// It is too long, and streams on from here.
    Begun(Begun),
}

/// The first part of a body that came in chunks and did not end soon enough.
pub(super) struct Begun {
    kept: Kept,
    /// Reads the rest.
    pub(super) rest: Decoder,
}

impl Begun {
    /// Puts it behind a head, as a chunk, and the last one if it is all there is.
    pub(super) fn write_to(&self, request: &mut Vec<u8>) {
        let data = &self.kept.data;
        request.extend_from_slice(format!("{:x}\r\n", data.len()).as_bytes());
        request.extend_from_slice(data);
        request.extend_from_slice(if self.rest.is_done() { b"\r\n0\r\n\r\n" } else { b"\r\n" });
    }
}

/// Bytes of a body. What they lay in before is overwritten when they need more room.
#[derive(Default)]
struct Kept {
    data: Zeroizing<Vec<u8>>,
    charge: Option<Charge>,
}

impl Kept {
    /// False when the budget does not have them. There will be at most `most`.
    fn push(&mut self, bytes: &[u8], most: usize, buffers: &Rc<Buffers>) -> bool {
        let length = self.data.len() + bytes.len();
        if length > self.data.capacity() {
            let capacity = (2 * length).min(most).max(length);
            let Some(charge) = buffers.try_charge(capacity) else { return false };
            let mut larger = Zeroizing::new(Vec::with_capacity(capacity));
            larger.extend_from_slice(&self.data);
            (self.data, self.charge) = (larger, Some(charge));
        }
        self.data.extend_from_slice(bytes);
        true
    }
}

/// Reads until the body is there, or a block is full. `Err`: the client was answered, or has left.
pub(super) async fn soap(
    conn: &mut Conn,
    setup: &Setup,
    buf: &mut Option<Buf>,
    facts: &mut Facts,
) -> Result<Soap, Next> {
    if std::mem::take(&mut facts.expects_continue)
        && !conn.write_all(b"HTTP/1.1 100 Continue\r\n\r\n", setup.io.write_timeout).await
    {
        return Err(Next::Close);
    }
    conn.deadline(setup.io.body_rate_timeout).await;
    buf.iter_mut().for_each(|block| block.keep_secret(true)); // until it is known what it is
    loop {
        let Some(block) = buf.as_mut() else { return Err(Next::Close) };
        let mut decoder = Decoder::new(facts.framing);
        let mut body = Zeroizing::new(block.filled().to_vec());
        let Ok(decoded) = decoder.decode(&mut body) else {
            return Err(bad(conn, Refusal::bad("a body that breaks its framing")).await);
        };
        let whole = decoder.is_done();
        if !whole && !block.is_full() {
            more(conn, block).await?;
            continue;
        }
        body.truncate(decoded.data);
        let op = operation(conn, &body, if whole { Seen::Whole } else { Seen::Cut }).await?;
        block.keep_secret(op.login.is_some());
        if !whole {
            return Ok(Soap { op, body: None });
        }
        block.consume(decoded.used);
        facts.framing = Framing::None;
        return Ok(Soap { op, body: Some(body) });
    }
}

/// Whether a body may be short enough for [`long`].
pub(super) fn fits(framing: Framing) -> bool {
    match framing {
        Framing::Length(n) => n <= BODY_MAX as u64,
        Framing::Chunked => true,
        Framing::None | Framing::UntilClose => false,
    }
}

/// Reads a body to its end, of which the block is full and nothing was taken. Each block of it may take as long as a short
/// body.
pub(super) async fn long(
    conn: &mut Conn,
    setup: &Setup,
    buf: &mut Option<Buf>,
    facts: &mut Facts,
) -> Result<Long, Next> {
    let most = match facts.framing {
        Framing::Length(n) => usize::try_from(n).unwrap_or(usize::MAX),
        _ => BODY_MAX + BLOCK,
    };
    let (mut kept, mut rest, mut came) = (Kept::default(), Decoder::new(facts.framing), BLOCK);
    loop {
        let Some(block) = buf.as_mut() else { return Err(Next::Close) };
        let Ok(decoded) = rest.decode(block.filled_mut()) else {
            return Err(bad(conn, Refusal::bad("a body that breaks its framing")).await);
        };
        if !kept.push(&block.filled()[..decoded.data], most, &conn.home.buffers) {
            return Err(Box::pin(refuse::no_memory(conn)).await);
        }
        block.consume(decoded.used);
        if rest.is_done() || kept.data.len() > BODY_MAX {
            break;
        }
        came += decoded.used;
        if came >= BLOCK {
            conn.deadline(setup.io.body_rate_timeout).await;
            came = 0;
        }
        more(conn, block).await?;
    }
    if kept.data.len() > BODY_MAX {
        facts.keep_alive = false; // where the next request begins is not known to who refuses this one
        return Ok(Long::Begun(Begun { kept, rest }));
    }
    facts.framing = Framing::None;
    let op = operation(conn, &kept.data, Seen::Whole).await?;
    Ok(Long::Whole(Box::new(Soap { op, body: Some(kept.data) }), kept.charge))
}

/// What a body asks for. `Err`: it was refused.
async fn operation(conn: &mut Conn, body: &[u8], seen: Seen) -> Result<Operation, Next> {
    match vcenter::read(body, seen) {
        Spoken::Operation(op) => Ok(*op),
        Spoken::Refused(LONG_LOGIN) => Err(bad(conn, Refusal::with(413, LONG_LOGIN)).await),
        Spoken::Refused(why) => Err(bad(conn, Refusal::bad(why)).await),
        Spoken::NeedMore | Spoken::NotSoap => Err(bad(conn, Refusal::bad("a body that is not SOAP")).await),
    }
}

async fn bad(conn: &mut Conn, refusal: Refusal) -> Next {
    Box::pin(refuse::bad_request(conn, refusal)).await
}
