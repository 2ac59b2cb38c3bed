//! A shell that keeps books of its own: which session stands, who uses it, which password is kept, what has to follow.

use super::super::*;
use crate::time::{Nanos, Span};
use std::collections::{BTreeMap, BTreeSet};

/// Where a call stands, as the actions told it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stage {
    New,
    Waiting,
    Verifying(UpId),
    Lent(UpId),
    Opened(DownId),
    Refused(Refusal),
    Left,
    Done,
}

#[derive(Clone, Debug)]
pub struct Call {
    pub stage: Stage,
    pub principal: PrincipalKey,
    pub secret: Option<Secret>,
    pub down: Option<DownId>,
    pub since: Nanos,
}

#[derive(Clone, Debug)]
pub struct Session {
    pub principal: PrincipalKey,
    pub stands: bool,
    /// The password that is tried, and whether a login tries it.
    pub tries: Option<Secret>,
    pub by_login: bool,
    pub clone: bool,
    pub own: bool,
    /// Whose, while calls are on it or things are left there.
    pub holder: Option<DownId>,
    pub holds: u32,
    pub sticky: bool,
    pub calls: u32,
}

/// The broker and the books.
pub struct World {
    pub broker: Broker,
    pub now: Nanos,
    pub calls: BTreeMap<AskId, Call>,
    pub ups: BTreeMap<UpId, Session>,
    pub downs: BTreeMap<DownId, PrincipalKey>,
    pub kept: BTreeMap<PrincipalKey, Secret>,
    /// Number of the event in which a password was accepted last, and when; and in which one was refused.
    accepted: BTreeMap<(u64, [u8; 32]), (u64, Nanos)>,
    refused: BTreeMap<u64, u64>,
    events: u64,
    asks: u64,
    pub draining: bool,
    pub log: Vec<Action>,
}

pub fn settings() -> Settings {
    Settings {
        clones_max: 2,
        sessions_max: 8,
        sessions_per_principal_max: 6,
        own_max: 2,
        principals_max: 3,
        waiting_max: 4,
        wait_max: Span::secs(10),
        idle: Span::secs(300),
        life: Span::secs(2000),
        verify: Span::secs(60),
        keepalive: Span::secs(100),
        seed: 7,
    }
}

pub fn secret(number: u8) -> Secret {
    Secret([number; 32])
}

impl World {
    pub fn new(settings: Settings) -> World {
        World {
            broker: Broker::new(settings),
            now: Nanos(1_000_000_000),
            calls: BTreeMap::new(),
            ups: BTreeMap::new(),
            downs: BTreeMap::new(),
            kept: BTreeMap::new(),
            accepted: BTreeMap::new(),
            refused: BTreeMap::new(),
            events: 0,
            asks: 0,
            draining: false,
            log: Vec::new(),
        }
    }

    fn ask(&mut self, principal: PrincipalKey, secret: Option<Secret>, down: Option<DownId>) -> AskId {
        let id = AskId(self.asks);
        self.asks += 1;
        self.calls.insert(id, Call { stage: Stage::New, principal, secret, down, since: self.now });
        id
    }

    pub fn login(&mut self, principal: u64, password: u8) -> AskId {
        let (principal, secret) = (PrincipalKey(principal), secret(password));
        let ask = self.ask(principal, Some(secret.clone()), None);
        self.tell(Event::Login { ask, principal, secret });
        ask
    }

    pub fn login_own(&mut self, principal: u64) -> AskId {
        let principal = PrincipalKey(principal);
        let ask = self.ask(principal, None, None);
        self.tell(Event::LoginOwn { ask, principal });
        ask
    }

    pub fn call(&mut self, down: DownId, need: Need) -> AskId {
        let principal = self.downs.get(&down).copied().unwrap_or(PrincipalKey(u64::MAX));
        let ask = self.ask(principal, None, Some(down));
        self.tell(Event::Use { ask, down, need });
        ask
    }

    pub fn stage(&self, ask: AskId) -> Stage {
        self.calls[&ask].stage.clone()
    }

