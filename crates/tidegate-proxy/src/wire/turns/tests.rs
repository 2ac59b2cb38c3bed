//! The tracker between real rustls ends, and on random records in random pieces.
//!
//! The ends are joined in memory and time is a number, so that a server that takes 200 ms takes exactly that. What is
//! asserted of every exchange: while the server works on a call, the tracker says that a turn is in progress (else the
//! limit would be passed), and with the answer it says that the turn is over (else a slot would lie idle).
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use super::*;
use crate::tls::testing::{Authority, plain_client, plain_server};
use crate::wire::hello::{self, Progress};
use proptest::prelude::*;
use rustls::{ClientConfig, ClientConnection, ServerConfig, ServerConnection};
use std::io::{Read, Write};
use std::sync::Arc;

const SETTINGS: Settings = Settings { settle: Span::millis(50), answer_max: Span::secs(2) };
const WORK: Span = Span::millis(200);

/// A connection through a gate that forwards by the tracker's word and admits at once.
struct Wire {
    client: ClientConnection,
    server: ServerConnection,
    tracker: Tracker,
    now: Nanos,
    pending: Vec<u8>,
    begun: usize,
    over: Vec<Over>,
    held: Span,
}

impl Wire {
    fn new(client: &Arc<ClientConfig>, server: &Arc<ServerConfig>, now: Nanos) -> Wire {
        let mut client = ClientConnection::new(client.clone(), "vp.lab".try_into().unwrap()).unwrap();
        let mut pending = Vec::new();
        client.write_tls(&mut pending).unwrap();
        let Ok(Progress::Hello(hello)) = hello::parse(&pending) else { panic!("no hello") };
        let server = ServerConnection::new(server.clone()).unwrap();
        let tracker = Tracker::new(now, &hello, SETTINGS);
        Wire { client, server, tracker, now, pending, begun: 0, over: Vec::new(), held: Span::ZERO }
    }

    /// Moves bytes until nothing moves any more; time passes only where the tracker holds bytes back.
    fn settle(&mut self, learned: &mut Learned) {
        loop {
            let moved = self.client_to_server(learned) | self.server_to_client(learned);
            if moved {
                continue;
            }
            if !self.tracker.holding {
                return;
            }
            let at = self.tracker.next_wake(learned).unwrap();
            self.held = self.held + at.since(self.now);
            self.now = at;
            assert_eq!(self.tracker.wake(self.now, learned), None);
        }
    }

    fn client_to_server(&mut self, learned: &mut Learned) -> bool {
        while self.client.wants_write() {
            self.client.write_tls(&mut self.pending).unwrap();
        }
        let take = self.tracker.client(self.now, &self.pending, learned).unwrap();
        let sent: Vec<u8> = self.pending.drain(..take.bytes).collect();
        let mut rest = sent.as_slice();
        while !rest.is_empty() {
            self.server.read_tls(&mut rest).unwrap();
            self.server.process_new_packets().unwrap();
        }
        if take.then == Then::Admission {
            self.begun += 1;
            self.tracker.admitted(self.now);
        }
        take.bytes > 0 || take.then == Then::Admission
    }

    fn server_to_client(&mut self, learned: &mut Learned) -> bool {
        let mut bytes = Vec::new();
        while self.server.wants_write() {
            self.server.write_tls(&mut bytes).unwrap();
        }
        self.over.extend(self.tracker.server(self.now, &bytes, learned).unwrap());
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            self.client.read_tls(&mut rest).unwrap();
            self.client.process_new_packets().unwrap();
        }
        !bytes.is_empty()
    }

    /// One call: a request in two writes, `WORK`, an answer.
    fn call(&mut self, learned: &mut Learned) {
        self.client.writer().write_all(&[b'h'; 200]).unwrap();
        self.settle(learned);
        self.client.writer().write_all(&[b'b'; 600]).unwrap();
        self.settle(learned);
        let mut request = [0; 2000];
        assert_eq!(read_all(&mut self.server.reader(), &mut request), 800, "the request has arrived");
        self.now = self.now + WORK;
        assert_eq!(self.tracker.wake(self.now, learned), None);
        assert!(self.tracker.in_turn(), "the server is at work");
        self.server.writer().write_all(&[b'a'; 500]).unwrap();
        self.settle(learned);
        assert!(!self.tracker.in_turn(), "the server has answered");
        assert_eq!(read_all(&mut self.client.reader(), &mut request), 500);
    }
}

