//! Tables of good and bad headers, and properties: what is written is read back, in any pieces; nothing panics.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use super::*;
use proptest::prelude::*;

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn tcp(source: &str, destination: &str) -> Header {
    Header::Tcp { source: address(source), destination: address(destination) }
}

#[test]
fn reads_version_1() {
    let cases: &[(&[u8], Header)] = &[
        (b"PROXY TCP4 10.0.0.1 10.0.0.2 65535 443\r\n", tcp("10.0.0.1:65535", "10.0.0.2:443")),
        (b"PROXY TCP6 fd00::1 ::1 1 0\r\n", tcp("[fd00::1]:1", "[::1]:0")),
        (b"PROXY UNKNOWN\r\n", Header::Unknown),
        (b"PROXY UNKNOWN anything at all 0\r\n", Header::Unknown),
    ];
    for (bytes, header) in cases {
        assert_eq!(parse(bytes), Ok(Progress::Header(*header, bytes.len())));
        let mut longer = bytes.to_vec();
        longer.extend_from_slice(b"\x16\x03\x01");
        assert_eq!(parse(&longer), Ok(Progress::Header(*header, bytes.len())), "what follows is not touched");
    }
}

#[test]
fn refuses_what_is_nearly_version_1() {
    let long = [b"PROXY UNKNOWN ".as_slice(), &[b'x'; 100]].concat();
    let cases: &[&[u8]] = &[
        b"PROXY TCP4 10.0.0.1 10.0.0.2 1 2\n",
        b"PROXY TCP4 10.0.0.1 10.0.0.2 1 2\rx",
        b"PROXY TCP4 10.0.0.1 10.0.0.2 1 2 \r\n",
        b"PROXY TCP4 10.0.0.1  10.0.0.2 1 2\r\n",
        b"PROXY TCP4 10.0.0.1 10.0.0.2 1\r\n",
        b"PROXY TCP4 10.0.0.1 10.0.0.2 01 2\r\n",
        b"PROXY TCP4 10.0.0.1 10.0.0.2 +1 2\r\n",
        b"PROXY TCP4 10.0.0.1 10.0.0.2 65536 2\r\n",
        b"PROXY TCP4 10.0.0.1 10.0.0.2  2\r\n",
        b"PROXY TCP4 10.0.0.01 10.0.0.2 1 2\r\n",
        b"PROXY TCP4 ::1 ::2 1 2\r\n",
        b"PROXY TCP6 10.0.0.1 10.0.0.2 1 2\r\n",
        b"PROXY UDP4 10.0.0.1 10.0.0.2 1 2\r\n",
        b"PROXY tcp4 10.0.0.1 10.0.0.2 1 2\r\n",
        b"PROXY \r\n",
        b"PROXY \xff\r\n",
        &long,
    ];
    for bytes in cases {
        let text = String::from_utf8_lossy(bytes);
        assert!(matches!(parse(bytes), Err(ProxyHeaderError::V1(_))), "{text:?}");
    }
    for bytes in [b"GET / HTTP/1.1\r\n".as_slice(), b"\x16\x03\x01", b"PROXX", b"\r\n\r\n\0\r\nQUIX"] {
        assert_eq!(parse(bytes), Err(ProxyHeaderError::Missing));
    }
}

fn v2(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).unwrap().to_be_bytes();
    [b"\r\n\r\n\0\r\nQUIT\n".as_slice(), &[command, family], &length, body].concat()
}

const TCP4_BODY: &[u8] = &[10, 0, 0, 1, 10, 0, 0, 2, 0xff, 0xff, 0x01, 0xbb];

