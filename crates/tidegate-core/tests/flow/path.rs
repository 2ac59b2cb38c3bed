//! The fast path takes established flows only, whatever happens; the slow path has an answer to everything; the drill.

use crate::random::any_segment;
use crate::talk::{IRS, ISS, O, R, segment};
use proptest::prelude::*;
use tidegate_core::flow::flags::{ACK, FIN, RST, SYN};
use tidegate_core::flow::*;
use tidegate_core::time::{Nanos, Span};

const PROFILE: Profile = profile::NSX_DFW.in_path();

fn key(number: u32) -> Key {
    Key::of(number, 1_000, 0xFFFF_0000, 443).0
}

struct World {
    paths: Paths,
    now: Nanos,
}

impl World {
    fn new(flows: usize, entries: usize) -> World {
        World { paths: Paths::new(flows, entries, PROFILE, 1), now: Nanos(1_000_000_000) }
    }

    fn send(&mut self, number: u32, from: Side, flags: u8, seq: u32, ack: u32, len: u32) -> Passed {
        self.now = self.now + Span::millis(1);
        let segment = Segment { at: self.now, ..segment(from, flags, seq, ack, len) };
        self.paths.packet(key(number), &segment, true, true)
    }

    fn establish(&mut self, number: u32) -> [u32; 2] {
        let (o, r) = (ISS.wrapping_add(1), IRS.wrapping_add(1));
        self.send(number, O, SYN, ISS, 0, 0);
        self.send(number, R, SYN | ACK, IRS, o, 0);
        self.send(number, O, ACK, o, r, 0);
        [o, r]
    }
}

#[test]
fn a_handshake_promotes_and_a_fin_ends_that() {
    let mut world = World::new(10, 10);
    let (o, r) = (ISS.wrapping_add(1), IRS.wrapping_add(1));
    assert_eq!(world.send(1, O, SYN, ISS, 0, 0).path, Path::Punt(Punt::Miss));
    world.send(1, R, SYN | ACK, IRS, o, 0);
    assert_eq!(world.send(1, O, ACK, o, r, 0).course, Some(Course::Promote));
    // A megabyte on the fast path, which the slow path does not see ...
    let mut end = o;
    for _ in 0..1_000 {
        assert_eq!(world.send(1, O, ACK, end, r, 1_000).path, Path::Fast);
        end = end.wrapping_add(1_000);
        assert_eq!(world.send(1, R, ACK, r, end, 0).path, Path::Fast);
    }
    // ... and still it does not judge by stale windows.
    let fin = world.send(1, O, FIN | ACK, end, r, 0);
    assert_eq!((fin.path, fin.course), (Path::Punt(Punt::Flags), Some(Course::Advance)));
    assert_eq!(world.paths.flows().get(key(1)).unwrap().flow().state(), State::FinWait);
    assert_eq!(world.send(1, R, ACK, r, end.wrapping_add(1), 0).path, Path::Punt(Punt::Miss));
    world.send(1, R, FIN | ACK, r, end.wrapping_add(1), 0);
    world.send(1, O, ACK, end.wrapping_add(1), r.wrapping_add(1), 0);
    assert_eq!(world.paths.flows().get(key(1)).unwrap().flow().state(), State::TimeWait);
    assert_eq!(world.send(1, O, SYN, 99, 0, 0).course, Some(Course::Recreate), "the tuple is used again");
}

#[test]
fn a_doubtful_reset_stops_the_fast_path_until_its_sender_speaks_and_a_second_is_over() {
    let mut world = World::new(10, 10);
    let [o, r] = world.establish(1);
    let reset = world.send(1, O, RST, o.wrapping_add(9), 0, 0);
    assert_eq!((reset.path, reset.course), (Path::Punt(Punt::Flags), Some(Course::Advance)));
    assert_eq!(world.send(1, R, ACK, r, o, 10).path, Path::Punt(Punt::Marked));
    assert_eq!(world.send(1, O, ACK, o, r.wrapping_add(10), 0).course, Some(Course::Advance));
    world.now = world.now + Span::secs(1);
    assert_eq!(world.send(1, R, ACK, r.wrapping_add(10), o, 0).course, Some(Course::Promote));
    assert_eq!(world.send(1, R, ACK, r.wrapping_add(10), o, 5).path, Path::Fast);
}

#[test]
fn a_new_policy_looks_at_every_flow_again() {
    let mut world = World::new(10, 10);
    let [o, r] = world.establish(1);
    world.establish(2);
    world.paths.flip();
    let passed = world.send(1, O, ACK, o, r, 1);
    assert_eq!((passed.path, passed.course), (Path::Punt(Punt::Epoch), Some(Course::Revalidate)));
    assert_eq!(world.send(1, O, ACK, o.wrapping_add(1), r, 1).path, Path::Fast);
    let forbidden = world.paths.packet(key(2), &segment(O, ACK, o, r, 1), true, false);
    assert_eq!(forbidden.course, Some(Course::Drop(Refusal::Policy)));
    assert!(world.paths.entry(key(2)).is_none() && world.paths.flows().get(key(2)).is_none());
}

