//! When is a call in progress on an encrypted connection? The turn tracker of passthrough.
//!
//! The gate must keep the calls in flight at a server under its limit, also those that it cannot read. HTTP/1.1
//! helps: a client speaks, then its server, and a client that waits for an answer is silent. One such exchange is a
//! *turn*. The tracker reads the headers of TLS records of both directions, and the ServerHello, nothing else:
//!
//! - The *first* turn begins with the ClientHello. Whoever opened the connection holds an admitted slot for it.
//! - A turn is *over* with the first application record of the server that answers it; the slot is then given back.
//! - The next application record of the client *begins* the next turn, and asks for admission before it is forwarded.
//!
//! **TLS 1.2** shows what is what: handshake, alerts and application data have types of their own.
//!
//! **TLS 1.3** hides everything behind the type of application data, and the first turn has to be pieced together:
//!
//! 1. What the server sends before the client's first such record is its half of the handshake.
//! 2. The client's half ends with `Finished`, whose length the cipher suite tells. A client with a certificate may have
//!    put it into one record with that; then its half is over when the server reacts to it.
//! 3. The server reacts with *tickets*, as many as it always sends, and they come before any answer. How many that is
//!    gets [`Learned`] per server: on its first connections the client's request is held back for a moment after the
//!    handshake (`settle` after the last ticket, a little longer when there is none), so that all that the server sends
//!    in this time is tickets and nothing but tickets. Later ones rely on the count and hold nothing back; every 64th
//!    one counts again.
//! 4. The first record after that many tickets, and after the client's request, is the answer.
//!
//! Where the count does not fit (a server that sends fewer this time), the answer looks like a ticket and the turn
//! stays open for too long, never for too short. It then ends when the connection has been quiet for longer than the
//! answers of this server take: 1.5 × `answer_p95` of clear cases, at most `answer_max`; where exactly as many records
//! came as there should be tickets, and so nothing is wrong, 8 × `answer_p95`, at least `answer_max`. The count is then
//! learned anew. Such ends, and all first turns of TLS 1.3, are said to be *estimated*.
//!
//! Known limits: alerts and key updates of TLS 1.3 are told by their length, `100 Continue` by its length too; a server
//! that answers in pieces with long pauses gives its slot back with the first piece; 0-RTT is estimated by silence.
//! While a server owes an answer the tracker waits for it without end: the machine's upstream timeout bounds that.

mod learned;

use super::hello::{ClientHello, server};
use super::record::{Content, HEADER, NotTls, Record, Records};
use learned::Kind;
pub use learned::Learned;
use tidegate_core::time::{Nanos, Span};

/// Most bytes of a server's that are kept while its hello is incomplete.
const COLLECT_MAX: usize = 2048;
/// Longest record of TLS 1.3 that is an alert (19) or a key update (22).
const SMALL: usize = 24;
/// `HTTP/1.1 100 Continue` and its blank line, 25 bytes, under the cipher suites in use.
const INTERIM_NEW: [usize; 1] = [42];
const INTERIM_OLD: [usize; 5] = [41, 49, 64, 80, 96];

/// The two times of the plan.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// How long a connection must be quiet for what belongs together to have arrived (default 50 ms).
    pub settle: Span,
    /// How long a silence means an end that nothing else tells, until answer times are known (default 2 s).
    pub answer_max: Span,
}

/// A turn is over: its slot can be given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Over {
    /// Told from lengths, counts or silence rather than seen.
    pub estimated: bool,
}

/// How much of a client's bytes may go to the server now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Take {
    /// So many.
    pub bytes: usize,
    /// What to do with the rest.
    pub then: Then,
}

/// What to do with the bytes that may not go now. They are passed again, from where they were cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// Pass them with more behind them (there are fewer than five).
    More,
    /// They begin a turn: ask for admission, say [`Tracker::admitted`], pass them again.
    Admission,
    /// Pass them after the server's next bytes, or after [`Tracker::next_wake`].
    Later,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    /// Before the ServerHello.
    Unknown,
    /// TLS 1.2 or older.
    Old,
    /// TLS 1.3, or a hello that could not be read.
    New,
}