#[test]
fn reads_version_2() {
    let with_tlvs = [TCP4_BODY, b"\x02\x00\x03abc\x04\x00\x00"].concat();
    let cases = [
        (v2(0x21, 0x11, TCP4_BODY), tcp("10.0.0.1:65535", "10.0.0.2:443")),
        (v2(0x21, 0x11, &with_tlvs), tcp("10.0.0.1:65535", "10.0.0.2:443")),
        (v2(0x20, 0x00, b""), Header::Local),
        (v2(0x20, 0x11, b"ignored"), Header::Local),
        (v2(0x21, 0x00, b"ignored"), Header::Unknown),
        (v2(0x21, 0x31, &[0; 216]), Header::Unknown),
    ];
    for (bytes, header) in cases {
        assert_eq!(parse(&bytes), Ok(Progress::Header(header, bytes.len())));
    }
}

#[test]
fn refuses_what_is_nearly_version_2() {
    let cases = [
        v2(0x11, 0x11, TCP4_BODY),
        v2(0x22, 0x11, TCP4_BODY),
        v2(0x21, 0x12, TCP4_BODY),
        v2(0x21, 0x41, TCP4_BODY),
        v2(0x21, 0x11, &TCP4_BODY[..11]),
        v2(0x21, 0x21, TCP4_BODY),
        v2(0x21, 0x31, TCP4_BODY),
        v2(0x21, 0x11, &[TCP4_BODY, b"\x02\x00"].concat()),
        v2(0x21, 0x11, &[TCP4_BODY, b"\x02\x00\x04abc"].concat()),
    ];
    for bytes in cases {
        assert!(matches!(parse(&bytes), Err(ProxyHeaderError::V2(_))), "{bytes:?}");
    }
    assert_eq!(parse(&v2(0x21, 0x11, &[0; HEADER_MAX])), Err(ProxyHeaderError::TooLong));
}

#[test]
fn writes_one_family() {
    let mut out = Vec::new();
    encode(Version::V1, address("10.0.0.1:1"), address("[fd00::1]:2"), &mut out);
    assert_eq!(out, b"PROXY TCP6 ::ffff:10.0.0.1 fd00::1 1 2\r\n");
    out.clear();
    encode(Version::V1, address("[::ffff:10.0.0.1]:1"), address("10.0.0.2:2"), &mut out);
    assert_eq!(out, b"PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n");
    out.clear();
    encode(Version::V2, address("10.0.0.1:65535"), address("10.0.0.2:443"), &mut out);
    assert_eq!(out, v2(0x21, 0x11, TCP4_BODY));
}

#[test]
fn writes_its_own_connections_as_nobody() {
    for (version, header) in [(Version::V1, Header::Unknown), (Version::V2, Header::Local)] {
        let mut out = Vec::new();
        encode_local(version, &mut out);
        assert_eq!(parse(&out), Ok(Progress::Header(header, out.len())));
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(source: SocketAddr, destination: SocketAddr, two: bool) {
        let version = if two { Version::V2 } else { Version::V1 };
        let mut out = Vec::new();
        encode(version, source, destination, &mut out);
        for cut in 0..out.len() {
            prop_assert_eq!(parse(&out[..cut]), Ok(Progress::NeedMore), "cut at {}", cut);
        }
        let Ok(Progress::Header(header, used)) = parse(&out) else { panic!("not read back") };
        prop_assert_eq!(used, out.len());
        let Header::Tcp { source: s, destination: d } = header else { panic!("no addresses") };
        prop_assert_eq!((s.ip().to_canonical(), s.port()), (source.ip().to_canonical(), source.port()));
        prop_assert_eq!((d.ip().to_canonical(), d.port()), (destination.ip().to_canonical(), destination.port()));
    }

    #[test]
    fn more_bytes_never_change_a_verdict(tail in proptest::collection::vec(any::<u8>(), 0..300), kind in 0..3usize) {
        let start: &[u8] = [b"PROXY ".as_slice(), b"\r\n\r\n\0\r\nQUIT\n", b""][kind];
        let bytes = [start, &tail].concat();
        let whole = parse(&bytes);
        let first = (0..=bytes.len()).map(|n| parse(&bytes[..n])).find(|p| *p != Ok(Progress::NeedMore));
        prop_assert_eq!(first.unwrap_or(Ok(Progress::NeedMore)), whole);
    }
}
