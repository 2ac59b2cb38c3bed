//! Logins: answered at once, verified upstream, or waiting for a verification that is in progress.

use super::event::{Action, Cap, Refusal};
use super::ids::{AskId, Kind, PrincipalKey, Secret, UpId};
use super::machine::Broker;
use super::table::{Ask, Down, Flight, For, Place, Up, What};
use super::timers::Timer;
use super::view::Stand;
use crate::time::Nanos;

/// Most passwords of one principal that are verified at one time.
pub(super) const VERIFIED_AT_ONCE: usize = 2;

/// An upstream session is renewed somewhere in this part of its life, so that those made together are not renewed together.
const RIPE: (f64, f64) = (0.80, 0.95);

impl Broker {
    pub(super) fn login(
        &mut self,
        now: Nanos,
        id: AskId,
        key: PrincipalKey,
        secret: Option<Secret>,
        out: &mut Vec<Action>,
    ) {
        if self.asks.contains_key(&id) {
            return;
        }
        self.tally.asked += 1;
        if self.draining {
            return self.turn_away(id, Refusal::Draining, out);
        }
        let own = secret.is_none() && self.own >= self.settings.own_max;
        let cap = if own { Some(Cap::Own) } else { self.no_room(key) };
        if let Some(cap) = cap {
            return self.turn_away(id, Refusal::TooMany(cap), out);
        } else if !self.principals.contains_key(&key) && !self.room_for_principal(out) {
            return self.turn_away(id, Refusal::TooMany(Cap::Principals), out);
        }
        self.principals.entry(key).or_default().used = now;
        self.dirty.insert(key);
        let what = What::Login { secret, up: None };
        self.turns += 1;
        self.asks.insert(id, Ask { principal: key, turn: self.turns, since: now, waiting: false, what });
        if !self.try_login(now, id, out) {
            self.wait(id, For::Login, out);
        }
    }

    pub(super) fn serve_logins(&mut self, now: Nanos, key: PrincipalKey, out: &mut Vec<Action>) {
        // They wait for logins in progress, and for nothing else.
        let Some(principal) = self.principals.get_mut(&key) else { return };
        if !std::mem::take(&mut principal.landed) {
            return;
        }
        for id in principal.queue(For::Login) {
            self.try_login(now, id, out);
        }
    }

    /// Whether this login needs not wait (any longer).
    fn try_login(&mut self, now: Nanos, id: AskId, out: &mut Vec<Action>) -> bool {
        let Some(Ask { principal: key, what: What::Login { secret, .. }, .. }) = self.asks.get(&id) else {
            return true;
        };
        let (key, secret) = (*key, secret.clone());
        let Some(principal) = self.principals.get(&key) else { return true };
        let Some(secret) = secret else {
            self.verify(now, id, key, Kind::Own, None, out);
            return true;
        };
        if let Some(up) = principal.shared.filter(|_| principal.trusts(&secret)) {
            self.open(now, id, Place::Shared, up, out);
            return true;
        }
        let flights = principal.flights.iter().filter_map(|up| self.ups.get(up));
        let flights = flights.filter(|up| up.kind == Kind::Shared).filter_map(|up| up.flight.as_ref());
        let (mut same, mut logins) = (false, 0);
        for flight in flights {
            same |= flight.secret.as_ref() == Some(&secret);
            logins += usize::from(flight.login);
        }
        if same || logins >= VERIFIED_AT_ONCE {
            return false;
        }
        self.verify(now, id, key, Kind::Shared, Some(secret), out);
        true
    }

    fn verify(
        &mut self,
        now: Nanos,
        id: AskId,
        key: PrincipalKey,
        kind: Kind,
        secret: Option<Secret>,
        out: &mut Vec<Action>,
    ) {
        self.resume(id);
        let flight = Flight { asker: Some(id), login: true, secret };
        let up = self.make(now, key, kind, flight);
        if let Some(Ask { what: What::Login { up: verifies, .. }, .. }) = self.asks.get_mut(&id) {
            *verifies = Some(up);
        }
        out.push(Action::Verify { ask: id, up });
    }

