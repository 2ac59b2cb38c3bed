//! How long a wait will be, and what follows for a call that cannot wait so long.
//!
//! `room = deadline − now − margin − 1.5 × expected service`. A call whose predicted wait is within
//! its room is held to the end of it. Beyond: a client that honours Retry-After is turned away at once; any other is held
//! and turned away at U(0.3, 1) × room, which costs a socket, saves a handshake and spreads the herd; earlier, if it would
//! not be back by the time its turn comes. It may still be admitted if room appears, and is held to its end after all when the rate turns out to be better.
//!
//! The expected service time is itself learned from answers, so it must never keep every call away: it takes at most half
//! of a call's room, and a server with nothing in flight takes the next call whatever is expected of it.

use super::arrive::NEW_SESSION;
use super::call::Call;
use super::client::BLOCK;
use super::event::{Action, Class};
use super::machine::Machine;
use crate::limit::TooEarly;
use crate::queue::Place;
use crate::reason::Reason;
use crate::time::{Nanos, Span};

/// A search is given this part of the clients' patience before its results are used to predict.
const SEARCH: f64 = 0.2;

impl Machine {
    /// The moment from which an answer would come too late.
    pub(super) fn give_up(&self, call: &Call) -> Nanos {
        let end = call.deadline - self.plan.margin;
        let service = self.rate.service(call.place.work).mul_f64(1.5);
        end - service.min(end.since(call.arrived).mul_f64(0.5))
    }

    /// When to turn a call away that waits from now on, and whether that is staggered.
    pub(super) fn planned_end(&mut self, now: Nanos, index: u32) -> (Nanos, bool) {
        let Some(call) = self.calls.get(index) else {
            return (now, false);
        };
        let give_up = self.give_up(call);
        let (ahead, work) = self.queues.ahead(&call.place);
        let Some(wait) = self.predicted(now, &call.place, ahead, work).filter(|wait| now + *wait > give_up) else {
            return (give_up, false);
        };
        (self.stagger(now, give_up, wait), true)
    }

    /// When to turn a call away that will not be reached in time: early enough for its client to be back when its turn comes.
    fn stagger(&mut self, now: Nanos, give_up: Nanos, wait: Span) -> Nanos {
        let back_in_time = wait - self.absence.expected(self.plan.client_timeout);
        now + give_up.since(now).min(back_in_time).mul_f64(self.rng.uniform(0.3, 1.0))
    }

    /// Work that the pool completes, in thousandths of a unit per second: what the servers' limits were seen to give, where
    /// all of them are found by trying; else what was measured of late. Not told while a search has only just begun.
    fn pace(&self, now: Nanos) -> Option<f64> {
        let up = self.servers.iter().filter(|server| server.down.is_none());
        let early = self.plan.client_timeout.mul_f64(SEARCH);
        let rates: Result<Option<f64>, TooEarly> = up
            .map(|server| server.finder.as_ref().map_or(Ok(None), |finder| finder.rate(now, early)))
            .try_fold(Some(0.0), |sum, rate| Ok(sum.zip(rate?).map(|(sum, rate)| sum + rate)));
        let found = rates.ok()?.filter(|rate| *rate > 0.0).map(|rate| rate * 1000.0);
        found.or_else(|| self.rate.per_second(now))
    }

    /// The predicted wait of a call with so many calls, and so much work, before it in its class.
    pub(super) fn predicted(&self, now: Nanos, place: &Place, ahead: u32, work: u64) -> Option<Span> {
        Some(self.wait(self.pace(now)?, place, self.absent_before(place), ahead, work))
    }

    /// Clients that were turned away and come back take their old place: those that stand before this one.
    fn absent_before(&self, place: &Place) -> u32 {
        if place.class == Class::NewSession && place.key & NEW_SESSION != 0 {
            self.clients.absent_before(place.key & !NEW_SESSION)
        } else {
            0
        }
    }

