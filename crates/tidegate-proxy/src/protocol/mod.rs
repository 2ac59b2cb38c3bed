//! What a service speaks: which call means what, and how the gate says no in its words. A closed list.

mod http;

use crate::explain::Label;
use crate::http1::request::Request;
use crate::plan::ProtocolPlan;
use std::borrow::Cow;
use tidegate_core::admission::Role;
use tidegate_core::reason::Reason;
use tidegate_core::time::Span;

/// What the protocol tells of a call.
pub(crate) struct Call<'b> {
    pub(crate) role: Role,
    pub(crate) cost_milli: u32,
    /// The session that it carries.
    pub(crate) session: Option<&'b [u8]>,
    /// The user that it names; only believed from trusted hops.
    pub(crate) user: Option<&'b [u8]>,
    pub(crate) operation: Label,
}

/// How a call is turned away.
pub(crate) struct Refused {
    pub(crate) status: u16,
    pub(crate) kind: &'static str,
    pub(crate) body: Cow<'static, [u8]>,
}

/// A protocol, ready to use.
pub(crate) enum Protocol {
    Http(http::Http),
}

impl Protocol {
    pub(crate) fn new(plan: &ProtocolPlan) -> Protocol {
        match plan {
            ProtocolPlan::Http(http) => Protocol::Http(http::Http::new(http)),
            ProtocolPlan::Vasa(_) => Protocol::Http(http::Http::new(&crate::plan::HttpPlan {
                rules: Vec::new(),
                session_cookie: None,
                user_header: None,
                status: 503,
                probe_paths: Vec::new(),
            })),
        }
    }

    /// What this call is.
    pub(crate) fn classify<'b>(&self, request: &Request<'_, 'b>) -> Call<'b> {
        match self {
            Protocol::Http(http) => http.classify(request),
        }
    }

    /// The session that an answer's Set-Cookie opens.
    pub(crate) fn opened<'b>(&self, headers: &[httparse::Header<'b>]) -> Option<&'b [u8]> {
        match self {
            Protocol::Http(http) => http.opened(headers),
        }
    }

    /// Whether an answer with this status says that the server cannot: it is no completed work.
    pub(crate) fn is_overload(&self, status: u16) -> bool {
        status == 503 || status == 429
    }

    /// The words for "not now".
    pub(crate) fn refuse(&self, reason: Reason, retry_after: Span) -> Refused {
        match self {
            Protocol::Http(http) => http.refuse(reason, retry_after),
        }
    }
}
