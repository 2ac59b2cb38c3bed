//! A new plan on a running machine: nothing that is held or in flight is lost.

use super::call::State;
use super::event::{Action, ServerId};
use super::machine::Machine;
use super::plan::{Plan, PlanError};
use super::server::Server;
use crate::queue::Queues;
use crate::time::Nanos;

impl Machine {
    /// Swaps the plan in. Servers are matched by name; what is held stays held in its order. A call in flight at a server
    /// that is no longer there keeps running, and its slot is gone with the server.
    ///
    /// # Errors
    /// The plan is not one; nothing was changed.
    pub fn apply(&mut self, now: Nanos, plan: Plan, out: &mut Vec<Action>) -> Result<(), PlanError> {
        plan.check()?;
        let moved = self.move_servers(now, &plan);
        let at = |server: ServerId| moved.get(usize::from(server.0)).copied().flatten();
        self.sessions.resize(plan.sessions_max as usize);
        self.sessions.move_servers(at);
        self.clients.resize(plan.clients_max as usize, plan.seniority);
        let held: Vec<u32> = self.queues.iter().collect();
        self.queues = Queues::new(plan.servers.len());
        self.plan = plan;
        for call in self.calls.iter_mut() {
            call.place.bound = call.place.bound.and_then(at);
            if let State::InFlight(in_flight) = &mut call.state {
                in_flight.server = at(in_flight.server).unwrap_or(ServerId(u16::MAX));
                self.queues.charge(&call.place); // it still counts against its client
            }
        }
        for index in held {
            if let Some(call) = self.calls.get(index) {
                self.queues.push(&call.place, index, false);
            }
        }
        self.dispatch(now, out);
        self.end_event(now);
        Ok(())
    }

    /// Builds the new pool; says for each old server where it stands now.
    fn move_servers(&mut self, now: Nanos, plan: &Plan) -> Vec<Option<ServerId>> {
        let place_of = |name: &str| plan.servers.iter().position(|server| server.name == name);
        let moved = self.servers.iter().map(|old| place_of(&old.name).map(|new| ServerId(new as u16))).collect();
        let old = std::mem::take(&mut self.servers);
        self.servers = plan.servers.iter().map(|server| Server::new(server, None, now)).collect();
        for mut server in old {
            let Some(at) = place_of(&server.name) else { continue };
            if let (Some(new), Some(plan)) = (self.servers.get_mut(at), plan.servers.get(at)) {
                server.replan(plan, now);
                *new = server;
            }
        }
        moved
    }
}
