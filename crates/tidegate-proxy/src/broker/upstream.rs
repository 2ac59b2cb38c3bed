//! What the gate itself asks a server, on a connection that a call has: a short request, and its answer whole.

use super::lines;
use crate::http1::body::Decoder;
use crate::http1::fields::is;
use crate::http1::request::{FieldRoom, Method};
use crate::http1::response::{Facts, Response};
use crate::http1::scan::Scan;
use crate::pool::ServerConn;
use crate::service::{Decision, Ticket};
use crate::stream::Stream;
use crate::vcenter::{cookie, write};
use std::future::{Future, poll_fn};
use std::mem::MaybeUninit;
use std::task::{Poll, ready};
use tidegate_core::admission::Outcome;
use tidegate_core::reason::{End, Step, Who};
use zeroize::Zeroizing;

/// Longest head of an answer.
const HEAD_MAX: usize = 16 << 10;
/// Bytes that are read at once.
const ROOM: usize = 4 << 10;
/// Longest answer that is read whole: what has to be understood, and lists of sessions.
pub(crate) const ANSWER_MAX: usize = 1 << 20;

/// An answer.
pub(crate) struct Said {
    pub(crate) status: u16,
    /// The session that it opens.
    pub(crate) token: Option<Zeroizing<String>>,
    /// Its Content-Type.
    pub(crate) kind: String,
    pub(crate) body: Vec<u8>,
}

/// Why there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AskFailed {
    /// The server had closed the connection before: it has seen nothing.
    Stale,
    /// The connection that was used before broke before any answer; most likely it has seen nothing.
    Lost,
    /// The connection broke, or the answer is none; the server may have done what it was asked.
    Broken,
    /// The answer is longer than [`ANSWER_MAX`].
    TooLong,
    /// The server took longer than the machine allows.
    Late,
    /// The client left before anything was sent.
    Left,
}

/// A request of the gate's own. It may hold a password or a cookie, and is overwritten when dropped.
pub(crate) fn request(host: &str, cookie: Option<&str>, ask: &write::Ask) -> Zeroizing<Vec<u8>> {
    let session = cookie.map(|cookie| format!("Cookie: {}=\"{cookie}\"\r\n", cookie::SOAP)).map(Zeroizing::new);
    let mut bytes = Zeroizing::new(Vec::with_capacity(512 + ask.body.len()));
    for part in [
        "POST /sdk HTTP/1.1\r\nHost: ",
        host,
        "\r\nUser-Agent: tidegate\r\nContent-Type: ",
        write::CONTENT_TYPE,
        "\r\nSOAPAction: ",
        ask.soap_action,
        "\r\n",
        session.as_deref().map_or("", String::as_str),
        "Content-Length: ",
        &ask.body.len().to_string(),
        "\r\n\r\n",
    ] {
        bytes.extend_from_slice(part.as_bytes());
    }
    bytes.extend_from_slice(&ask.body);
    bytes
}

