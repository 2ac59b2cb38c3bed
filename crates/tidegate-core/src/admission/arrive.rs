//! A call arrives: its class, its place in line, and the fast path when nobody waits.

use super::call::Call;
use super::event::{Action, Arrival, CallId, Class, Role, ServerId};
use super::machine::Machine;
use super::server::Server;
use crate::queue::Place;
use crate::reason::Reason;
use crate::session::{Known, SettleRule};
use crate::time::Nanos;

/// Set in the key of every call that opens a session and is not reserved: those come first.
pub(super) const NEW_SESSION: u64 = 1 << 63;

impl Machine {
    /// A call arrives. The first action pushed is about it: `Admit`, `Hold` or `TurnAway`.
    pub fn arrive(&mut self, now: Nanos, arrival: Arrival, out: &mut Vec<Action>) -> CallId {
        self.counters.arrived += 1;
        let (class, bound, dead) = self.classify(now, &arrival);
        let bound = arrival.server.filter(|server| usize::from(server.0) < self.servers.len()).or(bound);
        let place = self.place(now, &arrival, class, bound);
        let (patience, terms) = (self.patience_of(arrival.kind), self.terms());
        self.servers.iter_mut().for_each(|server| server.guard(now, terms));
        let (index, id) = self.calls.insert(Call::new(now, &arrival, place, patience));
        if self.draining {
            self.turn_away(now, index, Reason::Draining, out);
        } else if self.passes_all() {
            self.pass(now, index, out);
        } else if dead || arrival.token_expiry.is_some_and(|expiry| expiry <= now) {
            self.turn_away(now, index, Reason::TokenDead, out);
        } else if arrival.deadline.is_some_and(|deadline| deadline <= now) {
            self.turn_away(now, index, Reason::TooLate, out);
        } else if let Some(server) = self.free_at_once(now, &place) {
            self.queues.charge(&place);
            self.admit(now, index, server, false, out);
        } else {
            self.hold(now, index, arrival.reserved, out);
        }
        self.end_event(now);
        id
    }

    /// Class, the server its session is bound to, and whether the session is known to be dead.
    fn classify(&mut self, now: Nanos, arrival: &Arrival) -> (Class, Option<ServerId>, bool) {
        let by_role = match arrival.role {
            Role::Probe => Some(Class::Probe),
            Role::Open => Some(Class::NewSession),
            Role::Bulk => Some(Class::Bulk),
            Role::Renew | Role::Poll | Role::Call => None,
        };
        if let (Some(class), Role::Probe | Role::Open) = (by_role, arrival.role) {
            return (class, None, false); // opening a session needs none, and a probe belongs to nobody
        }
        let expires_soon = arrival.token_expiry.is_none_or(|expiry| expiry <= now + self.plan.renew_within);
        let renewal = (arrival.role == Role::Renew && expires_soon).then_some(Class::Renewal);
        let Some(session) = arrival.session else {
            return (by_role.or(renewal).unwrap_or(Class::Steady), None, false);
        };
        let rule = SettleRule { after: self.plan.settle_after, calls: self.plan.settle_calls };
        let is_poll = arrival.role == Role::Poll;
        let (known, settled) = self.sessions.look_up(now, session, is_poll, rule, self.plan.session_idle);
        if let Some(client) = settled {
            self.counters.sessions_settled += 1;
            self.clients.connected(client);
        }
        let (class, bound) = match known {
            Known::Open(server) => (Class::Continuation, Some(server)),
            Known::Settled(server) => (Class::Steady, Some(server)),
            Known::Unknown | Known::Dead => (Class::Steady, None),
        };
        let bound = bound.filter(|server| usize::from(server.0) < self.servers.len());
        (by_role.or(renewal).unwrap_or(class), bound, known == Known::Dead)
    }

    fn place(&mut self, now: Nanos, arrival: &Arrival, class: Class, bound: Option<ServerId>) -> Place {
        self.arrivals += 1;
        let key = match class {
            // A reserved client stands before every seniority number.
            Class::NewSession if arrival.reserved => 0,
            Class::NewSession => {
                if let Some(absence) = self.clients.back(now, arrival.client) {
                    self.absence.back(absence, self.plan.client_timeout);
                }
                NEW_SESSION | self.clients.seniority(now, arrival.client)
            }
            // In milliseconds: the queue adds up work per block of keys.
            Class::Renewal => arrival.token_expiry.unwrap_or(now).0 / 1_000_000,
            _ => 0,
        };
        let work = ((self.costs.expected(arrival.operation, arrival.configured()) * 1000.0).round() as u64).max(1);
        Place { class, bound, client: arrival.client, key, order: self.arrivals, work }
    }

    /// A server for a call when nobody waits: the fast path, past the queues.
    fn free_at_once(&self, now: Nanos, place: &Place) -> Option<ServerId> {
        let may = self.queues.total() == 0 && !self.maintenance && !matches!(place.class, Class::Probe | Class::Bulk);
        let fits = |server: &Server| place.class != Class::NewSession || server.may_begin(now, self.plan.silence);
        if may { self.slot_for(now, place.bound, fits) } else { None }
    }
}
