//! How sessions end: returned, retired, dead, expired, logged out; and what is due by the clock.

use super::event::{Action, Expiry, Refusal};
use super::ids::{AskId, DownId, Kind, UpId};
use super::machine::Broker;
use super::table::{Place, Up};
use super::timers::Timer;
use super::view::Stand;
use crate::time::Nanos;

/// Most shared sessions of one principal that are on their way out; the oldest is ended with calls on it.
pub(super) const RETIRING_MAX: usize = 2;

impl Broker {
    /// Everything that is due.
    pub(super) fn pass(&mut self, now: Nanos, out: &mut Vec<Action>) {
        while let Some(timer) = self.timers.pop(now) {
            match timer {
                Timer::Ask(ask) => self.refuse(ask, Refusal::Late, out),
                Timer::Password(key) => self.forget(key, out),
                Timer::Down(down) => self.look_at_down(now, down, out),
                Timer::Up(up) => self.look_at_up(now, up, out),
            }
        }
        self.settle(now, out);
    }

    fn look_at_down(&mut self, now: Nanos, id: DownId, out: &mut Vec<Action>) {
        let Some(down) = self.downs.get(&id) else { return };
        let due = down.due(now, &self.settings);
        if down.opened + self.settings.life <= now {
            self.expire(id, Expiry::Life, out);
        } else if due <= now && !down.busy() {
            self.expire(id, Expiry::Idle, out);
        } else {
            self.timers.set(Timer::Down(id), due);
        }
    }

    fn look_at_up(&mut self, now: Nanos, id: UpId, out: &mut Vec<Action>) {
        let Some(up) = self.ups.get_mut(&id).filter(|up| up.ready()) else { return };
        let (kind, holder, key) = (up.kind, up.holder, up.principal);
        let Some(principal) = self.principals.get(&key) else { return };
        if up.born + self.settings.life <= now {
            up.aged = true;
            if let Some(down) = holder {
                self.expire(down, Expiry::Life, out);
            }
            return self.retire(id, out);
        }
        if up.ripe(&self.settings) <= now && !up.aged {
            // A shared one can be made again while the password is kept; else it serves on until a client logs in.
            let replaceable = if kind == Kind::Shared { principal.kept.is_some() } else { holder.is_none() };
            if replaceable {
                return self.retire(id, out);
            }
            up.aged = true;
        }
        if up.due(now, &self.settings) <= now {
            let needed = if kind == Kind::Shared { principal.sharers > 0 } else { holder.is_some() };
            if !needed {
                return self.end(id, out);
            }
            up.touched = now;
            out.push(Action::KeepAlive { up: id });
        }
        self.timers.set(Timer::Up(id), up.due(now, &self.settings));
    }

    /// A clone whose client holds nothing on it goes back; if it is too old, or one too many, it is ended.
    pub(super) fn give_back(&mut self, id: UpId, out: &mut Vec<Action>) {
        let Some(up) = self.ups.get_mut(&id).filter(|up| up.ready()) else { return };
        if let Some(down) = up.holder.take().and_then(|down| self.downs.get_mut(&down)) {
            down.place = Place::Shared;
        }
        let Some(principal) = self.principals.get_mut(&up.principal) else { return };
        self.dirty.insert(up.principal);
        if up.aged || principal.clones > self.settings.clones_max {
            self.end(id, out);
        } else {
            principal.spare.push(id);
        }
    }

    /// Lends it no more, and ends it when its calls are over.
    pub(super) fn retire(&mut self, id: UpId, out: &mut Vec<Action>) {
        let Some(up) = self.ups.get_mut(&id).filter(|up| up.ready()) else { return };
        if up.calls == 0 {
            return self.end(id, out);
        }
        up.stand = Stand::Retiring;
        self.timers.clear(Timer::Up(id));
        let Some(principal) = self.principals.get_mut(&up.principal) else { return };
        if principal.shared == Some(id) {
            principal.shared = None;
        }
        if up.kind == Kind::Shared {
            principal.retiring.push_back(id);
        }
        if principal.retiring.len() > RETIRING_MAX
            && let Some(oldest) = principal.retiring.front().copied()
        {
            self.end(oldest, out);
        }
    }

    /// Ends it at vCenter.
    pub(super) fn end(&mut self, id: UpId, out: &mut Vec<Action>) {
        if self.remove(id).is_some() {
            self.tally.ended += 1;
            out.push(Action::End { up: id });
        }
    }

