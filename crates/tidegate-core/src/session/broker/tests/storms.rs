//! Whatever may happen, in any order: the books of the world stay right, and at the end nothing is left.

use super::super::*;
use super::world::{Stage, World, secret, settings};
use crate::time::Span;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Move {
    Login(u64, u8),
    LoginOwn(u64),
    Use(usize, u64),
    Done(usize, Option<u32>),
    Sticky(usize),
    Verdict(usize, u8),
    Left(usize),
    Dead(usize),
    Stale(usize),
    Logout(usize),
    Pass(u64),
    Wake,
    /// Told once too often, or of something that never was.
    Junk(u8, u64),
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let which = any::<usize>;
    let one = prop_oneof![
        10 => (0..4u64, prop_oneof![4 => Just(1u8), 1 => 2..4u8]).prop_map(|(who, what)| Move::Login(who, what)),
        2 => (0..4u64).prop_map(Move::LoginOwn),
        20 => (which(), 0..8_u64).prop_map(|(which, need)| Move::Use(which, need)),
        14 => (which(), prop::option::of(0..3u32)).prop_map(|(which, holds)| Move::Done(which, holds)),
        1 => which().prop_map(Move::Sticky),
        14 => (which(), 0..10u8).prop_map(|(which, how)| Move::Verdict(which, how)),
        2 => which().prop_map(Move::Left),
        2 => which().prop_map(Move::Dead),
        2 => which().prop_map(Move::Stale),
        3 => which().prop_map(Move::Logout),
        4 => prop_oneof![3 => 0..20_000u64, 1 => 0..400_000u64].prop_map(Move::Pass),
        4 => Just(Move::Wake),
        1 => (0..8u8, 0..40u64).prop_map(|(what, which)| Move::Junk(what, which)),
    ];
    prop::collection::vec(one, 1..250)
}

fn pick<T: Copy>(from: impl Iterator<Item = T>, which: usize) -> Option<T> {
    let all: Vec<T> = from.collect();
    (!all.is_empty()).then(|| all[which % all.len()])
}

impl World {
    fn in_stage(&self, which: usize, stage: impl Fn(&Stage) -> bool) -> Option<AskId> {
        pick(self.calls.iter().filter(|(_, call)| stage(&call.stage)).map(|(ask, _)| *ask), which)
    }

    /// One that stands or not.
    fn an_up(&self, which: usize, stands: bool) -> Option<UpId> {
        pick(self.ups.iter().filter(|(_, up)| up.stands == stands).map(|(id, _)| *id), which)
    }

    fn verdict(&mut self, up: UpId, how: u8) {
        self.tell(match how {
            0 => Event::Denied { up },
            1 => Event::Failed { up },
            _ => Event::Verified { up },
        });
    }

    fn play(&mut self, one: &Move) {
        match *one {
            Move::Login(who, password) => {
                self.login(who, password);
            }
            Move::LoginOwn(who) => {
                self.login_own(who);
            }
            Move::Use(which, need) => {
                if let Some(down) = pick(self.downs.keys().copied(), which) {
                    self.call(
                        down,
                        match need {
                            0..3 => Need::Own,
                            3..6 => Need::Shared,
                            up => Need::Page(UpId(up - 6)), // the first ones: who came first is often still there
                        },
                    );
                }
            }
            Move::Done(which, holds) => {
                if let Some(ask) = self.in_stage(which, |stage| matches!(stage, Stage::Lent(_))) {
                    self.done(ask, holds.map_or(Holds::Unchanged, Holds::Count));
                }
            }
            Move::Sticky(which) => {
                if let Some(ask) = self.in_stage(which, |stage| matches!(stage, Stage::Lent(_))) {
                    self.done(ask, Holds::Sticky);
                }
            }
            Move::Verdict(which, how) => {
                if let Some(up) = self.an_up(which, false) {
                    self.verdict(up, how);
                }
            }
            Move::Left(which) => {
                let pending = |stage: &Stage| matches!(stage, Stage::Waiting | Stage::Verifying(_));
                if let Some(ask) = self.in_stage(which, pending) {
                    self.tell(Event::Left { ask });
                }
            }
            Move::Dead(which) => {
                if let Some(up) = self.an_up(which, true) {
                    self.tell(Event::Dead { up });
                }
            }
            Move::Stale(which) => {
                if let Some(up) = self.an_up(which, true) {
                    self.tell(Event::Stale { up });
                }
            }
            Move::Logout(which) => {
                if let Some(down) = pick(self.downs.keys().copied(), which) {
                    self.tell(Event::Logout { down });
                }
            }
            Move::Pass(millis) => self.pass(Span::millis(millis)),
            Move::Wake => {
                if let Some(wake) = self.broker.next_wake() {
                    self.pass(wake.since(self.now));
                }
            }
            Move::Junk(what, which) => self.junk(what, which),
        }
    }

