//! The gate's handle: starts it, swaps its plan, throws its switches, asks how it is, ends it.
//!
//! Two threads serve: `tidegate-io` moves bytes, `tidegate-admin` answers about it. Neither knows Python, so both go on
//! while Python holds its lock. The handle itself may be used from any thread.

mod apply;
pub(crate) mod feed;
mod handover;
mod io;

pub use apply::{ApplyReport, ServiceChange};
use handover::State;
pub use handover::{Handed, Inherited};
pub(crate) use io::bind;

use crate::admin::{self, Admin};
use crate::clock;
use crate::dial::Way;
use crate::error::GateError;
use crate::explain::ExplainQuery;
use crate::metrics;
use crate::monitor::Health;
use crate::plan::{self, Plan};
use crate::ports::Ports;
use crate::service::Service;
use crate::setup::Setup;
use crate::status;
use io::{Command, Shard};
use serde::Serialize;
use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tidegate_core::admission::{Event, Learned};

/// One service that is being served.
#[derive(Clone)]
pub(crate) struct Served {
    pub(crate) service: Arc<Service>,
    pub(crate) address: SocketAddr,
    /// A second handle of its listening socket, for a process that takes over.
    pub(crate) socket: Option<Arc<TcpListener>>,
}

/// What was learned, by name of the service.
pub(crate) type LearnedByService = BTreeMap<String, Learned>;

/// What the handle and the admin thread share.
pub(crate) struct Shared {
    served: Mutex<Vec<Served>>,
    pub(crate) started: Instant,
    /// How the process connects to servers.
    pub(crate) way: Arc<Way>,
    shard: Shard,
}

/// A running gate. Dropped, it is closed.
pub struct Gate {
    shared: Arc<Shared>,
    io: Mutex<Option<std::thread::JoinHandle<()>>>,
    admin: Mutex<Option<Admin>>,
    /// One change of plan at a time; the plan's admin part, which cannot change.
    applying: Mutex<plan::AdminPlan>,
}

/// What became of a drain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DrainReport {
    /// Format of this report.
    pub format: u32,
    /// Every call that was under way has ended.
    pub drained: bool,
    /// Calls that were still under way when the deadline came.
    pub left: u64,
}

impl Gate {
    /// Starts a gate: everything is checked and bound, or nothing is. `learned_json` is what [`Gate::learned_json`] gave
    /// when an earlier gate ended.
    ///
    /// # Errors
    /// The plan is wrong, what was learned does not fit it, an address cannot be bound, a thread cannot be started.
    pub fn start(plan_json: &[u8], learned_json: Option<&[u8]>) -> Result<Gate, GateError> {
        Gate::start_with(plan_json, learned_json, Inherited::default())
    }

    /// [`Gate::start`], with what another process hands over.
    ///
    /// # Errors
    /// As [`Gate::start`], or what was handed over has no place.
    pub fn start_with(
        plan_json: &[u8],
        learned_json: Option<&[u8]>,
        mut inherited: Inherited,
    ) -> Result<Gate, GateError> {
        let plan = plan::parse(plan_json)?;
        let mut state = inherited.state()?;
        let learned = learned_json.map(|json| parse_learned(&plan, json)).transpose()?.unwrap_or_default();
        check_files(&plan)?;
        let seed = plan.services.first().map_or(0, |service| service.admission.seed);
        let way = Arc::new(Way { ports: Ports::new(&plan.ports)?, health: Health::new(seed)? });
        let bound = apply::bind_all(&plan, &[], &mut inherited)?;
        inherited.all_taken()?;
        let admin = admin::bind(&plan.admin, inherited.admin.take(), inherited.replaces)?;
        state.ports(&way.ports);
        let (shard, thread) = io::start(way.clone())?;
        let shared = Arc::new(Shared { served: Mutex::new(Vec::new()), started: Instant::now(), way, shard });
        let gate = Gate {
            shared,
            io: Mutex::new(Some(thread)),
            admin: Mutex::new(None),
            applying: Mutex::new(plan.admin.clone()),
        };
        apply::swap(&gate.shared, &plan, &learned, bound, &mut state)?;
        let running = admin::start(admin, gate.shared.clone())?;
        *gate.admin.lock().unwrap_or_else(PoisonError::into_inner) = Some(running);
        Ok(gate)
    }

