//! Hellos, and the turn tracker on a conversation: each byte of the input in front of a piece says who speaks, how long
//! the piece is, and how much time passes.
#![no_main]

use tidegate_core::time::{Nanos, Span};
use tidegate_proxy::wire::hello::{self, ClientHello, Progress};
use tidegate_proxy::wire::turns::{Learned, Settings, Then, Tracker};

const SETTINGS: Settings = Settings { settle: Span::millis(50), answer_max: Span::secs(2) };

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let verdict = hello::parse(data);
    let early = hello::parse(&data[..data.len() / 2]);
    assert!(early == Ok(Progress::NeedMore) || early == verdict);
    let _ = hello::server::parse(data);
    converse(data);
});

fn converse(mut data: &[u8]) {
    let mut learned = Learned::default();
    let mut tracker = Tracker::new(Nanos(0), &ClientHello::default(), SETTINGS);
    let (mut now, mut pending) = (Nanos(0), Vec::new());
    while let Some((control, rest)) = data.split_first() {
        let (piece, rest) = rest.split_at(rest.len().min(usize::from(control & 31)));
        data = rest;
        now = now + Span::millis(u64::from(control & 64) * 50);
        tracker.wake(now, &mut learned);
        if control & 128 == 0 {
            pending.extend_from_slice(piece);
        } else if tracker.server(now, piece, &mut learned).is_err() {
            return;
        }
        loop {
            let Ok(take) = tracker.client(now, &pending, &mut learned) else { return };
            pending.drain(..take.bytes);
            match take.then {
                Then::Admission => tracker.admitted(now),
                Then::Later => {
                    assert!(tracker.next_wake(&learned).is_some_and(|at| at <= now + Span::secs(10)));
                    break;
                }
                Then::More => break assert!(pending.len() < 5),
            }
        }
    }
}