#[test]
fn without_room_on_the_fast_path_a_flow_stays_on_the_slow_one() {
    let mut world = World::new(10, 1);
    world.establish(1);
    let [o, r] = world.establish(2);
    let passed = world.send(2, O, ACK, o, r, 10);
    assert_eq!((passed.path, passed.course), (Path::Punt(Punt::Miss), Some(Course::Advance)));
    assert!(world.paths.entry(key(1)).is_some());
}

#[test]
fn what_does_not_fit_is_dropped_and_harms_nobody() {
    let mut world = World::new(10, 10);
    let [o, r] = world.establish(1);
    for (flags, seq, punt) in [(ACK, o.wrapping_add(5_000_000), Punt::Window), (SYN | FIN, o, Punt::Flags)] {
        let passed = world.send(1, O, flags, seq, r, 1);
        assert_eq!((passed.path, passed.course), (Path::Punt(punt), Some(Course::Drop(Refusal::Invalid))));
        assert_eq!(world.send(1, O, ACK, o, r, 0).path, Path::Fast);
    }
    let (shape, orphan) = (segment(O, ACK, o, r, 1), segment(R, RST, 1, 0, 0));
    assert_eq!(world.paths.packet(key(1), &shape, false, true).path, Path::Punt(Punt::Shape));
    assert_eq!(world.paths.packet(key(5), &orphan, true, true).course, Some(Course::Drop(Refusal::Invalid)));
}

#[test]
fn the_drill_loses_no_flow() {
    for (seed, flows) in [(1, 1), (7, 150), (42, 12)] {
        let report = drill(seed, flows);
        let all = flows as u64;
        assert_eq!((report.crashes, report.dropped, report.established_lost), (0, 0, 0), "{report:?}");
        assert_eq!((report.established, report.forced), (all, all * 5 * 12));
        assert_eq!(report.forced_half_open_under_fast_entry, all * 5 * 4);
        assert_eq!(report.flood, all * 20);
        // Forced on the flow: eleven states are wrong. Half-open, mid-stream and none are revalidated, all else recreated.
        assert!(report.revalidated >= all * 4 * 6 && report.recreated >= all * 4 * 5, "{report:?}");
        assert!(report.anomalies > 0);
        assert_eq!(report, drill(seed, flows), "the same seed plays the same");
    }
}

#[derive(Clone, Debug)]
enum Move {
    Packet { number: u32, segment: Segment, plain: bool, allows: bool },
    Flip,
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let packet = (0..3u32, any_segment(), prop::bool::weighted(0.9), prop::bool::weighted(0.98))
        .prop_map(|(number, segment, plain, allows)| Move::Packet { number, segment, plain, allows });
    prop::collection::vec(prop_oneof![30 => packet, 1 => Just(Move::Flip)], 1..300)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_fast_path_takes_established_flows_only(moves in moves(), flows in 1..4usize, entries in 1..4usize) {
        let mut world = World::new(flows, entries);
        for number in 0..3 {
            world.establish(number);
        }
        let mut epoch = 0;
        for one in moves {
            let Move::Packet { number, segment, plain, allows } = one else {
                world.paths.flip();
                epoch += 1;
                continue;
            };
            let before = world.paths.flows().get(key(number)).map(|record| *record.flow());
            let entry = world.paths.entry(key(number)).copied();
            let passed = world.paths.packet(key(number), &segment, plain, allows);
            prop_assert!(!passed.anomaly, "nobody else writes to a flow");
            prop_assert_eq!(passed.path == Path::Fast, passed.course.is_none());
            if passed.path == Path::Fast {
                let entry = entry.unwrap();
                prop_assert!(plain && entry.epoch == epoch && !entry.marked && segment.event() == Event::Ack);
                prop_assert!(before.unwrap().plain());
            }
            if let Some(entry) = world.paths.entry(key(number)) {
                let flow = world.paths.flows().get(key(number)).unwrap().flow();
                prop_assert_eq!(flow.state(), State::Established);
                prop_assert!(entry.marked || flow.plain());
            }
        }
    }

    #[test]
    fn the_decision_is_total_and_fast_means_established(
        first in any_segment(), state in prop::sample::select(State::ALL.to_vec()), marked in any::<bool>(), epoch in 0..2u32,
    ) {
        let mut world = World::new(3, 3);
        world.establish(1);
        let mut entry = *world.paths.entry(key(1)).unwrap();
        (entry.state, entry.marked) = (state, marked);
        let path = decide(Some(&mut entry), Some(&first), epoch);
        if path == Path::Fast {
            prop_assert!(state == State::Established && !marked && epoch == 0 && first.event() == Event::Ack);
        }
        prop_assert_eq!(decide(None, Some(&first), epoch), Path::Punt(Punt::Miss));
        prop_assert_eq!(decide(Some(&mut entry), None, epoch), Path::Punt(Punt::Shape));
    }
}
