//! How the making of an upstream session ended, and what that means for those who waited for it.

use super::event::{Action, Refusal};
use super::ids::{AskId, Kind, PrincipalKey, UpId};
use super::machine::Broker;
use super::table::{Ask, Flight, For, Kept, Place, Up, What};
use super::timers::Timer;
use super::view::Stand;
use crate::time::Nanos;

impl Broker {
    pub(super) fn verified(&mut self, now: Nanos, id: UpId, out: &mut Vec<Action>) {
        let Some(up) = self.ups.get_mut(&id) else {
            // It was given up, and stands all the same.
            if id.0 < self.ups_ever {
                out.push(Action::End { up: id });
            }
            return;
        };
        let Some(flight) = up.flight.take() else { return };
        (up.stand, up.born, up.used, up.touched) = (Stand::Ready, now, now, now);
        self.timers.set(Timer::Up(id), up.due(now, &self.settings));
        let (key, kind, holder) = (up.principal, up.kind, up.holder);
        self.dirty.insert(key);
        if let Some(principal) = self.principals.get_mut(&key) {
            principal.flights.retain(|other| *other != id);
            principal.landed = true;
        }
        if self.draining {
            if let Some(ask) = flight.asker.filter(|_| flight.login) {
                self.refuse(ask, Refusal::Draining, out);
            }
            if flight.login && flight.secret.is_some() {
                out.push(Action::Forget { principal: key });
            }
            return self.retire(id, out);
        }
        match kind {
            Kind::Shared => self.shared_verified(now, key, id, flight, out),
            Kind::Own => {
                if let Some(ask) = flight.asker {
                    self.open(now, ask, Place::Own(id), id, out);
                }
                if self.ups.get(&id).is_some_and(|up| up.holder.is_none()) {
                    self.end(id, out);
                }
            }
            Kind::Clone => match holder {
                Some(down) => self.lend_held(now, down, id, out),
                None => self.retire(id, out),
            },
        }
    }

    fn shared_verified(&mut self, now: Nanos, key: PrincipalKey, id: UpId, flight: Flight, out: &mut Vec<Action>) {
        let Some(principal) = self.principals.get_mut(&key) else { return };
        let old = principal.shared.and_then(|old| Some((old, self.ups.get(&old)?)));
        let stays = |old: &Up| !flight.login || (old.secret == flight.secret && !old.aged);
        let spare = match old {
            Some((_, old)) if stays(old) => Some(id),
            _ => principal.shared.replace(id),
        };
        if let Some(secret) = flight.secret.filter(|_| flight.login) {
            principal.kept = Some(Kept { secret, at: now, doubted: false });
            self.timers.set(Timer::Password(key), now + self.settings.verify);
        }
        if let Some(spare) = spare {
            self.retire(spare, out);
        }
        let home = self.principals.get(&key).and_then(|principal| principal.shared);
        if let (true, Some(ask), Some(home)) = (flight.login, flight.asker, home) {
            self.open(now, ask, Place::Shared, home, out);
        }
    }

    pub(super) fn denied(&mut self, id: UpId, out: &mut Vec<Action>) {
        let Some((key, kind, flight)) = self.fall(id) else { return };
        if let (Some(secret), Some(principal)) = (&flight.secret, self.principals.get_mut(&key)) {
            match &mut principal.kept {
                Some(kept) if kept.secret == *secret => self.forget(key, out),
                Some(kept) => kept.doubted = true,
                None => {}
            }
        }
        self.refuse_flight(key, kind, &flight, Refusal::InvalidLogin, out);
    }

    pub(super) fn failed(&mut self, id: UpId, out: &mut Vec<Action>) {
        let Some((key, kind, flight)) = self.fall(id) else { return };
        self.refuse_flight(key, kind, &flight, Refusal::Upstream, out);
        let Some(principal) = self.principals.get(&key) else { return };
        if kind == Kind::Shared && principal.shared.is_none() {
            for ask in principal.queue(For::Shared) {
                self.refuse(ask, Refusal::Upstream, out);
            }
        }
    }

    /// The call that made a session ended without a verdict: nobody is refused for it, another one tries.
    pub(super) fn gave_up(&mut self, id: UpId) {
        self.fall(id);
    }

    /// A session in the making does not come to be. The calls of the client that was to get it wait with the others again.
    fn fall(&mut self, id: UpId) -> Option<(PrincipalKey, Kind, Flight)> {
        let up = self.ups.get_mut(&id)?;
        let (key, kind, flight, holder) = (up.principal, up.kind, up.flight.take()?, up.holder);
        self.remove(id);
        if let Some(principal) = self.principals.get_mut(&key) {
            principal.landed = true;
        }
        if let Some(down) = holder.and_then(|down| self.downs.get(&down)) {
            for (turn, id) in &down.waiting {
                let need = self.asks.get(id).map(Ask::waits_for);
                if let (Some(of), Some(principal)) = (need, self.principals.get_mut(&key)) {
                    principal.push(of, *turn, *id);
                }
            }
        }
        Some((key, kind, flight))
    }

    fn refuse_flight(&mut self, key: PrincipalKey, kind: Kind, flight: &Flight, why: Refusal, out: &mut Vec<Action>) {
        if let Some(ask) = flight.asker.filter(|_| flight.login) {
            self.refuse(ask, why, out);
        }
        let Some(principal) = self.principals.get(&key).filter(|_| kind == Kind::Shared) else { return };
        let same = |id: &AskId| match self.asks.get(id) {
            Some(Ask { what: What::Login { secret, .. }, .. }) => *secret == flight.secret,
            _ => false,
        };
        let waiting: Vec<AskId> = principal.queue(For::Login).into_iter().filter(same).collect();
        waiting.into_iter().for_each(|ask| self.refuse(ask, why, out));
    }
}