    /// Swaps the plan. Services keep their listeners and held calls where name and address stay the same.
    ///
    /// # Errors
    /// As [`Gate::start`]; the old plan stays in force then.
    pub fn apply(&self, plan_json: &[u8]) -> Result<ApplyReport, GateError> {
        let admin = self.applying.lock().unwrap_or_else(PoisonError::into_inner);
        let plan: Plan = plan::parse(plan_json)?;
        if plan.admin != *admin {
            return Err(GateError::new("plan", "admin cannot change while the gate runs", "restart the gate"));
        }
        check_files(&plan)?;
        let kept: Vec<(String, SocketAddr)> = self.configured();
        let bound = apply::bind_all(&plan, &kept, &mut Inherited::default())?;
        Ports::check(&plan.ports)?;
        let report = apply::swap(&self.shared, &plan, &LearnedByService::new(), bound, &mut State::default())?;
        self.shared.way.ports.apply(&plan.ports)?;
        Ok(report)
    }

    /// Where each service listens, port 0 resolved.
    pub fn addresses(&self) -> Vec<(String, SocketAddr)> {
        self.shared.served().iter().map(|s| (s.service.name.to_string(), s.address)).collect()
    }

    fn configured(&self) -> Vec<(String, SocketAddr)> {
        let served = self.shared.served();
        let listening = served.iter().filter(|s| !s.service.stopping()); // one that drains has given up its socket
        listening.map(|s| (s.service.name.to_string(), s.service.setup().plan.listen)).collect()
    }

    /// What each service has learned, as JSON, for the next [`Gate::start`].
    pub fn learned_json(&self) -> String {
        let served = self.shared.served();
        let learned = served.iter().map(|s| (s.service.name.to_string(), s.service.learned()));
        serde_json::to_string(&learned.collect::<LearnedByService>()).unwrap_or_default()
    }

    /// The state of everything, as JSON.
    pub fn status_json(&self) -> String {
        status::status(&self.shared).to_string()
    }

    /// Why calls met their fates, newest first, as JSON.
    pub fn explain_json(&self, query: &ExplainQuery) -> String {
        status::explain(&self.shared, query).to_string()
    }

    /// Who holds which sessions at vCenters, as JSON.
    pub fn sessions_json(&self) -> String {
        status::sessions(&self.shared).to_string()
    }

    /// Metrics as OpenMetrics text.
    pub fn metrics_text(&self) -> String {
        metrics::text(&self.shared)
    }

    /// Announces (true) or ends (false) a planned restart behind `service`, or all services.
    ///
    /// # Errors
    /// There is no such service.
    pub fn maintenance(&self, service: Option<&str>, on: bool) -> Result<(), GateError> {
        self.shared.switch(service, Event::Maintenance(on))
    }

    /// Lets everything pass (true) at `service`, or all services.
    ///
    /// # Errors
    /// There is no such service.
    pub fn bypass(&self, service: Option<&str>, on: bool) -> Result<(), GateError> {
        self.shared.switch(service, Event::Bypass(on))
    }

    /// Takes a look at a vCenter's counters, as JSON: how slow its datastores are, and where its VMs lie.
    ///
    /// # Errors
    /// It cannot be read, or there is no such service.
    pub fn datastores(&self, json: &str) -> Result<(), GateError> {
        let feed = feed::parse(json)?;
        let services = self.shared.named(Some(&feed.service))?;
        services.iter().filter_map(|service| service.tasks()).for_each(|tasks| tasks.feed(&feed));
        Ok(())
    }