    fn junk(&mut self, what: u8, which: u64) {
        let (ask, up, down) = (AskId(which), UpId(which), DownId(which));
        let known =
            |call: &super::world::Call| matches!(call.stage, Stage::Waiting | Stage::Verifying(_) | Stage::Lent(_));
        match what {
            0 if self.calls.get(&ask).is_some_and(known) => {
                self.tell(Event::Use { ask, down, need: Need::Own });
            }
            1 if self.calls.get(&ask).is_some_and(known) => {
                self.tell(Event::Login { ask, principal: PrincipalKey(which % 4), secret: secret(1) });
            }
            2 => self.tell(Event::Done { ask: AskId(u64::MAX), holds: Holds::Count(1) }),
            // Verifies no longer: gives up.
            3 => self.tell(Event::Done { ask, holds: Holds::Unchanged }),
            4 if self.ups.get(&up).is_some_and(|up| up.stands) => self.tell(Event::Verified { up }),
            5 => self.tell(Event::Denied { up: UpId(u64::MAX) }),
            6 if !self.downs.contains_key(&down) => {
                let ask = self.call(down, Need::Shared);
                assert_eq!(self.stage(ask), Stage::Refused(Refusal::NotAuthenticated));
            }
            _ => self.tell(Event::Logout { down: DownId(u64::MAX) }),
        }
    }

    /// When nothing is out, whoever waits lacks a clone, and each of those is held by somebody.
    fn calm(&mut self) {
        while let Some(up) = self.an_up(0, false) {
            self.verdict(up, 2);
        }
        while let Some(ask) = self.in_stage(0, |stage| matches!(stage, Stage::Lent(_))) {
            while let Some(up) = self.an_up(0, false) {
                self.verdict(up, 2);
            }
            self.done(ask, Holds::Unchanged);
        }
        while let Some(up) = self.an_up(0, false) {
            self.verdict(up, 2);
        }
        let snapshot = self.broker.snapshot(self.now);
        for call in self.calls.values().filter(|call| call.stage == Stage::Waiting) {
            let clones = snapshot.ups.iter().filter(|up| (up.principal, up.kind) == (call.principal, Kind::Clone));
            let held = clones.filter(|up| up.clients == 1 && up.calls == 0).count();
            assert_eq!(held, self.broker.settings().clones_max as usize, "{call:?} waits for nothing");
        }
    }

    fn end(&mut self) {
        self.tell(Event::Drain);
        while let Some(up) = self.an_up(0, false) {
            self.verdict(up, 2);
        }
        while let Some(ask) = self.in_stage(0, |stage| matches!(stage, Stage::Lent(_))) {
            self.done(ask, Holds::Count(1));
        }
        assert!(self.ups.is_empty() && self.kept.is_empty());
        assert_eq!(self.broker.next_wake(), None);
        assert_eq!(self.broker.snapshot(self.now).principals, 0);
        let ask = self.login(0, 1);
        assert_eq!(self.stage(ask), Stage::Refused(Refusal::Draining));
    }
}

fn caps() -> impl Strategy<Value = Settings> {
    (0..4u32, 1..9u32, 0..3u32, 1..4u32, 0..6u32, any::<u64>()).prop_map(
        |(clones_max, sessions_max, own_max, principals_max, waiting_max, seed)| Settings {
            clones_max,
            sessions_max,
            own_max,
            principals_max,
            waiting_max,
            seed,
            ..settings()
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn the_books_stay_right(settings in caps(), moves in moves()) {
        let mut world = World::new(settings);
        moves.iter().for_each(|one| world.play(one));
        world.calm();
        world.end();
    }

    #[test]
    fn times_of_zero_end_things_at_once(which in 0..5u8, moves in moves()) {
        let mut settings = settings();
        let times = [
            &mut settings.wait_max,
            &mut settings.idle,
            &mut settings.life,
            &mut settings.verify,
            &mut settings.keepalive,
        ];
        *times.into_iter().nth(usize::from(which)).unwrap() = Span::ZERO;
        let mut world = World::new(settings);
        moves.iter().for_each(|one| world.play(one));
        world.end();
    }

    #[test]
    fn the_same_events_give_the_same_actions(moves in moves()) {
        let [mut one, mut other] = [settings(), settings()].map(World::new);
        for each in &moves {
            one.play(each);
            other.play(each);
        }
        prop_assert_eq!(one.log, other.log);
    }
}
