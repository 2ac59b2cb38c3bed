//! The part of a plan that connections use, compiled once per plan.

use crate::clock;
use crate::error::GateError;
use crate::plan::{
    BrokerPlan, IdentityPlan, IoPlan, MatchPlan, ProbePlan, ProxyVersion, ServerPlan, ServerTlsPlan, ServicePlan,
    TlsPlan, VerifyPlan,
};
use crate::pool::Server;
use crate::protocol::Protocol;
use crate::protocol::vcenter::Vcenter;
use crate::tls::TlsError;
use crate::tls::client::{self, OwnCertificate, Thumbprint, Upstream, Verify};
use crate::tls::identity::Identity;
use crate::tls::server::{self, ClientAuth};
use crate::wire::proxy_header::Version;
use ipnet::IpNet;
use std::net::IpAddr;
use std::sync::Arc;
use tidegate_core::admission::{Mode, ServerId, SessionKey};
use tidegate_core::key;
use tokio_rustls::TlsAcceptor;

/// What connections of one service go by.
pub(crate) struct Setup {
    pub(crate) io: IoPlan,
    pub(crate) protocol: Protocol,
    pub(crate) servers: Vec<Arc<Server>>,
    /// Opens clients' TLS, where the plan says so.
    pub(crate) tls: Option<TlsAcceptor>,
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
        let servers = plan.servers.iter().map(|server| load_server(server, plan, before));
        let servers = servers.collect::<Result<Vec<_>, _>>()?;
        for server in &servers {
            server.keep_at_most(clock::now(), plan.io.server_idle);
        }
        let scheme = if matches!(plan.tls, TlsPlan::None {}) { "http" } else { "https" };
        Ok(Setup {
            io: plan.io.clone(),
            protocol: Protocol::new(&plan.protocol, scheme)?,
            servers,
            tls: load_acceptor(&plan.tls)?,
            seed: plan.admission.seed,
            plan: plan.clone(),
        })
    }

    /// A vCenter's part of the plan.
    pub(crate) fn vcenter(&self) -> Option<&Vcenter> {
        match &self.protocol {
            Protocol::Vcenter(vcenter) => Some(vcenter),
            Protocol::Http(_) | Protocol::Vasa(_) => None,
        }
    }

    /// Most long polls that wait at once.
    pub(crate) fn long_polls_max(&self) -> u32 {
        self.vcenter().map_or(u32::MAX, |vcenter| vcenter.plan().long_polls_max)
    }

    /// How a vCenter's sessions are shared, if they are.
    pub(crate) fn broker(&self) -> Option<&BrokerPlan> {
        self.vcenter().filter(|_| self.plan.admission.mode == Mode::Enforce).and_then(Vcenter::broker)
    }

    /// Whether what `hop` says about who is behind it is believed.
    pub(crate) fn trusts(&self, hop: IpAddr) -> bool {
        trusted(&self.plan.forwarded_from, hop)
    }

    /// The number that stands for an identity: equal for equal bytes, and not to be foreseen without the plan's seed.
    pub(crate) fn hash(&self, kind: u8, bytes: &[u8]) -> u64 {
        key::secret(self.seed, kind, bytes)
    }

    /// The number by which the machine knows this server; none for one of an earlier plan.
    pub(crate) fn id_of(&self, server: &Arc<Server>) -> Option<ServerId> {
        let known = (0u16..).zip(&self.servers).find(|(_, known)| Arc::ptr_eq(known, server));
        known.map(|(id, _)| ServerId(id))
    }

    /// The session with this token.
    pub(crate) fn session(&self, token: &[u8]) -> SessionKey {
        SessionKey(self.hash(b's', token))
    }

    /// What the plan knows of this client: the first entry that matches.
    pub(crate) fn identity<'a>(
        &self,
        subject: Option<&Identity>,
        address: IpAddr,
        header: impl Fn(&str) -> Option<&'a [u8]>,
    ) -> Option<&IdentityPlan> {
        self.plan.identities.iter().find(|identity| match &identity.matches {
            MatchPlan::Subject(wanted) => subject.is_some_and(|subject| subject.is(wanted)),
            MatchPlan::Address(net) => net.contains(&address),
            MatchPlan::Header(name, start) => header(&name.to_ascii_lowercase()).is_some_and(|value| {
                value.len() >= start.len() && value[..start.len()].eq_ignore_ascii_case(start.as_bytes())
            }),
        })
    }
}

