//! Reads a SOAP request: whole where it fits a block, else as far as one goes.

use super::super::body::more;
use super::super::refuse;
use crate::buffer::Buf;
use crate::connection::{Conn, Next};
use crate::http1::body::Decoder;
use crate::http1::request::Facts;
use crate::http1::{Framing, Refusal};
use crate::setup::Setup;
use crate::soap::Seen;
use crate::vcenter::{self, Operation, Spoken};
use zeroize::Zeroizing;

/// A request that was read.
pub(super) struct Soap {
    pub(super) op: Operation,
    /// All of it, taken out of the buffer; `None`: it is longer than a block, and streams.
    pub(super) body: Option<Zeroizing<Vec<u8>>>,
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
        let op = match vcenter::read(&body, if whole { Seen::Whole } else { Seen::Cut }) {
            Spoken::Operation(op) => *op,
            Spoken::Refused(why) => return Err(bad(conn, Refusal::bad(why)).await),
            Spoken::NeedMore | Spoken::NotSoap => {
                return Err(bad(conn, Refusal::bad("a body that is not SOAP")).await);
            }
        };
        block.keep_secret(op.login.is_some());
        if !whole {
            return Ok(Soap { op, body: None });
        }
        block.consume(decoded.used);
        facts.framing = Framing::None;
        return Ok(Soap { op, body: Some(body) });
    }
}

async fn bad(conn: &mut Conn, refusal: Refusal) -> Next {
    Box::pin(refuse::bad_request(conn, refusal)).await
}
