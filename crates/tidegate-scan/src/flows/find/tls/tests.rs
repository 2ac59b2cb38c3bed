//! Handshakes that go well and handshakes that do not, told packet by packet.
use proptest::prelude::*;
use tidegate_core::flow::Role;

use super::talk::{Said, Stage, Then};
use super::*;
use crate::flows::find::script::{Pair, Script};
use crate::flows::found::{Confidence, Severity};

const CLIENT: &[u8] = include_bytes!("../../../../../../fuzz/corpus/hello/client");
const NEW: &[u8] = include_bytes!("../../../../../../fuzz/corpus/hello/server-13");
const OLD: &[u8] = include_bytes!("../../../../../../fuzz/corpus/hello/server-12");
const PUSH: u8 = flag::ACK | flag::PSH;
const FINDING: &str = "handshake-failed";

fn record(content: u8, length: usize) -> Vec<u8> {
    [&[content, 3, 3, 0, u8::try_from(length).unwrap()][..], &vec![7; length]].concat()
}

fn alert(description: u8) -> [u8; 7] {
    [21, 3, 3, 0, 2, 2, description]
}

/// For plays that are no more than this.
fn send(_said: &mut crate::flows::find::script::Said) {}

/// Opens a connection, and sends the client's hello.
fn asked(script: &mut Script, port: u16) -> Pair {
    let mut pair = Pair::new(1, port);
    script.open(&mut pair);
    script.say(&mut pair, 0, PUSH, CLIENT);
    pair
}

/// A whole handshake, data and a close.
fn well(script: &mut Script, port: u16, server: &[u8]) {
    let mut pair = asked(script, port);
    script.say(&mut pair, 1, PUSH, server);
    let sealed = record(23, 53);
    let finished =
        if server == NEW { sealed.clone() } else { [record(22, 60), record(20, 1), record(22, 40)].concat() };
    script.say(&mut pair, 0, PUSH, &[record(20, 1), finished].concat()[6 * usize::from(server == OLD)..]);
    if server == OLD {
        script.say(&mut pair, 1, PUSH, &[record(20, 1), record(22, 40)].concat());
    }
    script.say(&mut pair, 0, PUSH, &sealed);
    script.say(&mut pair, 1, PUSH, &sealed);
    script.say(&mut pair, 0, flag::FIN | flag::ACK, &record(23, 19));
    script.say(&mut pair, 1, flag::FIN | flag::ACK, &[]);
    script.say(&mut pair, 0, flag::ACK, &[]);
}

#[test]
fn what_goes_well_is_not_told() {
    let mut script = Script::default();
    for port in 0..20 {
        well(&mut script, 40_000 + port, [NEW, OLD][usize::from(port % 2)]);
    }
    assert_eq!(script.found(FINDING), []);
}

#[test]
fn an_alert_tells_who_and_why() {
    let mut script = Script::default();
    well(&mut script, 50_000, OLD);
    for port in 0..12 {
        let mut pair = asked(&mut script, 40_000 + port);
        script.say(&mut pair, 1, PUSH, OLD);
        script.say(&mut pair, 0, PUSH, &alert(48));
        script.say(&mut pair, 0, flag::RST | flag::ACK, &[]);
    }
    let (found, outcome) = script.only(FINDING);
    assert_eq!(outcome, "alert from the client: unknown ca");
    assert_eq!((found.count, found.severity, found.confidence), (12, Severity::Critical, Confidence::High));
    assert_eq!(found.facts["hellos"], json!(13));
    assert_eq!(found.groups[0].who, "10.0.1.1:443");
    assert_eq!(found.groups[0].facts["names"], json!(["vp-a.lab"]));
    assert_eq!(found.groups[0].facts["server_agrees_to"], json!("TLS 1.2"));
    assert_eq!(found.groups[0].facts["clients_take_up_to"], json!("TLS 1.3"));
}