/// The client's half of a handshake of TLS 1.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flight {
    NotYet,
    /// Begun, and maybe over.
    Begun,
    Over,
}

/// The tracker of one connection. See the module's text.
#[derive(Clone, Debug)]
pub struct Tracker {
    settings: Settings,
    takes_tickets: bool,
    early_data: bool,
    started: Nanos,
    /// From the ClientHello to the ServerHello.
    hello_took: Span,
    /// Bytes of the client's current record that are still to come.
    client_skip: usize,
    server: Records,
    /// The server's first bytes, until its hello is read.
    collected: Option<Vec<u8>>,
    version: Version,
    resumed: bool,
    finished_length: usize,
    /// Change of cipher seen from (client, server): the end of a handshake of TLS 1.2.
    ciphers: (bool, bool),
    server_flight: bool,
    flight: Flight,
    flight_at: Nanos,
    tickets: u32,
    tickets_at: Nanos,
    tickets_expected: Option<u32>,
    /// Nothing that the server sends can be a ticket any more.
    tickets_done: bool,
    /// A turn is in progress, …
    open: bool,
    /// … the client has sent application data in it, …
    request: bool,
    /// … and the server something that may be `100 Continue`, at this time.
    interim: Option<Nanos>,
    /// A small record passed between turns: one more is not taken for an alert.
    small_passed: bool,
    /// The client's bytes are held back while tickets are counted.
    holding: bool,
    last_client: Nanos,
    last_server: Nanos,
}

impl Tracker {
    /// For a connection whose hello is about to be forwarded, holding a slot.
    pub fn new(now: Nanos, hello: &ClientHello, settings: Settings) -> Tracker {
        Tracker {
            settings,
            takes_tickets: hello.takes_tickets,
            early_data: hello.early_data,
            started: now,
            hello_took: Span::ZERO,
            client_skip: 0,
            server: Records::default(),
            collected: Some(Vec::new()),
            version: Version::Unknown,
            resumed: false,
            finished_length: 0,
            ciphers: (false, false),
            server_flight: false,
            flight: Flight::NotYet,
            flight_at: now,
            tickets: 0,
            tickets_at: now,
            tickets_expected: None,
            tickets_done: false,
            open: true,
            request: false,
            interim: None,
            small_passed: false,
            holding: false,
            last_client: now,
            last_server: now,
        }
    }

    /// Whether a turn is in progress, and a slot is held.
    pub fn in_turn(&self) -> bool {
        self.open
    }

    /// The turn that the client's next record begins was admitted.
    pub fn admitted(&mut self, now: Nanos) {
        self.open = true;
        self.request = false;
        self.interim = None;
        self.small_passed = false;
        self.last_client = now;
    }

    /// Looks at bytes from the client, the hello included, before they are forwarded.
    ///
    /// # Errors
    /// When they are not TLS records.
    pub fn client(&mut self, now: Nanos, bytes: &[u8], learned: &mut Learned) -> Result<Take, NotTls> {
        self.holding = false;
        let mut at = 0;
        loop {
            let skipped = self.client_skip.min(bytes.len() - at);
            self.client_skip -= skipped;
            at += skipped;
            let record = Record::read(&bytes[at..])?;
            if at > 0 {
                self.last_client = now;
            }
            let Some(record) = record else { return Ok(Take { bytes: at, then: Then::More }) };
            if let Some(then) = self.client_record(now, record, &bytes[at..], learned) {
                self.holding = then == Then::Later;
                return Ok(Take { bytes: at, then });
            }
            at += HEADER;
            self.client_skip = record.length;
        }
    }