    /// A client that is logged in.
    pub fn client(&mut self, principal: u64, password: u8) -> DownId {
        let ask = self.login(principal, password);
        if let Stage::Verifying(up) = self.stage(ask) {
            self.tell(Event::Verified { up });
        }
        match self.stage(ask) {
            Stage::Opened(down) => down,
            other => panic!("{other:?}"),
        }
    }

    /// A call that is lent something, and what; established if it has to be.
    pub fn lent(&mut self, down: DownId, need: Need) -> (AskId, UpId) {
        let ask = self.call(down, need);
        let Stage::Lent(up) = self.stage(ask) else { panic!("{:?}", self.stage(ask)) };
        if !self.ups[&up].stands {
            self.tell(Event::Verified { up });
        }
        (ask, up)
    }

    pub fn done(&mut self, ask: AskId, holds: Holds) {
        self.tell(Event::Done { ask, holds });
    }

    pub fn pass(&mut self, span: Span) {
        self.now = self.now + span;
        self.tell(Event::Wake);
    }

    pub fn ended(&self, up: UpId) -> bool {
        self.log.contains(&Action::End { up })
    }

    /// Tells the broker, and checks all that it answers.
    pub fn tell(&mut self, event: Event) {
        self.events += 1;
        self.note(&event);
        let mut out = Vec::new();
        self.broker.on_event(self.now, event, &mut out);
        for action in out {
            self.follow(&action);
            self.log.push(action);
        }
        self.check();
    }

    fn note(&mut self, event: &Event) {
        match event {
            Event::Verified { up } => {
                let Some(session) = self.ups.get_mut(up).filter(|session| !session.stands) else { return };
                session.stands = true;
                if let Some(secret) = session.tries.take() {
                    self.accepted.insert((session.principal.0, secret.0), (self.events, self.now));
                    if session.by_login {
                        self.kept.insert(session.principal, secret);
                    }
                }
            }
            Event::Denied { up } | Event::Failed { up } => {
                let Some(session) = self.ups.get(up).filter(|session| !session.stands) else { return };
                if matches!(event, Event::Denied { .. }) && session.tries.is_some() {
                    self.refused.insert(session.principal.0, self.events);
                }
                self.ups.remove(up);
            }
            Event::Dead { up } => {
                self.ups.remove(up);
            }
            Event::Done { ask, holds } => {
                let Some(call) = self.calls.get_mut(ask) else { return };
                match call.stage {
                    Stage::Lent(up) => {
                        call.stage = Stage::Done;
                        let Some(session) = self.ups.get_mut(&up) else { return };
                        session.calls -= 1;
                        if !session.stands && session.calls == 0 {
                            self.ups.remove(&up);
                            return;
                        }
                        match holds {
                            Holds::Unchanged => {}
                            Holds::Count(count) => session.holds = *count,
                            Holds::Sticky => session.sticky = true,
                        }
                        if session.clone && session.calls == 0 && session.holds == 0 && !session.sticky {
                            session.holder = None;
                        }
                    }
                    Stage::Verifying(up) => {
                        call.stage = Stage::Left;
                        self.ups.remove(&up);
                    }
                    Stage::New | Stage::Waiting => call.stage = Stage::Left,
                    _ => {}
                }
            }
            Event::Left { ask } => {
                let Some(call) = self.calls.get_mut(ask) else { return };
                if matches!(call.stage, Stage::Waiting | Stage::Verifying(_)) {
                    call.stage = Stage::Left;
                }
            }
            Event::Logout { down } => {
                self.downs.remove(down);
            }
            Event::Drain => self.draining = true,
            _ => {}
        }
    }