fn read_all(reader: &mut impl Read, buffer: &mut [u8]) -> usize {
    let mut n = 0;
    while let Ok(more @ 1..) = reader.read(&mut buffer[n..]) {
        n += more;
    }
    n
}

#[derive(Clone, Copy, Debug)]
struct Case {
    new: bool,
    tickets: usize,
    certificate: bool,
    /// The client lets the handshake end before it sends its request.
    late: bool,
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for bits in 0..8 {
        for tickets in [0, 1, 2, 5] {
            cases.push(Case { new: bits & 1 > 0, tickets, certificate: bits & 2 > 0, late: bits & 4 > 0 });
        }
    }
    cases
}

#[test]
fn every_call_is_one_turn() {
    let authority = Authority::new();
    for case in cases() {
        let version = if case.new { &rustls::version::TLS13 } else { &rustls::version::TLS12 };
        let server = Arc::new(plain_server(&authority, version, case.tickets, case.certificate));
        let client = Arc::new(plain_client(&authority, case.certificate));
        let mut learned = Learned::default();
        let mut now = Nanos(0);
        for connection in 0..12 {
            let mut wire = Wire::new(&client, &server, now);
            if case.late {
                wire.settle(&mut learned);
                wire.now = wire.now + Span::millis(100);
            }
            for _ in 0..3 {
                wire.call(&mut learned);
            }
            assert_eq!((wire.begun, wire.over.len()), (2, 3), "{case:?}, connection {connection}");
            assert_eq!(wire.over.iter().map(|o| o.estimated).collect::<Vec<_>>(), [case.new, false, false]);
            // Full handshakes teach for three connections, resumed ones for another three.
            assert!(wire.held == Span::ZERO || (case.new && connection < 6), "{case:?}, connection {connection}");
            now = wire.now + Span::secs(1);
        }
        assert_eq!(learned.answer_p95(), Some(WORK));
    }
}

#[test]
fn a_client_that_only_shakes_hands_gives_its_slot_back() {
    let authority = Authority::new();
    let client = Arc::new(plain_client(&authority, false));
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        for tickets in [0, 2] {
            let server = Arc::new(plain_server(&authority, version, tickets, false));
            let mut learned = Learned::default();
            let mut wire = Wire::new(&client, &server, Nanos(0));
            wire.settle(&mut learned);
            assert!(wire.tracker.in_turn());
            let at = wire.tracker.next_wake(&learned).unwrap();
            assert_eq!(at.since(wire.now), SETTINGS.answer_max);
            assert_eq!(wire.tracker.wake(at, &mut learned), Some(Over { estimated: true }));
            wire.now = at + Span::secs(5);
            wire.call(&mut learned);
            assert_eq!(wire.begun, 1, "its request is a turn of its own");
        }
    }
}