    /// A session that is being established.
    pub(super) fn make(&mut self, now: Nanos, key: PrincipalKey, kind: Kind, flight: Flight) -> UpId {
        let id = UpId(self.ups_ever);
        self.ups_ever += 1;
        let logs_in = flight.login || flight.secret.is_some();
        self.tally.upstream_logins += u64::from(logs_in);
        self.tally.clones += u64::from(!logs_in);
        self.own += u32::from(kind == Kind::Own);
        if let Some(principal) = self.principals.get_mut(&key) {
            principal.ups.insert(id);
            principal.clones += u32::from(kind == Kind::Clone);
            if flight.secret.is_some() {
                principal.flights.push(id);
            }
        }
        let ripeness = self.rng.uniform(RIPE.0, RIPE.1);
        let up = Up {
            principal: key,
            kind,
            stand: Stand::Making,
            secret: flight.secret.clone(),
            flight: Some(flight),
            born: now,
            used: now,
            touched: now,
            calls: 0,
            ripeness,
            aged: false,
            holder: None,
        };
        self.ups.insert(id, up);
        id
    }

    /// Hands a login its downstream session, if there is room. Otherwise it is refused.
    pub(super) fn open(&mut self, now: Nanos, id: AskId, place: Place, up: UpId, out: &mut Vec<Action>) {
        let Some(key) = self.asks.get(&id).map(|ask| ask.principal) else { return };
        if let Some(cap) = self.no_room(key) {
            return self.refuse(id, Refusal::TooMany(cap), out);
        }
        self.resume(id);
        self.asks.remove(&id);
        let down = super::DownId(self.downs_ever);
        self.downs_ever += 1;
        let session = Down::new(key, place, now);
        self.timers.set(Timer::Down(down), session.due(now, &self.settings));
        self.downs.insert(down, session);
        if let Some(principal) = self.principals.get_mut(&key) {
            principal.downs.insert(down);
            principal.sharers += u32::from(place == Place::Shared);
        }
        if let (Place::Own(_), Some(session)) = (place, self.ups.get_mut(&up)) {
            session.holder = Some(down);
        }
        self.tally.opened += 1;
        out.push(Action::Open { ask: id, down, up });
    }

    /// The cap that keeps this principal from another downstream session.
    fn no_room(&self, key: PrincipalKey) -> Option<Cap> {
        let of_principal = self.principals.get(&key).map_or(0, |principal| principal.downs.len());
        if self.downs.len() >= self.settings.sessions_max as usize {
            Some(Cap::Sessions)
        } else if of_principal >= self.settings.sessions_per_principal_max as usize {
            Some(Cap::SessionsPerPrincipal)
        } else {
            None
        }
    }

    /// Whether another principal may be known; the one without clients that was not heard of longest goes for it.
    fn room_for_principal(&mut self, out: &mut Vec<Action>) -> bool {
        let most = self.settings.principals_max as usize;
        if self.principals.len() < most {
            return true;
        }
        let idle = |up: &UpId| self.ups.get(up).is_none_or(|up| up.ready() && up.calls == 0);
        let without = self.principals.iter().filter(|(_, principal)| {
            principal.downs.is_empty() && principal.waiting == 0 && principal.ups.iter().all(idle)
        });
        let Some(key) = without.min_by_key(|(key, principal)| (principal.used, **key)).map(|(key, _)| *key) else {
            return false;
        };
        let ups: Vec<UpId> = self.principals.get(&key).map(|p| p.ups.iter().copied().collect()).unwrap_or_default();
        ups.into_iter().for_each(|up| self.end(up, out));
        self.forget(key, out);
        self.principals.remove(&key);
        self.principals.len() < most
    }
}
