//! Any segments of a few tuples, through a table that is too small for them: it counts right, it is bounded, it gives up no
//! established flow, and each flow is what it is alone.
#![no_main]

use std::collections::BTreeMap;

use tidegate_core::flow::flags::SYN;
use tidegate_core::flow::{Class, Flow, Key, Profile, Record, Segment, Side, State, Table, profile};
use tidegate_core::time::Nanos;

/// Bytes of which a segment is made.
const EACH: usize = 10;
/// Bytes that a table for so few flows may take: a block of records, and the smallest index.
const BYTES_MAX: usize = 1 << 20;

/// A table, and the same flows without one.
struct Both {
    table: Table<u64>,
    alone: BTreeMap<Key, Flow>,
    capacity: usize,
}

impl Both {
    fn step(&mut self, key: Key, segment: &Segment, profile: &Profile) {
        let mut flow = self.alone.remove(&key).unwrap_or_default();
        let answer = flow.step(segment, profile);
        let mut seeks = [self.table.seek(key)];
        self.table.touch(&mut seeks);
        let turn = self.table.alter_at(&seeks[0], |flow| flow.step(segment, profile));
        assert_eq!(turn.answer, answer);
        assert_eq!(turn.record.is_some(), answer.after != State::None && !turn.refused);
        if let Some(record) = turn.record {
            assert_eq!((record.key(), *record.flow()), (key, flow));
            record.value = record.value.saturating_add(1);
            self.alone.insert(key, flow);
        }
        if let Some(evicted) = turn.evicted {
            assert_ne!(Class::of(evicted.flow()), Class::Kept);
            assert_eq!(self.alone.remove(&evicted.key()), Some(*evicted.flow()));
        }
        assert!(!flow.plain() || flow.state() == State::Established && flow.both_heard() && !flow.contested());
    }

    fn check(&self) {
        let mut states = [0_u64; 12];
        self.table.iter().for_each(|record| states[record.flow().state() as usize] += 1);
        assert_eq!(self.table.counts().states, states);
        assert_eq!(self.table.len() as u64, states.iter().sum::<u64>());
        assert!(self.table.len() <= self.capacity && self.table.bytes() <= BYTES_MAX);
        let mut kept: Vec<_> = self.table.iter().map(|record| (record.key(), *record.flow())).collect();
        kept.sort_by_key(|(key, _)| *key);
        assert!(kept.iter().copied().eq(self.alone.iter().map(|(key, flow)| (*key, *flow))));
        assert!(kept.iter().all(|(key, _)| self.table.get(*key).map(Record::key) == Some(*key)));
    }
}

/// A segment out of bytes, at a time near the last one. Most numbers are close to where each end begins.
fn segment(bytes: &[u8; EACH], last: u64) -> (Key, Segment) {
    let [who, flags, seq0, seq1, ack0, ack1, len, window, scale, wait] = *bytes;
    let (tuple, from) = (u32::from(who & 15), if who & 16 == 0 { Side::Low } else { Side::High });
    let near = |low, high| match u16::from_le_bytes([low, high]) {
        far if who & 32 != 0 => u32::from(far) << 16,
        close => i32::from(close.cast_signed()).cast_unsigned(),
    };
    let base = |side| if side == Side::Low { u32::MAX - 7 } else { 0x7fff_fff0 };
    let time = 1_u64 << (wait & 63);
    let at = Nanos(if who & 64 == 0 { last.saturating_add(time) } else { last.saturating_sub(time) });
    let segment = Segment {
        from,
        flags,
        seq: base(from).wrapping_add(near(seq0, seq1)),
        ack: base(from.other()).wrapping_add(near(ack0, ack1)),
        len: if len < 250 { u32::from(len) } else { u32::from(len) << 24 },
        window: u16::from(window) << 8 | 3,
        wscale: Some(scale).filter(|scale| flags & SYN != 0 && *scale < 20),
        at,
    };
    // Hosts that are far apart, ports that differ by one.
    (Key::of(tuple.wrapping_mul(0x1357_9bdf), 1_000 + (tuple as u16 & 1), 0xffff_0000, 443).0, segment)
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some(([capacity, seed, kind], rest)) = data.split_first_chunk() else { return };
    let capacity = usize::from(capacity & 15) + 1;
    let mut both = Both { table: Table::new(capacity, u64::from(*seed)), alone: BTreeMap::new(), capacity };
    let profile = profile::PROFILES[usize::from(kind & 3)];
    let profile = if kind & 4 == 0 { profile } else { profile.in_path() };
    let mut last = 1 << 60;
    for bytes in rest.chunks_exact(EACH).filter_map(|bytes| bytes.first_chunk()) {
        let (key, segment) = segment(bytes, last);
        last = segment.at.0;
        both.step(key, &segment, &profile);
        both.check();
    }
});