/// A server that `before` knows just as it is goes on with its connections. One with TLS is loaded anew, for its files
/// may have changed; only its counters go on.
fn load_server(plan: &ServerPlan, service: &ServicePlan, before: Option<&Setup>) -> Result<Arc<Server>, GateError> {
    let known = before.and_then(|b| {
        let at = b.plan.servers.iter().position(|s| s.name == plan.name)?;
        Some((b.plan.servers.get(at)?, b.servers.get(at)?))
    });
    match known {
        Some((same, server)) if same == plan && plan.tls.is_none() && !probes_pass(service) => {
            return Ok(server.clone());
        }
        _ => {}
    }
    let stats = known.map(|(_, server)| server.stats.clone()).unwrap_or_default();
    let tls = plan.tls.as_ref().map(|tls| load_upstream(&plan.address, tls)).transpose()?;
    let send_proxy = plan.send_proxy.map(|version| match version {
        ProxyVersion::V1 => Version::V1,
        ProxyVersion::V2 => Version::V2,
    });
    let probe_tls = match &tls {
        Some(tls) => Some(tls.clone()),
        // A probe sends nothing that anybody could want: it only asks whether somebody is there.
        None if probes_pass(service) => {
            Some(client::upstream(&plan.address, None, Verify::Nothing, None).map_err(tls_error)?)
        }
        None => None,
    };
    Ok(Server::new((&plan.name, &plan.address), tls, send_proxy, probe_tls, stats))
}

/// Whether probes speak TLS where the gate itself does not.
fn probes_pass(service: &ServicePlan) -> bool {
    let speaks = |probe: &ProbePlan| matches!(probe, ProbePlan::Tls {} | ProbePlan::Http { .. });
    let passes = matches!(service.tls, TlsPlan::Passthrough { .. });
    passes && service.monitor.as_ref().is_some_and(|monitor| speaks(&monitor.probe))
}

fn load_upstream(address: &str, tls: &ServerTlsPlan) -> Result<Upstream, GateError> {
    let verify = match &tls.verify {
        VerifyPlan::Ca(path) => Verify::Ca(path),
        VerifyPlan::Sha256(text) => Verify::Thumbprint(
            Thumbprint::parse(text).ok_or_else(|| GateError::plan("tls.verify.sha256", "is not a thumbprint"))?,
        ),
        VerifyPlan::None(_) => Verify::Nothing,
    };
    let own = match (&tls.certificate, &tls.key) {
        (Some(certificate), Some(key)) => Some(OwnCertificate { certificate, key }),
        _ => None,
    };
    client::upstream(address, tls.name.as_deref(), verify, own).map_err(tls_error)
}

fn load_acceptor(plan: &TlsPlan) -> Result<Option<TlsAcceptor>, GateError> {
    let TlsPlan::Terminate { certificate, key, client_ca, client_required } = plan else { return Ok(None) };
    let clients = client_ca.as_deref().map(|ca| ClientAuth { ca, required: *client_required });
    server::config(certificate, key, clients).map(|config| Some(config.into())).map_err(tls_error)
}

fn tls_error(error: TlsError) -> GateError {
    GateError::new("tls", error.message, error.hint)
}

fn trusted(nets: &[IpNet], hop: IpAddr) -> bool {
    !nets.is_empty() && nets.iter().any(|net| net.contains(&hop.to_canonical()))
}