    /// It is no more. A client that had it as its clone lives on without.
    pub(super) fn remove(&mut self, id: UpId) -> Option<Up> {
        let up = self.ups.remove(&id)?;
        self.timers.clear(Timer::Up(id));
        self.own -= u32::from(up.kind == Kind::Own);
        self.dirty.insert(up.principal);
        if let Some(down) = up.holder.and_then(|down| self.downs.get_mut(&down))
            && down.place == Place::Clone(id)
        {
            (down.place, down.holds, down.sticky) = (Place::Shared, 0, false);
        }
        if let Some(principal) = self.principals.get_mut(&up.principal) {
            principal.ups.remove(&id);
            principal.clones -= u32::from(up.kind == Kind::Clone);
            principal.spare.retain(|other| *other != id);
            principal.flights.retain(|other| *other != id);
            principal.retiring.retain(|other| *other != id);
            principal.shared = principal.shared.filter(|other| *other != id);
        }
        Some(up)
    }

    /// Whether its client loses something with it: an object, its login, or what a call in progress may have made.
    fn loses(&self, up: &Up) -> bool {
        let bare = up.holder.and_then(|down| self.downs.get(&down)).is_none_or(|down| down.bare());
        up.kind == Kind::Own || !bare || up.calls > 1
    }

    pub(super) fn dead(&mut self, id: UpId, out: &mut Vec<Action>) {
        let Some(up) = self.ups.get(&id) else { return };
        if up.flight.is_some() {
            return self.failed(id, out);
        }
        let loser = up.holder.filter(|_| self.loses(up));
        self.tally.dead += 1;
        self.remove(id);
        if let Some(down) = loser {
            self.expire(down, Expiry::Upstream, out);
        }
    }

    pub(super) fn stale(&mut self, id: UpId, out: &mut Vec<Action>) {
        let Some(up) = self.ups.get(&id).filter(|up| up.ready()) else { return };
        let (holder, loses) = (up.holder, self.loses(up));
        if let Some(up) = self.ups.get_mut(&id) {
            up.aged = true;
        }
        match holder {
            Some(down) if loses => self.expire(down, Expiry::Upstream, out),
            Some(down) => {
                if let Some(down) = self.downs.get_mut(&down) {
                    down.place = Place::Shared;
                }
                if let Some(up) = self.ups.get_mut(&id) {
                    up.holder = None;
                }
            }
            None => {}
        }
        self.retire(id, out);
    }

    /// A downstream session is over, and its client does not know yet.
    pub(super) fn expire(&mut self, id: DownId, why: Expiry, out: &mut Vec<Action>) {
        if self.downs.contains_key(&id) {
            *self.tally.expired.entry(why).or_default() += 1;
            out.push(Action::Expired { down: id, why });
            self.close(id, out);
        }
    }

    /// A downstream session is over.
    pub(super) fn close(&mut self, id: DownId, out: &mut Vec<Action>) {
        let Some(down) = self.downs.get(&id) else { return };
        let waiting: Vec<AskId> = down.waiting.values().copied().collect();
        waiting.into_iter().for_each(|ask| self.refuse(ask, Refusal::NotAuthenticated, out));
        let Some(down) = self.downs.remove(&id) else { return };
        self.timers.clear(Timer::Down(id));
        self.dirty.insert(down.principal);
        if let Some(principal) = self.principals.get_mut(&down.principal) {
            principal.downs.remove(&id);
            principal.sharers -= u32::from(!matches!(down.place, Place::Own(_)));
        }
        let (Place::Own(up) | Place::Clone(up)) = down.place else { return };
        let Some(session) = self.ups.get_mut(&up) else { return };
        session.holder = None;
        if session.kind == Kind::Clone && session.calls == 0 && down.bare() {
            self.give_back(up, out);
        } else {
            self.retire(up, out);
        }
    }

    pub(super) fn drain(&mut self, out: &mut Vec<Action>) {
        self.draining = true;
        let waiting: Vec<AskId> = self.asks.iter().filter(|(_, ask)| ask.waiting).map(|(id, _)| *id).collect();
        waiting.into_iter().for_each(|ask| self.refuse(ask, Refusal::Draining, out));
        let keys: Vec<_> = self.principals.keys().copied().collect();
        keys.into_iter().for_each(|key| self.forget(key, out));
        let downs: Vec<DownId> = self.downs.keys().copied().collect();
        downs.into_iter().for_each(|down| self.close(down, out));
        let ups: Vec<UpId> = self.ups.keys().copied().collect();
        ups.into_iter().for_each(|up| self.retire(up, out));
    }
}