    fn follow(&mut self, action: &Action) {
        match action {
            Action::Open { ask, down, up } => {
                let call = &self.calls[ask];
                assert!(matches!(call.stage, Stage::New | Stage::Waiting | Stage::Verifying(_)), "{call:?}");
                let session = &self.ups[up];
                assert!(session.stands && !session.clone && session.principal == call.principal, "{session:?}");
                assert_eq!(session.own, call.secret.is_none());
                if let Some(secret) = &call.secret {
                    let (event, at) = self.accepted[&(call.principal.0, secret.0)];
                    assert!(self.now.since(at) <= self.broker.settings().verify, "trusted for too long");
                    assert!(self.refused.get(&call.principal.0).is_none_or(|refused| *refused < event), "doubted");
                }
                let principal = call.principal;
                assert_eq!(self.downs.insert(*down, principal), None, "numbered twice");
                self.stage_of(*ask, Stage::Opened(*down));
            }
            Action::Verify { ask, up } => {
                let call = self.calls[ask].clone();
                assert!(matches!(call.stage, Stage::New | Stage::Waiting), "{call:?}");
                self.begin(*up, call.principal, call.secret.clone(), true, false);
                self.stage_of(*ask, Stage::Verifying(*up));
            }
            Action::Lend { ask, down, up, make } => self.follow_lend(*ask, *down, *up, *make),
            Action::Wait { ask } => {
                assert_eq!(self.calls[ask].stage, Stage::New);
                self.stage_of(*ask, Stage::Waiting);
            }
            Action::Refuse { ask, why } => {
                let stage = &self.calls[ask].stage;
                assert!(matches!(stage, Stage::New | Stage::Waiting | Stage::Verifying(_)), "{stage:?}");
                self.stage_of(*ask, Stage::Refused(*why));
            }
            Action::End { up } => {
                // A session that stands though it was given up is ended, too: it is in no book.
                assert!(self.ups.remove(up).is_none_or(|session| session.stands), "{up:?} is being made");
                assert!(!self.ended(*up), "{up:?} is ended twice");
            }
            Action::KeepAlive { up } => assert!(self.ups[up].stands && self.ups[up].calls == 0),
            Action::Forget { principal } => assert!(self.kept.remove(principal).is_some(), "nothing to forget"),
            Action::Expired { down, .. } => assert!(self.downs.remove(down).is_some(), "{down:?} is over already"),
        }
    }

    fn follow_lend(&mut self, ask: AskId, down: DownId, id: UpId, make: Option<Make>) {
        let call = self.calls[&ask].clone();
        assert!(matches!(call.stage, Stage::New | Stage::Waiting), "{call:?}");
        assert_eq!((call.down, self.downs.get(&down)), (Some(down), Some(&call.principal)));
        match make {
            Some(Make::Login) => {
                let kept = self.kept.get(&call.principal).cloned();
                assert!(kept.is_some(), "no password is kept");
                self.begin(id, call.principal, kept, false, false);
            }
            Some(Make::Clone { of }) => {
                let of = &self.ups[&of];
                assert!(of.stands && !of.clone && !of.own && of.principal == call.principal, "{of:?}");
                self.begin(id, call.principal, None, false, true);
            }
            None => {}
        }
        let ups = self.broker.snapshot(self.now).ups;
        let is_clone = ups.iter().any(|up| up.up == id && up.kind == Kind::Clone);
        let session = self.ups.get_mut(&id).unwrap();
        assert_eq!(session.principal, call.principal, "crossed principals");
        assert_eq!(session.stands, make.is_none(), "used before it stands");
        session.clone |= is_clone;
        if session.clone || session.own {
            assert!(session.holder.is_none_or(|holder| holder == down), "{id:?} is lent to two");
            session.holder = Some(down);
        }
        session.calls += 1;
        self.stage_of(ask, Stage::Lent(id));
    }

    fn begin(&mut self, id: UpId, principal: PrincipalKey, tries: Option<Secret>, by_login: bool, clone: bool) {
        let own = by_login && tries.is_none();
        let flights = self.ups.values().filter(|up| up.principal == principal && !up.stands && up.tries.is_some());
        let same: Vec<&Session> = flights.filter(|up| up.by_login == by_login && tries.is_some()).collect();
        assert!(same.len() < 2, "more than two logins of a kind at one time");
        assert!(!by_login || same.iter().all(|up| up.tries != tries), "one password twice at one time");
        let session = Session {
            principal,
            stands: false,
            tries,
            by_login,
            clone,
            own,
            holder: None,
            holds: 0,
            sticky: false,
            calls: 0,
        };
        assert!(self.ups.insert(id, session).is_none(), "numbered twice");
    }

