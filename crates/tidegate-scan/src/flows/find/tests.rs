//! Whatever strangers send: no finding panics, and shards change nothing.

use proptest::prelude::*;

use super::script::{Pair, Script};
use crate::capture::flag;
use crate::flows::found::{FRAMES_MAX, GROUPS_MAX};

const FLAGS: [u8; 8] = [
    flag::SYN,
    flag::SYN | flag::ACK,
    flag::ACK,
    flag::ACK | flag::PSH,
    flag::FIN | flag::ACK,
    flag::RST,
    flag::RST | flag::ACK,
    flag::SYN | flag::FIN,
];
const PIECES: [&[u8]; 8] = [
    b"",
    b"x",
    include_bytes!("../../../../../fuzz/corpus/hello/client"),
    include_bytes!("../../../../../fuzz/corpus/hello/server-13"),
    include_bytes!("../../../../../fuzz/corpus/hello/server-12"),
    &[21, 3, 3, 0, 2, 2, 48],
    &[20, 3, 3, 0, 1, 1, 23, 3, 3, 0, 19, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    b"GET / HTTP/1.1\r\n",
];
const WAITS: [u64; 6] = [0, 0, 5, 900, 40_000, 400_000];

/// Who of which pair says what after which time, and how its header differs.
type Word = (usize, usize, usize, usize, usize, u8);

fn word() -> impl Strategy<Value = Word> {
    (0usize..5, 0usize..2, 0usize..8, 0usize..8, 0usize..6, 0u8..12)
}

fn play(words: &[Word], opened: bool) -> Script {
    let mut script = Script::default();
    let mut pairs: Vec<Pair> = (0..5u8).map(|client| Pair::new(client / 2, 40_000 + u16::from(client))).collect();
    if opened {
        pairs.iter_mut().for_each(|pair| script.open(pair));
    }
    for (pair, by, flags, piece, wait, odd) in words {
        let copied = pairs[*pair].id[1 - by];
        let said = script.wait(WAITS[*wait]).say(&mut pairs[*pair], *by, FLAGS[*flags], PIECES[*piece]);
        match odd {
            0 => said.seq = said.seq.wrapping_sub(1),
            1 => said.ttl -= 3,
            2 => said.id = copied,
            3 => said.seq = said.seq.wrapping_add(1000),
            4 => said.window = 0,
            5 => said.data.truncate(30),
            6 => said.undelivered = Some((*flags as u8, [10, 9, 9, 9].into())),
            7 => said.trailer = vec![7; 40],
            _ => {}
        }
    }
    script
}

proptest! {
    #[test]
    fn shards_change_nothing(words in prop::collection::vec(word(), 0..80), opened: bool) {
        let script = play(&words, opened);
        let found = script.report(1).found;
        for found in &found {
            prop_assert!(found.frames.len() <= FRAMES_MAX && found.groups.len() <= GROUPS_MAX);
            prop_assert!(found.first <= found.last && found.count > 0);
            prop_assert!(found.frames.is_sorted() && found.groups.is_sorted_by_key(|group| std::cmp::Reverse(group.count)));
        }
        for shards in [2, 3, 7] {
            prop_assert_eq!(&script.report(shards).found, &found);
        }
    }
}
