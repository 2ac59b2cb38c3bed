//! Hellos of rustls and hellos made by hand; records and chunks of any size; nothing panics.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use super::*;
use crate::tls::testing::{Authority, plain_client};
use proptest::prelude::*;
use rustls::ClientConnection;
use std::sync::Arc;

fn rustls_hello(alpn: &[&[u8]]) -> Vec<u8> {
    let authority = Authority::new();
    let mut config = plain_client(&authority, false);
    config.alpn_protocols = alpn.iter().map(|p| p.to_vec()).collect();
    let mut client = ClientConnection::new(Arc::new(config), "VP.lab".try_into().unwrap()).unwrap();
    let mut bytes = Vec::new();
    client.write_tls(&mut bytes).unwrap();
    bytes
}

fn hello(bytes: &[u8]) -> ClientHello {
    match parse(bytes) {
        Ok(Progress::Hello(hello)) => hello,
        other => panic!("{other:?}"),
    }
}

/// Spreads the message of a single record over records of `size` bytes.
fn fragmented(bytes: &[u8], size: usize) -> Vec<u8> {
    let mut out = Vec::new();
    for chunk in bytes[HEADER..].chunks(size) {
        out.extend_from_slice(&[22, 3, 1]);
        out.extend_from_slice(&u16::try_from(chunk.len()).unwrap().to_be_bytes());
        out.extend_from_slice(chunk);
    }
    out
}

#[test]
fn reads_the_hello_of_rustls() {
    let bytes = rustls_hello(&[b"h2", b"http/1.1"]);
    let found = hello(&bytes);
    assert_eq!(found.server_name.as_deref(), Some("vp.lab"));
    assert_eq!(found.alpn, [b"h2".to_vec(), b"http/1.1".to_vec()]);
    assert_eq!((found.tls12, found.tls13, found.takes_tickets), (true, true, true));
    assert_eq!((found.resumes, found.early_data), (false, false));
    for cut in 0..bytes.len() {
        assert_eq!(parse(&bytes[..cut]), Ok(Progress::NeedMore), "cut at {cut}");
    }
    for size in [1, 3, 4, 5, 100, 1000] {
        let spread = fragmented(&bytes, size);
        assert_eq!(hello(&spread), found);
        for cut in 0..spread.len() {
            assert_eq!(parse(&spread[..cut]), Ok(Progress::NeedMore), "cut at {cut}");
        }
    }
}

/// A hello by hand, in one record.
fn made(extensions: &[(u16, &[u8])]) -> Vec<u8> {
    let mut body = vec![3, 3];
    body.extend_from_slice(&[7; 32]);
    body.extend_from_slice(&[0, 0, 2, 0x13, 0x01, 1, 0]);
    let all: Vec<u8> = extensions
        .iter()
        .flat_map(|(kind, body)| {
            [&kind.to_be_bytes(), &u16::try_from(body.len()).unwrap().to_be_bytes(), *body].concat()
        })
        .collect();
    body.extend_from_slice(&u16::try_from(all.len()).unwrap().to_be_bytes());
    body.extend_from_slice(&all);
    record(&body)
}

fn record(body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).unwrap();
    let record = (length + 4).to_be_bytes();
    let message = length.to_be_bytes();
    [&[22, 3, 1, record[0], record[1], 1, 0, message[0], message[1]], body].concat()
}

fn sni(name: &[u8]) -> Vec<u8> {
    let n = u8::try_from(name.len()).unwrap();
    [&[0, n + 3, 0, 0, n], name].concat()
}

#[test]
fn reads_hellos_made_by_hand() {
    let old = [&[3, 3], [7; 32].as_slice(), &[0, 0, 2, 0, 47, 1, 0]].concat();
    assert_eq!(hello(&record(&old)), ClientHello { tls12: true, ..ClientHello::default() });
    let found = hello(&made(&[
        (SERVER_NAME, &sni(b"Vp-A.lab.")),
        (EARLY_DATA, &[]),
        (PSK_MODES, &[1, 1]),
        (SUPPORTED_VERSIONS, &[4, 0x1a, 0x1a, 3, 4]),
        (PRE_SHARED_KEY, &[1, 2, 3]),
    ]));
    assert_eq!(found.server_name.as_deref(), Some("vp-a.lab"));
    assert_eq!((found.tls12, found.tls13), (false, true));
    assert!(found.early_data && found.takes_tickets && found.resumes);
}