    /// `None`: the record may go.
    fn client_record(&mut self, now: Nanos, record: Record, rest: &[u8], learned: &mut Learned) -> Option<Then> {
        if record.content != Content::Application {
            self.ciphers.0 |= record.content == Content::ChangeCipherSpec;
            return None;
        }
        let small = self.version == Version::New && record.length <= SMALL;
        if small && (self.open || !self.small_passed) {
            self.small_passed |= !self.open;
            return None;
        }
        if !self.open {
            return Some(Then::Admission);
        }
        // Application data of TLS 1.2, or sent before the server's half of a handshake of TLS 1.3 (0-RTT).
        if self.version != Version::New || !self.server_flight {
            return self.requests();
        }
        match self.flight {
            Flight::NotYet => {
                self.flight = if record.length == self.finished_length { Flight::Over } else { Flight::Begun };
                self.flight_at = now;
                self.tickets_expected = learned.tickets(self.kind());
                None
            }
            Flight::Begun if record.length == self.finished_length => {
                self.flight = Flight::Over;
                self.flight_at = now;
                None
            }
            Flight::Begun if self.has_finished(rest) => None,
            Flight::Begun if self.tickets == 0 && self.tickets_expected.is_some() => self.requests(),
            Flight::Begun if self.tickets == 0 && now < self.counted_at() => Some(Then::Later),
            Flight::Begun | Flight::Over => {
                self.flight = Flight::Over;
                if !self.tickets_done && self.tickets_expected.is_none() {
                    if now < self.counted_at() {
                        return Some(Then::Later);
                    }
                    if !self.request {
                        learned.saw_tickets(self.kind(), self.tickets);
                    }
                    self.tickets_expected = Some(self.tickets);
                }
                self.requests()
            }
        }
    }

    /// The record is application data of an open turn, or may be.
    fn requests(&mut self) -> Option<Then> {
        self.request = true;
        self.interim = None;
        None
    }

    fn kind(&self) -> Kind {
        Kind { resumed: self.resumed, takes_tickets: self.takes_tickets }
    }

    /// Whether one of the records at hand has the length of `Finished`.
    fn has_finished(&self, mut rest: &[u8]) -> bool {
        while let Ok(Some(record)) = Record::read(rest) {
            if record.content == Content::Application && record.length == self.finished_length {
                return true;
            }
            rest = rest.get(HEADER + record.length..).unwrap_or_default();
        }
        false
    }

    /// When all tickets will have come.
    fn counted_at(&self) -> Nanos {
        let settled = if self.tickets > 0 {
            self.tickets_at + self.settings.settle
        } else {
            // A slow server is also slow with its tickets: it gets twice as long as it took for its hello.
            self.flight_at + self.settings.settle + self.hello_took + self.hello_took
        };
        settled.min(self.flight_at + self.settings.answer_max)
    }

    /// Looks at bytes from the server, all of which may go to the client.
    ///
    /// # Errors
    /// When they are not TLS records.
    pub fn server(&mut self, now: Nanos, bytes: &[u8], learned: &mut Learned) -> Result<Option<Over>, NotTls> {
        self.read_hello(now, bytes);
        let mut records = std::mem::take(&mut self.server);
        let mut over = None;
        let fed = records.feed(bytes, |record| over = self.server_record(now, record, learned).or(over));
        self.server = records;
        self.last_server = now;
        fed.map(|()| over)
    }

    fn read_hello(&mut self, now: Nanos, bytes: &[u8]) {
        let Some(mut collected) = self.collected.take() else { return };
        collected.extend_from_slice(&bytes[..bytes.len().min(COLLECT_MAX - collected.len())]);
        match server::parse(&collected) {
            Ok(None) if collected.len() < COLLECT_MAX => {
                self.collected = Some(collected);
                return;
            }
            Ok(Some(hello)) => {
                self.version = if hello.tls13 { Version::New } else { Version::Old };
                self.resumed = hello.resumed;
                self.finished_length = finished_length(hello.suite);
            }
            Ok(None) | Err(_) => self.version = Version::New,
        }
        self.hello_took = now.since(self.started);
    }

