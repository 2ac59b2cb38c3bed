//! What a service speaks: which call means what, and how the gate says no in its words. A closed list.

mod http;
mod vasa;
pub(crate) mod vcenter;

use crate::error::GateError;
use crate::explain::Label;
use crate::http1::request::Request;
use crate::plan::{HttpPlan, ProtocolPlan};
use crate::soap::Seen;
use crate::vasa::cookie::SetSession;
use crate::vasa::version::Origin;
use crate::vcenter::answer::Judged;
use std::borrow::Cow;
use tidegate_core::admission::{OperationKey, Role};
use tidegate_core::reason::Reason;
use tidegate_core::time::Span;
pub(crate) use vasa::Soap;

/// What the protocol tells of a call.
pub(crate) struct Call<'b> {
    pub(crate) role: Role,
    pub(crate) cost_milli: u32,
    /// The session that it carries.
    pub(crate) session: Option<&'b [u8]>,
    /// The user that it names; only believed from trusted hops.
    pub(crate) user: Option<&'b [u8]>,
    pub(crate) operation: Label,
    /// The key under which the machine learns what it costs.
    pub(crate) key: OperationKey,
    /// What the call is stands in its body: look at the first bytes of it before deciding.
    pub(crate) in_body: bool,
    /// The answer is to be looked at whole.
    pub(crate) rewrite: Option<Rewrite>,
}

/// What is done to an answer that is looked at whole.
#[derive(Clone, Debug)]
pub(crate) enum Rewrite {
    /// The addresses in it are replaced by this one. One that cannot be understood is not passed on.
    Location(Origin),
    /// While the service is under pressure, clients are told to have one call outstanding.
    Concurrency,
}

/// What the first bytes of a body tell.
pub(crate) enum InBody {
    /// Not enough yet.
    NeedMore,
    /// What the call is.
    Told {
        role: Role,
        cost_milli: u32,
        operation: Label,
        key: OperationKey,
        soap: Option<Soap>,
        rewrite: Option<Rewrite>,
        /// It is a long poll, which the server keeps for so long at the most.
        long_poll: Option<Span>,
    },
    /// It must not be forwarded.
    Refused(&'static str),
}

/// How a call is turned away.
pub(crate) struct Refused {
    pub(crate) status: u16,
    pub(crate) kind: &'static str,
    pub(crate) retry_after_s: Option<u64>,
    pub(crate) body: Cow<'static, [u8]>,
}

/// What an answer's head and first bytes say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Told {
    /// The server cannot: this was no completed work.
    pub(crate) overload: bool,
    /// The session of the call is over.
    pub(crate) closed: bool,
    /// What it says of a vCenter's session, where it says that something is not authenticated.
    pub(crate) judged: Option<Judged>,
}

/// A protocol, ready to use.
pub(crate) enum Protocol {
    Http(http::Http),
    Vasa(vasa::Vasa),
    Vcenter(vcenter::Vcenter),
}

impl Protocol {
    /// Compiles the plan's part. `scheme` is what clients speak to the gate.
    pub(crate) fn new(plan: &ProtocolPlan, scheme: &'static str) -> Result<Protocol, GateError> {
        Ok(match plan {
            ProtocolPlan::Http(http) => Protocol::Http(http::Http::new(http)),
            ProtocolPlan::Vasa(vasa) => Protocol::Vasa(vasa::Vasa::new(vasa, scheme)?),
            ProtocolPlan::Vcenter(plan) => Protocol::Vcenter(vcenter::Vcenter::new(plan)),
            ProtocolPlan::Tcp {} => Protocol::Http(http::Http::new(&HttpPlan::default())), // has no calls to ask about
        })
    }

    /// What this call is, by its head.
    pub(crate) fn classify<'b>(&self, request: &Request<'_, 'b>) -> Call<'b> {
        match self {
            Protocol::Http(http) => http.classify(request),
            Protocol::Vasa(vasa) => vasa.classify(request),
            Protocol::Vcenter(vcenter) => vcenter.classify(request),
        }
    }

    /// Whether an answer to a call that is told by its body may be looked at whole.
    pub(crate) fn may_rewrite(&self) -> bool {
        match self {
            Protocol::Http(_) => false,
            Protocol::Vasa(vasa) => vasa.lowers_concurrency(),
            Protocol::Vcenter(vcenter) => vcenter.broker().is_some(),
        }
    }

    /// What this call is, by the first bytes of its body.
    pub(crate) fn look(&self, content_type: Option<&[u8]>, body: &[u8], seen: Seen) -> InBody {
        match self {
            Protocol::Http(_) => InBody::Refused("a body that nobody asked for"),
            Protocol::Vasa(vasa) => vasa.look(content_type, body, seen),
            Protocol::Vcenter(vcenter) => vcenter.look(body, seen),
        }
    }

    /// What the Set-Cookie fields of an answer say about the session.
    pub(crate) fn session<'b>(&self, headers: &[httparse::Header<'b>]) -> Option<SetSession<'b>> {
        match self {
            Protocol::Http(http) => http.session(headers),
            Protocol::Vasa(vasa) => vasa.session(headers),
            Protocol::Vcenter(vcenter) => vcenter.session(headers),
        }
    }

    /// What an answer with this status, and these first bytes of its body, says.
    pub(crate) fn told(&self, status: u16, first: &[u8]) -> Told {
        let busy = status == 503 || status == 429;
        match self {
            Protocol::Http(_) => Told { overload: busy, ..Told::default() },
            Protocol::Vasa(_) if status == 500 => vasa::told(first),
            Protocol::Vcenter(_) => vcenter::told(status, first),
            Protocol::Vasa(_) => Told { overload: busy, ..Told::default() },
        }
    }

    /// The words for "not now".
    pub(crate) fn refuse(&self, reason: Reason, retry_after: Span, soap: Option<&Soap>) -> Refused {
        match (self, soap) {
            (Protocol::Vasa(_), Some(soap)) => soap.refuse(reason, retry_after),
            (Protocol::Vasa(_), None) => http::refuse(503, reason, retry_after),
            // What all its clients take for "later"; 429 they do not know.
            (Protocol::Vcenter(_), _) => Refused { status: 503, ..http::refuse(503, reason, retry_after) },
            (Protocol::Http(http), _) => http.refuse(reason, retry_after),
        }
    }
}
