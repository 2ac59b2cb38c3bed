//! What two parsers could read in two ways is refused, and not one byte of it reaches a server.

#![allow(clippy::expect_used, reason = "tests")]

mod support;
use support::{Origin, Peer, plan, start};

/// Each is refused: status, then the bytes.
fn corpus() -> Vec<(u16, Vec<u8>)> {
    let with = |lines: &str| {
        format!("POST / HTTP/1.1\r\nHost: a\r\n{lines}\r\n\r\n0\r\n\r\nGET /evil HTTP/1.1\r\nHost: a\r\n\r\n")
    };
    let mut all: Vec<(u16, Vec<u8>)> = [
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 5",
        "Content-Length: 5\r\nContent-Length: 5",
        "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: 5, 5",
        "Content-Length: +5",
        "Content-Length: -5",
        "Content-Length: 0x5",
        "Content-Length: 5 5",
        "Content-Length: 5a",
        "Content-Length: ",
        "Content-Length: 99999999999999999999999",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding : chunked",
        "Content-Length : 5",
        " Content-Length: 5",
        "X: y\r\n Transfer-Encoding: chunked",
        "X: y\r\n\tTransfer-Encoding: chunked",
        "Transfer-Encoding\u{b}: chunked",
        "Content_Length: 5",
        "Transfer_Encoding: chunked",
        "X: a\rTransfer-Encoding: chunked",
        "X: a\nTransfer-Encoding: chunked",
        "X: a\0b",
        ": novalue",
        "No Name: x",
        "Just-a-name",
        "Host: b",
    ]
    .iter()
    .map(|lines| (400, with(lines).into_bytes()))
    .collect();
    for value in [
        "xchunked",
        "chunked, chunked",
        "gzip, chunked",
        "identity",
        "chunked;q=1",
        "\"chunked\"",
        "chunked,",
        ",chunked",
        "",
    ] {
        all.push((501, with(&format!("Transfer-Encoding: {value}")).into_bytes()));
    }
    let lines: &[(u16, &str)] = &[
        (400, "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        (400, "GET / HTTP/1.1\r\n\r\n"),
        (400, "GET / HTTP/1.1\r\nHost: a b\r\n\r\n"),
        (400, "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"),
        (400, "GET / HTTP/1.1\r\nHost: a@b, c\r\n\r\n"),
        (400, "GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, "GET * HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, "GET evil HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, "GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, "GET  / HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, "GET /  HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, "GET / HTTP/1.1 \r\nHost: a\r\n\r\n"),
        (400, "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, " GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, "GET /\u{e9} HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, "GET / HTTP/1.1\nHost: a\n\n"),
        (400, "G<T / HTTP/1.1\r\nHost: a\r\n\r\n"),
        (505, "GET / HTTP/2.0\r\nHost: a\r\n\r\n"),
        (505, "GET / HTTP/1.2\r\nHost: a\r\n\r\n"),
        (400, "GET / http/1.1\r\nHost: a\r\n\r\n"),
        (400, "GET /\r\n\r\n"),
        (501, "CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n"),
        (417, "POST / HTTP/1.1\r\nHost: a\r\nExpect: 200-ok\r\nContent-Length: 1\r\n\r\nx"),
        (400, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        (400, "\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}\u{fc}\u{3}\u{3}"),
        (400, "\0\0\0\0\r\n\r\n"),
    ];
    all.extend(lines.iter().map(|(status, text)| (*status, text.as_bytes().to_vec())));
    all
}

#[tokio::test]
async fn ambiguous_heads_are_refused_and_never_forwarded() {
    let mut origin = Origin::start().await;
    let gated = start(&plan(origin.address, 4));
    let corpus = corpus();
    assert!(corpus.len() >= 60, "{}", corpus.len());
    for (status, bytes) in &corpus {
        let shown = String::from_utf8_lossy(bytes).escape_debug().to_string();
        let mut client = Peer::connect(gated.address).await;
        client.send(bytes).await;
        let head = client.head().await.unwrap_or_default();
        let refused = head.starts_with(&format!("HTTP/1.1 {status} "));
        // A version that a parser does not know may be read as a broken request line as well.
        let also =
            [400, 505].contains(status) && (head.starts_with("HTTP/1.1 400 ") || head.starts_with("HTTP/1.1 505 "));
        assert!(refused || also, "{shown}: {head}");
        assert!(head.contains("Connection: close\r\n"), "{shown}: {head}");
        client.rest().await;
    }
    assert!(!origin.accepted_more(), "nothing was forwarded");
    assert_eq!(gated.turned_away("bad-request"), corpus.len() as u64);
    assert_eq!(gated.counter("arrived"), corpus.len() as u64);
    gated.assert_conserved();
}

#[tokio::test]
async fn broken_chunks_stop_at_the_gate() {
    let mut origin = Origin::start().await;
    let gated = start(&plan(origin.address, 4));
    let bad = [
        "\n",
        "x\r\n",
        "5\nhello",
        "5 \r\nhello",
        "0x5\r\nhello",
        "-1\r\n",
        "5\r\nhelloXX",
        "5;a\nb\r\nhello",
        "1000000000000000\r\n",
        "0\r\n\nGET /evil",
        "0\r\nA: b\nGET /evil",
        "5\r\r\nhello",
        "0\r\n \r\n",
    ];
    for body in bad {
        let mut client = Peer::connect(gated.address).await;
        client.send(format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{body}")).await;
        let head = client.head().await.expect("an answer");
        assert!(head.starts_with("HTTP/1.1 400 "), "{body:?}: {head}");
        let mut server = origin.accept().await;
        let got = server.rest().await;
        let text = String::from_utf8_lossy(&got).into_owned();
        assert!(!text.contains("evil") && !text.ends_with("0\r\n\r\n"), "{body:?}: {text}");
    }
    gated.until("all are done", |g| g.in_flight() == 0).await;
    assert_eq!(gated.counter("incomplete"), bad.len() as u64);
    gated.assert_conserved();
}
