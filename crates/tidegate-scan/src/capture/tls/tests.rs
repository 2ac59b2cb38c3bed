//! Hellos made by hand, whole and cut at every byte; alerts; bytes of any kind.
use super::hello::{NAME_MAX, RETRY, SERVER_NAME, SUPPORTED_VERSIONS};
use super::*;
use proptest::prelude::*;

fn two(length: usize) -> [u8; 2] {
    u16::try_from(length).unwrap().to_be_bytes()
}

fn record(content: u8, body: &[u8]) -> Vec<u8> {
    [&[content, 3, 1], two(body.len()).as_slice(), body].concat()
}

fn extensions(list: &[(u16, Vec<u8>)]) -> Vec<u8> {
    let each = list.iter().flat_map(|(kind, body)| [&kind.to_be_bytes(), &two(body.len()), body.as_slice()].concat());
    let all: Vec<u8> = each.collect();
    [two(all.len()).as_slice(), &all].concat()
}

fn handshake(kind: u8, body: &[u8]) -> Vec<u8> {
    record(22, &[&[kind, 0], two(body.len()).as_slice(), body].concat())
}

fn sni(name: &str) -> (u16, Vec<u8>) {
    let inner = [&[0], two(name.len()).as_slice(), name.as_bytes()].concat();
    (SERVER_NAME, [two(inner.len()).as_slice(), &inner].concat())
}

fn client_hello(list: &[(u16, Vec<u8>)]) -> Vec<u8> {
    let start = [&[3, 3], [7; 32].as_slice(), &[0, 0, 4, 0x13, 1, 0xc0, 0x2f, 1, 0]].concat();
    handshake(1, &[start, extensions(list)].concat())
}

fn server_hello(random: [u8; 32], list: &[(u16, Vec<u8>)]) -> Vec<u8> {
    let start = [&[3, 3], random.as_slice(), &[0, 0x13, 1, 0]].concat();
    handshake(2, &[start, extensions(list)].concat())
}

fn hello(bytes: &[u8]) -> Option<Hello<'_>> {
    records(bytes).next()?.hello()
}

