//! Reads the corpus of messages that parsers may disagree about, and the server that takes only what none can.
#![allow(clippy::expect_used, clippy::panic, reason = "tests")]

use crate::support::Peer;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;

/// One line of a corpus.
pub struct Case {
    pub expected: Vec<&'static str>,
    pub name: &'static str,
    pub bytes: Vec<u8>,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, self.bytes.escape_ascii())
    }
}

/// The cases of a file: `EXPECTED | NAME | BYTES`.
pub fn cases(text: &'static str) -> Vec<Case> {
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let mut parts = line.splitn(3, " | ");
            let mut next = || parts.next().unwrap_or_else(|| panic!("three parts: {line}"));
            let (expected, name, bytes) = (next(), next(), next());
            Case { expected: expected.split(' ').collect(), name, bytes: plain(bytes) }
        })
        .collect()
}

fn plain(text: &str) -> Vec<u8> {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let Some((first, behind)) = rest.split_first() {
        rest = behind;
        if *first != b'\\' {
            bytes.push(*first);
            continue;
        }
        let (kind, behind) = rest.split_first().expect("something behind the backslash");
        rest = behind;
        bytes.push(match kind {
            b'r' => b'\r',
            b'n' => b'\n',
            b't' => b'\t',
            b'0' => 0,
            b'x' => {
                let digits = std::str::from_utf8(&rest[..2]).expect("two digits");
                rest = &rest[2..];
                u8::from_str_radix(digits, 16).expect("two hexadecimal digits")
            }
            other => panic!("no such escape: {}", *other as char),
        });
    }
    bytes
}

/// What a recorder has seen.
#[derive(Clone, Default)]
pub struct Seen {
    /// Heads that came.
    pub heads: usize,
    /// Paths of the messages that came whole.
    pub whole: Vec<String>,
    /// What was not as plain as it must be.
    pub odd: Vec<String>,
    busy: usize,
}

/// A server that records what it gets and answers with the path.
pub struct Recorder {
    pub address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
}

impl Recorder {
    pub async fn start() -> Recorder {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let address = listener.local_addr().expect("address");
        let seen: Arc<Mutex<Seen>> = Arc::default();
        let all = seen.clone();
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let seen = all.clone();
                tokio::spawn(async move {
                    let mut peer = Peer { tcp, buf: Vec::new() };
                    while let Some(head) = peer.head().await {
                        let note = |f: &dyn Fn(&mut Seen)| f(&mut seen.lock().expect("seen"));
                        note(&|seen| (seen.heads, seen.busy) = (seen.heads + 1, seen.busy + 1));
                        let taken = take(&mut peer, &head).await;
                        note(&|seen| {
                            seen.busy -= 1;
                            match &taken {
                                Ok(Some(path)) => seen.whole.push(path.clone()),
                                Ok(None) => {}
                                Err(why) => seen.odd.push(format!("{why}: {head}")),
                            }
                        });
                        let Ok(Some(path)) = taken else { return };
                        let body = if head.starts_with("HEAD ") { "" } else { &path };
                        peer.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", path.len())).await;
                    }
                    // What is left over when the connection ends must be nothing.
                    if !peer.buf.is_empty() {
                        let rest = peer.buf.escape_ascii().to_string();
                        seen.lock().expect("seen").odd.push(format!("bytes that are no head: {rest}"));
                    }
                });
            }
        });
        Recorder { address, seen }
    }

    pub fn seen(&self) -> Seen {
        self.seen.lock().expect("seen").clone()
    }

    /// Waits until no message is on its way in.
    pub async fn settled(&self) {
        while self.seen().busy > 0 {
            tokio::task::yield_now().await;
        }
    }
}

/// Reads the body; the path when the message came whole, nothing when it broke off.
async fn take(peer: &mut Peer, head: &str) -> Result<Option<String>, &'static str> {
    let (path, length, chunked) = plain_head(head)?;
    if head.contains("Expect: 100-continue\r\n") && (length > 0 || chunked) {
        peer.send("HTTP/1.1 100 Continue\r\n\r\n").await;
    }
    if !chunked {
        return Ok(peer.try_exactly(length).await.map(|_| path));
    }
    loop {
        let Some(line) = peer.line().await else { return Ok(None) };
        let digits = line.bytes().all(|b| b.is_ascii_hexdigit());
        let size =
            usize::from_str_radix(&line, 16).ok().filter(|_| digits).ok_or("a size line with more than a size")?;
        let Some(data) = peer.try_exactly(size + 2).await else { return Ok(None) };
        if !data.ends_with(b"\r\n") {
            return Err("a chunk of another size");
        }
        if size == 0 {
            return Ok(Some(path));
        }
    }
}

/// Path and framing of a head that nobody can read in two ways.
fn plain_head(head: &str) -> Result<(String, usize, bool), &'static str> {
    let mut lines = head.strip_suffix("\r\n\r\n").ok_or("no end")?.split("\r\n");
    let first: Vec<&str> = lines.next().unwrap_or_default().split(' ').collect();
    let [method, path, "HTTP/1.1"] = first.as_slice() else { return Err("an odd request line") };
    if !method.bytes().all(|b| b.is_ascii_uppercase()) || !path.starts_with('/') {
        return Err("an odd method or path");
    }
    let (mut hosts, mut lengths, mut codings) = (0, Vec::new(), Vec::new());
    for line in lines {
        let (name, value) = line.split_once(':').ok_or("a line without a colon")?;
        let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^`|~".contains(&b);
        if name.is_empty() || !name.bytes().all(token) {
            return Err("an odd name");
        }
        if value.bytes().any(|b| b.is_ascii_control() && b != b'\t') {
            return Err("a control character");
        }
        let value = value.trim_matches([' ', '\t']);
        match name.to_ascii_lowercase().as_str() {
            "host" => hosts += 1,
            "content-length" => lengths.push(value),
            "transfer-encoding" => codings.push(value),
            "upgrade" if value.starts_with("h2") => return Err("an upgrade to HTTP/2"),
            "te" | "keep-alive" | "proxy-connection" => return Err("a field that ends at the hop before"),
            _ => {}
        }
    }
    let chunked = match (lengths.as_slice(), codings.as_slice()) {
        ([], []) => return if hosts == 1 { Ok(((*path).into(), 0, false)) } else { Err("not one Host") },
        ([_], []) => false,
        ([], [coding]) if coding.eq_ignore_ascii_case("chunked") => true,
        _ => return Err("an ambiguous framing"),
    };
    let digits = lengths.iter().all(|length| length.bytes().all(|b| b.is_ascii_digit()) && !length.is_empty());
    if hosts != 1 || !digits {
        return Err("not one Host, or a length that is no number");
    }
    let length = lengths.first().map_or(Ok(0), |length| length.parse()).map_err(|_| "a length beyond all")?;
    Ok(((*path).into(), length, chunked))
}
