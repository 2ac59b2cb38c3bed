//! Protocol `vasa`: operations by the first element of the SOAP body, faults declared for them, version.xml rewritten.

use super::{Call, InBody, Refused, Rewrite, Told, http};
use crate::error::GateError;
use crate::explain::Label;
use crate::http1::Framing;
use crate::http1::request::Request;
use crate::plan::VasaPlan;
use crate::soap::Seen;
use crate::vasa::cookie::SetSession;
use crate::vasa::fault::{self, FaultSpec};
use crate::vasa::soap::{self, Prefix, SoapVersion};
use crate::vasa::version::Origin;
use std::borrow::Cow;
use std::sync::Arc;
use tidegate_core::admission::{OperationKey, Role};
use tidegate_core::reason::Reason;
use tidegate_core::time::Span;

/// The plan, compiled.
pub(crate) struct Vasa {
    plan: VasaPlan,
    public: Option<Origin>,
    scheme: &'static str,
    faults: Faults,
}

/// Names of faults, shared with the calls that may need them.
struct Faults {
    default: Arc<str>,
    known: std::collections::BTreeMap<String, Arc<str>>,
}

/// How the client of a call speaks, for a fault that it can read.
#[derive(Clone, Debug)]
pub(crate) struct Soap {
    version: SoapVersion,
    namespace: String,
    fault: Arc<str>,
}

impl Vasa {
    pub(crate) fn new(plan: &VasaPlan, scheme: &'static str) -> Result<Vasa, GateError> {
        let public = match &plan.public_url {
            None => None,
            Some(url) => Some(Origin::parse(url).ok_or_else(|| {
                GateError::plan("protocol.public_url", format_args!("{url:?} is not http(s)://host[:port]"))
            })?),
        };
        let faults = Faults {
            default: plan.default.fault.as_str().into(),
            known: plan
                .operations
                .iter()
                .map(|(name, operation)| (name.clone(), operation.fault.as_str().into()))
                .collect(),
        };
        Ok(Vasa { plan: plan.clone(), public, scheme, faults })
    }

    pub(crate) fn classify<'b>(&self, request: &Request<'_, 'b>) -> Call<'b> {
        let path = request.path();
        let probe = self.plan.probe_paths.iter().any(|probe| probe == path);
        let version = path == self.plan.version_path;
        let public = || self.public.clone().or_else(|| Origin::from_host(self.scheme, request.header("host")?));
        Call {
            role: if probe { Role::Probe } else { self.plan.default.role },
            cost_milli: self.plan.default.cost_milli,
            session: http::request_session(request, &self.plan.session_cookie),
            user: None,
            operation: Label::new(&[request.method.as_bytes(), b" ", path.as_bytes()]),
            key: http::unlisted(request),
            in_body: request.method == "POST" && request.facts.framing != Framing::None && !probe,
            rewrite: (version && request.method == "GET").then(public).flatten().map(Rewrite::Location),
        }
    }

    pub(super) fn lowers_concurrency(&self) -> bool {
        self.plan.lower_concurrency
    }

    pub(crate) fn look(&self, content_type: Option<&[u8]>, body: &[u8], seen: Seen) -> InBody {
        let default = &self.plan.default;
        match soap::read_prefix(content_type, body, seen != Seen::Begun) {
            Prefix::NeedMore => InBody::NeedMore,
            Prefix::Refused(why) => InBody::Refused(why),
            Prefix::NotSoap => InBody::Told {
                role: default.role,
                cost_milli: default.cost_milli,
                operation: Label::new(&[b"(not SOAP)"]),
                key: OperationKey::listed(&[b"(not SOAP)"]),
                soap: None,
                rewrite: None,
                long_poll: None,
            },
            Prefix::Operation(operation) => {
                let name = operation.name.as_bytes();
                let (known, key) = match self.plan.operations.get(&operation.name) {
                    Some(known) => (known, OperationKey::listed(&[name])),
                    None => (default, OperationKey::unlisted(&[name])),
                };
                let fault = self.faults.known.get(&operation.name).unwrap_or(&self.faults.default).clone();
                InBody::Told {
                    role: known.role,
                    cost_milli: known.cost_milli,
                    operation: Label::new(&[name]),
                    key,
                    soap: Some(Soap { version: operation.version, namespace: operation.namespace, fault }),
                    rewrite: (self.lowers_concurrency() && known.role == Role::Open).then_some(Rewrite::Concurrency),
                    long_poll: None,
                }
            }
        }
    }

    pub(crate) fn session<'b>(&self, headers: &[httparse::Header<'b>]) -> Option<SetSession<'b>> {
        http::answer_session(headers, &self.plan.session_cookie)
    }
}

impl Soap {
    pub(super) fn refuse(&self, reason: Reason, retry_after: Span) -> Refused {
        let Soap { version, namespace, fault } = self;
        let spec = FaultSpec { version: *version, namespace, declared: fault, reason, retry_after };
        let rendered = fault::render(&spec);
        Refused {
            status: rendered.status,
            kind: rendered.content_type,
            retry_after_s: rendered.retry_after_s,
            body: Cow::Owned(rendered.body.into_bytes()),
        }
    }
}

/// What a fault says, as far as it came with its head; a fault is a few hundred bytes, so mostly it did.
pub(super) fn told(first: &[u8]) -> Told {
    let has = |name: &[u8]| memchr::memmem::find(first, name).is_some();
    Told { overload: has(b"VasaProviderBusy"), closed: has(b"InvalidSession"), judged: None }
}