#[test]
fn a_hello_tells_the_name_and_the_newest_version() {
    let versions = (SUPPORTED_VERSIONS, vec![6, 0x1a, 0x1a, 3, 4, 3, 3]);
    let bytes = client_hello(&[(0x1a1a, vec![]), sni("vp-a.lab"), versions, (51, vec![0; 1200])]);
    let whole = ClientHello { name: Some("vp-a.lab"), newest: 0x0304, cut: false };
    assert_eq!(hello(&bytes), Some(Hello::Client(whole)));
    assert_eq!(hello(&bytes[..96]), Some(Hello::Client(ClientHello { cut: true, ..whole })));
    let mut names = 0;
    for end in 0..bytes.len() {
        match hello(&bytes[..end]) {
            None => assert!(end < 11, "{end}"),
            Some(Hello::Client(part)) => {
                assert!(part.cut && part.newest <= whole.newest && (part.name.is_none() || part.name == whole.name));
                names += usize::from(part.name.is_some());
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(names > 1200);
    let old = handshake(1, &[&[3, 1], [7; 32].as_slice(), &[0, 0, 2, 0, 47, 1, 0]].concat());
    assert_eq!(hello(&old), Some(Hello::Client(ClientHello { newest: 0x0301, ..ClientHello::default() })));
}

#[test]
fn a_server_tells_what_it_agreed_to() {
    let new = server_hello([7; 32], &[(SUPPORTED_VERSIONS, vec![3, 4]), (51, vec![0; 36])]);
    let agreed = ServerHello { version: 0x0304, suite: 0x1301, retry: false, cut: false };
    assert_eq!(hello(&new), Some(Hello::Server(agreed)));
    let short = Some(Hello::Server(ServerHello { version: 0x0303, cut: true, ..agreed }));
    assert_eq!(hello(&new[..50]), short);
    let mut random = [9; 32];
    random[..8].copy_from_slice(&RETRY);
    let again = server_hello(random, &[(SUPPORTED_VERSIONS, vec![3, 4])]);
    assert_eq!(hello(&again), Some(Hello::Server(ServerHello { retry: true, ..agreed })));
    assert_eq!(hello(&server_hello([7; 32], &[])), Some(Hello::Server(ServerHello { version: 0x0303, ..agreed })));
}

#[test]
fn hellos_of_openssl_are_read() {
    let client = include_bytes!("../../../../../fuzz/corpus/hello/client");
    let asked = ClientHello { name: Some("vp-a.lab"), newest: 0x0304, cut: false };
    assert_eq!(hello(client), Some(Hello::Client(asked)));
    let new = include_bytes!("../../../../../fuzz/corpus/hello/server-13");
    assert!(matches!(hello(new), Some(Hello::Server(ServerHello { version: 0x0304, cut: false, .. }))));
    let lengths: Vec<_> = records(new).skip(1).map(|record| (record.content, record.kept.is_empty())).collect();
    assert_eq!(lengths.first(), Some(&(Content::ChangeCipherSpec, false)));
    assert_eq!(lengths.get(1), Some(&(Content::Application, false)));
    let old = include_bytes!("../../../../../fuzz/corpus/hello/server-12");
    assert!(matches!(hello(old), Some(Hello::Server(ServerHello { version: 0x0303, cut: false, .. }))));
}

#[test]
fn what_contradicts_itself_is_no_hello() {
    let good = client_hello(&[sni("a.b")]);
    assert!(hello(&good).is_some());
    // Of the record, the message, the session id, the suites, the compression, the extensions and one of them, the name.
    let wrong =
        [(0, 23), (1, 2), (2, 9), (5, 3), (8, 70), (43, 33), (45, 3), (50, 0), (53, 2), (57, 20), (59, 1), (60, 1)];
    for (place, value) in wrong.into_iter().chain([(63, b' ')]) {
        let mut bad = good.clone();
        bad[place] = value;
        assert_eq!(hello(&bad), None, "{place}");
    }
    assert_eq!(hello(&client_hello(&[sni("a.b"), sni("a.b")])), None);
    for name in ["", "a b", "a\0", &"a".repeat(254)] {
        assert_eq!(hello(&client_hello(&[sni(name)])), None, "{name:?}");
    }
    for bytes in [b"GET / HTTP/1.1\r\n".as_slice(), b"\x16\x03\x01\0\0", b"\x80\x2e\x01\x03\x01", b"SSH-2.0-x\r\n"] {
        assert_eq!(records(bytes).next(), None, "{bytes:?}");
    }
}

#[test]
fn alerts_in_clear_are_told_and_others_are_not() {
    let alert = |body: &[u8]| records(&record(21, body)).next().unwrap().alert();
    let told = Alert { fatal: true, description: 48 };
    assert_eq!(alert(&[2, 48]), Some(told));
    assert_eq!(told.words(), Some("unknown ca"));
    assert_eq!(alert(&[1, 0]), Some(Alert { fatal: false, description: 0 }));
    for body in [[3, 48].as_slice(), &[2, 200], &[2], &[2, 48, 0], &[7; 26]] {
        assert_eq!(alert(body), None, "{body:?}");
    }
    assert_eq!(records(&[21, 3, 3, 0, 2, 2]).next().unwrap().alert(), None, "cut");
}

#[test]
fn the_records_of_a_segment_follow_each_other() {
    let bytes =
        [record(20, &[1]), record(23, &[0; 19]), record(23, &[]), record(23, &[0; 100])[..30].to_vec()].concat();
    let found: Vec<_> = records(&bytes).map(|record| (record.content, record.length, record.kept.len())).collect();
    let application = Content::Application;
    let expected =
        [(Content::ChangeCipherSpec, 1, 1), (application, 19, 19), (application, 0, 0), (application, 100, 25)];
    assert_eq!(found, expected);
}

proptest! {
    #[test]
    fn any_bytes_end(head in 0usize..4, tail in prop::collection::vec(any::<u8>(), 0..300)) {
        let heads = [&[][..], &[22, 3, 1, 1, 0, 1, 0, 0, 200, 3, 3], &[22, 3, 3, 0, 122, 2, 0, 0, 118, 3, 3], &[21, 3, 3, 0, 2]];
        let bytes = [heads[head], &tail].concat();
        let all: Vec<_> = records(&bytes).collect();
        prop_assert!(all.len() <= bytes.len() / HEAD);
        for record in all {
            prop_assert!(record.kept.len() <= usize::from(record.length));
            if let Some(Hello::Client(hello)) = record.hello() {
                prop_assert!(hello.name.is_none_or(|name| (1..=NAME_MAX).contains(&name.len())));
            }
            prop_assert!(record.alert().is_none_or(|alert| alert.words().is_some()));
        }
    }
}