/// The server used to send two tickets and now sends none: the answer is taken for a ticket, until silence tells.
#[test]
fn a_wrong_count_holds_too_long_and_is_learned_anew() {
    let authority = Authority::new();
    let client = Arc::new(plain_client(&authority, false));
    let with = Arc::new(plain_server(&authority, &rustls::version::TLS13, 2, false));
    let without = Arc::new(plain_server(&authority, &rustls::version::TLS13, 0, false));
    let mut learned = Learned::default();
    for _ in 0..4 {
        // A client of its own each time: nothing to resume.
        let fresh = Arc::new(plain_client(&authority, false));
        let mut wire = Wire::new(&fresh, &with, Nanos(0));
        wire.call(&mut learned);
        wire.call(&mut learned);
    }
    let mut wire = Wire::new(&client, &without, Nanos(0));
    wire.client.writer().write_all(&[b'h'; 300]).unwrap();
    wire.settle(&mut learned);
    wire.now = wire.now + WORK;
    wire.server.writer().write_all(&[b'a'; 500]).unwrap();
    wire.settle(&mut learned);
    assert!(wire.tracker.in_turn());
    let at = wire.tracker.next_wake(&learned).unwrap();
    assert!(at.since(wire.now) <= SETTINGS.answer_max);
    assert_eq!(wire.tracker.wake(at, &mut learned), Some(Over { estimated: true }));
    assert_eq!(read_all(&mut wire.server.reader(), &mut [0; 1000]), 300);
    assert_eq!(read_all(&mut wire.client.reader(), &mut [0; 1000]), 500);
    wire.now = at;
    wire.call(&mut learned);
    for _ in 0..4 {
        let fresh = Arc::new(plain_client(&authority, false));
        Wire::new(&fresh, &without, Nanos(0)).call(&mut learned);
    }
}

#[test]
fn goodbye_is_not_a_call() {
    let authority = Authority::new();
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let server = Arc::new(plain_server(&authority, version, 2, false));
        let mut learned = Learned::default();
        let mut wire = Wire::new(&Arc::new(plain_client(&authority, false)), &server, Nanos(0));
        wire.call(&mut learned);
        wire.client.send_close_notify();
        wire.settle(&mut learned);
        assert_eq!((wire.begun, wire.pending.len()), (0, 0));
        assert!(!wire.tracker.in_turn());
    }
}

#[test]
fn continue_is_not_an_answer() {
    let authority = Authority::new();
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let server = Arc::new(plain_server(&authority, version, 2, false));
        let mut learned = Learned::default();
        let mut wire = Wire::new(&Arc::new(plain_client(&authority, false)), &server, Nanos(0));
        wire.call(&mut learned);
        wire.client.writer().write_all(&[b'h'; 300]).unwrap();
        wire.settle(&mut learned);
        wire.server.writer().write_all(b"HTTP/1.1 100 Continue\r\n\r\n").unwrap();
        wire.settle(&mut learned);
        assert!(wire.tracker.in_turn());
        assert_eq!(read_all(&mut wire.server.reader(), &mut [0; 1000]), 300);
        assert_eq!(read_all(&mut wire.client.reader(), &mut [0; 1000]), 25);
        wire.call(&mut learned);
        assert_eq!((wire.begun, wire.over.len()), (1, 2), "head and body are one turn");
    }
}

#[test]
fn a_short_answer_is_one_after_a_moment() {
    let authority = Authority::new();
    let server = Arc::new(plain_server(&authority, &rustls::version::TLS13, 2, false));
    let mut learned = Learned::default();
    let mut wire = Wire::new(&Arc::new(plain_client(&authority, false)), &server, Nanos(0));
    wire.call(&mut learned);
    wire.client.writer().write_all(&[b'h'; 300]).unwrap();
    wire.settle(&mut learned);
    wire.server.writer().write_all(&[b'a'; 25]).unwrap();
    wire.settle(&mut learned);
    let at = wire.tracker.next_wake(&learned).unwrap();
    assert_eq!(at.since(wire.now), SETTINGS.settle);
    assert_eq!(wire.tracker.wake(at, &mut learned), Some(Over { estimated: false }));
}

#[test]
fn garbage_is_not_tls() {
    let mut learned = Learned::default();
    let mut tracker = Tracker::new(Nanos(0), &ClientHello::default(), SETTINGS);
    assert_eq!(tracker.clone().client(Nanos(0), b"GET /", &mut learned), Err(NotTls));
    assert_eq!(tracker.server(Nanos(0), b"HTTP/1.1 400", &mut learned), Err(NotTls));
}

/// A record of either direction, or time that passes.
#[derive(Clone, Debug)]
enum Input {
    Client(u8, usize),
    Server(u8, usize),
    Pass(u64),
}