#[test]
fn refuses_what_is_not_as_its_text_says() {
    for bytes in [b"GET / HTTP/1.1\r\n".as_slice(), b"\x16\x02", b"\x15\x03\x01\x00\x02\x02\x28", b"\x80\x2e\x01"] {
        assert_eq!(parse(bytes), Err(HelloError::NotTls));
    }
    let name = "a".repeat(250);
    let lists: &[&[(u16, &[u8])]] = &[
        &[(SERVER_NAME, &sni(b"")[..])],
        &[(SERVER_NAME, &sni(b"a b"))],
        &[(SERVER_NAME, &sni(b"a\0b"))],
        &[(SERVER_NAME, b"\0\x04\x01\0\x01a")],
        &[(SERVER_NAME, b"\0\x08\0\0\x01a\0\0\x01b")],
        &[(SERVER_NAME, &sni(b"a")), (SERVER_NAME, &sni(b"b"))],
        &[(SERVER_NAME, &[sni(b"a"), vec![0]].concat())],
        &[(ALPN, b"\0\x01\0")],
        &[(ALPN, b"\0\0")],
        &[(ALPN, b"\0\x09\x02h2")],
        &[(SUPPORTED_VERSIONS, &[3, 3, 4, 3])],
        &[(EARLY_DATA, &[0])],
    ];
    for list in lists {
        assert!(matches!(parse(&made(list)), Err(HelloError::Malformed(_))), "{list:?}");
    }
    assert!(parse(&made(&[(SERVER_NAME, &sni(name.as_bytes()))])).is_ok());
    let cases: [&[u8]; 5] = [
        b"\x16\x03\x01\x00\x00",
        b"\x16\x03\x01\x00\x01\x02",
        b"\x16\x03\x01\x00\x01\x01\x17\x03\x03\x00\x01\x00",
        b"\x16\x03\x01\x00\x01\x01GET",
        &record(&[3, 3]),
    ];
    for bytes in cases {
        assert!(matches!(parse(bytes), Err(HelloError::Malformed(_))), "{bytes:?} {:?}", parse(bytes));
    }
    let too_many: Vec<(u16, &[u8])> = (1000..1000 + 129).map(|kind| (kind, [].as_slice())).collect();
    assert!(parse(&made(&too_many)).is_err());
    assert_eq!(parse(b"\x16\x03\x01\x40\x00\x01\x01\x00\x00"), Err(HelloError::TooLong));
    let drip = fragmented(&[[0; HEADER].as_slice(), &[1, 0, 0x3f, 0xf0], &[0; 16_000]].concat(), 1);
    assert_eq!(parse(&drip[..HELLO_MAX]), Err(HelloError::TooLong), "a hello in records of one byte");
}

proptest! {
    #[test]
    fn a_verdict_never_changes(
        mut bytes in Just(rustls_hello(&[b"http/1.1"])), at in 0..200usize, to: u8, size in 1..300usize,
    ) {
        bytes[at] = to;
        let bytes = fragmented(&bytes, size);
        let whole = parse(&bytes);
        let first = (0..=bytes.len()).map(|n| parse(&bytes[..n])).find(|p| *p != Ok(Progress::NeedMore));
        prop_assert_eq!(first.unwrap_or(Ok(Progress::NeedMore)), whole);
    }

    #[test]
    fn never_panics(tail in proptest::collection::vec(any::<u8>(), 0..200), server: bool) {
        let bytes = [&[22, 3, 1, 0, 150, if server { 2 } else { 1 }, 0, 0, 100], tail.as_slice()].concat();
        let _ = (parse(&bytes), super::server::parse(&bytes), parse(&tail), super::server::parse(&tail));
    }
}
