//! Calls: which session is lent to them, who waits, and what a call leaves behind.

use super::event::{Action, Cap, Expiry, Refusal};
use super::ids::{AskId, DownId, Holds, Kind, Make, Need, PrincipalKey, UpId};
use super::machine::Broker;
use super::table::{Ask, Flight, For, Place, Principal, Up, What};
use super::view::Stand;
use crate::time::Nanos;

impl Broker {
    pub(super) fn call(&mut self, now: Nanos, id: AskId, down: DownId, need: Need, out: &mut Vec<Action>) {
        if self.asks.contains_key(&id) {
            return;
        }
        self.tally.asked += 1;
        if self.draining {
            return self.turn_away(id, Refusal::Draining, out);
        }
        let Some(session) = self.downs.get_mut(&down) else {
            return self.turn_away(id, Refusal::NotAuthenticated, out);
        };
        session.used = now;
        let key = session.principal;
        if let Some(principal) = self.principals.get_mut(&key) {
            principal.used = now;
        }
        let what = What::Use { down, need, up: None };
        self.turns += 1;
        self.asks.insert(id, Ask { principal: key, turn: self.turns, since: now, waiting: false, what });
        if let Some(of) = self.try_call(now, id, out) {
            self.wait(id, of, out);
        }
    }

    /// Serves the queue in its order, as far as it goes.
    pub(super) fn serve_calls(&mut self, now: Nanos, key: PrincipalKey, of: For, out: &mut Vec<Action>) {
        while let Some(id) = self.principals.get(&key).and_then(|principal| principal.first(of)) {
            if self.try_call(now, id, out).is_some() {
                return;
            }
        }
    }

    /// Lends this call a session, or refuses it; or says what it has to wait for.
    fn try_call(&mut self, now: Nanos, id: AskId, out: &mut Vec<Action>) -> Option<For> {
        let Ask { principal: key, what: What::Use { down, need, .. }, .. } = self.asks.get(&id)? else {
            return None;
        };
        let (key, down, need) = (*key, *down, *need);
        if let Need::Page(up) = need
            && self.principals.get(&key)?.shared == Some(up)
            && !matches!(self.downs.get(&down)?.place, Place::Own(_))
        {
            self.lend(now, id, down, up, None, out);
            return None;
        }
        match (self.downs.get(&down)?.place, need) {
            (Place::Own(up) | Place::Clone(up), _) => {
                if !self.ups.get(&up).is_some_and(|up| up.ready()) {
                    return Some(For::Held);
                }
                self.lend(now, id, down, up, None, out);
            }
            (Place::Shared, Need::Shared | Need::Page(_)) => {
                let principal = self.principals.get(&key)?;
                if let Some(up) = principal.shared {
                    self.lend(now, id, down, up, None, out);
                } else if self.awaited(principal) {
                    return Some(For::Shared);
                } else {
                    self.make_by_login(now, id, key, down, Kind::Shared, out);
                }
            }
            (Place::Shared, Need::Own) => return self.try_clone(now, id, key, down, out),
        }
        None
    }

    fn try_clone(
        &mut self,
        now: Nanos,
        id: AskId,
        key: PrincipalKey,
        down: DownId,
        out: &mut Vec<Action>,
    ) -> Option<For> {
        let principal = self.principals.get_mut(&key)?;
        if self.settings.clones_max == 0 {
            self.refuse(id, Refusal::TooMany(Cap::Clones), out);
            return None;
        }
        if let Some(up) = principal.spare.pop() {
            self.attach(down, up);
            self.lend(now, id, down, up, None, out);
            self.lend_held(now, down, up, out);
            return None;
        }
        let principal = self.principals.get(&key)?;
        if principal.clones >= self.settings.clones_max {
            return Some(For::Clone);
        } else if let Some(of) = principal.shared {
            let flight = Flight { asker: Some(id), login: false, secret: None };
            let up = self.make(now, key, Kind::Clone, flight);
            self.attach(down, up);
            self.lend(now, id, down, up, Some(Make::Clone { of }), out);
        } else if self.awaited(principal) || self.clone_logs_in(principal) {
            return Some(For::Clone);
        } else {
            self.make_by_login(now, id, key, down, Kind::Clone, out);
        }
        None
    }

    /// Whether a login is in progress that may give this principal its shared session: one of a client with another password
    /// counts only when none is kept to try.
    fn awaited(&self, principal: &Principal) -> bool {
        let flights = principal.flights.iter().filter_map(|up| self.ups.get(up));
        let mut shared = flights.filter(|up| up.kind == Kind::Shared);
        let Some(kept) = &principal.kept else { return shared.next().is_some() };
        let again = |up: &Up| up.flight.as_ref().is_some_and(|flight| !flight.login);
        shared.any(|up| again(up) || up.secret.as_ref() == Some(&kept.secret))
    }

