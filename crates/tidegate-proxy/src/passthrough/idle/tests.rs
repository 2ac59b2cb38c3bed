//! The list against a plain one, and what must hold whatever happens.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

const BOUNDS: Bounds = Bounds { idle: Span::secs(3600), pressed: Span::secs(60), connections_max: 100 };

#[test]
fn the_timeout_falls_from_idle_to_pressed() {
    assert_eq!(BOUNDS.timeout(0), Span::secs(3600));
    assert_eq!(BOUNDS.timeout(600), Span::secs(3600));
    assert_eq!(BOUNDS.timeout(775), Span::secs(1830));
    assert_eq!(BOUNDS.timeout(950), Span::secs(60));
    assert_eq!(BOUNDS.timeout(5000), Span::secs(60));
}

/// One after the other goes until those that are left may stay: not all that were too old at first.
#[test]
fn reaping_stops_when_it_has_relieved() {
    let mut idle = Idle::default();
    for second in 0..80u64 {
        let seat = idle.add(Nanos(0) + Span::secs(second));
        idle.set_busy(seat, false);
    }
    let mut victims = Vec::new();
    // At 80 % the timeout is 1577 s, at 79 % it is 1678 s, at 78 % 1780 s.
    idle.look(Nanos(0) + Span::secs(1700), &BOUNDS, 80, 0, &mut victims);
    assert_eq!(victims, [Victim { seat: 0, pressed: true }, Victim { seat: 1, pressed: true }]);
    // Pressure of another kind does not fall with them: only so many go at once.
    victims.clear();
    idle.look(Nanos(0) + Span::secs(1700), &BOUNDS, 78, 950, &mut victims);
    assert_eq!(victims.len(), AT_LEAST as usize);
    assert!(victims.iter().map(|victim| victim.seat).eq(2..18));
}

#[derive(Clone, Debug)]
enum Step {
    Add,
    Touch(usize),
    Busy(usize, bool),
    Remove(usize),
    Look { open: u32, other: u32 },
    Pass(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => Just(Step::Add),
        3 => any::<usize>().prop_map(Step::Touch),
        2 => (any::<usize>(), any::<bool>()).prop_map(|(at, busy)| Step::Busy(at, busy)),
        1 => any::<usize>().prop_map(Step::Remove),
        2 => (0..200u32, 0..1100u32).prop_map(|(open, other)| Step::Look { open, other }),
        3 => (0..3000u64).prop_map(Step::Pass),
    ]
}

/// Seats by when they were last active: (time, order) and whether they are busy.
type Model = BTreeMap<u32, (Nanos, u64, bool)>;

/// The oldest first.
fn order(model: &Model) -> Vec<u32> {
    let mut all: Vec<_> = model.iter().map(|(seat, (_, order, _))| (*order, *seat)).collect();
    all.sort_unstable();
    all.into_iter().map(|(_, seat)| seat).collect()
}

proptest! {
    #[test]
    fn a_longer_pressure_is_never_a_longer_timeout(a in 0..1200u32, b in 0..1200u32, idle in 1..1u64 << 50, pressed in 1..1u64 << 50) {
        let bounds = Bounds { idle: Span(idle.max(pressed)), pressed: Span(idle.min(pressed)), connections_max: 1 };
        let (low, high) = (bounds.timeout(a.min(b)), bounds.timeout(a.max(b)));
        prop_assert!(high <= low);
        prop_assert!(high >= bounds.pressed && low <= bounds.idle);
    }

    #[test]
    fn the_oldest_idle_ones_go_and_no_others(steps in proptest::collection::vec(step(), 1..120)) {
        let (mut idle, mut now, mut model, mut count) = (Idle::default(), Nanos(0), Model::new(), 0);
        let mut gone: Vec<u32> = Vec::new();
        for step in steps {
            count += 1;
            let at = |n: usize, model: &Model| model.keys().copied().nth(n % model.len().max(1));
            match step {
                Step::Add => {
                    let seat = idle.add(now);
                    prop_assert!(!gone.contains(&seat), "a seat that nobody gave back");
                    prop_assert!(model.insert(seat, (now, count, true)).is_none());
                }
                Step::Touch(n) => if let Some(seat) = at(n, &model) {
                    idle.touch(seat, now);
                    let busy = model[&seat].2;
                    model.insert(seat, (now, count, busy));
                },
                Step::Busy(n, busy) => if let Some(seat) = at(n, &model) {
                    idle.set_busy(seat, busy);
                    model.get_mut(&seat).unwrap().2 = busy;
                },
                Step::Remove(n) => {
                    if let Some(seat) = at(n, &model) {
                        idle.remove(seat);
                        model.remove(&seat);
                    } else if let Some(seat) = gone.pop() {
                        idle.remove(seat);
                    }
                }
                Step::Pass(seconds) => now = now + Span::secs(seconds),
                Step::Look { open, other } => {
                    let mut victims = Vec::new();
                    idle.look(now, &BOUNDS, open, other, &mut victims);
                    let oldest: Vec<u32> = order(&model).into_iter().filter(|seat| !model[seat].2).collect();
                    let seats: Vec<u32> = victims.iter().map(|victim| victim.seat).collect();
                    prop_assert!(oldest.starts_with(&seats), "{seats:?} are not the oldest of {oldest:?}");
                    let least = BOUNDS.timeout(BOUNDS.pressure(open).max(other));
                    for victim in &victims {
                        let idled = now.since(model[&victim.seat].0);
                        prop_assert!(idled >= least, "idled {idled:?} of {least:?}");
                        prop_assert_eq!(victim.pressed, idled < BOUNDS.idle);
                    }
                    let early = victims.iter().filter(|victim| victim.pressed).count() as u32;
                    prop_assert!(early <= (open / PART).max(AT_LEAST));
                    for seat in seats {
                        model.remove(&seat);
                        gone.push(seat);
                    }
                    // What is left and idle is young enough for a calm gate, or its turn is the next look's.
                    for (seat, (at, _, busy)) in &mut model {
                        if *busy {
                            // The look may have taken it for active; so it is then.
                            if idle.seats[*seat as usize].at == now { *at = now; }
                        } else {
                            prop_assert!(now.since(*at) < BOUNDS.idle, "{seat} idles for too long");
                        }
                    }
                    // Orders follow the list's own: busy ones that were looked at have moved behind.
                    let mut seat = idle.first;
                    while seat != NONE {
                        count += 1;
                        model.get_mut(&seat).unwrap().1 = count;
                        seat = idle.seats[seat as usize].behind;
                    }
                }
            }
        }
    }
}