#[test]
fn each_way_to_fail_has_its_words() {
    type Play = fn(&mut Script, &mut Pair);
    let plays: [(Play, &str, Confidence); 9] = [
        (
            |script, pair| send(script.say(pair, 1, PUSH, &alert(70))),
            "alert from the server: protocol version",
            Confidence::High,
        ),
        (
            |script, pair| send(script.say(pair, 1, flag::RST | flag::ACK, &[])),
            "hello answered with a reset",
            Confidence::Medium,
        ),
        (
            |script, pair| send(script.say(pair, 1, flag::FIN | flag::ACK, &[])),
            "hello answered with a close",
            Confidence::Medium,
        ),
        (
            |script, pair| send(script.say(pair, 1, PUSH, b"SSH-2.0-OpenSSH_9.2\r\n")),
            "hello answered in something else than TLS",
            Confidence::High,
        ),
        (
            |script, pair| send(script.wait(12_000).say(pair, 0, flag::FIN | flag::ACK, &[])),
            "hello not answered",
            Confidence::Medium,
        ),
        (
            |script, pair| send(script.wait(12_000).say(pair, 0, flag::ACK, &[])),
            "hello not answered",
            Confidence::Medium,
        ),
        (
            |script, pair| {
                script.say(pair, 1, PUSH, NEW);
                script.say(pair, 0, PUSH, &[record(20, 1), record(23, 19)].concat());
                script.say(pair, 0, flag::FIN | flag::ACK, &[]);
            },
            "encrypted alert from the client, it seems",
            Confidence::Low,
        ),
        (
            |script, pair| {
                script.say(pair, 1, PUSH, NEW);
                script.say(pair, 0, PUSH, &[record(20, 1), record(23, 53), record(23, 100)].concat());
                script.say(pair, 1, PUSH, &record(23, 19));
                script.say(pair, 1, flag::FIN | flag::ACK, &[]);
            },
            "encrypted alert from the server, it seems",
            Confidence::Low,
        ),
        (
            |script, pair| {
                script.say(pair, 1, PUSH, NEW);
                script.say(pair, 0, flag::RST | flag::ACK, &[]);
            },
            "client left during the handshake",
            Confidence::Low,
        ),
    ];
    for (play, words, confidence) in plays {
        let mut script = Script::default();
        let mut pair = asked(&mut script, 40_000);
        play(&mut script, &mut pair);
        let (found, outcome) = script.only(FINDING);
        assert_eq!((outcome.as_str(), found.confidence, found.count), (words, confidence, 1));
    }
}

#[test]
fn plain_text_counts_where_others_speak_tls() {
    let mut script = Script::default();
    let mut pair = Pair::new(1, 41_000);
    script.open(&mut pair);
    script.say(&mut pair, 0, PUSH, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    script.say(&mut pair, 1, PUSH, b"HTTP/1.1 400 Bad Request\r\n\r\n");
    assert_eq!(script.found(FINDING), []);
    well(&mut script, 41_001, NEW);
    let (found, outcome) = script.only(FINDING);
    assert_eq!((outcome.as_str(), found.count, found.severity), ("plain text to a TLS port", 1, Severity::Warning));
}

#[test]
fn what_was_not_seen_is_not_judged() {
    // The server's hello was lost before this place; the client's hello was cut; nobody answers at all, SYN included.
    let mut lost = Script::default();
    let mut pair = asked(&mut lost, 40_000);
    lost.say(&mut pair, 1, PUSH, NEW);
    lost.said.pop();
    lost.say(&mut pair, 1, PUSH, &[9; 100]);
    lost.say(&mut pair, 1, flag::FIN | flag::ACK, &[]);
    assert_eq!(lost.found(FINDING), []);
    let mut cut = Script::default();
    let mut pair = asked(&mut cut, 40_000);
    cut.say(&mut pair, 1, PUSH, NEW).data.truncate(3);
    cut.say(&mut pair, 0, flag::RST, &[]);
    assert_eq!(cut.found(FINDING), []);
    // The server's change of ciphers stands behind a ticket, and was not kept.
    let mut snap = Script::default();
    let mut pair = asked(&mut snap, 40_000);
    snap.say(&mut pair, 1, PUSH, OLD).data.truncate(30);
    snap.say(&mut pair, 0, PUSH, &record(22, 60)).data.truncate(30);
    snap.say(&mut pair, 1, PUSH, &[record(22, 100), record(20, 1)].concat()).data.truncate(30);
    snap.say(&mut pair, 1, flag::FIN | flag::ACK, &[]);
    assert_eq!(snap.found(FINDING), []);
}

proptest! {
    #[test]
    fn a_talk_ends_whatever_is_said(
        start in 0usize..8,
        words in prop::collection::vec((0usize..8, any::<bool>(), 0u8..3, 0u32..20_000, any::<u8>()), 0..30),
    ) {
        let stages = [
            Stage::Asked, Stage::AskedAgain, Stage::Agreed, Stage::AgreedNew, Stage::Plain, Stage::Blind, Stage::Finished,
            Stage::Sealed(Role::Responder),
        ];
        let mut stage = stages[start];
        for (what, client, leaves, age, byte) in words {
            let pieces = [
                Vec::new(), NEW.to_vec(), OLD.to_vec(), CLIENT.to_vec(), alert(byte).to_vec(), record(23, 19), record(20, 1),
                vec![byte; 40],
            ];
            let by = if client { Role::Initiator } else { Role::Responder };
            let leaves = [0, flag::FIN, flag::RST][usize::from(leaves)];
            let said = Said { by, data: &pieces[what], cut: false, leaves, age };
            match stage.hear(&said) {
                Then::Wait(next) => {
                    // Whoever leaves ends it.
                    prop_assert!(leaves == 0);
                    // Nothing said changes nothing.
                    prop_assert!(!pieces[what].is_empty() || next == stage);
                    stage = next;
                }
                Then::Failed(kind) => {
                    prop_assert!(!kind.to_string().is_empty());
                    break;
                }
                Then::Over => break,
            }
        }
    }
}