fn input() -> impl Strategy<Value = Input> {
    let length = prop_oneof![Just(19usize), Just(42), Just(53), 0..300usize];
    let content = prop_oneof![1 => 20..=22u8, 4 => Just(23u8)];
    prop_oneof![
        (content.clone(), length.clone()).prop_map(|(c, l)| Input::Client(c, l)),
        (content, length).prop_map(|(c, l)| Input::Server(c, l)),
        (1..3000u64).prop_map(Input::Pass),
    ]
}

fn record(content: u8, length: usize) -> Vec<u8> {
    let l = u16::try_from(length).unwrap().to_be_bytes();
    [&[content, 3, 3, l[0], l[1]], vec![content; length].as_slice()].concat()
}

/// Feeds the inputs in pieces of at most `piece` bytes; gives what happened, and checks that nothing gets stuck.
fn play(inputs: &[Input], piece: usize, new: bool) -> (Vec<String>, usize) {
    let mut learned = Learned::default();
    let hello = ClientHello { takes_tickets: true, ..ClientHello::default() };
    let mut tracker = Tracker::new(Nanos(0), &hello, SETTINGS);
    tracker.version = if new { Version::New } else { Version::Old };
    (tracker.collected, tracker.finished_length) = (None, 53);
    let (mut now, mut pending, mut log, mut sent) = (Nanos(0), Vec::new(), Vec::new(), 0);
    let over = |log: &mut Vec<String>, over: Option<Over>| {
        if let Some(over) = over {
            log.push(format!("over {}", over.estimated));
        }
    };
    for input in inputs.iter().chain([&Input::Pass(100_000), &Input::Pass(100_000)]) {
        match input {
            Input::Client(content, length) => pending.extend(record(*content, *length)),
            Input::Server(content, length) => {
                for part in record(*content, *length).chunks(piece) {
                    over(&mut log, tracker.server(now, part, &mut learned).unwrap());
                }
            }
            Input::Pass(millis) => {
                now = now + Span::millis(*millis);
                over(&mut log, tracker.wake(now, &mut learned));
            }
        }
        loop {
            // What is held back is only ever the beginning of a record that the tracker has seen.
            let shown = pending.len().min(piece.max(HEADER));
            let take = tracker.client(now, &pending[..shown], &mut learned).unwrap();
            assert!(take.bytes <= shown);
            pending.drain(..take.bytes);
            sent += take.bytes;
            if take.then == Then::Admission {
                log.push("begins".to_owned());
                assert!(!tracker.in_turn());
                tracker.admitted(now);
            } else if take.bytes == 0 {
                break;
            }
        }
    }
    assert!(pending.is_empty(), "{} bytes stuck", pending.len());
    (log, sent)
}

proptest! {
    #[test]
    fn pieces_do_not_matter(inputs in proptest::collection::vec(input(), 0..30), piece in 1..200usize, new: bool) {
        // One record per step is at hand in both, but for the look ahead to `Finished`, which needs the whole buffer.
        let whole = play(&inputs, 100_000, new);
        let parts = play(&inputs, piece, new);
        prop_assert_eq!(whole.1, parts.1, "bytes sent");
        if !new {
            prop_assert_eq!(whole.0, parts.0);
        }
    }

    #[test]
    fn turns_alternate(inputs in proptest::collection::vec(input(), 0..60), new: bool) {
        let (log, _) = play(&inputs, 100_000, new);
        let mut open = true;
        for line in log {
            prop_assert_eq!(open, line != "begins");
            open = !open;
        }
    }

    #[test]
    fn never_panics(
        client in proptest::collection::vec(any::<u8>(), 0..100),
        server in proptest::collection::vec(any::<u8>(), 0..100),
    ) {
        let mut learned = Learned::default();
        let mut tracker = Tracker::new(Nanos(0), &ClientHello::default(), SETTINGS);
        let _ = (tracker.client(Nanos(1), &client, &mut learned), tracker.server(Nanos(2), &server, &mut learned));
        let _ = (tracker.next_wake(&learned), tracker.wake(Nanos(u64::MAX), &mut learned));
    }
}