/// The value of `Authorization` that logs in with user and password.
pub(crate) fn basic(user: &str, password: &str) -> Zeroizing<String> {
    let plain = Zeroizing::new(format!("{user}:{password}"));
    let mut coded = Zeroizing::new(String::with_capacity(plain.len() * 2 + 8));
    coded.push_str("Basic ");
    for three in plain.as_bytes().chunks(3) {
        let byte = |at: usize| u32::from(three.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for at in 0..4 {
            let sign = SIGNS.get((bits >> (18 - 6 * at) & 63) as usize).copied().unwrap_or(b'=');
            coded.push(if at <= three.len() { char::from(sign) } else { '=' });
        }
    }
    coded
}

/// The alphabet of base64 (RFC 4648 §4).
const SIGNS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// `POST /api/session`.
pub(crate) fn create_session(host: &str, basic: &str) -> Zeroizing<Vec<u8>> {
    let lines = ["POST /api/session HTTP/1.1\r\nHost: ", host, "\r\nUser-Agent: tidegate\r\nAuthorization: ", basic];
    let mut bytes = Zeroizing::new(Vec::with_capacity(256 + basic.len()));
    lines.iter().for_each(|part| bytes.extend_from_slice(part.as_bytes()));
    bytes.extend_from_slice(b"\r\nvmware-use-header-authn: true\r\nContent-Length: 0\r\n\r\n");
    bytes
}

/// Asks about the session of REST with this token (`GET`), or ends it (`DELETE`).
pub(crate) fn api_session(method: &str, host: &str, token: &str) -> Zeroizing<Vec<u8>> {
    let head = format!(
        "{method} /api/session HTTP/1.1\r\nHost: {host}\r\nUser-Agent: tidegate\r\nvmware-api-session-id: {token}\r\n\r\n"
    );
    Zeroizing::new(head.into_bytes())
}

/// Tells the machine how a call went whose last answer this is.
pub(crate) fn finish(ticket: Ticket, said: Result<&Said, AskFailed>) {
    let end = |step| End { who: Who::Server, step };
    match said {
        Ok(said) if matches!(said.status, 429 | 503) => ticket.done(Outcome::Overload, end(Step::Done), said.status),
        Ok(said) => ticket.done(Outcome::Answered { opened: None, closed: false }, end(Step::Done), said.status),
        Err(AskFailed::Late) => ticket.abandon(end(Step::Wait), 504),
        Err(AskFailed::Left) => ticket.done(Outcome::Incomplete, End { who: Who::Client, step: Step::Connect }, 0),
        Err(_) => ticket.done(Outcome::Broken, end(Step::Wait), 502),
    }
}

/// Sends `request` and reads the answer. After an error, and when the server closes it, the connection is of no use any
/// more: `false`.
pub(crate) async fn ask(
    ticket: Option<&Ticket>,
    conn: &mut ServerConn,
    request: &[u8],
) -> (Result<Said, AskFailed>, bool) {
    let reused = conn.reused;
    let Some(stream) = conn.stream() else { return (Err(AskFailed::Broken), false) };
    stream.begin();
    let mut asking = Box::pin(converse(stream, request, reused));
    let came = poll_fn(|cx| {
        if let Poll::Ready(came) = asking.as_mut().poll(cx) {
            return Poll::Ready(came);
        }
        match ticket.map(Ticket::poll_mail) {
            Some(Poll::Ready(Decision::Expire)) => Poll::Ready(Err(AskFailed::Late)),
            _ => Poll::Pending,
        }
    })
    .await;
    drop(asking);
    conn.reused = true;
    match came {
        Ok((said, again)) => (Ok(said), again),
        Err(failed) => (Err(failed), false),
    }
}

async fn converse(stream: &mut Stream, request: &[u8], reused: bool) -> Result<(Said, bool), AskFailed> {
    let lost = |stream: &Stream, heard: bool| match (reused && !heard, stream.said()) {
        (true, false) => AskFailed::Stale,
        (true, true) => AskFailed::Lost,
        (false, _) => AskFailed::Broken,
    };
    let mut at = 0;
    let sent = poll_fn(|cx| {
        while let Some(rest) = request.get(at..).filter(|rest| !rest.is_empty()) {
            at += ready!(stream.poll_write(cx, rest))?;
        }
        stream.poll_flush(cx)
    });
    if sent.await.is_err() {
        return Err(lost(stream, false));
    }
    let (mut bytes, mut scan) = (Vec::new(), Scan::default());
    let (facts, token, kind) = loop {
        match scan.look(&bytes) {
            Ok(Some(end)) => {
                let told = head(bytes.get(..end).unwrap_or_default()).ok_or(AskFailed::Broken)?;
                bytes.drain(..end);
                if (100..200).contains(&told.0.status) && told.0.status != 101 {
                    scan = Scan::default();
                    continue;
                }
                break told;
            }
            Ok(None) if bytes.len() < HEAD_MAX => {}
            _ => return Err(AskFailed::Broken),
        }
        if !more(stream, &mut bytes).await {
            return Err(lost(stream, !bytes.is_empty()));
        }
    };
    let mut decoder = Decoder::new(facts.framing);
    let (mut body, mut rest) = (Vec::new(), bytes);
    loop {
        let decoded = decoder.decode(&mut rest).map_err(|_| AskFailed::Broken)?;
        body.extend_from_slice(rest.get(..decoded.data).unwrap_or_default());
        rest.drain(..decoded.used);
        if decoder.is_done() {
            break;
        }
        if body.len() > ANSWER_MAX {
            return Err(AskFailed::TooLong);
        }
        if !more(stream, &mut rest).await {
            if decoder == Decoder::UntilClose {
                break;
            }
            return Err(AskFailed::Broken);
        }
    }
    let again = facts.keep_alive && rest.is_empty();
    Ok((Said { status: facts.status, token, kind, body }, again))
}

/// Reads once; false at the end.
async fn more(stream: &mut Stream, bytes: &mut Vec<u8>) -> bool {
    let here = bytes.len();
    bytes.resize(here + ROOM, 0);
    let read = poll_fn(|cx| stream.poll_read(cx, bytes.get_mut(here..).unwrap_or_default())).await;
    let came = read.unwrap_or(0);
    bytes.truncate(here + came);
    came > 0
}

type Head = (Facts, Option<Zeroizing<String>>, String);

fn head(head: &[u8]) -> Option<Head> {
    let mut room: FieldRoom<'_> = [MaybeUninit::uninit(); _];
    let answer = Response::parse(head, &mut room, Method::Other).ok()?;
    let token = lines::given(answer.headers)
        .and_then(|token| std::str::from_utf8(token).ok())
        .map(|token| Zeroizing::new(token.to_string()));
    let kind = answer
        .headers
        .iter()
        .find(|h| is(h.name, "content-type"))
        .map_or("text/xml", |h| std::str::from_utf8(h.value).unwrap_or("text/xml"));
    Some((answer.facts, token, kind.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn basic_is_base64() {
        for (user, password, coded) in
            [("a", "", "YTo="), ("a", "b", "YTpi"), ("Aladdin", "open sesame", "QWxhZGRpbjpvcGVuIHNlc2FtZQ==")]
        {
            assert_eq!(basic(user, password).as_str(), format!("Basic {coded}"));
        }
    }

    #[test]
    fn a_request_of_the_gates_own_is_one() {
        let ask = write::Ask { body: Zeroizing::new(b"<a/>".to_vec()), soap_action: "\"urn:vim25/6.5\"" };
        let request = request("vc", Some("c00kie"), &ask);
        let text = std::str::from_utf8(&request).unwrap();
        assert!(text.starts_with("POST /sdk HTTP/1.1\r\nHost: vc\r\n") && text.ends_with("\r\n\r\n<a/>"), "{text}");
        assert!(text.contains("\r\nCookie: vmware_soap_session=\"c00kie\"\r\nContent-Length: 4\r\n"), "{text}");
    }
}
