//! From one process to the next, without a refused connection: what the one that goes gives, and how it goes.
//!
//! The new process gets the listening sockets themselves, so a connection that waits in their queue is nobody's loss. The
//! old one then accepts no more, serves the clients it has, closes each with its next answer, and gives up its slots as
//! they fall free (`tidegate_core`'s `handover.rs` has the rule). Who carries sockets and words from one to the other is
//! Python.

use super::Gate;
use super::io::Command;
use crate::clock;
use crate::error::GateError;
use crate::ports::Ports;
use crate::service::Service;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::sync::PoisonError;
use tidegate_core::health;
use tidegate_core::ledger::Carried;
use tidegate_core::session::Passed;

/// A listening socket that another process has opened.
pub struct Handed {
    /// For the service with this name; `None`: for whichever listens at its address.
    pub service: Option<String>,
    /// The address that the plan has for it.
    pub listen: SocketAddr,
    /// The socket.
    pub socket: TcpListener,
}

/// What a gate begins with that does not come from its plan.
#[derive(Default)]
pub struct Inherited {
    /// Listening sockets; every one must find its place.
    pub sockets: Vec<Handed>,
    /// The socket of `admin.tcp`.
    pub admin: Option<TcpListener>,
    /// Another gate answers at the admin socket still; this one takes its place there once it serves.
    pub replaces: bool,
    /// What another gate knew, as [`Gate::known_json`] gave it.
    pub known: Option<Vec<u8>>,
}

/// What one gate tells the next, beside what it has learned.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Known {
    /// Sessions by name of the service.
    sessions: BTreeMap<String, Vec<Passed>>,
    /// Source ports that are in use, or rest.
    ports: Option<Carried>,
    /// What monitors have found out.
    health: Vec<health::Passed>,
}

impl Inherited {
    /// The socket for this service.
    pub(super) fn take(&mut self, service: &str, listen: SocketAddr) -> Option<TcpListener> {
        let named = |handed: &Handed| handed.service.as_deref() == Some(service) && handed.listen == listen;
        let by_address = |handed: &Handed| handed.service.is_none() && handed.listen == listen;
        let at = self.sockets.iter().position(named).or_else(|| self.sockets.iter().position(by_address))?;
        Some(self.sockets.swap_remove(at).socket)
    }

    /// Every socket must have found its service: one that nobody serves would let clients wait for ever.
    pub(super) fn all_taken(&self) -> Result<(), GateError> {
        let Some(left) = self.sockets.first() else { return Ok(()) };
        let message = format!("a socket was handed over that listens at {}, and no service listens there", left.listen);
        Err(GateError::new("bind", message, "give a service this address, or take it out of the socket unit"))
    }

    pub(super) fn state(&self) -> Result<State, GateError> {
        let parsed = self.known.as_deref().map(serde_json::from_slice).transpose();
        let known = parsed.map(Option::unwrap_or_default).map_err(|error| {
            let message = format!("what was handed over cannot be used: {error}");
            GateError::new("handover", message, "both gates must be of one version; else restart instead")
        })?;
        Ok(State { known, replaces: self.replaces })
    }
}

/// What services begin with, before their first call.
#[derive(Default)]
pub(super) struct State {
    known: Known,
    replaces: bool,
}

impl State {
    /// What is known of source ports; one that cannot be used is left out: a bind that fails tells the same.
    pub(super) fn ports(&mut self, ports: &Ports) {
        let carried = self.known.ports.take();
        let _of_another_version = carried.map(|carried| ports.import(&carried));
    }

    /// What is known of servers.
    pub(super) fn health(&mut self) -> Vec<health::Passed> {
        std::mem::take(&mut self.known.health)
    }

    /// Gives a new service its part.
    pub(super) fn give(&mut self, service: &Service) {
        if self.replaces {
            service.share_all(u32::MAX); // every slot is the other process's until it says more
        }
        let known = self.known.sessions.remove(&*service.name);
        known.into_iter().for_each(|sessions| service.take_over(sessions));
    }
}

impl Gate {
    /// The listening sockets with their services and the addresses that the plan has for them.
    ///
    /// # Errors
    /// The process may open no more files.
    pub fn listeners(&self) -> std::io::Result<Vec<Handed>> {
        let mut all = Vec::new();
        for served in self.shared.served() {
            let Some(socket) = &served.socket else { continue };
            all.push(Handed {
                service: Some(served.service.name.to_string()),
                listen: served.service.setup().plan.listen,
                socket: socket.try_clone()?,
            });
        }
        Ok(all)
    }

    /// The socket of `admin.tcp`, if there is one.
    pub fn admin_listener(&self) -> Option<TcpListener> {
        let admin = self.admin.lock().unwrap_or_else(PoisonError::into_inner);
        admin.as_ref()?.tcp.as_ref()?.try_clone().ok()
    }

    /// The sessions of each service, the source ports in use, and how servers stand, as JSON.
    pub fn known_json(&self) -> String {
        let served = self.shared.served();
        let sessions = served.iter().map(|s| (s.service.name.to_string(), s.service.pass_on())).collect();
        let known =
            Known { sessions, ports: Some(self.shared.way.ports.export()), health: self.shared.way.health.passed() };
        serde_json::to_string(&known).unwrap_or_default()
    }

    /// Accepts no more. Calls that are held stay so, clients are closed with their next answer; [`Gate::left_json`] says
    /// how far that is.
    pub fn retire(&self) {
        for served in self.shared.served() {
            self.shared.shard.send(Command::Unlisten(served.service.clone()));
            served.service.retire();
        }
        self.shared.shard.settle(); // who was accepted until now counts as a client
        self.shared.close_sockets(|_| true);
    }

    /// After [`Gate::retire`]: gives up slots that are not needed any more, and says what is left as JSON: `clients`,
    /// `calls` and, by service and server, the `slots` still in use.
    pub fn left_json(&self) -> String {
        let served = self.shared.served();
        let clients: u64 = served.iter().map(|s| s.service.clients()).sum();
        let slots: Map<String, Value> =
            served.iter().map(|s| (s.service.name.to_string(), s.service.shrink().into())).collect();
        json!({ "clients": clients, "calls": self.shared.open_requests(), "slots": slots }).to_string()
    }

    /// What another process still uses of the slots of `server`.
    pub fn share(&self, service: &str, server: &str, used: u32) {
        let served = self.shared.served();
        served.iter().filter(|s| *s.service.name == *service).for_each(|s| s.service.share(server, used));
    }

    /// The other process has gone: every slot is this one's.
    pub fn share_no_more(&self) {
        self.shared.served().iter().for_each(|s| s.service.share_all(0));
    }
}

impl super::Shared {
    /// Drops the handles of listening sockets that nobody accepts from any more, so that the kernel refuses at once.
    pub(super) fn close_sockets(&self, of: impl Fn(&super::Served) -> bool) {
        let mut served = self.served();
        served.iter_mut().filter(|served| of(served)).for_each(|served| served.socket = None);
        self.set_served(served);
    }
}

impl Service {
    fn pass_on(&self) -> Vec<Passed> {
        self.machine(|machine| machine.pass_on(clock::now()))
    }
}