    /// Stops accepting, turns held calls away, lets those under way end, for `deadline` at most.
    pub fn drain(&self, deadline: Duration) -> DrainReport {
        let _unknown_service_is_impossible = self.shared.drain(None);
        let until = Instant::now() + deadline;
        loop {
            let left = self.shared.open_requests();
            if left == 0 || Instant::now() >= until {
                return DrainReport { format: plan::FORMAT, drained: left == 0, left };
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Ends everything at once. Safe to call twice.
    pub fn close(&self) {
        let admin = self.admin.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(admin);
        self.shared.shard.send(Command::Close);
        let thread = self.io.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            let _panicked = thread.join();
        }
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.close();
    }
}

impl Shared {
    /// The services as they are now. A copy: no other lock is taken under this one.
    pub(crate) fn served(&self) -> Vec<Served> {
        self.served.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_served(&self, served: Vec<Served>) {
        *self.served.lock().unwrap_or_else(PoisonError::into_inner) = served;
    }

    /// How long ago the I/O loop last turned; at most one tick while it is well.
    pub(crate) fn loop_age(&self) -> Duration {
        clock::duration(clock::now().since(self.shard.last_turn()))
    }

    /// The services named, or all of them.
    pub(crate) fn named(&self, name: Option<&str>) -> Result<Vec<Arc<Service>>, GateError> {
        let served = self.served();
        let all: Vec<Arc<Service>> =
            served.iter().map(|s| s.service.clone()).filter(|s| name.is_none_or(|name| *s.name == *name)).collect();
        if all.is_empty() && name.is_some() {
            let names: Vec<String> = served.iter().map(|s| s.service.name.to_string()).collect();
            let message = format!("there is no service {:?}", name.unwrap_or_default());
            return Err(GateError::new("unknown-service", message, format!("the services are: {}", names.join(", "))));
        }
        Ok(all)
    }

    pub(crate) fn switch(&self, name: Option<&str>, event: Event) -> Result<(), GateError> {
        self.named(name)?.iter().for_each(|service| service.event(event));
        Ok(())
    }

    /// Stops accepting at the services named and turns their held calls away.
    pub(crate) fn drain(&self, name: Option<&str>) -> Result<(), GateError> {
        for service in self.named(name)? {
            self.shard.send(Command::Unlisten(service.clone()));
            service.stop();
            self.close_sockets(|served| Arc::ptr_eq(&served.service, &service));
        }
        Ok(())
    }

    pub(crate) fn open_requests(&self) -> u64 {
        let served = self.served();
        let jobs = |service: &Service| service.broker().map_or(0, |broker| broker.jobs());
        served.iter().map(|s| s.service.stats.open_requests.get() + jobs(&s.service)).sum()
    }
}

/// Checks a plan as [`Gate::start`] would, without binding anything.
///
/// # Errors
/// The first thing that is wrong, with the path of its field.
pub fn check_plan(plan_json: &[u8]) -> Result<(), GateError> {
    check_files(&plan::parse(plan_json)?)
}

/// Checks whether a gate with this plan may begin with what was learned.
///
/// # Errors
/// The plan is wrong, or what was learned does not fit it.
pub fn check_learned(plan_json: &[u8], learned_json: &[u8]) -> Result<(), GateError> {
    parse_learned(&plan::parse(plan_json)?, learned_json).map(drop)
}

fn parse_learned(plan: &Plan, json: &[u8]) -> Result<LearnedByService, GateError> {
    let refuse = |why: &dyn std::fmt::Display| {
        GateError::new("learned", format!("what was learned cannot be used: {why}"), "without it the gate begins anew")
    };
    let learned: LearnedByService = serde_json::from_slice(json).map_err(|error| refuse(&error))?;
    for service in &plan.services {
        let known = learned.get(&service.name);
        known.map_or(Ok(()), |known| known.check(&service.admission)).map_err(|error| refuse(&error))?;
    }
    Ok(learned)
}

/// Loads what the plan names (certificates, keys) once to see that all of it can be used.
fn check_files(plan: &Plan) -> Result<(), GateError> {
    plan.services.iter().try_for_each(|service| Setup::new(service, None).map(drop))
}