    /// The same at a known rate, with so many absent clients before it.
    fn wait(&self, rate: f64, place: &Place, absent: u32, ahead: u32, work: u64) -> Span {
        let queues = &self.queues;
        let follow_ups = self.sessions.follow_ups();
        let opening = |calls: u32, work: u64| work + u64::from(calls) * follow_ups;
        let continuing = queues.work(Class::Continuation).max(self.sessions.remaining());
        let renewing = queues.work(Class::Renewal);
        let new = opening(queues.count(Class::NewSession), queues.work(Class::NewSession));
        let work = work + u64::from(absent) * place.work;
        let own = if place.class == Class::NewSession { opening(ahead + absent, work) } else { work };
        let before = match place.class {
            Class::Probe => return Span::ZERO,
            Class::Continuation => 0,
            Class::Renewal => queues.work(Class::Continuation),
            Class::NewSession => continuing + renewing,
            Class::Steady => continuing + renewing + new,
            Class::Bulk => continuing + renewing + new + queues.work(Class::Steady),
        };
        let shares = &self.plan.guarantees;
        let lent = |class: Class, share: u32| {
            if place.class < class && queues.count(class) > 0 { share } else { 0 }
        };
        let kept = 1000 - (lent(Class::Steady, shares.steady) + lent(Class::Bulk, shares.bulk)).min(999);
        let by_rank = (before + own) as f64 / (rate * f64::from(kept) / 1000.0);
        let share = match place.class {
            Class::Continuation => shares.continuation,
            Class::NewSession => shares.new_session,
            // Urgent ones take all that no guarantee of another class takes.
            Class::Steady => {
                shares.steady.max(1000 - (shares.continuation + shares.new_session + shares.bulk).min(1000))
            }
            Class::Bulk => shares.bulk,
            Class::Probe | Class::Renewal => 0,
        };
        let by_share = if share == 0 { f64::INFINITY } else { own as f64 / (rate * f64::from(share) / 1000.0) };
        let in_flight = self.work_in_flight as f64 / 2.0 / rate;
        Span::from_secs_f64(in_flight + by_rank.min(by_share))
    }

    /// Time until all that is held now is in, with its follow-ups. While the first clients are let in the pool never does
    /// all that it can, and its rate is what it does.
    pub(super) fn all_in(&self, now: Nanos) -> Option<Span> {
        let recovering = || self.servers.iter().filter_map(|server| server.recovery.rate(now)).reduce(|a, b| a + b);
        let rate = self.pace(now).or_else(recovering)?;
        let new = self.queues.work(Class::NewSession)
            + u64::from(self.queues.count(Class::NewSession)) * self.sessions.follow_ups();
        let held = new
            + self.queues.work(Class::Continuation).max(self.sessions.remaining())
            + self.queues.work(Class::Renewal);
        Some(Span::from_secs_f64((held as f64 + self.work_in_flight as f64 / 2.0) / rate))
    }

    /// The rate is known better: looks again at every held call, in order.
    pub(super) fn replan(&mut self, now: Nanos, out: &mut Vec<Action>) {
        let held: Vec<u32> = self.queues.iter().collect();
        let rate = self.pace(now);
        let mut ahead = (0u32, 0u64, None);
        // Neighbours in line have the same ones before them: looked up once per block of numbers.
        let mut absent = None;
        for index in held {
            let Some(call) = self.calls.get(index) else {
                continue;
            };
            if ahead.2 != Some(call.class()) {
                ahead = (0, 0, Some(call.class()));
            }
            let (place, timer, staggered, honours) = (call.place, call.timer, call.staggered, call.honours_retry_after);
            let give_up = self.give_up(call);
            let block = place.key.div_ceil(BLOCK);
            let known = absent.filter(|(class, of, _)| (*class, *of) == (place.class, block));
            let (_, _, before) =
                *absent.insert(known.unwrap_or_else(|| (place.class, block, self.absent_before(&place))));
            let wait = rate.map(|rate| self.wait(rate, &place, before, ahead.0, ahead.1));
            ahead = (ahead.0 + 1, ahead.1 + place.work, ahead.2);
            let late = wait.is_some_and(|wait| now + wait > give_up);
            if late == staggered {
                continue;
            }
            if late && honours {
                self.turn_away(now, index, Reason::TooLate, out);
                absent = None;
                continue;
            }
            let end = match wait.filter(|_| late) {
                Some(wait) => self.stagger(now, give_up, wait),
                None => give_up,
            };
            self.timers.remove(&(timer, index));
            self.timers.insert((end, index));
            if let Some(call) = self.calls.get_mut(index) {
                (call.timer, call.staggered) = (end, late);
            }
        }
    }

    /// When a client that is turned away should come back: when its turn is predicted, within the plan's bounds, spread by
    /// U(0.5, 1) × 1.2: around the prediction, never above the bound.
    ///
    /// The prediction grows with the backlog, so it rises under pressure by itself and nothing needs to be counted on top
    /// (Kubernetes doubles its Retry-After because it has no prediction). Where it cannot see: a full queue says that there
    /// are more clients than places, nobody knows how many, so the longest; with no rate yet, anything within the bounds.
    pub(super) fn retry_after(&mut self, now: Nanos, reason: Reason, call: &Call) -> Span {
        let (ahead, work) = self.queues.ahead(&call.place);
        let (low, high) = (self.plan.retry_after_min, self.plan.retry_after_max);
        let wait = match self.predicted(now, &call.place, ahead, work) {
            _ if reason == Reason::QueueFull => high,
            Some(wait) => wait.mul_f64(1.2).clamp(low, high),
            None => return low + (high - low).mul_f64(self.rng.uniform(0.0, 1.0)),
        };
        wait.mul_f64(self.rng.uniform(0.5, 1.0)).max(low)
    }
}
