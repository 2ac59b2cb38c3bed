//! What the limits and the costs learn from each call that ends.

use super::call::{Call, InFlight};
use super::event::Outcome;
use super::machine::Machine;
use crate::limit::Terms;
use crate::time::Nanos;

impl Machine {
    /// What the plan says that the limits need.
    pub(super) fn terms(&self) -> Terms {
        Terms { window: self.plan.limit_window, patience: self.plan.client_timeout }
    }

    /// A call has ended at its server.
    pub(super) fn adapt(&mut self, now: Nanos, call: &Call, at: InFlight, outcome: Outcome) {
        let terms = self.terms();
        let Some(server) = self.servers.get_mut(usize::from(at.server.0)) else { return };
        let Some(finder) = &mut server.finder else { return };
        let rescaled = match outcome {
            // Nobody waited for this answer any more: the server is as good as one that says that it cannot.
            Outcome::Answered { .. } if at.orphan && now > call.deadline => {
                finder.overload(now, terms);
                false
            }
            Outcome::Answered { .. } if !at.expired => {
                let service = now.since(at.since);
                let units = self.costs.expected(call.operation, call.configured);
                finder.answered(at.epoch, units, service);
                self.costs.answered(call.operation, call.configured, call.opens, service)
            }
            Outcome::Overload | Outcome::Broken => {
                finder.overload(now, terms);
                false
            }
            Outcome::Answered { .. }
            | Outcome::ConnectFailed
            | Outcome::NotConnected(_)
            | Outcome::Incomplete
            | Outcome::Parked => false,
        };
        server.judge(now, terms);
        if rescaled {
            self.servers.iter_mut().filter_map(|server| server.finder.as_mut()).for_each(|finder| finder.rescaled(now));
        }
    }
}
