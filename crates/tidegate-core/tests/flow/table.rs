//! The table: bounded, fair in what it gives up, and the same whatever passes by beside a flow.

use crate::random::any_segment;
use crate::talk::{IRS, ISS, O, R, segment};
use proptest::prelude::*;
use std::collections::BTreeMap;
use tidegate_core::flow::flags::{ACK, FIN, RST, SYN};
use tidegate_core::flow::*;

const PROFILE: Profile = profile::LINUX;

fn key(number: u32) -> Key {
    Key::of(number, 1_000, 0xFFFF_0000, 443).0
}

fn establish(table: &mut Table<u32>, number: u32) {
    let (o, r) = (ISS.wrapping_add(1), IRS.wrapping_add(1));
    for (from, flags, seq, ack) in [(O, SYN, ISS, 0), (R, SYN | ACK, IRS, o), (O, ACK, o, r)] {
        assert!(!table.step(key(number), &segment(from, flags, seq, ack, 0), &PROFILE).refused);
    }
    assert_eq!(table.get(key(number)).unwrap().flow().state(), State::Established);
}

fn recount<T: Default>(table: &Table<T>) -> [u64; 12] {
    let mut states = [0; 12];
    table.iter().for_each(|record| states[record.flow().state() as usize] += 1);
    states
}

#[test]
fn both_directions_are_one_flow() {
    let (there, from) = Key::of(9, 5, 2, 80);
    let (back, other) = Key::of(2, 80, 9, 5);
    assert_eq!((there, from), (back, other.other()));
    assert_eq!((there.at(from), there.at(other)), ((9, 5), (2, 80)));
    assert_eq!(Key::of(7, 7, 7, 7).1, Side::Low, "a host that talks to itself from the same port");
}

#[test]
fn a_flood_never_evicts_what_is_established() {
    let mut table = Table::<u32>::new(100, 7);
    (0..60).for_each(|number| establish(&mut table, number));
    for number in 1_000..51_000 {
        let flags = if number % 3 == 0 { ACK } else { SYN };
        table.step(key(number), &segment(O, flags, number, 1, 0), &PROFILE);
        assert!(table.len() <= 100);
    }
    assert_eq!(table.counts().states[State::Established as usize], 60);
    assert_eq!((table.counts().evicted, table.counts().refused), ([0, 0, 50_000 - 40], 0));
    (0..60).for_each(|number| assert!(table.get(key(number)).unwrap().flow().plain()));
    assert!(table.get(key(50_999)).is_some() && table.get(key(50_959)).is_none(), "the oldest of them go first");
}

#[test]
fn a_flood_of_fins_is_given_up_as_well_and_a_full_table_refuses() {
    let mut table = Table::<u32>::new(10, 7);
    for number in 0..100 {
        table.step(key(number), &segment(O, FIN | ACK, 1, 1, 0), &PROFILE);
    }
    assert_eq!((table.len(), table.counts().refused), (10, 0));
    (200..210).for_each(|number| establish(&mut table, number));
    let turn = table.step(key(300), &segment(O, SYN, 1, 0, 0), &PROFILE);
    assert!(turn.refused && turn.record.is_none() && turn.evicted.is_none());
    assert_eq!((turn.answer.after, table.counts().refused), (State::SynSent, 1));
}

#[test]
fn the_least_is_given_up_first() {
    let mut table = Table::<u32>::new(4, 7);
    (0..4).for_each(|number| establish(&mut table, number));
    let (o, r) = (ISS.wrapping_add(1), IRS.wrapping_add(1));
    for (from, flags, seq, ack) in
        [(O, FIN | ACK, o, r), (R, FIN | ACK, r, o.wrapping_add(1)), (O, ACK, o.wrapping_add(1), r.wrapping_add(1))]
    {
        table.step(key(2), &segment(from, flags, seq, ack, 0), &PROFILE);
    }
    table.step(key(3), &segment(O, RST, o, 0, 0), &PROFILE);
    table.alter(key(3), |_| ()).record.unwrap().value = 33;
    let gone: Vec<(Key, State, u32)> = (10..13)
        .map(|number| table.step(key(number), &segment(O, SYN, 1, 0, 0), &PROFILE).evicted.unwrap())
        .map(|record| (record.key(), record.flow().state(), record.value))
        .collect();
    let expected = [(key(3), State::Closed, 33), (key(2), State::TimeWait, 0), (key(10), State::SynSent, 0)];
    assert_eq!(gone, expected);
}