    fn clone_logs_in(&self, principal: &Principal) -> bool {
        principal.flights.iter().any(|up| self.ups.get(up).is_some_and(|up| up.kind == Kind::Clone))
    }

    /// Tells this call to log in with the password that is kept. Without one its client has to log in again.
    fn make_by_login(
        &mut self,
        now: Nanos,
        id: AskId,
        key: PrincipalKey,
        down: DownId,
        kind: Kind,
        out: &mut Vec<Action>,
    ) {
        let kept = self.principals.get(&key).and_then(|principal| principal.kept.as_ref());
        let Some(secret) = kept.map(|kept| kept.secret.clone()) else {
            self.expire(down, Expiry::Upstream, out);
            return self.refuse(id, Refusal::NotAuthenticated, out);
        };
        let up = self.make(now, key, kind, Flight { asker: Some(id), login: false, secret: Some(secret) });
        if kind == Kind::Clone {
            self.attach(down, up);
        }
        self.lend(now, id, down, up, Some(Make::Login), out);
    }

    /// A client gets a clone: all its calls go there from now on, also those that wait.
    fn attach(&mut self, down: DownId, up: UpId) {
        let Some(session) = self.downs.get_mut(&down) else { return };
        session.place = Place::Clone(up);
        if let Some(principal) = self.principals.get_mut(&session.principal) {
            session.waiting.keys().for_each(|turn| principal.pull(*turn));
        }
        if let Some(up) = self.ups.get_mut(&up) {
            up.holder = Some(down);
        }
    }

    /// Lends a clone that stands to the calls of its client that wait.
    pub(super) fn lend_held(&mut self, now: Nanos, down: DownId, up: UpId, out: &mut Vec<Action>) {
        let Some(session) = self.downs.get(&down) else { return };
        let waiting: Vec<AskId> = session.waiting.values().copied().collect();
        waiting.into_iter().for_each(|id| self.lend(now, id, down, up, None, out));
    }

    fn lend(&mut self, now: Nanos, id: AskId, down: DownId, up: UpId, make: Option<Make>, out: &mut Vec<Action>) {
        self.resume(id);
        if let Some(session) = self.ups.get_mut(&up) {
            session.calls += 1;
            (session.used, session.touched) = (now, now);
        }
        if let Some(session) = self.downs.get_mut(&down) {
            session.calls += 1;
        }
        if let Some(Ask { what: What::Use { up: lent, .. }, .. }) = self.asks.get_mut(&id) {
            *lent = Some(up);
        }
        self.tally.lent += 1;
        out.push(Action::Lend { ask: id, down, up, make });
    }

    pub(super) fn done(&mut self, now: Nanos, id: AskId, holds: Holds, out: &mut Vec<Action>) {
        if self.asks.get(&id).is_none_or(Ask::pending) {
            if let Some(Ask { what: What::Login { up: Some(up), .. }, .. }) = self.asks.get(&id) {
                let up = *up;
                self.gave_up(up);
            }
            return self.left(id);
        }
        let Some(Ask { principal: key, what: What::Use { down, up: Some(up), .. }, .. }) = self.asks.remove(&id) else {
            return;
        };
        self.dirty.insert(key);
        if let Some(session) = self.ups.get_mut(&up) {
            session.calls -= 1;
            (session.used, session.touched) = (now, now);
            if session.flight.as_ref().is_some_and(|flight| flight.asker == Some(id)) {
                self.gave_up(up);
            }
        }
        if let Some(session) = self.downs.get_mut(&down) {
            session.calls -= 1;
            session.used = now;
            if session.place == Place::Clone(up) {
                match holds {
                    Holds::Unchanged => {}
                    Holds::Count(count) => session.holds = count,
                    Holds::Sticky => session.sticky = true,
                }
            }
        }
        let Some(session) = self.ups.get(&up).filter(|session| session.calls == 0) else { return };
        if session.stand == Stand::Retiring {
            self.end(up, out);
        } else if session.kind == Kind::Clone && self.downs.get(&down).is_some_and(|down| down.bare()) {
            self.give_back(up, out);
        }
    }

    pub(super) fn left(&mut self, id: AskId) {
        if self.asks.get(&id).is_none_or(|ask| !ask.pending()) {
            return;
        }
        self.resume(id);
        let Some(ask) = self.asks.remove(&id) else { return };
        self.tally.left += 1;
        self.dirty.insert(ask.principal);
        let What::Login { up: Some(up), .. } = ask.what else { return };
        if let Some(flight) = self.ups.get_mut(&up).and_then(|up| up.flight.as_mut()) {
            flight.asker = None;
        }
    }
}