    fn stage_of(&mut self, ask: AskId, stage: Stage) {
        self.calls.get_mut(&ask).unwrap().stage = stage;
    }

    fn check(&self) {
        let (settings, now) = (self.broker.settings(), self.now);
        let snapshot = self.broker.snapshot(now);
        // Nobody is lost.
        let tally = &snapshot.tally;
        let refused: u64 = tally.refused.values().sum();
        let waiting = u64::from(snapshot.waiting);
        assert_eq!(tally.asked, tally.opened + tally.lent + refused + tally.left + waiting, "{tally:?}");
        let pending = |call: &&Call| matches!(call.stage, Stage::Waiting | Stage::Verifying(_));
        assert_eq!(self.calls.values().filter(pending).count() as u64, waiting);
        assert!(self.calls.values().all(|call| call.stage != Stage::New), "an answer is missing");
        // Nobody waits too long, and time goes on.
        let waits = |call: &&Call| call.stage == Stage::Waiting;
        for call in self.calls.values().filter(waits) {
            assert!(now.since(call.since) < settings.wait_max, "{call:?}");
        }
        assert!(self.broker.next_wake().is_none_or(|wake| wake > now));
        let due = self.calls.values().filter(waits).map(|call| call.since + settings.wait_max).min();
        assert!(due.is_none_or(|due| self.broker.next_wake().is_some_and(|wake| wake <= due)));
        // Both books say the same.
        let ups: BTreeSet<UpId> = snapshot.ups.iter().map(|up| up.up).collect();
        assert_eq!(ups, self.ups.keys().copied().collect(), "upstream sessions");
        assert!(snapshot.ups.iter().all(|up| self.ups[&up.up].calls == up.calls));
        assert!(snapshot.ups.iter().all(|up| self.ups[&up.up].stands == (up.stand != Stand::Making)));
        if !self.draining {
            let downs: BTreeSet<DownId> = snapshot.downs.iter().map(|down| down.down).collect();
            assert_eq!(downs, self.downs.keys().copied().collect(), "downstream sessions");
        }
        self.check_caps(settings, &snapshot);
        // A password is kept only while somebody is there.
        for principal in self.kept.keys() {
            let mut up = snapshot.ups.iter().map(|up| up.principal);
            let mut down = snapshot.downs.iter().map(|down| down.principal);
            assert!(up.any(|key| key == *principal) || down.any(|key| key == *principal), "kept for nobody");
        }
    }

    fn check_caps(&self, settings: &Settings, snapshot: &Snapshot) {
        assert!(snapshot.downs.len() <= settings.sessions_max as usize);
        assert!(snapshot.principals <= settings.principals_max);
        assert!(snapshot.ups.iter().filter(|up| up.kind == Kind::Own).count() <= settings.own_max as usize);
        let principals: BTreeSet<PrincipalKey> = self.calls.values().map(|call| call.principal).collect();
        for principal in principals {
            let downs = snapshot.downs.iter().filter(|down| down.principal == principal).count();
            assert!(downs <= settings.sessions_per_principal_max as usize);
            let waiting = self.calls.values().filter(|c| c.principal == principal && c.stage == Stage::Waiting);
            assert!(waiting.count() <= settings.waiting_max as usize);
            let of = |kind, stand| {
                let ups = snapshot.ups.iter().filter(|up| up.principal == principal);
                ups.filter(|up| up.kind == kind && stand == up.stand).count()
            };
            assert!(of(Kind::Shared, Stand::Ready) <= 1);
            assert!(of(Kind::Shared, Stand::Making) <= 3, "two logins, one that is made again");
            assert!(of(Kind::Shared, Stand::Retiring) <= 2);
            let clones = [Stand::Making, Stand::Ready, Stand::Retiring].map(|stand| of(Kind::Clone, stand));
            assert!(clones.iter().sum::<usize>() <= settings.clones_max as usize);
        }
    }
}