    fn server_record(&mut self, now: Nanos, record: Record, learned: &mut Learned) -> Option<Over> {
        if record.content != Content::Application {
            self.ciphers.1 |= record.content == Content::ChangeCipherSpec;
            return None;
        }
        let new = self.version == Version::New;
        if new && record.length <= SMALL {
            return None;
        }
        if new && self.flight == Flight::NotYet {
            self.server_flight = true;
            return None;
        }
        if new && !self.tickets_done && self.is_ticket(now, learned) {
            return None;
        }
        if !self.open || !self.request {
            return None;
        }
        let interim = if new { INTERIM_NEW.contains(&record.length) } else { INTERIM_OLD.contains(&record.length) };
        if interim && self.interim.is_none() {
            self.interim = Some(now);
            return None;
        }
        let estimated = new && !self.tickets_done;
        if !estimated {
            learned.saw_answer(now.since(self.last_client));
        }
        Some(self.over(estimated))
    }

    fn is_ticket(&mut self, now: Nanos, learned: &mut Learned) -> bool {
        let expected = self.tickets_expected;
        if self.request && expected.is_some_and(|n| self.tickets >= n) {
            return false;
        }
        self.tickets += 1;
        self.tickets_at = now;
        if expected.is_some_and(|n| self.tickets > n) {
            // More than ever, and before any request: certain.
            learned.saw_tickets(self.kind(), self.tickets);
            self.tickets_expected = Some(self.tickets);
        }
        true
    }

    fn over(&mut self, estimated: bool) -> Over {
        self.tickets_done |= self.request;
        (self.open, self.request, self.interim) = (false, false, None);
        Over { estimated }
    }

    /// When to call [`Tracker::wake`] if nothing happens before.
    pub fn next_wake(&self, learned: &Learned) -> Option<Nanos> {
        if self.holding { Some(self.counted_at()) } else { self.silence_ends(learned) }
    }

    /// The time that was waited for may have come. Bytes that were held back ([`Then::Later`]) are passed again after
    /// it.
    pub fn wake(&mut self, now: Nanos, learned: &mut Learned) -> Option<Over> {
        if self.holding || self.silence_ends(learned).is_none_or(|at| now < at) {
            return None;
        }
        if self.interim.is_some() {
            return Some(self.over(self.version == Version::New && !self.tickets_done)); // a short answer after all
        }
        if self.request {
            learned.doubt_tickets(self.kind());
        }
        Some(self.over(true))
    }

    /// When silence alone says that the turn is over.
    fn silence_ends(&self, learned: &Learned) -> Option<Nanos> {
        let Settings { settle, answer_max } = self.settings;
        if !self.open {
            return None;
        }
        if let Some(at) = self.interim {
            return Some(at + settle);
        }
        let quiet_since = self.last_client.max(self.last_server);
        if !self.request {
            // A handshake that no request follows, or that the client leaves lying.
            let shaken = self.flight == Flight::Over || self.ciphers == (true, true);
            return (shaken || self.last_server > self.last_client).then(|| quiet_since + answer_max);
        }
        let answered_maybe = self.tickets > 0 || self.early_data;
        if self.version != Version::New || self.tickets_done || !answered_maybe {
            return None; // the server owes an answer
        }
        let usual = learned.answer_p95().unwrap_or(answer_max);
        let as_expected = self.tickets_expected.is_none_or(|n| self.tickets >= n);
        let wait = if as_expected { usual.mul_f64(8.0).max(answer_max) } else { usual.mul_f64(1.5).min(answer_max) };
        Some(quiet_since + wait.max(settle))
    }
}

/// Length of the record of a `Finished`: header, hash, content type, tag.
fn finished_length(suite: u16) -> usize {
    let (hash, tag) = match suite {
        0x1302 => (48, 16), // TLS_AES_256_GCM_SHA384
        0x1305 => (32, 8),  // TLS_AES_128_CCM_8_SHA256
        _ => (32, 16),
    };
    4 + hash + 1 + tag
}

#[cfg(test)]
mod tests;