#[test]
fn a_flow_takes_less_than_150_bytes() {
    let mut table = Table::<[u32; 9]>::new(1_000_000, 7);
    for count in [49_153u32, 98_305, 196_609] {
        (table.len() as u32..count).for_each(|number| {
            table.step(key(number), &segment(O, SYN, 1, 0, 0), &PROFILE);
        });
        let each = table.bytes() as f64 / table.len() as f64;
        assert!(each <= 150.0, "{count}: {each} with 36 of the owner");
    }
}

#[test]
fn every_flow_is_found_after_many_came_and_went() {
    let mut table = Table::<u32>::new(5_000, 7);
    for number in 0..40_000u32 {
        let hashed = key(number.wrapping_mul(2_654_435_761));
        table.step(hashed, &segment(O, SYN, 1, 0, 0), &PROFILE);
        assert_eq!(table.get(hashed).unwrap().key(), hashed);
    }
    let keys: Vec<Key> = table.iter().map(Record::key).collect();
    assert_eq!((keys.len(), table.len()), (5_000, 5_000));
    assert!(keys.iter().all(|key| table.get(*key).is_some_and(|record| record.key() == *key)));
    keys.iter().for_each(|key| assert!(table.alter(*key, |flow| *flow = Flow::default()).record.is_none()));
    assert!(table.is_empty() && table.iter().next().is_none());
    assert_eq!(table.counts().states, [0; 12]);
}

fn traffic() -> impl Strategy<Value = Vec<(u32, Segment)>> {
    prop::collection::vec((0..12u32, any_segment()), 1..300)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_passes_by_beside_a_flow_changes_nothing(traffic in traffic(), shards in 1..6usize, seed in any::<u64>()) {
        let mut alone = BTreeMap::<u32, Flow>::new();
        let mut tables: Vec<Table<()>> = (0..shards).map(|_| Table::new(100, seed)).collect();
        for (number, segment) in &traffic {
            let step = alone.entry(*number).or_default().step(segment, &PROFILE);
            let shard = key(*number).hash(3) as usize % shards;
            let mut seeks = [key(*number), key(99)].map(|key| tables[shard].seek(key));
            tables[shard].touch(&mut seeks);
            let stepped = tables[shard].alter_at(&seeks[0], |flow| flow.step(segment, &PROFILE));
            prop_assert_eq!(step, stepped.answer);
        }
        let mut together: Vec<(Key, Flow)> =
            tables.iter().flat_map(Table::iter).map(|record| (record.key(), *record.flow())).collect();
        together.sort_by_key(|(key, _)| *key);
        let mut alone: Vec<(Key, Flow)> = alone.into_iter().map(|(number, flow)| (key(number), flow)).collect();
        alone.retain(|(_, flow)| flow.state() != State::None);
        alone.sort_by_key(|(key, _)| *key);
        prop_assert_eq!(together, alone);
    }

    #[test]
    fn gauges_are_what_a_recount_says(traffic in traffic(), capacity in 1..14usize) {
        let mut table = Table::<u8>::new(capacity, 1);
        for (number, segment) in &traffic {
            let kept: Vec<Key> = table.iter().filter(|r| Class::of(r.flow()) == Class::Kept).map(Record::key).collect();
            let turn = table.step(key(*number), segment, &PROFILE);
            let evicted = turn.evicted.map(|record| record.key());
            prop_assert!(evicted.is_none_or(|key| !kept.contains(&key)));
            prop_assert!(table.len() <= capacity);
            prop_assert_eq!(table.counts().states, recount(&table));
            prop_assert_eq!(table.len() as u64, table.counts().states.iter().sum::<u64>());
        }
    }
}
