//! The part of a plan that connections use, compiled once per plan.

use crate::error::GateError;
use crate::plan::{IdentityPlan, IoPlan, MatchPlan, ServicePlan, TlsPlan};
use crate::pool::{Key, Server};
use crate::protocol::Protocol;
use ipnet::IpNet;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use tidegate_core::admission::SessionKey;

/// What connections of one service go by.
pub(crate) struct Setup {
    pub(crate) io: IoPlan,
    pub(crate) protocol: Protocol,
    pub(crate) servers: Vec<Arc<Server>>,
    /// The plan as it was given, for status.
    pub(crate) plan: ServicePlan,
    seed: u64,
}

impl Setup {
    /// Compiles a plan. Servers that `before` knows by name and address are taken over with their connections.
    ///
    /// # Errors
    /// A file that the plan names cannot be used.
    pub(crate) fn new(plan: &ServicePlan, before: Option<&Setup>) -> Result<Setup, GateError> {
        let servers = plan.servers.iter().map(|server| {
            let known =
                before.iter().flat_map(|b| &b.servers).find(|s| *s.name == server.name && *s.address == server.address);
            known.cloned().unwrap_or_else(|| Server::new(&server.name, &server.address))
        });
        let scheme = if matches!(plan.tls, TlsPlan::None {}) { "http" } else { "https" };
        Ok(Setup {
            io: plan.io.clone(),
            protocol: Protocol::new(&plan.protocol, scheme)?,
            servers: servers.collect(),
            seed: plan.admission.seed,
            plan: plan.clone(),
        })
    }

    /// The key of connections to `server` for a client at `peer`.
    pub(crate) fn key(&self, server: &Server, peer: SocketAddr) -> Key {
        let proxied = self.plan.servers.iter().any(|s| *s.name == *server.name && s.send_proxy.is_some());
        Key { address: server.address.clone(), tls_profile: 0, proxied_for: proxied.then_some(peer) }
    }

    /// Whether what `hop` says about who is behind it is believed.
    pub(crate) fn trusts(&self, hop: IpAddr) -> bool {
        trusted(&self.plan.forwarded_from, hop)
    }

    /// The number that stands for an identity: equal for equal bytes, and not to be foreseen without the plan's seed.
    pub(crate) fn hash(&self, kind: u8, bytes: &[u8]) -> u64 {
        let mut hasher = DefaultHasher::new();
        (self.seed, kind, bytes).hash(&mut hasher);
        hasher.finish()
    }

    /// The session with this token.
    pub(crate) fn session(&self, token: &[u8]) -> SessionKey {
        SessionKey(self.hash(b's', token))
    }

    /// What the plan knows of this client: the first entry that matches.
    pub(crate) fn identity<'a>(
        &self,
        subject: Option<&str>,
        address: IpAddr,
        header: impl Fn(&str) -> Option<&'a [u8]>,
    ) -> Option<&IdentityPlan> {
        self.plan.identities.iter().find(|identity| match &identity.matches {
            MatchPlan::Subject(wanted) => subject == Some(wanted),
            MatchPlan::Address(net) => net.contains(&address),
            MatchPlan::Header(name, start) => header(&name.to_ascii_lowercase()).is_some_and(|value| {
                value.len() >= start.len() && value[..start.len()].eq_ignore_ascii_case(start.as_bytes())
            }),
        })
    }
}

fn trusted(nets: &[IpNet], hop: IpAddr) -> bool {
    !nets.is_empty() && nets.iter().any(|net| net.contains(&hop.to_canonical()))
}
